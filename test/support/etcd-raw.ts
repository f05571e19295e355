// An etcd as its .proto files have it, without any client's ideas: every field can be set, every field is seen.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export type Message = Record<string, unknown>;

type Services = Record<string, { readonly service: ServiceDefinition }>;

const etcd3 = dirname(createRequire(import.meta.url).resolve("etcd3/package.json"));
const services = loadPackageDefinition(
  loadSync("rpc.proto", {
    includeDirs: [join(etcd3, "proto")],
    keepCase: true,
    longs: String,
    arrays: true,
  }),
).etcdserverpb as unknown as Services;

/** What a call came to. */
export type Outcome = { readonly reply: Message } | { readonly code: number; readonly details: string };

export class RawEtcd {
  readonly #client: Client;

  /** @param endpoint `host:port` */
  constructor(endpoint: string, channel: ChannelCredentials = credentials.createInsecure()) {
    this.#client = new Client(endpoint, channel, { "grpc.max_receive_message_length": -1 });
  }

  call(service: string, method: string, request: Message): Promise<Outcome> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, reply) =>
        resolve(error === null ? { reply: reply as Message } : { code: error.code, details: error.details }),
      );
    });
  }

  /** A reply that must come. */
  async ask(service: string, method: string, request: Message): Promise<Message> {
    const outcome = await this.call(service, method, request);
    if ("reply" in outcome) return outcome.reply;
    throw new Error(`${service}.${method}: ${outcome.code} ${outcome.details}`);
  }

  stream(service: string, method: string): ClientDuplexStream<Message, Message> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    return this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
    ) as ClientDuplexStream<Message, Message>;
  }

  close(): void {
    this.#client.close();
  }
}

function methodOf(service: string, method: string): ServiceDefinition[string] {
  return services[service]?.service[method] as ServiceDefinition[string];
}
