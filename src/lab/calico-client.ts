// A connection to a store that holds a Calico cluster: resources and addresses, by the engines that nodes use themselves.
import { NEVER, SEC_US } from "../base/time.ts";
import { IpamEngine } from "../control/calico/ipam/ipam-engine.ts";
import type { IpamAnswer, IpamError, IpamRequest } from "../control/calico/ipam/ipam-messages.ts";
import type { ResourceOutcome, ResourceRequest } from "../control/calico/resource-messages.ts";
import { ResourceWriter } from "../control/calico/resource-writer.ts";
import type { CalicoKind, ResourceOf } from "../control/calico/resources.ts";
import type {
  Compare,
  KeyRange,
  KeyValue,
  StoreEvent,
  StoreOp,
  TxnOp,
} from "../control/datastore/messages.ts";
import { OpIds } from "../control/datastore/pending-ops.ts";
import type { LogOutput } from "../control/log.ts";
import { MonotonicClock, SystemRng } from "../io/clock.ts";
import { type EtcdTransport, StoreError } from "../io/etcd/etcd-transport.ts";
import { openTransport, type StoreClient } from "../io/etcd/open-transport.ts";
import { StoreDriver } from "../io/etcd/store-driver.ts";
import { PodloomError } from "../io/podloom-error.ts";

/** What an engine of the store says, as far as both have it in common. */
type EngineOutput<A> =
  | { readonly t: "op"; readonly op: StoreOp }
  | { readonly t: "done"; readonly request: number; readonly answer: A }
  | LogOutput;

/** Which store, and how it is spoken to. */
export interface StoreAddress {
  readonly endpoints: readonly string[];
  readonly client: StoreClient;
}

/** How long a person at a terminal waits for a resource of a store that does not answer. */
export const PERSONS_TIMEOUT_US = 5 * SEC_US;

const REMEDY =
  "See that it runs and answers there: `podloom get nodes -o wide` says since when a lab's store is away. One that hangs may be killed: " +
  "a lab starts its own again.";

export class CalicoClient {
  readonly #endpoints: string;
  readonly #clock = new MonotonicClock();
  readonly #transport: EtcdTransport;
  readonly #driver: StoreDriver;
  readonly #writer: ResourceWriter;
  readonly #ipam: IpamEngine;
  readonly #onLog: (text: string) => void;
  readonly #outcomes = new Map<number, (outcome: ResourceOutcome) => void>();
  readonly #answers = new Map<number, (answer: IpamAnswer) => void>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Connects at the first request.
   *
   * @param onLog what the engines have to say besides: keys that cannot be read, for example
   * @param requestTimeoutUs of requests on resources; as long as a node waits else
   */
  static async open(
    address: StoreAddress,
    onLog: (text: string) => void,
    requestTimeoutUs?: number,
  ): Promise<CalicoClient> {
    const { endpoints, client } = address;
    return new CalicoClient(address, await openTransport({ endpoints }, client), onLog, requestTimeoutUs);
  }

