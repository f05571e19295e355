// A BGP speaker: what it can be told to do. How it does it is in speaker-core.ts.
//
// To have one in a program (a node's agent, a test), make it with `speakerConfig`, `neighborConfig`, `neighborRoutes`
// (speaker-defaults.ts) and `peerConfig`, and let a `BgpDriver` (io/bgp) turn it:
//
//   const ids = new ConnIds();
//   const config = speakerConfig({ localAs: 64512, routerId });
//   const speaker = new BgpSpeaker(config, { rng, ids, routes: true, nextHopMetric, isLocalAddress });
//   const driver = new BgpDriver({ speaker, ids, clock, listen, carry, uncarry, onOutput });
//   await driver.start();
//   driver.change((now) => speaker.addNeighbor(neighborConfig({ addr, localAddr, session: peerConfig({ … }) }), now));
//   driver.change((now) => speaker.originate({ prefix, nextHop: NEXT_HOP_SELF }, now));
//
// Everything below may be done at any time, before the start too, and from one `change` at a time: what follows is carried out behind it.
// `onOutput` gets `route` (what forwarding is to do), `trace` and `log` (for people), `bfdSend` (for a `BfdSocket`), `restartComplete`.
// What a neighbour's session was made of (its `session`, addresses, port, password, BFD) changes by delNeighbor(addr, now,
// CeaseError.CONFIG_CHANGE) and addNeighbor(); its `routes` by reconfigure(), and the session stays. AS, identifier, cluster and decision
// are the speaker's for life. After a restart (`restarting`) the neighbours that kept our routes are added before the start: the choice
// waits for those that are there, and for whoever is added while it waits. Rows for people: inspect.ts. Counters: `rib.stats`, `out.stats`, `driver.stats`.
import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { Instant } from "../../../base/time.ts";
import { CeaseError } from "../../../wire/bgp/errors.ts";
import { RefreshSubtype } from "../../../wire/bgp/route-refresh.ts";
import type { BfdStatus } from "../../bfd/bfd-messages.ts";
import type { SpeakerNumbers } from "../rib/rib-options.ts";
import type { RibPrefix } from "../rib/route.ts";
import type { PeerInput } from "../session/peer-messages.ts";
import { type Neighbor, ribPeerConfig } from "./neighbor.ts";
import type { ListenRange } from "./neighbor-table.ts";
import { localRoute } from "./own-network.ts";
import type { NeighborConfig, NeighborRoutes, NetworkConfig, RangeConfig } from "./speaker-config.ts";
import { SpeakerCore } from "./speaker-core.ts";

export class BgpSpeaker extends SpeakerCore {
  /** Adds a neighbour, and starts it if the speaker is started. Refused: why. A dynamic one of its address gives way. */
  addNeighbor(config: NeighborConfig, now: Instant): Result<void, string> {
    this.now = now;
    if ([...this.sessions].some((one) => one.name === config.name)) {
      return err(`there is a neighbour "${config.name}" already`);
    }
    const made = this.factory.configured(config);
    if (!made.ok) return made;
    const neighbor = made.value;
    const { addr, password, ttlSecurityHops: hops } = config;
    this.ownAddresses.add(config.localAddr, config.routes);
    const added = this.neighbors.add(addr, neighbor);
    if (!added.ok) {
      this.rib.delPeer(neighbor.ribPeer, now);
      return err(`there is a neighbour ${formatIpv4(addr)} already`);
    }
    if (added.value !== undefined) this.cease(added.value, CeaseError.CONFIG_CHANGE);
    this.sessions.add(neighbor);
    if (password !== undefined) this.outputs.push({ t: "password", remote: addr, password });
    if (hops !== undefined) this.outputs.push({ t: "ttlSecurity", remote: addr, hops });
    if (this.started && !config.shutdown) {
      this.hold?.expect(neighbor);
      this.startOne(neighbor);
    }
    this.sessions.drain();
    return ok(undefined);
  }

  /**
   * Takes a configured neighbour out, and its routes with it. False: there is none.
   *
   * @param why subcode of the Cease that it is told: 6 when it comes back with another configuration @rfc 4486#4
   */
  delNeighbor(addr: Ipv4Addr, now: Instant, why: number = CeaseError.PEER_DECONFIGURED): boolean {
    this.now = now;
    const neighbor = this.neighbors.del(addr);
    if (neighbor === undefined) return false;
    if (neighbor.password !== undefined) {
      this.outputs.push({ t: "password", remote: addr, password: undefined });
    }
    if (neighbor.config?.ttlSecurityHops !== undefined) {
      this.outputs.push({ t: "ttlSecurity", remote: addr, hops: undefined });
    }
    this.cease(neighbor, why);
    this.sessions.drain();
    return true;
  }

  /** Lets the addresses of a prefix call. */
  addRange(config: RangeConfig): Result<void, string> {
    const policies = this.factory.policiesOf(config.routes);
    if (!policies.ok) return policies;
    const { prefix, peerAs, limit, session } = config;
    const range: ListenRange = { prefix, peerAs, limit, template: session };
    const added = this.neighbors.addRange(range);
    if (!added.ok) return err(`range "${config.name}" is there already`);
    this.ranges.set(range, config);
    this.ownAddresses.add(config.localAddr, config.routes);
    return ok(undefined);
  }

