// Calls on whichever connection the channel has: deadlines, tokens, and the end of all of them on `close`.
import { messageOf } from "../../podloom-error.ts";
import { CALL_DEADLINE_MS, type EtcdEndpoints, StoreError } from "../etcd-transport.ts";
import { Status } from "../grpc-status.ts";
import { Channel } from "./channel.ts";
import { Credentials, type Token, wantsNewToken } from "./credentials.ts";
import { type CallOptions, GrpcCall } from "./grpc-call.ts";
import { frame } from "./grpc-frames.ts";
import { type Outcome, storeErrorOf } from "./grpc-outcome.ts";
import type { Http2Connection } from "./http2-connection.ts";
import { type Draft, decode, type Fields, type Table, type ValueOf } from "./protobuf-table.ts";
import { AuthenticateRequest, AuthenticateResponse } from "./rpc-tables.ts";

/** Something that ends when the client does. */
export interface Ending {
  /** No word to anybody when there is no error. */
  end(error: StoreError): void;
}

export class GrpcClient {
  readonly #channel: Channel;
  readonly #credentials: Credentials;
  readonly #running = new Set<Ending>();

  /** Connects lazily: the first call opens the connection. */
  constructor(endpoints: EtcdEndpoints) {
    this.#channel = new Channel(endpoints);
    this.#credentials = new Credentials(endpoints.auth, (connection, name, password) =>
      this.#login(connection, name, password),
    );
  }

  /** One request, one answer. Rejects with StoreError alone, and within {@link CALL_DEADLINE_MS}. */
  async unary<Q extends Fields, A extends Fields>(
    path: string,
    request: Table<Q>,
    value: Draft<ValueOf<Q>>,
    answer: Table<A>,
  ): Promise<ValueOf<A>> {
    const framed = framedRequest(request, value);
    const endMs = performance.now() + CALL_DEADLINE_MS;
    const call = new Unary(this.#running, CALL_DEADLINE_MS);
    try {
      if (this.#channel.closed) throw closedError();
      const connection = this.#channel.ready ?? (await call.whileWaiting(this.#connect()));
      for (let renewed = false; ; renewed = true) {
        let token = this.#credentials.get(connection);
        if (token instanceof Promise) token = await call.whileWaiting(token);
        const deadlineMs = Math.max(1, Math.ceil(endMs - performance.now()));
        try {
          const bytes = await call.run(connection, { path, token: token?.text, deadlineMs }, framed);
          if (token !== undefined) token.provenOn = connection;
          return decoded(answer, bytes);
        } catch (thrown) {
          if (token === undefined || !(thrown instanceof StoreError) || !wantsNewToken(thrown)) throw thrown;
          this.#credentials.forget(token);
          // The server did nothing, so that the same call can be made again; once.
          if (renewed) throw thrown;
        }
      }
    } catch (thrown) {
      if (thrown instanceof StoreError && /no leader/.test(thrown.message)) this.#leave();
      throw thrown;
    } finally {
      call.settle();
    }
  }

  /** A connection and a token for a stream. Rejects with StoreError alone. */
  async ground(): Promise<{ readonly connection: Http2Connection; readonly token: Token | undefined }> {
    if (this.#channel.closed) throw closedError();
    const connection = this.#channel.ready ?? (await this.#connect());
    return { connection, token: await this.#credentials.get(connection) };
  }

  /** Is a stream to end when its server has no leader? With one server alone there is nowhere else to go. */
  get needsLeader(): boolean {
    return this.#channel.several;
  }

  forget(token: Token): void {
    this.#credentials.forget(token);
  }

  /** Whoever is registered is ended by {@link close}. */
  register(running: Ending): () => void {
    this.#running.add(running);
    return () => this.#running.delete(running);
  }

  close(): void {
    const error = closedError();
    for (const running of [...this.#running]) running.end(error);
    this.#channel.close();
  }

  #leave(): void {
    const connection = this.#channel.ready;
    if (connection !== undefined) this.#channel.leave(connection);
  }

  async #connect(): Promise<Http2Connection> {
    try {
      return await this.#channel.connect();
    } catch (thrown) {
      throw new StoreError("unavailable", messageOf(thrown), thrown);
    }
  }

  async #login(connection: Http2Connection, name: string, password: string): Promise<string> {
    const call = new Unary(this.#running, CALL_DEADLINE_MS);
    try {
      const options = {
        path: "/etcdserverpb.Auth/Authenticate",
        token: undefined,
        deadlineMs: CALL_DEADLINE_MS,
      };
      const bytes = await call.run(connection, options, frame(AuthenticateRequest, { name, password }));
      return decoded(AuthenticateResponse, bytes).token;
    } finally {
      call.settle();
    }
  }
}

function closedError(): StoreError {
  return new StoreError("unavailable", "the etcd client is closed");
}

function framedRequest<Q extends Fields>(request: Table<Q>, value: Draft<ValueOf<Q>>): Buffer {
  try {
    return frame(request, value);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new StoreError("invalid", thrown.message, thrown);
  }
}

function decoded<A extends Fields>(answer: Table<A>, bytes: Uint8Array): ValueOf<A> {
  const read = decode(answer, bytes);
  if (read.ok) return read.value;
  throw new StoreError("unknown", `the server sent a malformed message (${read.error})`);
}

/** The life of one unary call, from its beginning to its answer, its deadline or the end of the client. */
class Unary implements Ending {
  readonly #running: Set<Ending>;
  readonly #timer: NodeJS.Timeout;
  #reject: (error: StoreError) => void = () => {};
  #call: GrpcCall | undefined;
  #ended: StoreError | undefined;

  constructor(running: Set<Ending>, deadlineMs: number) {
    this.#running = running;
    running.add(this);
    this.#timer = setTimeout(() => {
      // Either the server hangs or the connection is dead: the connection finds out.
      this.#call?.connection.suspect();
      this.end(new StoreError("timeout", "Deadline exceeded"));
    }, deadlineMs);
  }

  settle(): void {
    clearTimeout(this.#timer);
    this.#running.delete(this);
  }

  end(error: StoreError): void {
    this.#ended = error;
    this.#call?.cancel();
    this.#reject(error);
  }

  /** `waiting`, or the end of the call if that is sooner. */
  whileWaiting<T>(waiting: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#arm(reject);
      waiting.then(resolve, reject);
    });
  }

  run(connection: Http2Connection, options: CallOptions, framed: Buffer): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#arm(reject);
      if (this.#ended !== undefined) return;
      let answer: Uint8Array | undefined;
      const sink = {
        message: (bytes: Uint8Array) => {
          answer = bytes;
        },
        ended: (outcome: Outcome) => {
          if (outcome.status !== Status.OK) reject(storeErrorOf(outcome));
          else if (answer === undefined)
            reject(new StoreError("unknown", "the server answered without a message"));
          else resolve(answer);
        },
      };
      this.#call = begin(connection, options, sink);
      this.#call?.send(framed, true);
    });
  }

  #arm(reject: (error: StoreError) => void): void {
    this.#reject = reject;
    if (this.#ended !== undefined) reject(this.#ended);
  }
}

/** Begins a call; on a connection that is lost, its end comes on the next tick. */
export function begin(
  connection: Http2Connection,
  options: CallOptions,
  sink: ConstructorParameters<typeof GrpcCall>[2],
): GrpcCall | undefined {
  try {
    return new GrpcCall(connection, options, sink);
  } catch (thrown) {
    const text = connection.usable ? messageOf(thrown) : connection.why;
    queueMicrotask(() => sink.ended({ status: Status.UNAVAILABLE, text }));
    return undefined;
  }
}
