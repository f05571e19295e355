import type { IncomingRequest } from "../../io/ipc/connection.ts";
import { SPEAKER_CHUNK_ROWS } from "../../io/ipc/speaker-protocol.ts";

/** Characters of text that one piece has at most, about. */
const PIECE_CHARS = 64 * 1024;

/**
 * Answers a request with rows, some at a time: sessions have their say in between, and a reader that is slow is waited for. An
 * interrupt ends them early.
 */
export async function streamRows(request: IncomingRequest, rows: Iterable<unknown>): Promise<void> {
  const flow = new Flow(request);
  let count = 0;
  let piece: unknown[] = [];
  for (const row of rows) {
    piece.push(row);
    count++;
    if (piece.length < SPEAKER_CHUNK_ROWS) continue;
    if (!(await flow.send("value", piece))) break;
    piece = [];
  }
  if (piece.length > 0) await flow.send("value", piece);
  request.done({ rows: count });
}

/** The same for text. Answers what the generator returns; undefined when it was ended early. */
export async function streamText<T>(
  request: IncomingRequest,
  text: AsyncGenerator<string, T, void>,
): Promise<T | undefined> {
  const flow = new Flow(request);
  let piece = "";
  for (;;) {
    const { done, value } = await text.next();
    if (done === true) {
      if (piece !== "") await flow.send("stdout", piece);
      return value;
    }
    piece += value;
    if (piece.length < PIECE_CHARS) continue;
    if (!(await flow.send("stdout", piece))) return undefined;
    piece = "";
  }
}

/** Sends pieces no faster than they are read. */
class Flow {
  readonly #request: IncomingRequest;
  #interrupted = false;
  #goOn: () => void = () => {};

  constructor(request: IncomingRequest) {
    this.#request = request;
    request.onInterrupt = () => {
      this.#interrupted = true;
      this.#goOn();
    };
    request.onDrain = () => this.#goOn();
  }

  /** False: nobody wants more. */
  async send(stream: "stdout" | "value", data: unknown): Promise<boolean> {
    if (this.#interrupted) return false;
    const flowing = this.#request.chunk(stream, data);
    await new Promise<void>((resolve) => {
      this.#goOn = resolve;
      if (flowing) setImmediate(resolve);
    });
    return !this.#interrupted;
  }
}
