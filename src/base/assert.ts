/** A broken promise of our own code. Nobody catches it: the process dies and the supervisor says so. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Dies with `message` unless `condition` holds. For programmer faults, never for input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks the branch that the type checker proves unreachable. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