  /** Does not let them call any more; those who have are told Cease/3. */
  delRange(config: RangeConfig, now: Instant): void {
    this.now = now;
    for (const neighbor of this.neighbors.delRange(config.prefix)) {
      this.tell(neighbor, { t: "cease", subcode: CeaseError.PEER_DECONFIGURED });
    }
    for (const [range, one] of this.ranges) if (one === config) this.ranges.delete(range);
    this.sessions.drain();
  }

  /** Announces a network of our own, or announces it anew. */
  originate(network: NetworkConfig, now: Instant): void {
    this.now = now;
    this.rib.originate(network.prefix, localRoute(network), now);
    this.work = true;
  }

  /** Takes a network of our own back. False: there is none. */
  withdraw(prefix: RibPrefix, now: Instant): boolean {
    this.now = now;
    this.work = true;
    return this.rib.withdraw(prefix, now);
  }

  /** The ways to next hops have changed. */
  nextHopsChanged(now: Instant): void {
    this.now = now;
    this.rib.nextHopsChanged(now);
    this.work = true;
  }

  /** Stops one neighbour with Cease/2 and a text, until it is enabled again. */
  shutdown(neighbor: Neighbor, text: string | undefined, now: Instant): void {
    this.#command(neighbor, text === undefined ? { t: "stop" } : { t: "stop", text }, now);
    this.bfd.del(neighbor, now);
    this.settle(this.hold?.forget(neighbor, this.now));
  }

  enable(neighbor: Neighbor, now: Instant): void {
    this.now = now;
    this.startOne(neighbor);
    this.sessions.drain();
  }

  /** Ends one session with Cease/4, and begins it anew. */
  reset(neighbor: Neighbor, text: string | undefined, now: Instant): void {
    this.#command(neighbor, text === undefined ? { t: "reset" } : { t: "reset", text }, now);
  }

  /** Asks for all routes again; a neighbour that cannot send them again is asked from memory. @rfc 2918#4 */
  refreshIn(neighbor: Neighbor, now: Instant): void {
    this.now = now;
    const { negotiated } = neighbor;
    if (negotiated === undefined || !negotiated.refresh) this.rib.reimport(neighbor.ribPeer, now);
    else for (const family of negotiated.families) neighbor.peer.refresh(family, RefreshSubtype.REQUEST, now);
    this.work = true;
    this.sessions.touch(neighbor);
    this.sessions.drain();
  }

  /** Tells all routes again. */
  refreshOut(neighbor: Neighbor, now: Instant): void {
    this.now = now;
    for (const family of neighbor.negotiated?.families ?? []) this.out.refresh(neighbor.ribPeer, family, now);
    this.work = true;
  }

  /** Gives a neighbour other policies, modes or limits, without ending its session. */
  reconfigure(neighbor: Neighbor, routes: NeighborRoutes, now: Instant): Result<void, string> {
    const policies = this.factory.policiesOf(routes);
    if (!policies.ok) return policies;
    this.now = now;
    this.ownAddresses.add(neighbor.localAddr, routes);
    neighbor.routes = routes;
    neighbor.policies = policies.value;
    const { name, addr, ribPeer } = neighbor;
    const { localAs, internal } = ribPeer.config;
    const config = ribPeerConfig(name, addr, localAs, internal, routes, policies.value);
    this.rib.configure(neighbor.ribPeer, config, now);
    if (neighbor.negotiated !== undefined) {
      this.out.reconfigure(neighbor.ribPeer, neighbor.exportConfig(), now);
    }
    this.work = true;
    return ok(undefined);
  }

  /** The same for a range, and for those who have called from it. @param after differs from `before` in its `routes` alone */
  reconfigureRange(before: RangeConfig, after: RangeConfig, now: Instant): Result<void, string> {
    const policies = this.factory.policiesOf(after.routes);
    if (!policies.ok) return policies;
    for (const [range, one] of this.ranges) {
      if (one !== before) continue;
      this.ranges.set(range, after);
      for (const row of this.neighbors.dump()) {
        if (row.range === range) this.reconfigure(row.neighbor, after.routes, now);
      }
    }
    return ok(undefined);
  }

  /**
   * Takes another AS or cluster identifier while it runs. Sessions stay: a neighbour that is to see another number in its OPEN is
   * taken out before, and added again after.
   */
  renumber(numbers: SpeakerNumbers, now: Instant): void {
    this.now = now;
    this.config = { ...this.config, ...numbers };
    this.rib.renumber(numbers, now);
    this.out.renumber(numbers);
    this.work = true;
  }

  /** The state of the path to a neighbour; undefined when it is not watched. */
  pathStatus(neighbor: Neighbor): BfdStatus | undefined {
    return this.bfd.status(neighbor.addr);
  }

  #command(neighbor: Neighbor, input: PeerInput, now: Instant): void {
    this.now = now;
    this.tell(neighbor, input);
    this.sessions.drain();
  }
}
