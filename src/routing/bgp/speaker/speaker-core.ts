// What a speaker does: handle() one input, drain poll() to undefined, then wait until nextDeadline(). It joins the sessions
// (session/), the tables (rib/) and the policies; what goes in and out is in speaker-messages.ts. What people ask of it is in
// speaker.ts. Not here: sockets.
//
// What neighbours say goes into the RIB at once. Choosing and telling wait for the next tick, which is due immediately: so a burst
// of messages costs one decision a prefix, and what came of it leaves in full messages.
import { assert } from "../../../base/assert.ts";
import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Rng } from "../../../base/rng.ts";
import { type Instant, NEVER } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import { Rib } from "../rib/rib.ts";
import { RibsOut } from "../rib/ribs-out.ts";
import type { PeerConfig } from "../session/peer-config.ts";
import type { ConnId, ConnIds, PeerInput } from "../session/peer-messages.ts";
import { BfdWatch } from "./bfd-watch.ts";
import { type Neighbor, ribPeerConfig } from "./neighbor.ts";
import { NeighborFactory } from "./neighbor-factory.ts";
import { type ListenRange, NeighborTable } from "./neighbor-table.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { RestartHold } from "./restart-hold.ts";
import { RouteFeed } from "./route-feed.ts";
import { type SessionOutput, SessionSet } from "./session-set.ts";
import type { RangeConfig, SpeakerConfig } from "./speaker-config.ts";
import type { RouteChange, SpeakerInput, SpeakerOutput } from "./speaker-messages.ts";

/** Destinations that one tick decides, and as many that it tells: about ten milliseconds. */
const BUDGET = 10_000;

export interface SpeakerDeps {
  readonly rng: Rng;
  /** Shared with whoever accepts calls, who numbers them. */
  readonly ids: ConnIds;
  /** Metric of the way to a next hop; undefined: there is none. Without it every next hop is one step away. */
  readonly nextHopMetric?: (nextHop: NextHop) => number | undefined;
  /** Is it an address of ours? Without it, the neighbours' local addresses are. */
  readonly isLocalAddress?: (nextHop: NextHop) => boolean;
  /** Emit `route` outputs, each change once: there is a forwarding table to keep. What it should hold, {@link SpeakerCore.forwarding} says. */
  readonly routes?: boolean;
}

export class SpeakerCore {
  /** Written by {@link renumber} alone. */
  config: SpeakerConfig;
  readonly rib: Rib;
  readonly out: RibsOut;
  readonly neighbors: NeighborTable<Neighbor>;
  protected readonly factory: NeighborFactory;
  protected readonly bfd: BfdWatch;
  protected readonly ranges = new Map<ListenRange, RangeConfig>();
  protected readonly ownAddresses = new OwnAddresses();
  protected readonly sessions: SessionSet;
  /** While routes are not chosen yet after a restart. */
  protected hold: RestartHold | undefined;
  #feed: RouteFeed | undefined;
  /** Families that are held no more, until their routes have been chosen. */
  #undecided: readonly Family[] | undefined;
  protected outputs: SpeakerOutput[] = [];
  #polled = 0;
  protected started = false;
  #stopped = false;
  /** Is there anything to choose or to tell? */
  protected work = false;
  protected now: Instant = 0;

