// From the sessions that the speaker has to those that Calico wants, touching as little as possible.
import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { PeerChange } from "../../../control/calico/calc/bgp-peers.ts";
import type { DesiredPeer } from "../../../control/calico/calc/desired-peer.ts";
import type { BgpSpeaker } from "../../../routing/bgp/speaker/speaker.ts";
import { CeaseError } from "../../../wire/bgp/errors.ts";
import {
  type NeighborContext,
  neighborConfig,
  routesOf,
  sameRoutes,
  sameSession,
} from "./neighbor-config.ts";

export interface NeighborPlanOptions {
  readonly speaker: BgpSpeaker;
  /** What a reference to a secret stands for; undefined: there is no such secret. */
  readonly secret: (ref: { readonly name: string; readonly key: string }) => string | undefined;
  readonly warn: (message: string) => void;
}

export class NeighborPlan {
  readonly #options: NeighborPlanOptions;
  /** By address, and there by address and port: the speaker has one session with an address. */
  readonly #wanted = new Map<Ipv4Addr, Map<string, DesiredPeer>>();
  readonly #addrOf = new Map<string, Ipv4Addr>();
  /** What the speaker was given. */
  readonly #running = new Map<Ipv4Addr, DesiredPeer>();
  /** Running, and to be treated otherwise than before. */
  readonly #untuned = new Set<Ipv4Addr>();
  readonly #reachable = new Map<Ipv4Addr, Ipv4Addr>();
  #reachableChanged = false;

  constructor(options: NeighborPlanOptions) {
    this.#options = options;
  }

  /** Peers behind a gateway (`reachableBy`), if they are other ones than at the last call. */
  takeReachable(): { readonly addr: Ipv4Addr; readonly gateway: Ipv4Addr }[] | undefined {
    if (!this.#reachableChanged) return undefined;
    this.#reachableChanged = false;
    return [...this.#reachable].map(([addr, gateway]) => ({ addr, gateway }));
  }

  /** Ends sessions that are not wanted any more, or not as they are. Answers those that are to begin. */
  end(changes: readonly PeerChange[], now: Instant): DesiredPeer[] {
    const touched = new Set<Ipv4Addr>();
    for (const { key, peer } of changes) {
      const addr = peer?.addr ?? this.#addrOf.get(key);
      if (addr === undefined) continue;
      touched.add(addr);
      this.#note(key, addr, peer);
    }
    const starts: DesiredPeer[] = [];
    for (const addr of touched) {
      const start = this.#endOne(addr, now);
      if (start !== undefined) starts.push(start);
    }
    return starts;
  }

  begin(starts: readonly DesiredPeer[], cx: NeighborContext, now: Instant): void {
    const { speaker, warn } = this.#options;
    for (const peer of starts) {
      const added = speaker.addNeighbor(neighborConfig(peer, this.#password(peer), cx), now);
      if (added.ok) this.#run(peer.addr, peer);
      else warn(`${peer.name}: ${added.error}`);
    }
  }

  /** Gives sessions the policies and modes that they are to have now, and keeps them. @param all not only what {@link end} has found different */
  retune(cx: NeighborContext, all: boolean, now: Instant): void {
    const { speaker, warn } = this.#options;
    const addrs = all ? [...this.#running.keys()] : [...this.#untuned];
    this.#untuned.clear();
    for (const addr of addrs) {
      const peer = this.#running.get(addr);
      if (peer === undefined) continue;
      const neighbor = speaker.neighbors.lookup(peer.addr);
      if (neighbor === undefined) continue;
      const routes = routesOf(peer, cx);
      if (sameRoutes(neighbor.routes, routes)) continue;
      const done = speaker.reconfigure(neighbor, routes, now);
      if (!done.ok) warn(`${peer.name}: ${done.error}`);
    }
  }

  #note(key: string, addr: Ipv4Addr, peer: DesiredPeer | undefined): void {
    const here = this.#wanted.get(addr) ?? new Map<string, DesiredPeer>();
    if (peer === undefined) {
      here.delete(key);
      this.#addrOf.delete(key);
    } else {
      here.set(key, peer);
      this.#addrOf.set(key, addr);
    }
    if (here.size === 0) this.#wanted.delete(addr);
    else this.#wanted.set(addr, here);
  }

  #endOne(addr: Ipv4Addr, now: Instant): DesiredPeer | undefined {
    const before = this.#running.get(addr);
    const after = this.#wantedAt(addr);
    if (before !== undefined && after !== undefined && sameSession(before, after)) {
      this.#run(addr, after);
      this.#untuned.add(addr);
      return undefined;
    }
    if (before !== undefined) {
      // Another name is another protocol of BIRD's: the old one is removed.
      const changed = after !== undefined && after.name === before.name;
      const why = changed ? CeaseError.CONFIG_CHANGE : CeaseError.PEER_DECONFIGURED;
      this.#options.speaker.delNeighbor(addr, now, why);
      this.#run(addr, undefined);
    }
    return after;
  }

  #run(addr: Ipv4Addr, peer: DesiredPeer | undefined): void {
    if (peer === undefined) this.#running.delete(addr);
    else this.#running.set(addr, peer);
    const gateway = peer?.reachableBy;
    if (gateway === this.#reachable.get(addr)) return;
    if (gateway === undefined) this.#reachable.delete(addr);
    else this.#reachable.set(addr, gateway);
    this.#reachableChanged = true;
  }

  #wantedAt(addr: Ipv4Addr): DesiredPeer | undefined {
    const here = this.#wanted.get(addr);
    if (here === undefined) return undefined;
    const [first, ...others] = [...here.keys()].sort();
    if (others.length > 0) {
      this.#options.warn(
        `there are ${here.size} sessions with ${formatIpv4(addr)} at different ports; only ${first} is used`,
      );
    }
    return here.get(first as string);
  }

  #password({ password, name }: DesiredPeer): string | undefined {
    if (password === undefined) return undefined;
    const text = this.#options.secret(password);
    if (text === undefined) {
      this.#options.warn(
        `${name}: there is no secret ${password.name} with a key ${password.key}: the session has no password`,
      );
    }
    return text;
  }
}
