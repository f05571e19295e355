// `calicoctl ipam check` in its own words, and the report that `-o` writes. Specs on Calico §6. A cluster without our additional
// findings prints exactly calicoctl's lines.
import { formatPrefix } from "../../../base/ipv4-addr.ts";
import { emitGoString } from "../../flannel/go-json.ts";
import { compareGoKeys } from "./go-fields.ts";
import {
  type AddrInUse,
  addrText,
  type CheckedAllocation,
  formatAttribute,
  type IpamCheck,
  topNodes,
} from "./ipam-check.ts";

const TOP_NODES_MAX = 20;

export interface IpamCheckTextOptions {
  /** `--show-all-ips` */
  readonly showAllIps: boolean;
  /** `--show-problem-ips` */
  readonly showProblemIps: boolean;
}

export function formatIpamCheck(check: IpamCheck, options: IpamCheckTextOptions): readonly string[] {
  const problems = options.showAllIps || options.showProblemIps;
  return [
    "Checking IPAM for inconsistencies...",
    "",
    ...loadingLines(check, options.showAllIps),
    ...topLines(check),
    ...addrLines(check, problems),
    ...handleLines(check, problems, options.showAllIps),
    ...ownLines(check, problems),
    `Check complete; found ${check.problems} problems.`,
  ];
}

function loadingLines(check: IpamCheck, all: boolean): readonly string[] {
  const { blocks, allocations, activePools, inUse } = check;
  const blockLines = blocks.flatMap((block) => [
    ` IPAM block ${formatPrefix(block.cidr)} affinity=${block.host === undefined ? "<none>" : `host:${block.host}`}:`,
    ...(all ? allocations.filter((a) => a.block === block).map(allocatedLine) : []),
  ]);
  const owned = (kind: string) =>
    all
      ? inUse.flatMap((one) =>
          one.owners
            .filter((name) => name.startsWith(kind))
            .map((name) => `  ${addrText(one)} belongs to ${name}`),
        )
      : [];
  return [
    "Loading all IPAM blocks...",
    `Found ${blocks.length} IPAM blocks.`,
    ...blockLines,
    `IPAM blocks record ${allocations.length} allocations.`,
    "",
    "Loading all IPAM pools...",
    ...activePools.map((cidr) => `  ${formatPrefix(cidr)}`),
    `Found ${activePools.length} active IP pools.`,
    "",
    "Loading all nodes.",
    ...owned("Node("),
    `Found ${check.nodeAddrs} node tunnel IPs.`,
    "",
    "Loading all workload endpoints.",
    ...owned("Workload("),
    `Found ${check.workloadAddrs} workload IPs.`,
    `Workloads and nodes are using ${inUse.length} IPs.`,
    "",
    "Loading all handles",
  ];
}

function allocatedLine(allocation: CheckedAllocation): string {
  return `  ${addrText(allocation)} allocated; attrs ${formatAttribute(allocation.attribute)}`;
}

function topLines(check: IpamCheck): readonly string[] {
  const top = topNodes(check);
  const lines = [`Looking for top (up to ${TOP_NODES_MAX}) nodes by allocations...`];
  for (const { node, allocations } of top.slice(0, TOP_NODES_MAX))
    lines.push(`  ${node} has ${allocations} allocations`);
  const median = top[Math.floor(top.length / 2)];
  if (top[0] !== undefined && median !== undefined) {
    lines.push(`Node with most allocations has ${top[0].allocations}; median is ${median.allocations}`);
  }
  return [...lines, ""];
}

function addrLines(check: IpamCheck, problems: boolean): readonly string[] {
  const each = (list: readonly AddrInUse[], suffix: string) =>
    problems
      ? list.flatMap((one) => one.owners.map((name) => `  ${addrText(one)} in use by ${name} ${suffix}`))
      : [];
  const shared = check.inUse.filter((one) => problems && one.owners.length > 1);
  return [
    "Scanning for IPs that are allocated but not actually in use...",
    ...(problems
      ? check.leaked.map((a) => `  ${addrText(a)} leaked; attrs ${formatAttribute(a.attribute)}`)
      : []),
    `Found ${check.leaked.length} IPs that are allocated in IPAM but not actually in use.`,
    "Scanning for IPs that are in use by a workload or node but not allocated in IPAM...",
    ...shared.map((one) => `  ${addrText(one)} has multiple owners.`),
    ...each(check.outsidePools, "is not in any active IP pool."),
    ...each(check.notAllocated, "and in active IPAM pool but has no IPAM allocation."),
    `Found ${check.outsidePools.length} in-use IPs that are not in active IP pools.`,
    `Found ${check.notAllocated.length} in-use IPs that are in active IP pools but have no corresponding IPAM allocation.`,
    "",
  ];
}

