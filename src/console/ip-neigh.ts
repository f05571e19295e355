// `ip neighbour show`.
import { formatIpv4, parseIpv4 } from "../base/ipv4-addr.ts";
import { formatMac } from "../base/mac-addr.ts";
import { type Instant, SEC_US } from "../base/time.ts";
import type { NeighEntry } from "../stack/neighbor/neigh-entry.ts";
import type { CommandContext } from "./command.ts";
import { type IpOptions, readFilters } from "./ip-filter.ts";
import type { Printed } from "./printed-command.ts";

const FILTERS = { valued: ["dev", "nud", "to"], flags: [], bare: "to" };

/** `ip neighbour show [ADDRESS] [dev DEV] [nud STATE]`. */
export function showNeighbours(
  words: readonly string[],
  options: IpOptions,
  cx: CommandContext,
  now: Instant,
): Printed {
  const filters = readFilters(words, FILTERS);
  if (!filters.ok) return filters.error;
  const to = filters.value.get("to");
  const addr = to === undefined ? undefined : parseIpv4(to);
  if (to !== undefined && addr === undefined) {
    return { stderr: `Error: any valid prefix is expected rather than "${to}".\n`, exitCode: 1 };
  }
  const name = filters.value.get("dev");
  if (name !== undefined && cx.netns.device(name) === undefined) {
    return { stderr: `Cannot find device "${name}"\n`, exitCode: 1 };
  }
  const nud = filters.value.get("nud")?.toUpperCase();
  let stdout = "";
  for (const entry of cx.netns.neigh.dump(nud === undefined ? "shown" : "all")) {
    if (addr !== undefined && entry.ip !== addr) continue;
    if (name !== undefined && entry.dev.name !== name) continue;
    if (nud !== undefined && nud !== "ALL" && entry.state !== nud) continue;
    stdout += `${formatEntry(entry, name === undefined, options.stats, now)}\n`;
  }
  return { stdout, exitCode: 0 };
}

function formatEntry(entry: NeighEntry, withDevice: boolean, stats: boolean, now: Instant): string {
  const dev = withDevice ? ` dev ${entry.dev.name}` : "";
  const mac = entry.mac === undefined ? "" : ` lladdr ${formatMac(entry.mac)}`;
  return `${formatIpv4(entry.ip)}${dev}${mac}${stats ? counters(entry, now) : ""} ${entry.state} `;
}

/** Seconds since it was used, confirmed and changed. */
function counters({ nud }: NeighEntry, now: Instant): string {
  const ages = [nud.used, nud.confirmed, nud.updated].map((at) =>
    Math.max(0, Math.floor((now - at) / SEC_US)),
  );
  return `  used ${ages.join("/")}probes ${nud.probes}`;
}
