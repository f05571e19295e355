import { Ring } from "../base/ring.ts";
import type { SocketError } from "./socket-owner.ts";

/** Errors that wait in one socket at most. */
const CAPACITY = 64;

/** A socket's errors, oldest first; when there are too many, the oldest gives way. */
export class ErrorQueue {
  /** Made with the first error: most sockets never see one. */
  #ring: Ring<SocketError> | undefined = undefined;

  push(error: SocketError): void {
    this.#ring ??= new Ring<SocketError>(CAPACITY);
    if (this.#ring.size === CAPACITY) this.#ring.shift();
    this.#ring.push(error);
  }

  shift(): SocketError | undefined {
    return this.#ring?.shift();
  }

  clear(): void {
    this.#ring = undefined;
  }
}