  private constructor(
    { endpoints }: StoreAddress,
    transport: EtcdTransport,
    onLog: (text: string) => void,
    requestTimeoutUs: number | undefined,
  ) {
    const ids = new OpIds();
    const rng = new SystemRng();
    this.#endpoints = endpoints.join(", ");
    this.#onLog = onLog;
    this.#transport = transport;
    this.#driver = new StoreDriver(this.#transport, (event) => this.#handle(event));
    this.#writer = new ResourceWriter({
      ids,
      rng,
      ...(requestTimeoutUs !== undefined && { requestTimeoutUs }),
    });
    this.#ipam = new IpamEngine({
      ids,
      rng,
      wallClockNs: () => BigInt(Date.now()) * 1_000_000n,
      // Nothing is assigned from here; a release needs no pools.
      pools: () => [],
    });
  }

  /** Performs a request on resources. Never rejects: what went wrong is an outcome. */
  async request(request: ResourceRequest): Promise<ResourceOutcome> {
    const number = this.#writer.submit(request, this.#clock.now(), Date.now());
    const outcome = await this.#whenDone(this.#outcomes, number);
    if (outcome.t !== "refused" || outcome.code !== "unavailable") return outcome;
    return { ...outcome, message: `${this.#endpoints}: ${outcome.message}` };
  }

  /** Releases addresses or affinities. Never rejects. */
  ipam(request: IpamRequest): Promise<IpamAnswer> {
    const number = this.#ipam.request(request, this.#clock.now());
    return this.#whenDone(this.#answers, number);
  }

  /** The resources of a kind, with their revisions. @throws PodloomError PL_RESOURCE */
  async list<K extends CalicoKind>(
    kind: K,
    namespace?: string,
  ): Promise<readonly { readonly resource: ResourceOf<K>; readonly modRevision: number }[]> {
    const outcome = await this.request({ t: "list", kind, ...(namespace !== undefined && { namespace }) });
    if (outcome.t !== "listed") throw refusal(outcome);
    return outcome.stored as readonly { resource: ResourceOf<K>; modRevision: number }[];
  }

  /** Keys as they stand. @throws PodloomError PL_ETCD_UNAVAILABLE, StoreError */
  async range(range: KeyRange): Promise<readonly KeyValue[]> {
    return (await this.#asked(() => this.#transport.range(range))).kvs;
  }

  /** A write that no engine has. Answers whether the compares held. @throws PodloomError PL_ETCD_UNAVAILABLE, StoreError */
  async txn(compares: readonly Compare[], success: readonly TxnOp[]): Promise<boolean> {
    return (await this.#asked(() => this.#transport.txn(compares, success, []))).succeeded;
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (thrown) {
      const away = thrown instanceof StoreError && ["unavailable", "timeout"].includes(thrown.reason);
      throw away ? unavailable(`${this.#endpoints}: the store cannot be reached: ${thrown.message}`) : thrown;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#writer.stop();
    await this.#driver.close();
  }

  #whenDone<A>(waiting: Map<number, (answer: A) => void>, number: number): Promise<A> {
    const done = new Promise<A>((resolve) => waiting.set(number, resolve));
    this.#drain();
    return done;
  }

  #handle(event: StoreEvent): void {
    const now = this.#clock.now();
    if (!this.#writer.handle(event, now)) this.#ipam.handle(event, now);
    this.#drain();
  }

  #drain(): void {
    for (let out = this.#writer.poll(); out !== undefined; out = this.#writer.poll()) {
      const plain = out.t === "done" ? { ...out, answer: out.outcome } : out;
      this.#perform(plain, this.#outcomes);
    }
    for (let out = this.#ipam.poll(); out !== undefined; out = this.#ipam.poll()) {
      this.#perform(out, this.#answers);
    }
    this.#arm();
  }

  #perform<A>(out: EngineOutput<A>, waiting: Map<number, (answer: A) => void>): void {
    if (out.t === "op") this.#driver.perform(out.op);
    else if (out.t === "log") this.#onLog(out.message);
    else {
      waiting.get(out.request)?.(out.answer);
      waiting.delete(out.request);
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const at = Math.min(this.#writer.nextDeadline(), this.#ipam.nextDeadline());
    if (at === NEVER) return;
    const inMs = Math.max(0, Math.ceil((at - this.#clock.now()) / 1000));
    this.#timer = setTimeout(() => {
      const now = this.#clock.now();
      this.#writer.tick(now);
      this.#ipam.tick(now);
      this.#drain();
    }, inMs);
  }
}

/** An outcome that is none that was hoped for, as an error. */
export function refusal(outcome: ResourceOutcome): PodloomError {
  if (outcome.t !== "refused") return new PodloomError("PL_RESOURCE", `unexpected outcome ${outcome.t}`);
  const { code, message } = outcome;
  return code === "unavailable" ? unavailable(message) : new PodloomError("PL_RESOURCE", message);
}

function unavailable(message: string): PodloomError {
  return new PodloomError("PL_ETCD_UNAVAILABLE", message, { remedy: REMEDY });
}

/** Why addresses could not be released. */
export function ipamFault({ code, message }: IpamError): PodloomError {
  return code === "unavailable" ? unavailable(message) : new PodloomError("PL_IPAM", message);
}
