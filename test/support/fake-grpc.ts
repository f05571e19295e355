// An HTTP/2 server that answers gRPC calls as a test tells it to, wrongly too.
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { FrameReader } from "../../src/io/etcd/slim/grpc-frames.ts";
import {
  type Draft,
  decode,
  encode,
  type Fields,
  type Table,
  type ValueOf,
} from "../../src/io/etcd/slim/protobuf-table.ts";

/** One call as the server sees it. */
export class FakeCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly stream: ServerHttp2Stream;
  readonly #frames = new FrameReader();
  #responded = false;

  constructor(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>) {
    this.stream = stream;
    this.headers = headers;
    this.path = String(headers[":path"]);
    stream.on("error", () => {});
  }

  /** Hears every message of the client. */
  onMessage<F extends Fields>(of: Table<F>, hear: (message: ValueOf<F>) => void): void {
    this.stream.on("data", (piece: Buffer) => {
      this.#frames.push(piece);
      for (let next = this.#frames.next(); next !== undefined; next = this.#frames.next()) {
        if (typeof next === "string") throw new Error(next);
        const message = decode(of, next);
        if (!message.ok) throw new Error(message.error);
        hear(message.value);
      }
    });
  }

  /** Sends a message; the call goes on. */
  send<F extends Fields>(of: Table<F>, value: Draft<ValueOf<F>>): void {
    this.raw(FakeCall.framed(encode(of, value)));
  }

  raw(bytes: Uint8Array): void {
    this.#respond();
    if (!this.stream.destroyed) this.stream.write(bytes);
  }

  /** Ends the call with trailers. */
  finish(status: number, text = ""): void {
    this.#respond();
    if (this.stream.destroyed) return;
    this.stream.on("wantTrailers", () =>
      this.stream.sendTrailers({ "grpc-status": String(status), "grpc-message": text }),
    );
    this.stream.end();
  }

  /** One message and the end. */
  answer<F extends Fields>(of: Table<F>, value: Draft<ValueOf<F>>): void {
    this.send(of, value);
    this.finish(0);
  }

  /** Headers that are trailers at once. */
  refuse(status: number, text: string): void {
    const headers = {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(status),
      "grpc-message": text,
    };
    this.stream.respond(headers, { endStream: true });
  }

  static framed(message: Uint8Array): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    return Buffer.concat([head, message]);
  }

  #respond(): void {
    if (this.#responded || this.stream.destroyed) return;
    this.#responded = true;
    this.stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  }
}

export class FakeGrpc {
  readonly calls: FakeCall[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  /** When pings came, by `performance.now()`. */
  readonly pings: number[] = [];
  readonly #server: Http2Server;
  handle: (call: FakeCall) => void = (call) => call.refuse(12, "unknown");

  private constructor(server: Http2Server) {
    this.#server = server;
  }

  static async start(handle: (call: FakeCall) => void): Promise<FakeGrpc> {
    const server = createServer();
    const fake = new FakeGrpc(server);
    fake.handle = handle;
    server.on("session", (session) => {
      fake.sessions.push(session);
      session.on("error", () => {});
      session.on("ping", () => fake.pings.push(performance.now()));
    });
    server.on("stream", (stream, headers) => {
      const call = new FakeCall(stream, headers);
      fake.calls.push(call);
      fake.handle(call);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
