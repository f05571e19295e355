// Somebody at the store of a simulated Calico cluster: edits resources and deletes nodes as `podloom apply` and `podloom delete` do,
// one request after the other, each again until it is done.
import { CalicoStore } from "../../src/agent/calico/calico-store.ts";
import { parseIpv4 } from "../../src/base/ipv4-addr.ts";
import type { SeededRng } from "../../src/base/rng.ts";
import { type Instant, MS_US, NEVER } from "../../src/base/time.ts";
import type { IpamRequest } from "../../src/control/calico/ipam/ipam-messages.ts";
import type { ResourceRequest } from "../../src/control/calico/resource-messages.ts";
import type {
  CalicoKind,
  CalicoResource,
  NodeResource,
  ResourceOf,
  WorkloadEndpoint,
} from "../../src/control/calico/resources.ts";
import type { Connection, FakeStore } from "./fake-store.ts";

/** What it does next; made when its turn has come. */
type Deed = () => { readonly resource: ResourceRequest } | { readonly ipam: IpamRequest } | undefined;

const RETRY_US = 500 * MS_US;

export class CalicoOperator {
  readonly refusals: string[] = [];
  readonly #store: CalicoStore;
  readonly #connection: Connection;
  readonly #fake: FakeStore;
  readonly #deeds: Deed[] = [];
  #running: number | undefined;
  #retryAt: Instant = 0;

  constructor(fake: FakeStore, rng: SeededRng) {
    this.#fake = fake;
    this.#connection = fake.connect();
    const wallMs = (now: Instant): number => 1_767_225_600_000 + now / 1000;
    this.#store = new CalicoStore({ node: "operator", rng, pools: () => [], reservations: () => [], wallMs });
  }

  get idle(): boolean {
    return this.#deeds.length === 0;
  }

  apply(resource: CalicoResource): void {
    this.#deeds.push(() => ({ resource: { t: "apply", resource } }));
  }

  edit<K extends CalicoKind>(kind: K, name: string, change: (spec: ResourceOf<K>) => ResourceOf<K>): void {
    const request: ResourceRequest = {
      t: "edit",
      id: { kind, name },
      change: (current) => current && (change(current as ResourceOf<K>) as CalicoResource),
    };
    this.#deeds.push(() => ({ resource: request }));
  }

  delete(kind: CalicoKind, name: string, namespace?: string): void {
    const id = { kind, name, ...(namespace !== undefined && { namespace }) };
    this.#deeds.push(() => ({ resource: { t: "delete", id } }));
  }

  /** In the order of `podloom delete node`. */
  deleteNode(name: string): void {
    const endpoints = (): WorkloadEndpoint[] =>
      this.#read<WorkloadEndpoint>("workloadendpoints/").filter(({ spec }) => spec.node === name);
    this.#deeds.push(() => {
      const [node] = this.#read<NodeResource>(`nodes/${name}`);
      const texts = [
        ...endpoints().flatMap(({ spec }) => spec.ipNetworks),
        node?.spec.bgp?.ipv4IPIPTunnelAddr ?? "",
        node?.spec.ipv4VXLANTunnelAddr ?? "",
      ];
      const addrs = texts.flatMap((text) => parseIpv4(text.split("/")[0] as string) ?? []);
      return addrs.length === 0 ? undefined : { ipam: { t: "releaseIps", addrs } };
    });
    this.#deeds.push(() => {
      for (const { metadata } of endpoints()) this.delete("WorkloadEndpoint", metadata.name, "default");
      this.#deeds.push(() => ({ ipam: { t: "releaseHostAffinities", host: name, requireEmpty: false } }));
      this.delete("Node", name);
      return undefined;
    });
  }

  step(now: Instant): boolean {
    let busy = false;
    for (let event = this.#connection.poll(now); event !== undefined; event = this.#connection.poll(now)) {
      this.#store.handle(event, now);
      busy = true;
    }
    if (this.#store.nextDeadline() <= now) this.#store.tick(now);
    if (this.#running === undefined && now >= this.#retryAt) busy = this.#next(now) || busy;
    return this.#drain(now) || busy;
  }

  nextDeadline(): Instant {
    const own = this.#running === undefined && this.#deeds.length > 0 ? this.#retryAt : NEVER;
    return Math.min(own, this.#store.nextDeadline());
  }

  #next(now: Instant): boolean {
    const deed = this.#deeds[0];
    if (deed === undefined) return false;
    const made = deed();
    if (made === undefined) this.#deeds.shift();
    else if ("ipam" in made) this.#running = this.#store.request(made.ipam, now);
    else this.#running = this.#store.submit(made.resource, now);
    return true;
  }

  #drain(now: Instant): boolean {
    let busy = false;
    for (let output = this.#store.poll(); output !== undefined; output = this.#store.poll()) {
      busy = true;
      if (output.t === "op") this.#connection.submit(output.op, now);
      else if (output.t === "ipamDone") this.#done(output.answer.error?.message, now);
      else if (output.t === "resourceDone") {
        const { outcome } = output;
        const absent = outcome.t === "refused" && outcome.code === "doesNotExist";
        this.#done(outcome.t === "refused" && !absent ? outcome.message : undefined, now);
      }
    }
    return busy;
  }

  #done(refusal: string | undefined, now: Instant): void {
    this.#running = undefined;
    if (refusal === undefined) this.#deeds.shift();
    else {
      this.refusals.push(refusal);
      this.#retryAt = now + RETRY_US;
    }
  }

  #read<R>(path: string): R[] {
    const start = `/calico/resources/v3/projectcalico.org/${path}`;
    return this.#fake
      .dump()
      .filter(({ key }) => (path.endsWith("/") ? key.startsWith(start) : key === start))
      .map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as R);
  }
}
