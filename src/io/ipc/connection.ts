// One connection between the command line, the supervisor and the nodes, as `protocol.ts` describes it: both sides say hello,
// then either may ask, answer (in pieces, if it likes) and tell.
import type { Duplex } from "node:stream";
import { messageOf, PodloomError } from "../podloom-error.ts";
import { encodeFrame, FrameDecoder } from "./frame.ts";
import { type Chunk, type Hello, type Message, PROTOCOL_VERSION } from "./protocol.ts";

/** Requests of the other side that may be open at once. */
const INCOMING_MAX = 1024;
/** Bytes that may wait for a peer that does not read; beyond it the connection is given up. */
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
const HELLO_TIMEOUT_MS = 5000;
/** What helps against a fault of our own code. */
const INTERNAL_REMEDY = "This is a fault of podloom; `podloom logs` may show more.";
/** What helps against a peer whose words make no sense. */
const SAME_VERSION = "Both sides must be the same version of podloom; stop the lab and start it again.";

export interface ConnectionOptions {
  /** How we introduce ourselves. */
  readonly from: string;
  readonly token?: string | undefined;
  /** The other side introduced itself. Throw to refuse it. */
  readonly onHello?: (hello: Hello, connection: Connection) => void;
  /** A request arrived. End it with `done` or `fail`; what this throws fails it. Without a handler every verb is unknown. */
  readonly onRequest?: (request: IncomingRequest, connection: Connection) => void;
  readonly onNotice?: (event: string, data: unknown, connection: Connection) => void;
  /** Called once, last. `error` is why, when it was not an ordinary end. */
  readonly onClosed?: (connection: Connection, error: Error | undefined) => void;
}

/** A request under way at the other side. */
export interface Call {
  /** The answer. Rejects with a PodloomError as the other side made it, or with PL_IPC_CLOSED or PL_IPC_TIMEOUT. */
  readonly done: Promise<unknown>;
  /** Asks the other side to finish early; `done` still settles by its answer. */
  interrupt(): void;
}

export interface CallOptions {
  readonly onChunk?: (stream: Chunk["stream"], data: unknown) => void;
  /** Give up after so long, from the sending. Default: never, which suits streams. */
  readonly timeoutMs?: number;
}

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onChunk: CallOptions["onChunk"];
  readonly timer: NodeJS.Timeout | undefined;
}

/** A request of the other side. Its methods do nothing once it has ended or the connection is gone. */
export class IncomingRequest {
  readonly verb: string;
  readonly args: unknown;
  /** Set it to hear that the asker lost interest or is gone. */
  onInterrupt: (() => void) | undefined;
  /** Set it to hear that the asker reads again, after `chunk` answered false. */
  onDrain: (() => void) | undefined;
  readonly #id: number;
  readonly #send: (message: Message) => boolean;
  readonly #end: (id: number) => void;
  #over = false;

  constructor(
    id: number,
    verb: string,
    args: unknown,
    send: (message: Message) => boolean,
    end: (id: number) => void,
  ) {
    this.#id = id;
    this.verb = verb;
    this.args = args;
    this.#send = send;
    this.#end = end;
  }

  /** Sends a piece of the answer. False: the asker is slow; wait for `onDrain` if there is much to come. */
  chunk(stream: Chunk["stream"], data: unknown): boolean {
    return this.#over || this.#send({ t: "chunk", id: this.#id, stream, data });
  }

  done(value: unknown): void {
    if (!this.#finish()) return;
    this.#send({ t: "done", id: this.#id, value });
  }

  /** Fails it with the error's code, message and remedy (PL_INTERNAL for what is not a PodloomError). */
  fail(thrown: unknown): void {
    if (!this.#finish()) return;
    const { code, remedy } =
      thrown instanceof PodloomError ? thrown : { code: "PL_INTERNAL", remedy: INTERNAL_REMEDY };
    const message = messageOf(thrown);
    this.#send({
      t: "failed",
      id: this.#id,
      code,
      message,
      ...(remedy === undefined ? {} : { remedy }),
    });
  }

  /** Has it been answered? */
  get over(): boolean {
    return this.#over;
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#end(this.#id);
    return true;
  }
}

