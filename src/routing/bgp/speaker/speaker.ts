// A BGP speaker, as an engine: handle() one input, drain poll() to undefined, then wait until nextDeadline(). It joins the
// sessions (session/), the tables (rib/) and the policies; what goes in and out is in speaker-messages.ts. Not here: sockets.
//
// What neighbours say goes into the RIB at once. Choosing and telling wait for the next tick, which is due immediately: so a burst
// of messages costs one decision a prefix, and what came of it leaves in full messages.
import { assert } from "../../../base/assert.ts";
import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { Rng } from "../../../base/rng.ts";
import { type Instant, NEVER } from "../../../base/time.ts";
import { CeaseError } from "../../../wire/bgp/errors.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import { RefreshSubtype } from "../../../wire/bgp/route-refresh.ts";
import type { BfdStatus } from "../../bfd/bfd-messages.ts";
import { Rib } from "../rib/rib.ts";
import { RibsOut } from "../rib/ribs-out.ts";
import type { RibPrefix } from "../rib/route.ts";
import type { PeerConfig } from "../session/peer-config.ts";
import type { ConnId, ConnIds, PeerInput } from "../session/peer-messages.ts";
import { BfdWatch } from "./bfd-watch.ts";
import { type Neighbor, ribPeerConfig } from "./neighbor.ts";
import { NeighborFactory } from "./neighbor-factory.ts";
import { type ListenRange, NeighborTable } from "./neighbor-table.ts";
import { localRoute } from "./own-network.ts";
import { RestartHold } from "./restart-hold.ts";
import { RouteFeed } from "./route-feed.ts";
import { type SessionOutput, SessionSet } from "./session-set.ts";
import type {
  NeighborConfig,
  NeighborRoutes,
  NetworkConfig,
  RangeConfig,
  SpeakerConfig,
} from "./speaker-config.ts";
import type { SpeakerInput, SpeakerOutput } from "./speaker-messages.ts";

/** Destinations that one tick decides, and as many that it tells: about ten milliseconds. */
const BUDGET = 10_000;

export interface SpeakerDeps {
  readonly rng: Rng;
  /** Shared with whoever accepts calls, who numbers them. */
  readonly ids: ConnIds;
  /** Metric of the way to a next hop; undefined: there is none. Without it every next hop is one step away. */
  readonly nextHopMetric?: (nextHop: NextHop) => number | undefined;
  readonly isLocalAddress?: (nextHop: NextHop) => boolean;
  /** Emit `route` outputs: there is a forwarding table to keep. */
  readonly routes?: boolean;
}

export class BgpSpeaker {
  readonly config: SpeakerConfig;
  readonly rib: Rib;
  readonly out: RibsOut;
  readonly neighbors: NeighborTable<Neighbor>;
  readonly #factory: NeighborFactory;
  readonly #bfd: BfdWatch;
  readonly #ranges = new Map<ListenRange, RangeConfig>();
  readonly #sessions: SessionSet;
  /** While routes are not chosen yet after a restart. */
  #hold: RestartHold | undefined;
  #outputs: SpeakerOutput[] = [];
  #polled = 0;
  #started = false;
  #stopped = false;
  /** Is there anything to choose or to tell? */
  #work = false;
  #now: Instant = 0;

  constructor(config: SpeakerConfig, deps: SpeakerDeps) {
    this.config = config;
    this.neighbors = new NeighborTable(config.dynamicLimit);
    this.rib = new Rib({
      localAs: config.localAs,
      routerId: config.routerId,
      clusterId: config.clusterId,
      decision: config.decision,
      nextHopMetric: deps.nextHopMetric ?? (() => 0),
      isLocalAddress: deps.isLocalAddress ?? (() => false),
    });
    const { localAs, routerId, clusterId } = config;
    this.out = new RibsOut(this.rib, { localAs, routerId, clusterId, rng: deps.rng });
    this.rib.listen(this.out);
    if (deps.routes === true) {
      this.rib.listen(new RouteFeed((change) => this.#outputs.push({ t: "route", change })));
    }
    this.#factory = new NeighborFactory(this.rib, deps.ids, deps.rng);
    this.#bfd = new BfdWatch(
      deps.rng,
      (output) => this.#outputs.push(output),
      (addr) => this.#onPathLost(addr),
    );
    this.#sessions = new SessionSet(
      (output) => this.#outputs.push(output),
      (neighbor, output) => this.#onSession(neighbor, output),
    );
  }

