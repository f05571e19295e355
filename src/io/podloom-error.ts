/** What goes with a {@link PodloomError}. */
export interface PodloomErrorOptions {
  /** What the reader can do about it, as a sentence. Printed on a line of its own. */
  readonly remedy?: string | undefined;
  /** The error underneath, if there was one. */
  readonly cause?: unknown;
}

/**
 * An operational fault outside the pure rooms: something of the world that is not as it must be. The message is a sentence
 * that says what happened, and what to do when `remedy` does not.
 */
export class PodloomError extends Error {
  override readonly name = "PodloomError";
  /** Stable and greppable, like `PL_ETCD_UNREACHABLE`; never changes its meaning. */
  readonly code: string;
  readonly remedy: string | undefined;

  constructor(code: string, message: string, options: PodloomErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** The text of anything that was thrown: an Error's message, else the value itself. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** `code: message`, and the remedy on a second line: what a shell prints when it gives up. */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof PodloomError)) return messageOf(thrown);
  const first = `${thrown.code}: ${thrown.message}`;
  return thrown.remedy === undefined ? first : `${first}\n  ${thrown.remedy}`;
}