/** One connection, either side of it. */
export class Connection {
  /** The other side's hello; rejects when the connection ends before, with the reason. */
  readonly ready: Promise<Hello>;
  /** Settles when it is over, with the reason if there was one. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  /** The other side's hello, once it was said. */
  peer: Hello | undefined;
  readonly #stream: Duplex;
  readonly #options: ConnectionOptions;
  readonly #decoder = new FrameDecoder();
  readonly #calls = new Map<number, PendingCall>();
  readonly #incoming = new Map<number, IncomingRequest>();
  readonly #helloTimer: NodeJS.Timeout;
  #nextId = 1;
  #over = false;
  #error: Error | undefined;
  #resolveReady: (hello: Hello) => void = () => {};
  #rejectReady: (error: Error) => void = () => {};
  #resolveClosed: (error: Error | undefined) => void = () => {};

  /** Takes over `stream` and says hello at once. */
  constructor(stream: Duplex, options: ConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => {}); // Whoever awaits it hears; that nobody does is no fault.
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#helloTimer = setTimeout(() => {
      this.destroy(
        new PodloomError(
          "PL_IPC_SILENT",
          `the other side did not introduce itself within ${HELLO_TIMEOUT_MS} ms`,
          { remedy: "It hangs, or is no podloom: stop it and start it again." },
        ),
      );
    }, HELLO_TIMEOUT_MS);
    stream.on("data", (chunk: Buffer) => this.#received(chunk));
    stream.on("drain", () => {
      for (const request of [...this.#incoming.values()]) request.onDrain?.();
    });
    stream.on("error", (error) => {
      this.#error ??= error;
    });
    stream.on("end", () => stream.end());
    stream.on("close", () => this.#finished());
    const { from, token } = options;
    this.#send({ t: "hello", version: PROTOCOL_VERSION, from, ...(token === undefined ? {} : { token }) });
  }

  /** Asks the other side. */
  request(verb: string, args: unknown, options: CallOptions = {}): Call {
    const id = this.#nextId++;
    const done = new Promise<unknown>((resolve, reject) => {
      if (this.#over) {
        reject(this.#closedError());
        return;
      }
      const timer =
        options.timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              const message = `no answer to \`${verb}\` within ${options.timeoutMs} ms`;
              const remedy = "The other side is overloaded or hangs; `podloom logs` may show why. Try again.";
              this.#settle(id)?.reject(new PodloomError("PL_IPC_TIMEOUT", message, { remedy }));
              this.#send({ t: "interrupt", id });
            }, options.timeoutMs);
      this.#calls.set(id, { resolve, reject, onChunk: options.onChunk, timer });
      this.#send({ t: "request", id, verb, args });
    });
    return { done, interrupt: () => void (this.#calls.has(id) && this.#send({ t: "interrupt", id })) };
  }

  /** Tells the other side something. False: it is slow to read. */
  notify(event: string, data: unknown): boolean {
    return this.#send({ t: "notice", event, data });
  }

  /** Ends it after what was said has been written. Resolves when it is over. */
  async end(): Promise<void> {
    if (!this.#over) this.#stream.end();
    // A peer that does not end its side is not waited for.
    const timer = setTimeout(() => this.#stream.destroy(), 1000);
    await this.closed;
    clearTimeout(timer);
  }

  /** Ends it at once. */
  destroy(error?: Error): void {
    this.#error ??= error;
    this.#stream.destroy();
  }

  #send(message: Message): boolean {
    if (this.#over || this.#stream.writableEnded || this.#stream.destroyed) return true;
    const flowing = this.#stream.write(encodeFrame(message));
    if (this.#stream.writableLength > BACKLOG_BYTES_MAX) {
      this.destroy(
        new PodloomError(
          "PL_IPC_BACKLOG",
          `the other side left ${this.#stream.writableLength} bytes unread`,
          { remedy: "It hangs, or its output is not read: end it and ask again." },
        ),
      );
    }
    return flowing;
  }

  #received(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk, (value) => {
        if (this.#over || this.#stream.destroyed) return;
        if (!isMessage(value))
          throw new PodloomError("PL_IPC_MALFORMED", "the other side sent something that is no message", {
            remedy: SAME_VERSION,
          });
        this.#handle(value);
      });
    } catch (thrown) {
      if (!(thrown instanceof PodloomError)) throw thrown;
      this.destroy(thrown);
    }
  }

  #handle(message: Message): void {
    if (this.peer === undefined || message.t === "hello") {
      this.#greeted(message);
      return;
    }
    switch (message.t) {
      case "request":
        this.#asked(message.id, message.verb, message.args);
        return;
      case "interrupt":
        this.#incoming.get(message.id)?.onInterrupt?.();
        return;
      case "chunk":
        this.#calls.get(message.id)?.onChunk?.(message.stream, message.data);
        return;
      case "done":
        this.#settle(message.id)?.resolve(message.value);
        return;
      case "failed":
        this.#settle(message.id)?.reject(
          new PodloomError(message.code, message.message, { remedy: message.remedy }),
        );
        return;
      case "notice":
        this.#options.onNotice?.(message.event, message.data, this);
    }
  }

  #greeted(message: Message): void {
    if (message.t !== "hello" || this.peer !== undefined) {
      throw new PodloomError("PL_IPC_MALFORMED", "the other side did not say hello first, and once", {
        remedy: SAME_VERSION,
      });
    }
    if (message.version !== PROTOCOL_VERSION) {
      throw new PodloomError(
        "PL_IPC_VERSION",
        `the other side (${message.from}) speaks protocol ${message.version}, this one ${PROTOCOL_VERSION}`,
        { remedy: SAME_VERSION },
      );
    }
    clearTimeout(this.#helloTimer);
    this.#options.onHello?.(message, this);
    this.peer = message;
    this.#resolveReady(message);
  }

  #asked(id: number, verb: string, args: unknown): void {
    const request = new IncomingRequest(
      id,
      verb,
      args,
      (message) => this.#send(message),
      (ended) => this.#incoming.delete(ended),
    );
    if (this.#incoming.size >= INCOMING_MAX || this.#incoming.has(id)) {
      this.#send({
        t: "failed",
        id,
        code: "PL_IPC_BUSY",
        message: `more than ${INCOMING_MAX} requests are open`,
        remedy: "Let some of them finish first.",
      });
      return;
    }
    this.#incoming.set(id, request);
    if (this.#options.onRequest === undefined) {
      request.fail(
        new PodloomError("PL_IPC_UNKNOWN_VERB", `nobody here answers \`${verb}\``, { remedy: SAME_VERSION }),
      );
      return;
    }
    try {
      this.#options.onRequest(request, this);
    } catch (thrown) {
      request.fail(thrown);
    }
  }

  #settle(id: number): PendingCall | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    clearTimeout(call?.timer);
    return call;
  }

  #closedError(): PodloomError {
    const because = this.#error === undefined ? "" : `: ${this.#error.message}`;
    return new PodloomError("PL_IPC_CLOSED", `the connection is closed${because}`, {
      remedy: "The other side has ended; `podloom logs` may show why.",
      cause: this.#error,
    });
  }

  #finished(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#helloTimer);
    this.#rejectReady(this.#error ?? this.#closedError());
    for (const id of [...this.#calls.keys()]) this.#settle(id)?.reject(this.#closedError());
    for (const request of [...this.#incoming.values()]) request.onInterrupt?.();
    this.#incoming.clear();
    this.#options.onClosed?.(this, this.#error);
    this.#resolveClosed(this.#error);
  }
}

const STREAMS: ReadonlySet<unknown> = new Set(["stdout", "stderr", "value"]);

function isMessage(value: unknown): value is Message {
  if (typeof value !== "object" || value === null) return false;
  const m = value as Record<string, unknown>;
  const hasId = Number.isSafeInteger(m.id) && (m.id as number) > 0;
  switch (m.t) {
    case "hello":
      return (
        typeof m.version === "number" &&
        typeof m.from === "string" &&
        (m.token === undefined || typeof m.token === "string")
      );
    case "request":
      return hasId && typeof m.verb === "string";
    case "interrupt":
    case "done":
      return hasId;
    case "chunk":
      return hasId && STREAMS.has(m.stream);
    case "failed":
      return (
        hasId &&
        typeof m.code === "string" &&
        typeof m.message === "string" &&
        (m.remedy === undefined || typeof m.remedy === "string")
      );
    case "notice":
      return typeof m.event === "string";
    default:
      return false;
  }
}
