// `podloom ipam release`: one address, or what reports of `ipam check` call leaked; with calicoctl's words.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { type IpamReport, leakedInAll, parseIpamReport } from "../control/calico/ipam/ipam-report.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { CalicoClient } from "../lab/calico-client.ts";
import { deleteHandle, releaseAddress, releaseLeaked, reportCluster } from "../lab/ipam-client.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** The flags of `ipam release`, read: an address, or reports. */
export interface IpamReleaseFlags extends WhichStore {
  readonly ip: string | undefined;
  readonly reports: readonly string[];
  /** Also while the datastore is not locked. */
  readonly force: boolean;
}

/** `ipam release`. */
export function ipamRelease(flags: IpamReleaseFlags, cx: CommandContext): Promise<number> {
  const { ip } = flags;
  if ((ip === undefined) === (flags.reports.length === 0)) {
    throw new PodloomError("PL_USAGE", "an address or reports say what to release", {
      remedy: "Write for example: podloom ipam release --ip=192.168.18.64",
    });
  }
  if (ip !== undefined) {
    const addr = readAddress(ip);
    return withStore(flags, cx, async (client) => {
      const text = formatIpv4(addr);
      const was = await releaseAddress(client, addr);
      cx.terminal.print(
        was ? `Successfully released IP address ${text}` : `IP address ${text} is not assigned`,
      );
      return ExitCode.DONE;
    });
  }
  const reports = flags.reports.map((file) => readReport(file, cx.cwd));
  return withStore(flags, cx, async (client) => {
    await checkReports(client, flags, reports, cx.terminal);
    const { leaked, leakedHandles } = leakedInAll(reports);
    await releaseAddresses(client, leaked, cx.terminal);
    await deleteHandles(client, leakedHandles, cx.terminal);
    cx.terminal.print("You may now unlock the data store.");
    return ExitCode.DONE;
  });
}

/** Refuses reports of another cluster, and such as may be out of date. */
async function checkReports(
  client: CalicoClient,
  flags: IpamReleaseFlags,
  reports: readonly IpamReport[],
  terminal: Terminal,
): Promise<void> {
  const cluster = await reportCluster(client);
  const at = reports.findIndex(({ clusterGUID }) => clusterGUID !== cluster.clusterGUID);
  if (at >= 0) {
    throw refused(
      `cluster does not match the provided report (${flags.reports[at]}): mismatched cluster GUID. Refusing to release`,
      "Give a report that `podloom ipam check -o FILE` made of this cluster.",
    );
  }
  if (
    reports.every(
      ({ clusterInformationRevision: revision }) => revision !== cluster.clusterInformationRevision,
    )
  ) {
    throw refused(
      "the provided reports are all stale - at least one should be up-to-date",
      "Lock the datastore with `podloom calicoctl datastore migrate lock`, make a new report, and try again.",
    );
  }
  if (cluster.datastoreLocked) return;
  if (!flags.force) {
    throw refused(
      "data store is not locked. Either lock the data store, or re-run with --force",
      "Lock it: podloom calicoctl datastore migrate lock",
    );
  }
  terminal.print("WARNING: Data store is not locked. Ignoring due to --force option");
}

async function releaseAddresses(
  client: CalicoClient,
  leaked: IpamReport["leaked"],
  terminal: Terminal,
): Promise<void> {
  if (leaked.size === 0) {
    terminal.print("Report didn't contain any leaked IPs to clean up.");
    return;
  }
  terminal.print(`Releasing ${leaked.size} old IPs...`);
  const { released, error } = await releaseLeaked(client, leaked);
  if (error !== undefined) {
    terminal.print(
      `An error occurred while releasing some IPs: ${error}.  Problems are often caused by an out-of-date IPAM report.  Try regenerating the IPAM report and retry.`,
    );
    return;
  }
  terminal.print(`Released ${released} IPs successfully`);
  if (released < leaked.size) {
    terminal.print(
      `${leaked.size - released} addresses marked as leaked in the report had already been cleaned up.`,
    );
  }
}

async function deleteHandles(
  client: CalicoClient,
  leaked: IpamReport["leakedHandles"],
  terminal: Terminal,
): Promise<void> {
  if (leaked.size === 0) {
    terminal.print("Report didn't contain any handles to clean up.");
    return;
  }
  terminal.print(`Deleting ${leaked.size} handles...`);
  terminal.print("Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.");
  let marks = "";
  for (const [id, revision] of leaked) marks += (await deleteHandle(client, id, revision)) ? "." : "x";
  terminal.print(marks);
  const deleted = marks.split(".").length - 1;
  terminal.print(`Released ${deleted} handles; ${leaked.size - deleted} skipped; 0 errors.`);
}

function readReport(file: string, cwd: string): IpamReport {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), "utf8");
  } catch (thrown) {
    throw refused(`the report cannot be read: ${messageOf(thrown)}`, REPORT_REMEDY);
  }
  const report = parseIpamReport(text);
  if (!report.ok) throw refused(`${file}: ${report.error}`, REPORT_REMEDY);
  return report.value;
}

const REPORT_REMEDY = "`podloom ipam check -o FILE` makes one.";

function refused(message: string, remedy: string): PodloomError {
  return new PodloomError("PL_IPAM", message, { remedy });
}

/** @throws PodloomError PL_USAGE */
export function readAddress(text: string): Ipv4Addr {
  const addr = parseIpv4(text);
  if (addr !== undefined) return addr;
  throw new PodloomError("PL_USAGE", `--ip does not take "${text}"`, {
    remedy: "Write an IPv4 address, like --ip=192.168.18.64.",
  });
}