  constructor(config: SpeakerConfig, deps: SpeakerDeps) {
    this.config = config;
    this.neighbors = new NeighborTable(config.dynamicLimit);
    this.rib = new Rib({
      localAs: config.localAs,
      routerId: config.routerId,
      clusterId: config.clusterId,
      decision: config.decision,
      nextHopMetric: deps.nextHopMetric ?? (() => 0),
      isLocalAddress: deps.isLocalAddress ?? ((nextHop) => this.ownAddresses.has(nextHop)),
    });
    const { localAs, routerId, clusterId } = config;
    this.out = new RibsOut(this.rib, { localAs, routerId, clusterId, rng: deps.rng });
    this.rib.listen(this.out);
    if (deps.routes === true) {
      this.#feed = new RouteFeed((change) => this.outputs.push({ t: "route", change }));
      this.rib.listen(this.#feed);
    }
    this.factory = new NeighborFactory(this.rib, deps.ids, deps.rng);
    this.bfd = new BfdWatch(
      deps.rng,
      (output) => this.outputs.push(output),
      (addr) => this.#onPathLost(addr),
    );
    this.sessions = new SessionSet(
      (output) => this.outputs.push(output),
      (neighbor, output) => this.#onSession(neighbor, output),
    );
  }

  /** Are routes chosen, and not held back after a restart? */
  get isDecided(): boolean {
    return this.hold === undefined;
  }

  handle(input: SpeakerInput, now: Instant): void {
    this.now = now;
    switch (input.t) {
      case "start":
        this.#start();
        break;
      case "stop":
        this.#stop(input);
        break;
      case "incoming":
        this.#incoming(input.conn, input.remote);
        break;
      case "tick":
        this.#tick();
        break;
      case "bfdReceived":
        this.bfd.received(input, now);
        break;
      default:
        this.sessions.handle(input, now);
    }
    this.sessions.drain();
  }

  poll(): SpeakerOutput | undefined {
    const output = this.outputs[this.#polled];
    if (output === undefined) {
      if (this.#polled > 0) this.outputs = [];
      this.#polled = 0;
      return undefined;
    }
    this.#polled++;
    return output;
  }

  /** Now, while there is something to choose or to tell; else no later than the first timer, possibly earlier. */
  nextDeadline(): Instant {
    if (this.#stopped) return NEVER;
    if (this.work) return this.now;
    const hold = this.hold?.nextDeadline() ?? NEVER;
    return Math.min(this.sessions.nextDeadline(), this.out.nextDeadline(), this.bfd.nextDeadline(), hold);
  }

  /** All that `route` outputs have said, the polled ones and those to come: to fill a forwarding table anew, or to compare one. */
  forwarding(): Iterable<RouteChange> {
    return this.#feed?.dump() ?? [];
  }

  #start(): void {
    this.started = true;
    const expected = [...this.sessions].filter((one) => one.config?.shutdown !== true);
    if (this.config.restarting) {
      const strangers = [...this.ranges.values()].flatMap(({ session }) => session.families);
      const hold = new RestartHold(
        this.rib,
        this.out,
        expected,
        strangers.map((one) => one.family),
        this.config.deferralSec,
        this.now,
      );
      if (!hold.done) this.hold = hold;
    }
    for (const neighbor of expected) this.startOne(neighbor);
  }

  protected startOne(neighbor: Neighbor): void {
    this.bfd.add(neighbor, this.now);
    this.tell(neighbor, { t: "start", restarting: this.hold !== undefined });
  }

  /** The waiting of these families is over. */
  protected settle(families: readonly Family[] | undefined): void {
    if (this.hold === undefined || families === undefined || families.length === 0) return;
    this.work = true;
    if (!this.hold.done) return;
    this.#undecided = this.hold.families;
    this.hold = undefined;
    for (const neighbor of this.sessions) this.tell(neighbor, { t: "restartComplete" });
  }

  #stop({ text, silent }: SpeakerInput & { readonly t: "stop" }): void {
    if (silent === true) this.sessions.abandon();
    else {
      const stop: PeerInput = text === undefined ? { t: "stop" } : { t: "stop", text };
      for (const neighbor of this.sessions) {
        this.bfd.del(neighbor, this.now);
        this.tell(neighbor, stop);
      }
    }
    this.sessions.drain();
    this.#stopped = true;
    this.outputs.push({ t: "stopped" });
  }

  #incoming(conn: ConnId, remote: Ipv4Addr): void {
    const admission = this.neighbors.admit(remote);
    if (this.#stopped || !this.started || admission.t === "refuse") {
      if (admission.t === "refuse" && !this.#stopped) {
        const message = `connection from ${formatIpv4(remote)} closed: ${admission.why}`;
        this.outputs.push({ t: "log", level: "warn", event: "unexpectedConnection", message });
      }
      this.outputs.push({ t: "close", conn, afterFlush: false });
      return;
    }
    const neighbor =
      admission.t === "known"
        ? admission.neighbor
        : this.#makeDynamic(remote, admission.range, admission.config);
    this.sessions.accept(neighbor, conn, this.now);
  }

  #tick(): void {
    if (this.#stopped) return;
    this.sessions.tick(this.now);
    this.bfd.tick(this.now);
    this.settle(this.hold?.expire(this.now));
    this.sessions.drain();
    this.work = false;
    if (this.rib.run(this.now, BUDGET)) this.work = true;
    else if (this.#undecided !== undefined) {
      this.outputs.push({ t: "restartComplete", families: this.#undecided });
      this.#undecided = undefined;
    }
    if (this.out.run(this.now, BUDGET)) this.work = true;
  }

  /** The fast detector has lost the way to a neighbour. @rfc 5882#4.2 */
  #onPathLost(addr: Ipv4Addr): void {
    const neighbor = this.neighbors.lookup(addr);
    if (neighbor !== undefined) this.tell(neighbor, { t: "bfdDown" });
  }

  protected tell(neighbor: Neighbor, input: PeerInput): void {
    this.sessions.tell(neighbor, input, this.now);
  }

  #onSession(neighbor: Neighbor, output: SessionOutput): void {
    switch (output.t) {
      case "expired":
        this.#forget(neighbor);
        return;
      case "peerUp":
        this.#up(neighbor, output.negotiated, output.bgpId);
        return;
      case "writable":
        this.out.writable(neighbor.ribPeer, this.now);
        this.work = true;
        return;
      default:
        this.#onRoutes(neighbor, output);
        this.work = true;
    }
  }

  /** What a session says about routes. */
  #onRoutes(
    neighbor: Neighbor,
    output: Exclude<SessionOutput, { readonly t: "expired" | "peerUp" | "writable" }>,
  ): void {
    const { ribPeer } = neighbor;
    const now = this.now;
    switch (output.t) {
      case "update":
        this.rib.apply(ribPeer, output.update, now);
        this.#countPrefixes(neighbor);
        return;
      case "peerDown":
        neighbor.negotiated = undefined;
        this.rib.peerDown(ribPeer, output.keepStale, now);
        this.out.leave(ribPeer, now);
        return;
      case "flushStale":
        this.rib.flushStale(ribPeer, output.family, now);
        return;
      case "endOfRib":
        this.settle(this.hold?.endOfRib(neighbor, output.family, now));
        return;
      case "refreshRequested":
        this.out.refresh(ribPeer, output.family, now);
        return;
      case "refreshBegun":
        this.rib.refreshBegun(ribPeer, output.family, now);
        return;
      case "refreshEnded":
        this.rib.refreshEnded(ribPeer, output.family, now);
        return;
    }
  }

