// `podloom ipam show|check|configure`: Calico's addresses, with calicoctl's words.
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { formatIpv4, formatPrefix, type Ipv4Addr } from "../base/ipv4-addr.ts";
import { emitIpamReport, formatIpamCheck } from "../control/calico/ipam/ipam-check-text.ts";
import type { IpamState } from "../control/calico/ipam/ipam-state.ts";
import {
  borrowedAddrs,
  formatAssignment,
  formatShare,
  formatTotal,
  ipamUsage,
  type Usage,
} from "../control/calico/ipam/ipam-usage.ts";
import type { IpamConfig } from "../control/calico/ipam/ipam-values.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { CalicoClient } from "../lab/calico-client.ts";
import { checkStore, configureIpam, ipamState, poolRanges, reportCluster } from "../lab/ipam-client.ts";
import { boxLines } from "./box-table.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { readAddress } from "./ipam-release.ts";
import type { Terminal } from "./terminal.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** The flags of `ipam show`, read. */
export interface IpamShowFlags extends WhichStore {
  readonly ip: string | undefined;
  readonly blocks: boolean;
  readonly borrowed: boolean;
  readonly configuration: boolean;
}

/** `ipam show`. */
export function ipamShow(flags: IpamShowFlags, cx: CommandContext): Promise<number> {
  const addr = flags.ip === undefined ? undefined : readAddress(flags.ip);
  return withStore(flags, cx, async (client) => {
    const state = await stateOf(client, cx.terminal);
    for (const line of await showLines(client, state, flags, addr)) cx.terminal.print(line);
    return ExitCode.DONE;
  });
}

async function showLines(
  client: CalicoClient,
  state: IpamState,
  flags: IpamShowFlags,
  addr: Ipv4Addr | undefined,
): Promise<readonly string[]> {
  if (addr !== undefined) return formatAssignment(state.blocks, addr);
  if (flags.configuration) return configurationLines(state.config);
  if (flags.borrowed) return borrowedLines(state);
  const pools = (await poolRanges(client)).map(({ cidr }) => cidr);
  const usage = ipamUsage(pools, state.blocks);
  const row = (what: string, of: Usage): string[] => [
    what,
    formatPrefix(of.cidr),
    formatTotal(of.capacity),
    formatShare(of.inUse, of.capacity),
    formatShare(of.free, of.capacity),
  ];
  const blocks = (all: readonly Usage[]): string[][] =>
    flags.blocks ? all.map((block) => row("Block", block)) : [];
  const rows = usage.pools.flatMap((pool) => [row("IP Pool", pool), ...blocks(pool.blocks)]);
  return boxLines(
    ["GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS FREE"],
    [...rows, ...blocks(usage.orphans)],
  );
}

function configurationLines(config: IpamConfig): string[] {
  return boxLines(
    ["PROPERTY", "VALUE"],
    [
      ["StrictAffinity", String(config.strictAffinity)],
      ["AutoAllocateBlocks", String(config.autoAllocateBlocks)],
      ["MaxBlocksPerHost", String(config.maxBlocksPerHost)],
    ],
  );
}

function borrowedLines(state: IpamState): string[] {
  const { rows, unclassified } = borrowedAddrs(state.blocks);
  const lines = boxLines(
    ["IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO"],
    rows.map((row) => [
      formatIpv4(row.addr),
      row.borrowingNode,
      formatPrefix(row.block),
      row.blockOwner,
      row.type,
      row.allocatedTo,
    ]),
  );
  return unclassified === 0 ? lines : [...lines, `${unclassified} allocations do not say whose they are.`];
}

/** The flags of `ipam check`, read. */
export interface IpamCheckFlags extends WhichStore {
  readonly showAllIps: boolean;
  readonly showProblemIps: boolean;
  /** A file for the report, as JSON. */
  readonly report: string | undefined;
  /** Are problems a failure of the command? Calicoctl itself says no. */
  readonly strict: boolean;
}

/** `ipam check`. Answers exit code 1 when there are problems and `strict` is set. */
export function ipamCheck(flags: IpamCheckFlags, cx: CommandContext): Promise<number> {
  return withStore(flags, cx, async (client) => {
    const check = await checkStore(client, await stateOf(client, cx.terminal));
    for (const line of formatIpamCheck(check, flags)) cx.terminal.print(line);
    if (flags.report !== undefined) {
      write(flags.report, `${emitIpamReport(check, await reportCluster(client))}\n`, cx);
    }
    return flags.strict && check.problems > 0 ? ExitCode.FAILED : ExitCode.DONE;
  });
}

function write(file: string, text: string, cx: CommandContext): void {
  try {
    writeFileSync(resolve(cx.cwd, file), text);
  } catch (thrown) {
    throw new PodloomError("PL_USAGE", `the report cannot be written: ${messageOf(thrown)}`, {
      remedy: "Give -o a file in a folder that exists and may be written to.",
    });
  }
}

/** `ipam configure`. */
export function ipamConfigure(
  flags: WhichStore & {
    readonly strictAffinity?: string | undefined;
    readonly maxBlocksPerHost?: number | undefined;
  },
  cx: CommandContext,
): Promise<number> {
  const { maxBlocksPerHost } = flags;
  const strictAffinity = flags.strictAffinity === undefined ? undefined : readBoolean(flags.strictAffinity);
  if (strictAffinity === undefined && maxBlocksPerHost === undefined) {
    throw new PodloomError("PL_USAGE", "there is nothing to configure", {
      remedy: "Write for example: podloom ipam configure --strictaffinity=true",
    });
  }
  return withStore(flags, cx, async (client) => {
    await configureIpam(client, {
      ...(strictAffinity !== undefined && { strictAffinity }),
      ...(maxBlocksPerHost !== undefined && { maxBlocksPerHost }),
    });
    if (strictAffinity !== undefined)
      cx.terminal.print(`Successfully set StrictAffinity to: ${strictAffinity}`);
    if (maxBlocksPerHost !== undefined)
      cx.terminal.print(`Successfully set MaxBlocksPerHost to: ${maxBlocksPerHost}`);
    return ExitCode.DONE;
  });
}

/** All that stands there; what cannot be read is said. */
async function stateOf(client: CalicoClient, terminal: Terminal): Promise<IpamState> {
  const state = await ipamState(client);
  for (const complaint of state.complaints) terminal.note(complaint);
  return state;
}

function readBoolean(text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw new PodloomError("PL_USAGE", `--strictaffinity does not take "${text}"`, {
    remedy: "It takes: true, false.",
  });
}
