// The kinds of Calico's resources: what calicoctl calls them, their plural in keys, and whether they live in a namespace.
import { nearestWord } from "../../base/nearest-word.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { CalicoKind } from "./resources.ts";

interface KindInfo {
  readonly plural: string;
  readonly namespaced: boolean;
  /** Further names of calicoctl, lower case. The kind itself and the plural always count. */
  readonly aliases: readonly string[];
}

const KINDS: Readonly<Record<CalicoKind, KindInfo>> = {
  Node: { plural: "nodes", namespaced: false, aliases: ["no", "nos"] },
  IPPool: { plural: "ippools", namespaced: false, aliases: ["ipp", "ipps", "pool", "pools"] },
  IPReservation: {
    plural: "ipreservations",
    namespaced: false,
    aliases: ["reservation", "reservations"],
  },
  BGPConfiguration: {
    plural: "bgpconfigurations",
    namespaced: false,
    aliases: ["bgpconfig", "bgpconfigs"],
  },
  BGPPeer: { plural: "bgppeers", namespaced: false, aliases: ["bgpp", "bgpps", "bp", "bps"] },
  BGPFilter: { plural: "bgpfilters", namespaced: false, aliases: ["bgpf", "bgpfs", "bf", "bfs"] },
  FelixConfiguration: {
    plural: "felixconfigurations",
    namespaced: false,
    aliases: ["felixconfig", "felixconfigs"],
  },
  ClusterInformation: {
    plural: "clusterinformations",
    namespaced: false,
    aliases: ["clusterinfo", "clusterinfos"],
  },
  WorkloadEndpoint: { plural: "workloadendpoints", namespaced: true, aliases: ["wep", "weps"] },
};

export const CALICO_KINDS = Object.keys(KINDS) as readonly CalicoKind[];

/** Kinds that Calico has and this program does not read: said so instead of "unknown". */
const OTHER_KINDS = [
  "BlockAffinity",
  "CalicoNodeStatus",
  "GlobalNetworkPolicy",
  "GlobalNetworkSet",
  "HostEndpoint",
  "IPAMConfiguration",
  "KubeControllersConfiguration",
  "NetworkPolicy",
  "NetworkSet",
  "Profile",
  "StagedGlobalNetworkPolicy",
  "StagedKubernetesNetworkPolicy",
  "StagedNetworkPolicy",
  "Tier",
];

const BY_PLURAL = new Map(CALICO_KINDS.map((kind) => [KINDS[kind].plural, kind]));

const BY_NAME = new Map(
  CALICO_KINDS.flatMap((kind) =>
    [kind.toLowerCase(), KINDS[kind].plural, ...KINDS[kind].aliases].map((name) => [name, kind] as const),
  ),
);

export function pluralOf(kind: CalicoKind): string {
  return KINDS[kind].plural;
}

export function isNamespaced(kind: CalicoKind): boolean {
  return KINDS[kind].namespaced;
}

/** The kind whose keys have this plural. */
export function kindOfPlural(plural: string): CalicoKind | undefined {
  return BY_PLURAL.get(plural);
}

/** The kind that somebody means by a word on the command line: `ippool`, `ipp`, `BGPPeers`, `wep`, … */
export function kindOfWord(word: string): Result<CalicoKind, string> {
  const kind = BY_NAME.get(word.toLowerCase());
  if (kind !== undefined) return ok(kind);
  return err(`resource type '${word}' is not supported${suggest(word, BY_NAME.keys())}`);
}

/** The kind of a document, spelt exactly. */
export function kindOfDocument(kind: string): Result<CalicoKind, string> {
  if (Object.hasOwn(KINDS, kind)) return ok(kind as CalicoKind);
  if (OTHER_KINDS.includes(kind)) {
    return err(`Calico has ${kind}, podloom does not read it; it knows ${CALICO_KINDS.join(", ")}`);
  }
  return err(
    `Unknown resource type (${kind}) and/or version (projectcalico.org/v3)${suggest(kind, CALICO_KINDS)}`,
  );
}

function suggest(word: string, known: Iterable<string>): string {
  const near = nearestWord(word, known);
  return near === undefined ? `: use one of ${CALICO_KINDS.join(", ")}` : `: did you mean ${near}?`;
}
