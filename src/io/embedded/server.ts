// The gRPC server: the services over one store, its timer, and its end.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { loadPackageDefinition, Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { type Clock, MonotonicClock, SystemRng } from "../clock.ts";
import { messageOf, PodloomError } from "../podloom-error.ts";
import { kvService } from "./kv-service.ts";
import { leaseService } from "./lease-service.ts";
import { clusterService, maintenanceService } from "./member-services.ts";
import type { Sized, WatchResponseOut } from "./rpc-messages.ts";
import { ServiceContext } from "./service-context.ts";
import { Store } from "./store.ts";
import type { StoreData } from "./store-data.ts";
import type { StoreLimits } from "./store-options.ts";
import { type TlsFiles, tlsCredentials } from "./tls-credentials.ts";
import { type EncodedMessage, watchService } from "./watch-service.ts";

/** Log entries or so of background work between two turns of the event loop. */
const WORK_BUDGET = 20_000;

/** How often watchers that asked for it hear of progress, as in etcd. */
const PROGRESS_INTERVAL_MS = 10 * 60 * 1000;

/** How long open calls may take to end on shutdown. */
const DRAIN_MS = 1_000;

/** What etcd allows on top of a request for framing. */
const FRAMING_BYTES = 512 * 1024;

const CHANNEL_OPTIONS = {
  "grpc.max_send_message_length": -1,
  "grpc.max_concurrent_streams": 0x7fff_ffff,
  // Finds clients that are gone without a word. Pings of the clients themselves are answered at any rate, never punished.
  "grpc.keepalive_time_ms": 2 * 60 * 60 * 1000,
  "grpc.keepalive_timeout_ms": 20_000,
};

export interface EmbeddedServerOptions {
  /** Socket address; port 0 picks a free one. */
  readonly host: string;
  readonly port: number;
  readonly limits: StoreLimits;
  /** Encrypted when it is given. */
  readonly tls?: TlsFiles | undefined;
  /** For tests; the process's own else. */
  readonly clock?: Clock;
}

/** The embedded etcd v3 server. What is in it, and where that is kept, comes from outside. */
export class EmbeddedServer {
  readonly #options: EmbeddedServerOptions;
  readonly #server: Server;
  readonly #data: StoreData;
  readonly #context: ServiceContext;
  #port = 0;
  #timer: NodeJS.Timeout | undefined;
  #progressTimer: NodeJS.Timeout | undefined;
  #workPending = false;
  #stopped = false;

