// What labs, nodes, pods and speakers may be called. Names become file names and arguments, so whatever joins one into a path
// checks it.

/** Longest name, in characters: one DNS label. */
export const NAME_LENGTH_MAX = 63;
export const NAME_RULE = `1 to ${NAME_LENGTH_MAX} lower-case letters, digits and dashes, with a letter or digit at both ends`;
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
