// Hours of pieces in order of time, kept few: the oldest and finest are joined in pairs, the newest never. Pure. Used by history.js and activity.js.
// @ts-check

/**
 * @template Piece
 * @typedef {{most: number, keptFine: number, level: number, size: (piece: Piece) => number, join: (a: Piece, b: Piece) => Piece | null}} Rule
 *   `level`: pieces of at most this size are joined next, so that resolution stays even over the whole recording; `join` gives null for two that must stay apart
 */

/**
 * @template Piece
 * @param {Piece[]} pieces
 * @param {Rule<Piece>} rule its `level` moves on
 * @returns {Piece[]}
 */
export function thinned(pieces, rule) {
  const fine = pieces.slice(-rule.keptFine);
  let old = pairs(pieces.slice(0, -rule.keptFine), rule);
  while (old.length + fine.length > rule.most * 0.75 && rule.level < 1 << 20) {
    rule.level *= 2;
    old = pairs(old, rule);
  }
  return [...old, ...fine];
}

/**
 * @template Piece
 * @param {Piece[]} pieces
 * @param {Rule<Piece>} rule
 */
function pairs(pieces, { level, size, join }) {
  const out = [];
  for (let i = 0; i < pieces.length; i++) {
    const [a, b] = [pieces[i], pieces[i + 1]];
    const joined = b !== undefined && size(a) <= level && size(b) <= level ? join(a, b) : null;
    if (joined) i++;
    out.push(joined ?? a);
  }
  return out;
}