  /** Adds a neighbour, and starts it if the speaker is started. Refused: why. A dynamic one of its address gives way. */
  addNeighbor(config: NeighborConfig, now: Instant): Result<void, string> {
    this.#now = now;
    if ([...this.#sessions].some((one) => one.name === config.name)) {
      return err(`there is a neighbour "${config.name}" already`);
    }
    const made = this.#factory.configured(config);
    if (!made.ok) return made;
    const neighbor = made.value;
    const { addr, password } = config;
    const added = this.neighbors.add(addr, neighbor);
    if (!added.ok) {
      this.rib.delPeer(neighbor.ribPeer, now);
      return err(`there is a neighbour ${formatIpv4(addr)} already`);
    }
    if (added.value !== undefined) this.#cease(added.value, CeaseError.CONFIG_CHANGE);
    this.#sessions.add(neighbor);
    if (password !== undefined) this.#outputs.push({ t: "password", remote: addr, password });
    if (this.#started && !config.shutdown) this.#startOne(neighbor);
    this.#sessions.drain();
    return ok(undefined);
  }

  /** Takes a configured neighbour out: Cease/3, and its routes go. False: there is none. @rfc 4486#4 */
  delNeighbor(addr: Ipv4Addr, now: Instant): boolean {
    this.#now = now;
    const neighbor = this.neighbors.del(addr);
    if (neighbor === undefined) return false;
    if (neighbor.password !== undefined) {
      this.#outputs.push({ t: "password", remote: addr, password: undefined });
    }
    this.#cease(neighbor, CeaseError.PEER_DECONFIGURED);
    this.#sessions.drain();
    return true;
  }

  /** Lets the addresses of a prefix call. */
  addRange(config: RangeConfig): Result<void, string> {
    const policies = this.#factory.policiesOf(config.routes);
    if (!policies.ok) return policies;
    const { prefix, peerAs, limit, session } = config;
    const range: ListenRange = { prefix, peerAs, limit, template: session };
    const added = this.neighbors.addRange(range);
    if (!added.ok) return err(`range "${config.name}" is there already`);
    this.#ranges.set(range, config);
    return ok(undefined);
  }

  /** Does not let them call any more; those who have are told Cease/3. */
  delRange(config: RangeConfig, now: Instant): void {
    this.#now = now;
    for (const neighbor of this.neighbors.delRange(config.prefix)) {
      this.#tell(neighbor, { t: "cease", subcode: CeaseError.PEER_DECONFIGURED });
    }
    for (const [range, one] of this.#ranges) if (one === config) this.#ranges.delete(range);
    this.#sessions.drain();
  }

  /** Announces a network of our own, or announces it anew. */
  originate(network: NetworkConfig, now: Instant): void {
    this.#now = now;
    this.rib.originate(network.prefix, localRoute(network), now);
    this.#work = true;
  }

  /** Takes a network of our own back. False: there is none. */
  withdraw(prefix: RibPrefix, now: Instant): boolean {
    this.#now = now;
    this.#work = true;
    return this.rib.withdraw(prefix, now);
  }

  /** The ways to next hops have changed. */
  nextHopsChanged(now: Instant): void {
    this.#now = now;
    this.rib.nextHopsChanged(now);
    this.#work = true;
  }

  /** Stops one neighbour with Cease/2 and a text, until it is enabled again. */
  shutdown(neighbor: Neighbor, text: string | undefined, now: Instant): void {
    this.#command(neighbor, text === undefined ? { t: "stop" } : { t: "stop", text }, now);
    this.#bfd.del(neighbor, now);
    this.#settle(this.#hold?.forget(neighbor, this.#now));
  }

  enable(neighbor: Neighbor, now: Instant): void {
    this.#now = now;
    this.#startOne(neighbor);
    this.#sessions.drain();
  }

  /** Ends one session with Cease/4, and begins it anew. */
  reset(neighbor: Neighbor, text: string | undefined, now: Instant): void {
    this.#command(neighbor, text === undefined ? { t: "reset" } : { t: "reset", text }, now);
  }

  /** Asks for all routes again; a neighbour that cannot send them again is asked from memory. @rfc 2918#4 */
  refreshIn(neighbor: Neighbor, now: Instant): void {
    this.#now = now;
    const { negotiated } = neighbor;
    if (negotiated === undefined || !negotiated.refresh) this.rib.reimport(neighbor.ribPeer, now);
    else for (const family of negotiated.families) neighbor.peer.refresh(family, RefreshSubtype.REQUEST, now);
    this.#work = true;
    this.#sessions.touch(neighbor);
    this.#sessions.drain();
  }

  /** Tells all routes again. */
  refreshOut(neighbor: Neighbor, now: Instant): void {
    this.#now = now;
    for (const family of neighbor.negotiated?.families ?? []) this.out.refresh(neighbor.ribPeer, family, now);
    this.#work = true;
  }

  /** Gives a neighbour other policies, modes or limits, without ending its session. */
  reconfigure(neighbor: Neighbor, routes: NeighborRoutes, now: Instant): Result<void, string> {
    const policies = this.#factory.policiesOf(routes);
    if (!policies.ok) return policies;
    this.#now = now;
    neighbor.routes = routes;
    neighbor.policies = policies.value;
    const { internal } = neighbor.ribPeer.config;
    const config = ribPeerConfig(neighbor.name, neighbor.addr, internal, routes, policies.value);
    this.rib.configure(neighbor.ribPeer, config, now);
    if (neighbor.negotiated !== undefined) {
      this.out.reconfigure(neighbor.ribPeer, neighbor.exportConfig(), now);
    }
    this.#work = true;
    return ok(undefined);
  }

  handle(input: SpeakerInput, now: Instant): void {
    this.#now = now;
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
        this.#bfd.received(input, now);
        break;
      default:
        this.#sessions.handle(input, now);
    }
    this.#sessions.drain();
  }

  poll(): SpeakerOutput | undefined {
    const output = this.#outputs[this.#polled];
    if (output === undefined) {
      if (this.#polled > 0) this.#outputs = [];
      this.#polled = 0;
      return undefined;
    }
    this.#polled++;
    return output;
  }

  /** Now, while there is something to choose or to tell; else no later than the first timer, possibly earlier. */
  nextDeadline(): Instant {
    if (this.#stopped) return NEVER;
    if (this.#work) return this.#now;
    const hold = this.#hold?.nextDeadline() ?? NEVER;
    return Math.min(this.#sessions.nextDeadline(), this.out.nextDeadline(), this.#bfd.nextDeadline(), hold);
  }

  #start(): void {
    this.#started = true;
    const expected = [...this.#sessions].filter((one) => one.config?.shutdown !== true);
    if (this.config.restarting) {
      const hold = new RestartHold(this.rib, this.out, expected, this.config.deferralSec, this.#now);
      if (!hold.done) this.#hold = hold;
    }
    for (const neighbor of expected) this.#startOne(neighbor);
  }

  #startOne(neighbor: Neighbor): void {
    this.#bfd.add(neighbor, this.#now);
    this.#tell(neighbor, { t: "start", restarting: this.#hold !== undefined });
  }

  /** The waiting of these families is over. */
  #settle(families: readonly Family[] | undefined): void {
    if (this.#hold === undefined || families === undefined || families.length === 0) return;
    this.#work = true;
    if (!this.#hold.done) return;
    this.#hold = undefined;
    for (const neighbor of this.#sessions) this.#tell(neighbor, { t: "restartComplete" });
    this.#outputs.push({ t: "restartComplete", families });
  }

  #stop({ text, silent }: SpeakerInput & { readonly t: "stop" }): void {
    if (silent === true) this.#sessions.abandon();
    else {
      const stop: PeerInput = text === undefined ? { t: "stop" } : { t: "stop", text };
      for (const neighbor of this.#sessions) {
        this.#bfd.del(neighbor, this.#now);
        this.#tell(neighbor, stop);
      }
    }
    this.#sessions.drain();
    this.#stopped = true;
    this.#outputs.push({ t: "stopped" });
  }

  #incoming(conn: ConnId, remote: Ipv4Addr): void {
    const admission = this.neighbors.admit(remote);
    if (this.#stopped || !this.#started || admission.t === "refuse") {
      if (admission.t === "refuse" && !this.#stopped) {
        const message = `connection from ${formatIpv4(remote)} closed: ${admission.why}`;
        this.#outputs.push({ t: "log", level: "warn", event: "unexpectedConnection", message });
      }
      this.#outputs.push({ t: "close", conn, afterFlush: false });
      return;
    }
    const neighbor =
      admission.t === "known"
        ? admission.neighbor
        : this.#makeDynamic(remote, admission.range, admission.config);
    this.#sessions.accept(neighbor, conn, this.#now);
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#sessions.tick(this.#now);
    this.#bfd.tick(this.#now);
    this.#settle(this.#hold?.expire(this.#now));
    this.#sessions.drain();
    this.#work = false;
    if (this.rib.run(this.#now, BUDGET)) this.#work = true;
    if (this.out.run(this.#now, BUDGET)) this.#work = true;
  }

  /** The fast detector has lost the way to a neighbour. @rfc 5882#4.2 */
  #onPathLost(addr: Ipv4Addr): void {
    const neighbor = this.neighbors.lookup(addr);
    if (neighbor !== undefined) this.#tell(neighbor, { t: "bfdDown" });
  }

  /** The state of the path to a neighbour; undefined when it is not watched. */
  pathStatus(neighbor: Neighbor): BfdStatus | undefined {
    return this.#bfd.status(neighbor.addr);
  }

  #command(neighbor: Neighbor, input: PeerInput, now: Instant): void {
    this.#now = now;
    this.#tell(neighbor, input);
    this.#sessions.drain();
  }

  #tell(neighbor: Neighbor, input: PeerInput): void {
    this.#sessions.tell(neighbor, input, this.#now);
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
        this.out.writable(neighbor.ribPeer, this.#now);
        this.#work = true;
        return;
      default:
        this.#onRoutes(neighbor, output);
        this.#work = true;
    }
  }

  /** What a session says about routes. */
  #onRoutes(
    neighbor: Neighbor,
    output: Exclude<SessionOutput, { readonly t: "expired" | "peerUp" | "writable" }>,
  ): void {
    const { ribPeer } = neighbor;
    const now = this.#now;
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
        this.#settle(this.#hold?.endOfRib(neighbor, output.family, now));
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
      const config = ribPeerConfig(neighbor.name, neighbor.addr, negotiated.internal, routes, policies);
      this.rib.configure(ribPeer, config, this.#now);
    }
    this.rib.peerUp(ribPeer, { as: negotiated.peerAs, bgpId }, this.#now);
    this.out.join(
      neighbor.outMember(negotiated, () => this.#sessions.touch(neighbor)),
      this.#now,
    );
    this.#settle(this.#hold?.peerUp(neighbor, negotiated, this.#now));
    this.#work = true;
  }

  #countPrefixes(neighbor: Neighbor): void {
    for (const { family, prefixLimit } of neighbor.peer.config.families) {
      if (prefixLimit === undefined) continue;
      const count = this.rib.prefixCount(neighbor.ribPeer, family);
      neighbor.peer.handle({ t: "prefixCount", family, count }, this.#now);
    }
  }

  #makeDynamic(addr: Ipv4Addr, range: ListenRange, session: PeerConfig): Neighbor {
    const made = this.#factory.dynamic(addr, range, this.#ranges.get(range) as RangeConfig, session);
    assert(made.ok, "addRange() has found the policies good");
    this.neighbors.join(addr, range, made.value);
    this.#sessions.add(made.value);
    this.#startOne(made.value);
    return made.value;
  }

  #cease(neighbor: Neighbor, subcode: number): void {
    this.#tell(neighbor, { t: "cease", subcode });
    this.#sessions.drainOne(neighbor);
    this.#settle(this.#hold?.forget(neighbor, this.#now));
    this.#remove(neighbor);
  }

  /** A dynamic neighbour has left nothing behind. */
  #forget(neighbor: Neighbor): void {
    this.neighbors.leave(neighbor.addr, neighbor);
    this.#settle(this.#hold?.forget(neighbor, this.#now));
    this.#remove(neighbor);
  }

  #remove(neighbor: Neighbor): void {
    this.#bfd.del(neighbor, this.#now);
    this.rib.delPeer(neighbor.ribPeer, this.#now);
    this.#sessions.del(neighbor);
    this.#work = true;
  }
}