function handleLines(check: IpamCheck, problems: boolean, all: boolean): readonly string[] {
  const { leakedHandles, missingHandles, matchedHandles } = check;
  return [
    "Scanning for IPAM handles with no matching IPs...",
    ...(all ? leakedHandles.map(({ id }) => `  ${id} doesn't have any active IPs.`) : []),
    `Found ${leakedHandles.length} handles with no matching IPs (and ${matchedHandles} handles with matches).`,
    "Scanning for IPs with missing handle...",
    ...(problems ? missingHandles.map((id) => `  ${id} is in use in a block but doesn't exist.`) : []),
    `Found ${missingHandles.length} handles mentioned in blocks with no matching handle resource.`,
  ];
}

/** What calicoctl does not look for: nothing is said when there is nothing. */
function ownLines(check: IpamCheck, problems: boolean): readonly string[] {
  const lines: string[] = [];
  if (check.affinities.length > 0) {
    if (problems) lines.push(...check.affinities.map(({ message }) => `  ${message}`));
    lines.push(`Found ${check.affinities.length} affinities that do not match their block.`);
  }
  if (check.miscounted.length > 0) {
    if (problems) {
      lines.push(
        ...check.miscounted.map(
          (m) => `  ${m.id} counts ${m.counted} addresses in ${m.block}, which holds ${m.held} of it`,
        ),
      );
    }
    lines.push(`Found ${check.miscounted.length} handles that count other addresses than the blocks hold.`);
  }
  return lines;
}

/** What the report says of the cluster. */
export interface IpamReportCluster {
  readonly version: string;
  readonly clusterGUID: string;
  readonly datastoreLocked: boolean;
  readonly clusterInformationRevision: string;
  readonly clusterType: string;
}

type Json = string | boolean | bigint | null | readonly Json[] | { readonly [name: string]: Json };

/** The text of the report: what Go's json.MarshalIndent writes, with exact sequence numbers. */
export function emitIpamReport(check: IpamCheck, cluster: IpamReportCluster): string {
  const allocations = Object.fromEntries(
    check.allocations
      .map((allocation): [string, Json] => [addrText(allocation), [reportedAllocation(allocation)]])
      .sort((a, b) => compareGoKeys(a[0], b[0])),
  );
  const leakedHandles = check.leakedHandles.map(
    ({ id, modRevision }): Json => ({ ID: id, UID: null, Revision: String(modRevision) }),
  );
  return indented(
    {
      version: cluster.version,
      clusterGUID: cluster.clusterGUID,
      datastoreLocked: cluster.datastoreLocked,
      clusterInformationRevision: cluster.clusterInformationRevision,
      clusterType: cluster.clusterType,
      allocations,
      ...(leakedHandles.length === 0 ? {} : { leakedHandles }),
    },
    "",
  );
}

function reportedAllocation(allocation: CheckedAllocation): Json {
  const { attribute, owners } = allocation;
  const of = attribute.secondary ?? {};
  const texts: [string, string | undefined][] = [
    ["pod", of["pod"]],
    ["namespace", of["namespace"]],
    ["node", allocation.node],
    ["type", of["type"]],
    ["creationTimestamp", of["timestamp"]],
  ];
  return {
    ip: addrText(allocation),
    ...(attribute.handleId === undefined ? {} : { handle: attribute.handleId }),
    sequenceNumber: allocation.sequenceNumber,
    ...Object.fromEntries(
      texts.filter(([, value]) => value !== undefined && value !== "") as [string, string][],
    ),
    inUse: owners.length > 0,
    ...(allocation.borrowed ? { borrowed: true } : {}),
    owners: owners.length === 0 ? null : [...owners],
  };
}

function indented(value: Json, indent: string): string {
  if (typeof value === "string") return emitGoString(value);
  if (value === null || typeof value !== "object") return String(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = (value as readonly Json[]).map((item) => `${inner}${indented(item, inner)}`);
    return items.length === 0 ? "[]" : `[\n${items.join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value as { readonly [name: string]: Json }).map(
    ([name, member]) => `${inner}${emitGoString(name)}: ${indented(member, inner)}`,
  );
  return members.length === 0 ? "{}" : `{\n${members.join(",\n")}\n${indent}}`;
}
