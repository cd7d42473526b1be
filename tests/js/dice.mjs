// Numbers from 0 to 1 that look random and are the same every time. Used by the tests of chart/.

/** @param {number} seed */
export function dice(seed) {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
