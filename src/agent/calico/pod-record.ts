// What a node remembers of each of its pods across restarts: one JSON file a pod in its state folder. Hostile content is ignored.
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../../base/ipv4-addr.ts";
import { formatMac, type MacAddr, parseMac } from "../../base/mac-addr.ts";

const FOLDER = "var/lib/calico/pods/";

export interface PodRecord {
  readonly pod: string;
  readonly namespace: string;
  readonly containerId: string;
  readonly addr: Ipv4Addr;
  readonly mac: MacAddr;
  /** It is going: what it held must still be given back. */
  readonly deleting: boolean;
}

export function podRecordPath(pod: string): string {
  return `${FOLDER}${pod}.json`;
}

export function emitPodRecord({ pod, namespace, containerId, addr, mac, deleting }: PodRecord): string {
  const state = deleting ? { deleting } : {};
  return `${JSON.stringify({ pod, namespace, containerId, ip: formatIpv4(addr), mac: formatMac(mac), ...state })}\n`;
}

/** All records of a state folder. */
export function readPodRecords(files: ReadonlyMap<string, string>): PodRecord[] {
  const records: PodRecord[] = [];
  for (const [path, text] of files) {
    const record = path.startsWith(FOLDER) ? parsePodRecord(text) : undefined;
    if (record !== undefined && podRecordPath(record.pod) === path) records.push(record);
  }
  return records;
}

function parsePodRecord(text: string): PodRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { pod, namespace, containerId, ip, mac, deleting } = value as Record<string, unknown>;
  if (typeof pod !== "string" || typeof namespace !== "string" || typeof containerId !== "string")
    return undefined;
  const addr = typeof ip === "string" ? parseIpv4(ip) : undefined;
  const macAddr = typeof mac === "string" ? parseMac(mac) : undefined;
  if (addr === undefined || macAddr === undefined) return undefined;
  return { pod, namespace, containerId, addr, mac: macAddr, deleting: deleting === true };
}
