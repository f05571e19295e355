/** A moment: integer microseconds, monotonic, arbitrary origin. Pure code receives it as `now` and never reads a clock. */
export type Instant = number;

/** The moment that never comes: what `nextDeadline()` answers when nothing is due. */
export const NEVER: Instant = Number.POSITIVE_INFINITY;

export const MS_US = 1_000;
export const SEC_US = 1_000_000;