  #up(neighbor: Neighbor, negotiated: Negotiated, bgpId: Ipv4Addr): void {
    neighbor.negotiated = negotiated;
    const { ribPeer, routes, policies } = neighbor;
    if (ribPeer.config.internal !== negotiated.internal) {
      const { name, addr } = neighbor;
      const { localAs, internal } = negotiated;
      const config = ribPeerConfig(name, addr, localAs, internal, routes, policies);
      this.rib.configure(ribPeer, config, this.now);
    }
    this.rib.peerUp(ribPeer, { as: negotiated.peerAs, bgpId }, this.now);
    this.out.join(
      neighbor.outMember(negotiated, () => this.sessions.touch(neighbor)),
      this.now,
    );
    this.settle(this.hold?.peerUp(neighbor, negotiated, this.now));
    this.work = true;
  }

  #countPrefixes(neighbor: Neighbor): void {
    for (const { family, prefixLimit } of neighbor.peer.config.families) {
      if (prefixLimit === undefined) continue;
      const count = this.rib.prefixCount(neighbor.ribPeer, family);
      neighbor.peer.handle({ t: "prefixCount", family, count }, this.now);
    }
  }

  #makeDynamic(addr: Ipv4Addr, range: ListenRange, session: PeerConfig): Neighbor {
    const made = this.factory.dynamic(addr, range, this.ranges.get(range) as RangeConfig, session);
    assert(made.ok, "addRange() has found the policies good");
    this.neighbors.join(addr, range, made.value);
    this.sessions.add(made.value);
    this.startOne(made.value);
    return made.value;
  }

  protected cease(neighbor: Neighbor, subcode: number): void {
    this.tell(neighbor, { t: "cease", subcode });
    this.sessions.drainOne(neighbor);
    this.settle(this.hold?.forget(neighbor, this.now));
    this.#remove(neighbor);
  }

  /** A dynamic neighbour has left nothing behind. */
  #forget(neighbor: Neighbor): void {
    this.neighbors.leave(neighbor.addr, neighbor);
    this.settle(this.hold?.forget(neighbor, this.now));
    this.#remove(neighbor);
  }

  #remove(neighbor: Neighbor): void {
    this.bfd.del(neighbor, this.now);
    this.rib.delPeer(neighbor.ribPeer, this.now);
    this.sessions.del(neighbor);
    this.work = true;
  }
}
