// The report of `calicoctl ipam check -o`, read again: what `ipam release --from-report` may give back. Specs on Calico §6.
import { type Ipv4Addr, parseIpv4 } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import { isPlainObject, NumberText, type PlainObject, parsePlainJson } from "../plain-json.ts";
import type { AllocationBelief } from "./ipam-messages.ts";

export interface IpamReport {
  readonly clusterGUID: string;
  /** Of the ClusterInformation when the report was made. */
  readonly clusterInformationRevision: string;
  /** Addresses that nobody uses, as they were given. */
  readonly leaked: ReadonlyMap<Ipv4Addr, AllocationBelief>;
  /** Handles without addresses, with their revisions. */
  readonly leakedHandles: ReadonlyMap<string, string>;
}

/** Reads a report. The error says what is wrong with it. */
export function parseIpamReport(text: string): Result<IpamReport, string> {
  const parsed = parsePlainJson(text);
  if (!parsed.ok) return err(`no JSON: ${parsed.error}`);
  const report = parsed.value;
  if (!isPlainObject(report) || !isPlainObject(report["allocations"])) {
    return err("no report of `ipam check`: it has no `allocations`");
  }
  const leaked = new Map<Ipv4Addr, AllocationBelief>();
  for (const [name, list] of Object.entries(report["allocations"])) {
    if (!Array.isArray(list)) return err(`allocations of ${name} are no list`);
    for (const entry of list as unknown[]) {
      const read = readAllocation(entry);
      if (read === undefined) return err(`an allocation of ${name} cannot be read`);
      if (!read.inUse) leaked.set(read.addr, read.belief);
    }
  }
  const leakedHandles = new Map<string, string>();
  const handles = report["leakedHandles"] ?? [];
  if (!Array.isArray(handles)) return err("`leakedHandles` is no list");
  for (const handle of handles as unknown[]) {
    if (!isPlainObject(handle) || typeof handle["ID"] !== "string" || typeof handle["Revision"] !== "string")
      return err("a leaked handle cannot be read");
    leakedHandles.set(handle["ID"], handle["Revision"]);
  }
  return ok({
    clusterGUID: textOf(report, "clusterGUID"),
    clusterInformationRevision: textOf(report, "clusterInformationRevision"),
    leaked,
    leakedHandles,
  });
}

/** What was leaked in every one of the reports, and did not change between them; the last one's words. */
export function leakedInAll(reports: readonly IpamReport[]): Pick<IpamReport, "leaked" | "leakedHandles"> {
  const [last, ...others] = reports.toReversed();
  if (last === undefined) return { leaked: new Map(), leakedHandles: new Map() };
  return {
    leaked: new Map([...last.leaked].filter(([addr]) => others.every(({ leaked }) => leaked.has(addr)))),
    leakedHandles: new Map(
      [...last.leakedHandles].filter(([id, revision]) =>
        others.every(({ leakedHandles }) => leakedHandles.get(id) === revision),
      ),
    ),
  };
}

function readAllocation(
  entry: unknown,
): { readonly addr: Ipv4Addr; readonly inUse: boolean; readonly belief: AllocationBelief } | undefined {
  if (!isPlainObject(entry) || typeof entry["inUse"] !== "boolean") return undefined;
  const addr = parseIpv4(textOf(entry, "ip"));
  const sequenceNumber = wholeNumber(entry["sequenceNumber"]);
  if (addr === undefined || sequenceNumber === undefined) return undefined;
  const handle = textOf(entry, "handle");
  return { addr, inUse: entry["inUse"], belief: { sequenceNumber, ...(handle === "" ? {} : { handle }) } };
}

/** Sequence numbers begin where a double ends. */
function wholeNumber(value: unknown): bigint | undefined {
  const text = value instanceof NumberText ? value.text : typeof value === "number" ? String(value) : "";
  return /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}

function textOf(object: PlainObject, name: string): string {
  const value = object[name];
  return typeof value === "string" ? value : "";
}
