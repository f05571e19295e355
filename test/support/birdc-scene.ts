// A speaker as birdc sees it, in the place of the BIRD that the files in test/vectors/birdc were taken from, at that moment: three
// networks of its own, a neighbour of another AS (p2), a client (p3), one whose routes have every attribute (ib), and one for each
// kind of trouble.
import type { BirdcSpeaker } from "../../src/console/birdc/birdc-speaker.ts";
import { parseRibPrefix } from "../../src/routing/bgp/rib/prefix-text.ts";
import type { RibPrefix } from "../../src/routing/bgp/rib/route.ts";
import type { BgpPeerRow, BgpRouteRow } from "../../src/routing/bgp/speaker/inspect.ts";
import type { BgpCapabilitiesRow } from "../../src/routing/bgp/speaker/inspect-session.ts";
import type { SpeakerStatus } from "../../src/routing/bgp/speaker/speaker-status.ts";

const DAY = Date.UTC(2026, 10, 20);
const NOW = at("16:01:14.663");

/** Milliseconds since 1970 of a time on the day of the scene. */
function at(time: string): number {
  const [h = 0, m = 0, s = 0] = time.split(":").map(Number);
  return DAY + Math.round((h * 3600 + m * 60 + s) * 1000);
}

const ago = (time: string): number => (NOW - at(time)) / 1000;

export const CAPABILITIES: BgpCapabilitiesRow = {
  families: ["IPv4 unicast"],
  as4: true,
  routeRefresh: true,
  enhancedRefresh: true,
  extendedMessages: false,
  extendedNextHop: [],
  addPathReceive: [],
  addPathSend: [],
  gracefulRestart: { restartTimeSec: 120, restarting: false, families: [], preserved: [] },
  longLived: true,
};

const BOTH = ["IPv4 unicast", "IPv6 unicast"];

const P2: BgpCapabilitiesRow = {
  ...CAPABILITIES,
  families: BOTH,
  addPathReceive: ["IPv4 unicast"],
  addPathSend: ["IPv4 unicast"],
  gracefulRestart: { restartTimeSec: 120, restarting: false, families: BOTH, preserved: [] },
};

/** A neighbour that waits to be called. */
export function peerRow(name: string, addr: string, as: string, given: Partial<BgpPeerRow> = {}): BgpPeerRow {
  return {
    name,
    addr,
    localAddr: "127.0.1.1",
    localAs: 64512,
    as,
    role: as === "64512" ? "internal" : "external",
    state: "Active",
    enabled: true,
    sinceSec: 0,
    incoming: true,
    passive: true,
    importPolicy: "all",
    exportPolicy: "all",
    families: [familyRow()],
    capabilities: [],
    messagesIn: {},
    messagesOut: {},
    bytesIn: 0,
    bytesOut: 0,
    bytesInByType: {},
    bytesOutByType: {},
    established: 0,
    dropped: 0,
    bytesQueued: 0,
    prefixesQueued: 0,
    ...given,
  };
}

export function familyRow(
  given: Partial<BgpPeerRow["families"][number]> = {},
): BgpPeerRow["families"][number] {
  return {
    family: "IPv4 unicast",
    received: 0,
    accepted: 0,
    preferred: 0,
    advertised: 0,
    stale: false,
    ...given,
  };
}

const up = (time: string, bgpId: string, hold: number, left: number, next: number): Partial<BgpPeerRow> => ({
  state: "Established",
  sinceSec: ago(time),
  bgpId,
  holdTimeSec: hold,
  keepaliveSec: hold / 3,
  holdLeftSec: left,
  keepaliveLeftSec: next,
});

