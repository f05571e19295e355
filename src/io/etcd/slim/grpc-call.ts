// One gRPC call on a connection: messages go out and come in until the server, the connection or we end it.
import { type ClientHttp2Stream, constants, type OutgoingHttpHeaders } from "node:http2";
import { Status } from "../grpc-status.ts";
import { FrameReader } from "./grpc-frames.ts";
import { type Outcome, outcomeOf, outcomeOfReset, refusalOf, unavailable } from "./grpc-outcome.ts";
import type { Http2Connection } from "./http2-connection.ts";

/** Who hears a call. Nothing more is said after `ended`, nor after we have cancelled it. */
export interface CallSink {
  message(bytes: Uint8Array): void;
  ended(outcome: Outcome): void;
}

export interface CallOptions {
  /** Like `/etcdserverpb.KV/Range`. */
  readonly path: string;
  readonly token: string | undefined;
  /** How long the server may work on it. */
  readonly deadlineMs?: number;
  /** The server is to end the call when it has no leader any more. */
  readonly needsLeader?: boolean;
}

/** What is not sent yet, beyond which nobody can be listening. */
const UNSENT_MAX_BYTES = 2 ** 20;

export class GrpcCall {
  readonly connection: Http2Connection;
  readonly #sink: CallSink;
  readonly #stream: ClientHttp2Stream;
  readonly #frames = new FrameReader();
  #outcome: Outcome | undefined;
  #over = false;

  /** Begins it. @throws Error when the connection has just been lost */
  constructor(connection: Http2Connection, options: CallOptions, sink: CallSink) {
    this.connection = connection;
    this.#sink = sink;
    const stream = connection.request(headersOf(options));
    this.#stream = stream;
    stream.on("response", (headers) => {
      this.#outcome ??= outcomeOf(headers) ?? refusalOf(headers);
    });
    stream.on("trailers", (headers) => {
      this.#outcome ??= outcomeOf(headers);
    });
    stream.on("data", (piece: Buffer) => this.#received(piece));
    // The trailers have come by then. A server may answer before it has heard us out, so our own end is not waited for.
    stream.on("end", () => {
      if (this.#outcome !== undefined) this.#end(this.#outcome);
    });
    stream.on("close", () => this.#end(this.#outcome ?? this.#loss()));
    // Told by "close", which follows.
    stream.on("error", () => {});
  }

  /** Sends a message; `last`: and nothing after it. */
  send(framed: Buffer, last: boolean): void {
    if (this.#over || this.#stream.destroyed) return;
    if (last) this.#stream.end(framed);
    else if (this.#stream.writableLength + framed.length <= UNSENT_MAX_BYTES) this.#stream.write(framed);
    else this.fail(unavailable("the server does not listen"));
  }

  /** Ends it without a word to the sink. */
  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** Ends it from our side, and tells the sink why. */
  fail(outcome: Outcome): void {
    this.#end(outcome);
  }

  #received(piece: Buffer): void {
    this.#frames.push(piece);
    while (!this.#over) {
      const message = this.#frames.next();
      if (message === undefined) return;
      if (typeof message === "string") this.#end({ status: Status.INTERNAL, text: message });
      else this.#sink.message(message);
    }
  }

  #loss(): Outcome {
    if (this.connection.lost) return unavailable(this.connection.why);
    return outcomeOfReset(this.#stream.rstCode);
  }

  #end(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    // A call that both sides have finished closes by itself: a reset on top of it is what servers count as an attack.
    const finished = this.#stream.readableEnded && this.#stream.writableFinished;
    if (!finished && !this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#sink.ended(outcome);
  }
}

function headersOf({ path, token, deadlineMs, needsLeader }: CallOptions): OutgoingHttpHeaders {
  return {
    ":method": "POST",
    ":path": path,
    te: "trailers",
    "content-type": "application/grpc",
    "user-agent": "podloom",
    ...(deadlineMs !== undefined && { "grpc-timeout": `${deadlineMs}m` }),
    ...(token !== undefined && { token }),
    ...(needsLeader === true && { hasleader: "true" }),
  };
}
