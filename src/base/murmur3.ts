// MurmurHash3's two steps, over 32-bit words. All numbers are signed 32-bit integers, so that none becomes a heap number.

/** Takes one word in. Start with a seed. */
export function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e_2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
  const x = hash ^ k;
  return (Math.imul((x << 13) | (x >>> 19), 5) + 0xe654_6b64) | 0;
}

/** @returns the upper 31 bits of the finished hash: 0..2^31-1 */
export function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 1;
}
