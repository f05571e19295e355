// A speaker of ours over real TCP, in this process, as other routers meet it.
import { formatIpv4, ipv4, parseIpv4, prefix } from "../../src/base/ipv4-addr.ts";
import type { Result } from "../../src/base/result.ts";
import type { Instant } from "../../src/base/time.ts";
import { BgpDriver } from "../../src/io/bgp/bgp-driver.ts";
import { MonotonicClock, SystemRng } from "../../src/io/clock.ts";
import { NEXT_HOP_SELF, type RibPrefix } from "../../src/routing/bgp/rib/route.ts";
import { type BgpTrace, describeNotice } from "../../src/routing/bgp/session/bgp-trace.ts";
import type { PeerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { ConnIds } from "../../src/routing/bgp/session/peer-messages.ts";
import {
  type BgpPeerRow,
  type BgpRouteRow,
  formatRibPrefix,
  peerRows,
  ribInRows,
  ribOutRows,
  routeRows,
} from "../../src/routing/bgp/speaker/inspect.ts";
import type { Neighbor } from "../../src/routing/bgp/speaker/neighbor.ts";
import { BgpSpeaker } from "../../src/routing/bgp/speaker/speaker.ts";
import type {
  NeighborRoutes,
  NetworkConfig,
  RangeConfig,
  SpeakerConfig,
} from "../../src/routing/bgp/speaker/speaker-config.ts";
import { EMPTY_AS_PATH } from "../../src/wire/bgp/as-path.ts";
import { NO_ATTRIBUTES, Origin, type PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { type Ipv6Addr, ipv6PrefixOf, parseIpv6 } from "../../src/wire/bgp/ipv6-addr.ts";
import { carry } from "./bgp-engines.ts";
import { neighborConfig, neighborRoutes, ribPrefix, sessionConfig, speakerConfig } from "./bgp-plain.ts";

/** Where a node 10.x.y.z of these tests is on this machine: 127.x.y.z. */
export function host(addr: string): string {
  return carry(ipv4(addr));
}

/** IPv6 text that must be an address. */
export function ipv6(text: string): Ipv6Addr {
  const addr = parseIpv6(text);
  if (addr === undefined) throw new Error(`${text} is no IPv6 address`);
  return addr;
}

/** "10.1.0.0/24" or "fd00:1::/64". */
function networkPrefix(text: string): RibPrefix {
  if (!text.includes(":")) return ribPrefix(text);
  const [addr = "", len] = text.split("/");
  return { family: Family.IPV6_UNICAST, ...ipv6PrefixOf(ipv6(addr), Number(len)) };
}

/** What our side has of a neighbour. */
export interface LiveNeighbor {
  readonly as: PeerConfig["peerAs"];
  /** To dial; without one we wait for its call. */
  readonly port?: number;
  readonly session?: Partial<PeerConfig>;
  readonly routes?: Partial<NeighborRoutes>;
}

export class LiveSpeaker {
  readonly addr: string;
  readonly as: number;
  readonly speaker: BgpSpeaker;
  readonly driver: BgpDriver;
  /** What each session went through, by the neighbour's address. */
  readonly traces: { readonly addr: string; readonly trace: BgpTrace }[] = [];
  /** What it said about itself. */
  readonly logs: string[] = [];
  /** Prefixes that forwarding was told to lose. */
  readonly gone: string[] = [];
  restartComplete = false;
  readonly #clock = new MonotonicClock();

  /**
   * Listens on its address, on a free port, and has started.
   *
   * @param before what it is told before it starts
   */
  static async start(
    addr: string,
    as: number,
    given: Partial<SpeakerConfig> = {},
    before: (live: LiveSpeaker) => void = () => {},
  ): Promise<LiveSpeaker> {
    const live = new LiveSpeaker(addr, as, given);
    before(live);
    await live.driver.start();
    return live;
  }

  private constructor(addr: string, as: number, given: Partial<SpeakerConfig>) {
    this.addr = addr;
    this.as = as;
    const ids = new ConnIds();
    this.speaker = new BgpSpeaker(speakerConfig(addr, as, given), {
      rng: new SystemRng(),
      ids,
      isLocalAddress: (nextHop) => nextHop === ipv4(addr),
      routes: true,
    });
    this.driver = new BgpDriver({
      speaker: this.speaker,
      ids,
      clock: this.#clock,
      listen: [{ addr: ipv4(addr), port: 0 }],
      carry,
      uncarry: (at) => parseIpv4(at.replace(/^127\./, "10.")),
      onOutput: (output) => {
        if (output.t === "trace") this.traces.push({ addr: formatIpv4(output.addr), trace: output.trace });
        if (output.t === "log") this.logs.push(output.message);
        if (output.t === "route" && output.change.nextHops.length === 0 && !output.change.local) {
          this.gone.push(formatRibPrefix(output.change.prefix));
        }
        if (output.t === "restartComplete") this.restartComplete = true;
      },
    });
  }

  get port(): number {
    return this.driver.listening[0]?.port ?? 0;
  }

  get now(): Instant {
    return this.#clock.now();
  }

  join(remote: string, { as, port, session, routes }: LiveNeighbor): void {
    const passive = port === undefined;
    const plain = neighborConfig(this.addr, this.as, remote, as, {
      session: session ?? {},
      routes: routes ?? {},
    });
    const fsm = { ...plain.session.fsm, connectRetrySec: 1, passive, ...session?.fsm };
    const config = { ...plain, port: port ?? 0, session: { ...plain.session, fsm } };
    this.must((now) => this.speaker.addNeighbor(config, now));
  }

  /** Lets a prefix call. */
  listen(range: string, { as, session, routes }: Omit<LiveNeighbor, "port">, limit = 10): RangeConfig {
    const config: RangeConfig = {
      name: range,
      prefix: prefix(range),
      peerAs: as,
      limit,
      localAddr: ipv4(this.addr),
      session: sessionConfig(this.addr, this.as, as, session),
      routes: neighborRoutes(this.addr, routes),
      bfd: undefined,
    };
    this.must(() => this.speaker.addRange(config));
    return config;
  }

  originate(prefixText: string, given: Partial<NetworkConfig> = {}): void {
    const plain = { prefix: networkPrefix(prefixText), nextHop: NEXT_HOP_SELF };
    this.driver.change((now) => this.speaker.originate({ ...plain, ...given }, now));
  }

  withdraw(prefixText: string): void {
    this.driver.change((now) => this.speaker.withdraw(networkPrefix(prefixText), now));
  }

  /** Announces networks with attributes that no configuration could give them. */
  announceAll(networks: readonly (readonly [string, Partial<PathAttributes>])[]): void {
    this.driver.change((now) => {
      for (const [prefixText, given] of networks) {
        const attributes = { ...NO_ATTRIBUTES, origin: Origin.IGP, asPath: EMPTY_AS_PATH, ...given };
        this.speaker.rib.originate(networkPrefix(prefixText), { attributes, nextHop: NEXT_HOP_SELF }, now);
      }
      // So that the speaker looks at its tables.
      this.speaker.nextHopsChanged(now);
    });
  }

  announce(prefixText: string, attributes: Partial<PathAttributes>): void {
    this.announceAll([[prefixText, attributes]]);
  }

  /** Changes the speaker, which must not refuse it. */
  must(act: (now: Instant) => Result<void, string>): void {
    const done = this.driver.change(act);
    if (!done.ok) throw new Error(done.error);
  }

  change(act: (speaker: BgpSpeaker, now: Instant) => void): void {
    this.driver.change((now) => act(this.speaker, now));
  }

  /** Throws when there is none (any more). */
  neighbor(remote: string): Neighbor {
    const found = this.speaker.neighbors.lookup(ipv4(remote));
    if (found === undefined) throw new Error(`${this.addr} has no neighbour ${remote}`);
    return found;
  }

  /** Its neighbours, configured and dynamic. */
  peers(): BgpPeerRow[] {
    return peerRows(this.speaker, this.now);
  }

  peer(remote: string): BgpPeerRow | undefined {
    return this.peers().find((row) => row.addr === remote);
  }

  established(remote: string): boolean {
    return this.peer(remote)?.state === "Established";
  }

  /** The chosen routes by prefix. */
  routes(): ReadonlyMap<string, BgpRouteRow> {
    const rows = routeRows(this.speaker, this.now).filter((row) => row.chosen === "best");
    return new Map(rows.map((row) => [row.prefix, row]));
  }

  /** Every path to every prefix. */
  paths(): BgpRouteRow[] {
    return routeRows(this.speaker, this.now);
  }

  ribIn(remote: string): BgpRouteRow[] {
    return ribInRows(this.speaker, this.neighbor(remote), this.now);
  }

  ribOut(remote: string): BgpRouteRow[] {
    return ribOutRows(this.speaker, this.neighbor(remote), this.now);
  }

  /** NOTIFICATIONs with a neighbour: "in Cease/Administrative Shutdown: text". */
  notices(remote: string): string[] {
    return this.traces.flatMap(({ addr, trace }) =>
      addr === remote && trace.t === "notification"
        ? [`${trace.direction} ${describeNotice(trace.notice)}`]
        : [],
    );
  }

  async stop(how: { readonly text?: string; readonly silent?: boolean } = {}): Promise<void> {
    await this.driver.stop(how);
  }
}
