// A bidirectional stream that can be written to before it is open, and that announces its end once.
import { StoreError } from "../etcd-transport.ts";
import { Status } from "../grpc-status.ts";
import { type Token, wantsNewToken } from "./credentials.ts";
import type { GrpcCall } from "./grpc-call.ts";
import { begin, type Ending, type GrpcClient } from "./grpc-client.ts";
import { frame } from "./grpc-frames.ts";
import { storeErrorOf, unavailable } from "./grpc-outcome.ts";
import { type Draft, decode, type Fields, type Table, type ValueOf } from "./protobuf-table.ts";

export interface BidiSink<T> {
  message(message: T): void;
  broken(error: StoreError): void;
}

/** What may be written before the stream is open: more than any lease or watch needs. */
const WAITING_MAX = 4096;

export class BidiStream<Q extends Fields, A extends Fields> implements Ending {
  readonly #request: Table<Q>;
  readonly #answer: Table<A>;
  readonly #sink: BidiSink<ValueOf<A>>;
  readonly #client: GrpcClient;
  readonly #unregister: () => void;
  #call: GrpcCall | undefined;
  #token: Token | undefined;
  /** Written before the stream was open. */
  #waiting: Buffer[] = [];
  #over = false;

  constructor(
    client: GrpcClient,
    path: string,
    request: Table<Q>,
    answer: Table<A>,
    sink: BidiSink<ValueOf<A>>,
  ) {
    this.#request = request;
    this.#answer = answer;
    this.#sink = sink;
    this.#client = client;
    this.#unregister = client.register(this);
    client.ground().then(
      ({ connection, token }) => {
        if (this.#over) return;
        this.#token = token;
        const options = { path, token: token?.text, needsLeader: client.needsLeader };
        this.#call = begin(connection, options, {
          message: (bytes) => this.#received(bytes),
          ended: (outcome) => {
            const ended = outcome.status === Status.OK ? unavailable("the server ended the stream") : outcome;
            this.#broken(storeErrorOf(ended));
          },
        });
        for (const framed of this.#waiting.splice(0)) this.#call?.send(framed, false);
      },
      (thrown: unknown) => {
        if (!(thrown instanceof StoreError)) throw thrown;
        this.#broken(thrown);
      },
    );
  }

  get over(): boolean {
    return this.#over;
  }

  /** The token it was opened with, when the server has not accepted it yet on this connection. */
  get unprovenToken(): Token | undefined {
    return this.#token !== undefined && this.#token.provenOn !== this.#call?.connection
      ? this.#token
      : undefined;
  }

  /** The server has accepted our token. */
  prove(): void {
    if (this.#token !== undefined) this.#token.provenOn = this.#call?.connection;
  }

  write(value: Draft<ValueOf<Q>>): void {
    if (this.#over) return;
    let framed: Buffer;
    try {
      framed = frame(this.#request, value);
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
      queueMicrotask(() => this.fail(new StoreError("invalid", thrown.message, thrown)));
      return;
    }
    if (this.#call !== undefined) this.#call.send(framed, false);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(framed);
  }

  /** Nothing was heard on it where something should have been. */
  suspect(): void {
    this.#call?.connection.suspect();
  }

  cancel(): void {
    if (this.#over) return;
    this.#finish();
    this.#call?.cancel();
  }

  /** Ends it and says why. */
  fail(error: StoreError): void {
    if (this.#over) return;
    this.#call?.cancel();
    this.#broken(error);
  }

  /** The client is closed: whoever closed it wants to hear nothing more. */
  end(): void {
    this.cancel();
  }

  #received(bytes: Uint8Array): void {
    const message = decode(this.#answer, bytes);
    if (message.ok) this.#sink.message(message.value);
    else this.fail(new StoreError("unknown", `the server sent a malformed message (${message.error})`));
  }

  #broken(error: StoreError): void {
    if (this.#over) return;
    this.#finish();
    if (this.#token !== undefined && wantsNewToken(error)) this.#client.forget(this.#token);
    this.#sink.broken(error);
  }

  #finish(): void {
    this.#over = true;
    this.#waiting = [];
    this.#unregister();
  }
}
