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
  const inUse = new Set<Ipv4Addr>();
  for (const [name, list] of Object.entries(report["allocations"])) {
    if (!Array.isArray(list)) return err(`allocations of ${name} are no list`);
    for (const entry of list as unknown[]) {
      const read = readAllocation(entry);
      if (read === undefined) return err(`an allocation of ${name} cannot be read`);
      if (read.inUse) inUse.add(read.addr);
      else leaked.set(read.addr, read.belief);
    }
  }
  for (const addr of inUse) leaked.delete(addr);
  const leakedHandles = new Map<string, string>();
  const handles = report["leakedHandles"] ?? [];
  if (!Array.isArray(handles)) return err("`leakedHandles` is no list");
  for (const handle of handles as unknown[]) {
    const id = isPlainObject(handle) ? textOf(handle, "ID") : "";
    const revision = isPlainObject(handle) ? textOf(handle, "Revision") : "";
    // No key has revision 0: to etcd it would mean one that is not there.
    if (id === "" || !/^[1-9]\d{0,14}$/.test(revision)) return err("a leaked handle cannot be read");
    leakedHandles.set(id, revision);
  }
  const clusterGUID = textOf(report, "clusterGUID");
  const clusterInformationRevision = textOf(report, "clusterInformationRevision");
  if (clusterGUID === "" || clusterInformationRevision === "")
    return err("it does not say of which cluster it is");
  return ok({
    clusterGUID,
    clusterInformationRevision,
    leaked,
    leakedHandles,
  });
}

/** What was leaked in every one of the reports, and did not change between them; the last one's words. */
export function leakedInAll(reports: readonly IpamReport[]): Pick<IpamReport, "leaked" | "leakedHandles"> {
  const [last, ...others] = reports.toReversed();
  if (last === undefined) return { leaked: new Map(), leakedHandles: new Map() };
  return {
    leaked: new Map(
      [...last.leaked].filter(([addr, belief]) =>
        others.every(({ leaked }) => isSameBelief(leaked.get(addr), belief)),
      ),
    ),
    leakedHandles: new Map(
      [...last.leakedHandles].filter(([id, revision]) =>
        others.every(({ leakedHandles }) => leakedHandles.get(id) === revision),
      ),
    ),
  };
}

/** Calicoctl compares addresses alone; one that was given anew between two reports may be about to be used. */
function isSameBelief(a: AllocationBelief | undefined, b: AllocationBelief): boolean {
  return a !== undefined && a.handle === b.handle && a.sequenceNumber === b.sequenceNumber;
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
