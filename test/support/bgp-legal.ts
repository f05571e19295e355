/** Subcodes that a speaker may send in a NOTIFICATION that answers a message, by code. @rfc 4271#4.5 and its successors. */
export const LEGAL_NOTIFICATIONS: Readonly<Record<number, readonly number[]>> = {
  1: [1, 2, 3],
  2: [0, 1, 2, 3, 4, 6, 7],
  3: [1, 2, 3, 4, 5, 6, 8, 9, 10, 11],
  5: [1, 2, 3],
  7: [1],
};
