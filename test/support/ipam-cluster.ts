// Several hosts on one store, what each handle was told that it has, and what `ipam check` makes of it.
//   I1: no address belongs to two handles that were told so and have not given it back.
//   I2: the store agrees with what was told.
import { expect } from "vitest";
import { formatIpv4, type Ipv4Addr } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, SEC_US } from "../../src/base/time.ts";
import { checkIpam, type IpamCheck } from "../../src/control/calico/ipam/ipam-check.ts";
import type { IpamPool } from "../../src/control/calico/ipam/ipam-context.ts";
import { IPAM_CONFIG_KEY } from "../../src/control/calico/ipam/ipam-keys.ts";
import type { IpamAnswer, IpamRequest } from "../../src/control/calico/ipam/ipam-messages.ts";
import { assignmentOf } from "../../src/control/calico/ipam/ipam-usage.ts";
import { FakeStore } from "./fake-store.ts";
import { IpamHost, runHosts, stateOf } from "./ipam-host.ts";

/** Several hosts, and what each handle was told that it has. */
export class IpamCluster {
  readonly store: FakeStore;
  readonly pools: readonly IpamPool[];
  readonly hosts = new Map<string, IpamHost>();
  /** Told and not given back: the pods' addresses. */
  readonly held = new Map<Ipv4Addr, string>();
  readonly handles = new Set<string>();
  /** Handles whose release was asked for, perhaps while their addresses were still being assigned. */
  readonly #released = new Set<string>();
  now: Instant = 0;
  answered = 0;

  constructor(seed: number, pools: readonly IpamPool[]) {
    this.store = new FakeStore(new SeededRng(seed));
    this.pools = pools;
  }

  /** The host of this name: the process that lives, or a new one. */
  host(name: string): IpamHost {
    const known = this.hosts.get(name);
    if (known !== undefined && !known.dead) return known;
    const host = new IpamHost(this.store, name, this.pools, { seed: this.hosts.size + this.now });
    this.hosts.set(name, host);
    return host;
  }

  /** Asks, and follows what the answer says of the handle. */
  ask(name: string, request: IpamRequest): number {
    const host = this.host(name);
    if ("handle" in request) this.handles.add(request.handle);
    // Whoever asks for a release has stopped using the address.
    if (request.t === "releaseByHandle") {
      this.#released.add(request.handle);
      this.forget((_, handle) => handle === request.handle);
    } else if ("handle" in request) this.#released.delete(request.handle);
    if (request.t === "releaseIps") this.forget((addr) => request.addrs.includes(addr));
    const expected = host.engine.pending === 0 ? undefined : host.onAnswer;
    const id = host.ask(request, this.now);
    host.onAnswer = (answered, answer, now) => {
      if (answered === id) this.#learn(request, answer);
      else expected?.(answered, answer, now);
    };
    return id;
  }

  /** Asks and waits for the answer; undefined: the host died. */
  do(name: string, request: IpamRequest): IpamAnswer | undefined {
    const host = this.host(name);
    const id = this.ask(name, request);
    this.run(600 * SEC_US);
    return host.answers.get(id);
  }

  assign(name: string, handle: string, count = 1): IpamAnswer | undefined {
    return this.do(name, autoAssign(name, handle, count));
  }

  run(us: number): void {
    this.now = runHosts(this.store, [...this.hosts.values()], this.now, this.now + us);
  }

  wait(us: number): void {
    const until = this.now + us;
    this.run(us);
    this.now = until;
    this.store.run(until);
  }

  forget(gone: (addr: Ipv4Addr, handle: string) => boolean): void {
    for (const [addr, handle] of this.held) if (gone(addr, handle)) this.held.delete(addr);
  }

  #learn(request: IpamRequest, answer: IpamAnswer): void {
    this.answered++;
    if (request.t !== "autoAssign" && request.t !== "assignIp") return;
    if (this.#released.has(request.handle)) return;
    for (const addr of answer.addrs) {
      const other = this.held.get(addr);
      // I1.
      if (other !== undefined)
        throw new Error(`${formatIpv4(addr)} belongs to ${other} and to ${request.handle}`);
      this.held.set(addr, request.handle);
    }
  }

  check(): IpamCheck {
    const state = stateOf(this.store);
    // I2: the store agrees with what was told.
    for (const [addr, handle] of this.held) {
      const owner = assignmentOf(state.blocks, addr);
      if (owner?.handleId !== handle) {
        throw new Error(
          `${formatIpv4(addr)} was given to ${handle}, but is ${owner?.handleId ?? "nobody"}'s`,
        );
      }
    }
    const workloads = [...this.held].map(([addr, name]) => ({ namespace: "default", name, addrs: [addr] }));
    return checkIpam({ state, pools: this.pools, nodes: [], workloads });
  }

  /** The findings, one word each. */
  residue(): string {
    const check = this.check();
    expect(check.outsidePools).toEqual([]);
    expect(check.notAllocated).toEqual([]);
    expect(check.missingHandles).toEqual([]);
    const words = [
      ...check.leaked.map(() => "leaked address"),
      ...check.leakedHandles.map(() => "leaked handle"),
      ...check.miscounted.map((m) => (m.counted > m.held ? "counts too many" : "counts too few")),
      ...check.affinities.map(({ t }) => t),
    ];
    expect(check.problems).toBe(words.length);
    return words.sort().join(" + ") || "nothing";
  }

  /** Everybody gives everything back: nothing must remain. */
  releaseAll(): void {
    const [first] = this.hosts.keys();
    for (const handle of this.handles)
      expect(this.do(first as string, releaseHandle(handle))?.error).toBeUndefined();
    for (const name of this.hosts.keys()) {
      const answer = this.do(name, { t: "releaseHostAffinities", host: name, requireEmpty: true });
      expect(answer?.error).toBeUndefined();
    }
    expect(
      this.store
        .dump()
        .map((kv) => kv.key)
        .filter((key) => key !== IPAM_CONFIG_KEY),
    ).toEqual([]);
  }
}

export function autoAssign(host: string, handle: string, count = 1): IpamRequest {
  const attributes = { node: host, pod: handle, namespace: "default" };
  return { t: "autoAssign", host, count, handle, attributes, use: "Workload" };
}

export function releaseHandle(handle: string): IpamRequest {
  return { t: "releaseByHandle", handle };
}
