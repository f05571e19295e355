/** Kinds of numbers that policies name. */
export type NumberKind = keyof typeof RANGES;

const RANGES = {
  u16: [0, 0xffff],
  u32: [0, 0xffffffff],
  /** An AS number; 0 is none. @rfc 7607#2 */
  as: [1, 0xffffffff],
  /** @rfc 4271#5.1.1 */
  origin: [0, 2],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

/** What is wrong with the number; undefined: nothing, or there is none. */
export function checkNumber(name: string, kind: NumberKind, value: number | undefined): string | undefined {
  const [min, max] = RANGES[kind];
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return undefined;
  return `${name} ${value}: it is a whole number from ${min} to ${max}`;
}

/** The same of each of a list. */
export function checkNumbers(name: string, kind: NumberKind, list: readonly number[]): string | undefined {
  for (const value of list) {
    const wrong = checkNumber(name, kind, value);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}