const PEERS: readonly BgpPeerRow[] = [
  peerRow("p2", "127.0.1.2", "64513", {
    ...up("16:01:04.279", "10.0.1.2", 240, 176.793, 67.501),
    announced: P2,
    heard: P2,
    families: [
      familyRow({ received: 2, accepted: 2, preferred: 2, advertised: 3, limit: 100 }),
      familyRow({ family: "IPv6 unicast", received: 1, accepted: 1, preferred: 1 }),
    ],
  }),
  peerRow("p3", "127.0.1.3", "64512", {
    ...up("16:01:04.399", "10.0.1.3", 240, 172.135, 66.405),
    role: "rr-client",
    announced: CAPABILITIES,
    heard: CAPABILITIES,
    families: [familyRow({ received: 2, accepted: 2, preferred: 1, advertised: 10 })],
  }),
  peerRow("ib", "127.0.1.4", "64512", {
    ...up("16:01:04.560", "10.0.1.4", 90, 77.645, 16.881),
    exportPolicy: "none",
    announced: { ...CAPABILITIES, extendedMessages: true, extendedNextHop: ["IPv4 unicast"] },
    heard: {
      families: ["IPv4 unicast"],
      as4: true,
      routeRefresh: false,
      enhancedRefresh: false,
      extendedMessages: true,
      extendedNextHop: ["IPv4 unicast"],
      addPathReceive: [],
      addPathSend: [],
      longLived: false,
      hostname: "host",
    },
    families: [familyRow({ received: 6, accepted: 6, preferred: 5 })],
  }),
  peerRow("shut", "127.0.1.5", "64515", {
    sinceSec: ago("16:01:06.086"),
    downText: "maintenance at ten",
    fault: { by: "neighbor", code: 6, subcode: 2, text: "maintenance at ten", message: "" },
  }),
  peerRow("badas", "127.0.1.6", "64516", {
    state: "Idle",
    sinceSec: ago("16:01:04.367"),
    backOffSec: 5.854,
    fault: { by: "us", code: 2, subcode: 2, message: "" },
  }),
  peerRow("many", "127.0.1.7", "64517", {
    state: "Idle",
    sinceSec: ago("16:01:05.061"),
    fault: { by: "us", code: 6, subcode: 1, message: "" },
    families: [familyRow({ limit: 2 })],
  }),
  peerRow("hlow", "127.0.1.8", "64518", {
    state: "Idle",
    sinceSec: ago("16:01:07.034"),
    backOffSec: 7.787,
    fault: { by: "us", code: 4, subcode: 0, message: "" },
  }),
  peerRow("gr", "127.0.1.9", "64519", {
    sinceSec: ago("16:01:07.213"),
    importPolicy: "(unnamed)",
    exportPolicy: "none",
    fault: { by: "connection", text: "the neighbour closed the connection", message: "" },
    families: [familyRow({ received: 2, accepted: 1, preferred: 1, stale: true })],
  }),
  peerRow("lost", "127.0.1.10", "64520", {
    sinceSec: ago("16:01:07.034"),
    importPolicy: "none",
    exportPolicy: "none",
    fault: { by: "connection", text: "the neighbour closed the connection", message: "" },
  }),
  peerRow("refused", "127.0.1.20", "64530", {
    sinceSec: ago("16:01:03.487"),
    passive: false,
    fault: { by: "connection", text: "nobody listens on 127.0.1.20:1790 (ECONNREFUSED)", message: "" },
  }),
  peerRow("asleep", "127.0.1.30", "64531", {
    state: "Idle",
    enabled: false,
    sinceSec: ago("16:01:03.487"),
  }),
];

export function routeRow(prefix: string, given: Partial<BgpRouteRow> = {}): BgpRouteRow {
  return {
    prefix,
    family: prefix.includes(":") ? "IPv6 unicast" : "IPv4 unicast",
    chosen: "best",
    nextHop: "self",
    from: "local",
    fromAddr: "0.0.0.0",
    source: "local",
    pathId: 0,
    origin: "IGP",
    asPath: "",
    weight: 0,
    metric: 0,
    communities: [],
    extCommunities: [],
    largeCommunities: [],
    clusterList: [],
    atomicAggregate: false,
    unknown: [],
    stale: false,
    ageSec: ago("16:01:03.487"),
    ...given,
  };
}

