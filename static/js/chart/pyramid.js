// Columns of bytes at several resolutions: each level keeps its newest columns, and four of them make one of the next level by keeping the greatest
// value of every row, so that a peak is never lost. Memory is bounded however long it goes on. Pure. Used by sound.js.
// @ts-check

const FACTOR = 4;
const FIRST_ROOM = 256; // columns; doubled as they come

/** The newest `most` columns of `rows` bytes; grows up to that, then goes round. */
class Level {
  /** @param {number} rows @param {number} most a power of two */
  constructor(rows, most) {
    this.rows = rows;
    this.most = most;
    this.room = Math.min(FIRST_ROOM, most);
    this.count = 0;
    this.bytes = new Uint8Array(this.room * rows);
    this.pending = new Uint8Array(rows); // the greatest of the columns that will make the next one of the level above
  }

  /** The oldest column that is still kept. */
  get first() {
    return Math.max(0, this.count - this.room);
  }

  /** @param {Uint8Array} column */
  push(column) {
    if (this.count >= this.room && this.room < this.most) {
      const grown = new Uint8Array(this.room * 2 * this.rows);
      grown.set(this.bytes);
      this.bytes = grown;
      this.room *= 2;
    }
    this.bytes.set(column, this.at(this.count++));
  }

  /** Where column `index` lies. @param {number} index */
  at(index) {
    return (index & (this.room - 1)) * this.rows;
  }
}

export class Pyramid {
  /** @param {number} rows @param {number} most columns kept a level, a power of two, at least 256 */
  constructor(rows, most) {
    this.rows = rows;
    this.most = most;
    this.levels = [new Level(rows, most)];
  }

  /** How many columns were pushed. */
  get count() {
    return this.levels[0].count;
  }

  get size_bytes() {
    return this.levels.reduce((sum, level) => sum + level.bytes.byteLength, 0);
  }

  /** @param {Uint8Array} column `rows` values; greater means more to see */
  push(column) {
    for (let n = 0; ; n++) {
      const level = this.levels[n];
      const { pending, rows } = level;
      level.push(column);
      const nth = (level.count - 1) % FACTOR;
      for (let row = 0; row < rows; row++) if (nth === 0 || column[row] > pending[row]) pending[row] = column[row];
      if (nth < FACTOR - 1) return;
      column = pending;
      if (!this.levels[n + 1]) this.levels.push(new Level(rows, this.most));
    }
  }

  /**
   * The greatest value of every row among the columns that touch [from, to): exactly those, where they are still kept one by one. False when nothing of it
   * is known. It takes the coarsest columns that fit in, and so about as many of them whether a pixel is a second or an hour.
   * @param {number} from in columns of the finest level, fractions too
   * @param {number} to
   * @param {Uint8Array} out
   */
  read(from, to, out) {
    const { rows, levels } = this;
    from = Math.max(0, Math.floor(from));
    to = Math.min(this.count, Math.max(from + 1, Math.ceil(to)));
    if (from >= to) return false;
    out.fill(0);
    for (let at = from; at < to; ) {
      let n = 0;
      let scale = 1;
      for (; n + 1 < levels.length; n++, scale *= FACTOR) {
        const wide = scale * FACTOR;
        const fits = at % wide === 0 && at + wide <= to && at / wide < levels[n + 1].count;
        const gone = Math.floor(at / scale) < levels[n].first;
        if (!fits && !gone) break;
      }
      const index = Math.floor(at / scale);
      const { bytes } = levels[n];
      const place = levels[n].at(index);
      for (let row = 0; row < rows; row++) if (bytes[place + row] > out[row]) out[row] = bytes[place + row];
      at = (index + 1) * scale;
    }
    return true;
  }
}