  constructor(options: EmbeddedServerOptions, data: StoreData) {
    const { limits } = options;
    this.#options = options;
    this.#data = data;
    this.#server = new Server({
      ...CHANNEL_OPTIONS,
      "grpc.max_receive_message_length": limits.requestBytesMax + FRAMING_BYTES,
    });
    const clock = options.clock ?? new MonotonicClock();
    const store = new Store(
      {
        rng: new SystemRng(),
        journal: data.journal,
        retention: limits.retention,
        quotaBytes: limits.quotaBytes,
        txnOpsMax: limits.txnOpsMax,
        fragmentBytes: limits.requestBytesMax,
        wake: () => this.#scheduleWork(),
      },
      clock.now(),
      data.contents,
    );
    const { journal, identity } = data;
    this.#context = new ServiceContext(store, journal, clock, identity, limits.requestBytesMax);
    this.#addServices();
  }

  /** The port that it listens on, once {@link listen} is done. */
  get port(): number {
    return this.#port;
  }

  get clusterId(): string {
    return this.#context.clusterId;
  }

  /**
   * Opens the socket and serves.
   * @throws PodloomError PL_STORE_ADDRESS_IN_USE, PL_STORE_LISTEN or PL_STORE_TLS
   */
  async listen(): Promise<void> {
    const { host, tls } = this.#options;
    const address = `${host}:${this.#options.port}`;
    const credentials = tls === undefined ? ServerCredentials.createInsecure() : tlsCredentials(tls);
    try {
      this.#port = await new Promise<number>((resolve, reject) => {
        this.#server.bindAsync(address, credentials, (error, port) =>
          error === null ? resolve(port) : reject(error),
        );
      });
    } catch (cause) {
      throw listenError(address, cause);
    }
    const { store, clock, memberId } = this.#context;
    store.resume(clock.now(), memberId);
    this.#tick();
    this.#progressTimer = setInterval(() => this.#context.store.hub.progressTick(), PROGRESS_INTERVAL_MS);
  }

  /** Ends open streams, lets calls finish for a moment, and closes. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#progressTimer);
    for (const end of this.#context.openStreams) end();
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => this.#server.forceShutdown(), DRAIN_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
    await this.#data.close();
  }

  #addServices(): void {
    const context = this.#context;
    const services = loadServices();
    const scheme = this.#options.tls === undefined ? "http" : "https";
    const url = (): string => `${scheme}://${this.#options.host}:${this.#port}`;
    // A method that is missing in these answers UNIMPLEMENTED; so does a service that is missing here.
    this.#server.addService(sized(services.KV), kvService(context));
    this.#server.addService(services.Lease, leaseService(context));
    this.#server.addService(services.Cluster, clusterService(context, url));
    this.#server.addService(services.Maintenance, maintenanceService(context));
    const { Watch } = services.Watch as { Watch: ServiceDefinition[string] };
    const encode = (message: WatchResponseOut): Buffer => Watch.responseSerialize(message);
    const passThrough = { ...Watch, responseSerialize: (message: EncodedMessage) => message.bytes };
    this.#server.addService({ Watch: passThrough }, watchService(context, encode));
  }

  #tick(): void {
    if (this.#stopped) return;
    const { store, clock } = this.#context;
    store.tick(clock.now());
    const waitUs = Math.max(0, store.nextDeadline() - clock.now());
    this.#timer = setTimeout(() => this.#tick(), Math.ceil(waitUs / 1000));
  }

  #scheduleWork(): void {
    if (this.#workPending) return;
    this.#workPending = true;
    setImmediate(() => {
      this.#workPending = false;
      if (!this.#stopped && this.#context.store.work(WORK_BUDGET)) this.#scheduleWork();
    });
  }
}

interface EtcdServices {
  readonly KV: ServiceDefinition;
  readonly Lease: ServiceDefinition;
  readonly Watch: ServiceDefinition;
  readonly Cluster: ServiceDefinition;
  readonly Maintenance: ServiceDefinition;
}

/** etcd's services, from the .proto files that the etcd3 client ships. */
function loadServices(): EtcdServices {
  const etcd3 = dirname(createRequire(import.meta.url).resolve("etcd3/package.json"));
  const definition = loadSync("rpc.proto", {
    includeDirs: [join(etcd3, "proto")],
    keepCase: true,
    // Lease ids use all 64 bits.
    longs: String,
    arrays: true,
  });
  const root = loadPackageDefinition(definition) as unknown as {
    etcdserverpb: Record<keyof EtcdServices, { service: ServiceDefinition }>;
  };
  const { KV, Lease, Watch, Cluster, Maintenance } = root.etcdserverpb;
  return {
    KV: KV.service,
    Lease: Lease.service,
    Watch: Watch.service,
    Cluster: Cluster.service,
    Maintenance: Maintenance.service,
  };
}

/** The service with requests that know their length on the wire. */
function sized(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => {
    const decode = method.requestDeserialize;
    const requestDeserialize = (bytes: Buffer): Sized => {
      const request = decode(bytes) as { wireBytes?: number };
      request.wireBytes = bytes.length;
      return request;
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

function listenError(address: string, cause: unknown): PodloomError {
  const message = messageOf(cause);
  if (message.includes("EADDRINUSE")) {
    return new PodloomError("PL_STORE_ADDRESS_IN_USE", `cannot serve etcd on ${address}: the port is taken`, {
      remedy: "Stop what listens there, or give --listen another port (port 0 picks a free one).",
      cause,
    });
  }
  return new PodloomError("PL_STORE_LISTEN", `cannot serve etcd on ${address}: ${message}`, {
    remedy: "Give --listen an address that this machine has.",
    cause,
  });
}