const p2 = {
  from: "p2",
  fromAddr: "127.0.1.2",
  source: "external",
  nextHop: "10.9.0.2",
  asPath: "64513",
} as const;
const p3 = {
  from: "p3",
  fromAddr: "127.0.1.3",
  source: "internal",
  nextHop: "10.9.0.3",
  localPref: 100,
} as const;
const ib = {
  from: "ib",
  fromAddr: "127.0.1.4",
  source: "internal",
  nextHop: "10.9.0.7",
  localPref: 100,
} as const;
const gr = {
  from: "gr",
  fromAddr: "127.0.1.9",
  source: "external",
  nextHop: "10.9.0.7",
  asPath: "64519",
} as const;

const ROUTES: readonly BgpRouteRow[] = [
  routeRow("0.0.0.0/0", { ...ib, origin: "incomplete", ageSec: ago("16:01:05.107") }),
  routeRow("10.60.0.0/16", {
    ...ib,
    ageSec: ago("16:01:05.061"),
    asPath: "64601 64602 {64700 64701}",
    med: 77,
    localPref: 200,
    atomicAggregate: true,
    aggregator: "64999 1.2.3.4",
    communities: ["gshut", "1:65535"],
    originatorId: "10.0.1.77",
    clusterList: ["10.0.1.8", "10.0.1.9"],
    extCommunities: ["rt:64512:100", "rt:10.0.0.1:7", "ro:70000:5", "0x4300000000000001"],
    largeCommunities: ["64512:1:2", "4200000000:4294967295:0"],
    unknown: ["99:0102ff", "100:000102030405"],
  }),
  routeRow("10.61.0.0/16", { ...ib, origin: "incomplete", ageSec: ago("16:01:05.107") }),
  routeRow("10.62.0.0/16", {
    ...ib,
    ageSec: ago("16:01:05.107"),
    nextHop: "10.99.99.99",
    origin: "EGP",
    asPath: "64600 64601 64602 64603",
    communities: ["64512:0", "64512:1", "64512:2"],
    // BIRD prefers routes that lead nowhere, too.
    ineligible: "unreachable",
  }),
  routeRow("10.63.0.0/16", { ...ib, chosen: "", asPath: "64512", ineligible: "ownOriginatorId" }),
  routeRow("10.64.0.0/16", { ...ib, origin: "EGP", asPath: "64513", ageSec: ago("16:01:05.107") }),
  routeRow("10.80.0.0/16", { ...gr, ageSec: ago("16:01:05.099"), stale: true }),
  routeRow("10.81.0.0/16", { ...gr, chosen: "", ageSec: ago("16:01:05.099"), ineligible: "rejected" }),
  routeRow("10.244.0.0/26"),
  routeRow("10.244.0.0/26", {
    ...ib,
    chosen: "",
    origin: "EGP",
    asPath: "64513",
    ageSec: ago("16:01:05.107"),
  }),
  routeRow("10.244.2.0/26", { ...p2, ageSec: ago("16:01:04.367") }),
  routeRow("10.244.3.0/26", { ...p2, ageSec: ago("16:01:04.367"), communities: ["64513:1", "no-export"] }),
  routeRow("10.244.3.0/26", { ...p3, chosen: "", ageSec: ago("16:01:04.415"), asPath: "64999" }),
  routeRow("10.244.5.0/26", { ...p3, ageSec: ago("16:01:04.415") }),
  routeRow("10.244.6.0/26", { med: 50, communities: ["64512:7"] }),
  routeRow("10.244.8.0/26", { nextHop: "10.9.0.5" }),
  routeRow("fd00:2::/64", { ...p2, nextHop: "fd09::2", ageSec: ago("16:01:04.415") }),
];

/** Who is told of what: p3 of all but its own, and what has been through its cluster. */
const TOLD: ReadonlyMap<string, (row: BgpRouteRow) => boolean> = new Map([
  [
    "p3",
    ({ from, family, chosen, ineligible, prefix }) =>
      from !== "p3" &&
      chosen === "best" &&
      family === "IPv4 unicast" &&
      ineligible !== "rejected" &&
      prefix !== "10.60.0.0/16",
  ],
]);

/** What was asked of a scene's speaker, besides looking. */
export interface Asked {
  readonly verb: string;
  readonly neighbor: string;
  readonly text: string | undefined;
}

export class BirdcScene implements BirdcSpeaker {
  readonly asked: Asked[] = [];
  peerRows: readonly BgpPeerRow[] = PEERS;
  routeRows: readonly BgpRouteRow[] = ROUTES;
  statusRow: SpeakerStatus = {
    name: "a",
    pid: 1,
    version: "2.0.12",
    hostname: "vm",
    as: 64512,
    routerId: "10.0.1.1",
    clusterId: "10.0.1.1",
    listening: [],
    file: "a.conf",
    startedAt: at("16:01:03.487"),
    configuredAt: at("16:01:03.487"),
    at: NOW,
    phase: "running",
    neighbors: PEERS.length,
    established: 3,
    destinations: 13,
    paths: 17,
  };
  /** What `configure` answers. */
  report: Awaited<ReturnType<BirdcSpeaker["configure"]>> = { changes: [], needRestart: [] };
  offsetMin = 0;

  status(): SpeakerStatus {
    return this.statusRow;
  }

  now(): number {
    return this.statusRow.at;
  }

  utcOffsetMin(): number {
    return this.offsetMin;
  }

  peers(): readonly BgpPeerRow[] {
    return this.peerRows;
  }

  *routes(only?: RibPrefix, longest = false): Generator<BgpRouteRow, void, void> {
    if (only === undefined) {
      yield* this.routeRows;
      return;
    }
    const containing = this.routeRows.filter(({ prefix }) => contains(parsed(prefix), only, longest));
    const longestLen = Math.max(...containing.map(({ prefix }) => parsed(prefix).len));
    yield* containing.filter(({ prefix }) => parsed(prefix).len === longestLen);
  }

  ribOut(neighbor: string): readonly BgpRouteRow[] {
    return this.routeRows.filter(TOLD.get(neighbor) ?? (() => false));
  }

  shutdown(neighbor: string, text?: string): boolean {
    this.#set(neighbor, { enabled: false });
    return this.#note("shutdown", neighbor, text);
  }

  enable(neighbor: string): boolean {
    this.#set(neighbor, { enabled: true });
    return this.#note("enable", neighbor);
  }

  reset(neighbor: string, text?: string): boolean {
    return this.#note("reset", neighbor, text);
  }

  refreshIn(neighbor: string): boolean {
    return this.#note("refreshIn", neighbor);
  }

  refreshOut(neighbor: string): boolean {
    return this.#note("refreshOut", neighbor);
  }

  configure(checkOnly: boolean): Promise<typeof this.report> {
    this.#note(checkOnly ? "check" : "configure", "");
    return Promise.resolve(this.report);
  }

  #set(name: string, given: Partial<BgpPeerRow>): void {
    this.peerRows = this.peerRows.map((row) => (row.name === name ? { ...row, ...given } : row));
  }

  #note(verb: string, neighbor: string, text?: string): boolean {
    this.asked.push({ verb, neighbor, text });
    return this.peerRows.some(({ name }) => name === neighbor);
  }
}

function parsed(text: string): RibPrefix {
  const prefix = parseRibPrefix(text);
  if (!prefix.ok) throw new Error(prefix.error);
  return prefix.value;
}

/** Enough for the scene: IPv4, and IPv6 by its first 32 bits. */
function contains(prefix: RibPrefix, only: RibPrefix, longest: boolean): boolean {
  if (prefix.family !== only.family) return false;
  if (!longest) return prefix.a === only.a && prefix.len === only.len;
  const bits = Math.min(32, prefix.len);
  return prefix.len <= only.len && (bits === 0 || prefix.a >>> (32 - bits) === only.a >>> (32 - bits));
}
