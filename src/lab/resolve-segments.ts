// The underlay of a lab file: its segments, and which address is whose.
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  netmask,
  overlaps,
  type Prefix,
  parseCidr,
  parseIpv4,
  prefixOf,
} from "../base/ipv4-addr.ts";
import type { DocPath, DocumentFaults } from "../io/document/problem.ts";
import type { LabFile } from "./lab-schema.ts";
import { checkUsable } from "./resolve-network.ts";

/** The underlay of a lab that says nothing of it. */
const DEFAULT_SUBNET = "192.168.56.0/24";

/** One layer-2 segment. */
export interface LabSegment {
  readonly name: string;
  readonly subnet: Prefix;
  /** Where the default route of its nodes leads. */
  readonly gateway: Ipv4Addr | undefined;
}

/** The segments of the lab; undefined when what the file says of them is not sound. */
export function resolveSegments(file: LabFile, faults: DocumentFaults): LabSegment[] | undefined {
  const { subnet, segments } = file.underlay;
  if (segments === undefined) {
    const only = readSubnet(subnet ?? DEFAULT_SUBNET, ["underlay", "subnet"], faults);
    return only === undefined ? undefined : [{ name: "underlay", subnet: only, gateway: undefined }];
  }
  if (subnet !== undefined) {
    const remedy = "Write subnet for one segment, or segments for several.";
    faults.add(["underlay", "subnet"], "subnet and segments do not go together", remedy);
  }
  const names = new Map<string, number>();
  const found = segments.map((segment, i): LabSegment | undefined => {
    const path = ["underlay", "segments", i];
    const earlier = names.get(segment.name);
    if (earlier !== undefined) {
      const message = `two segments are named "${segment.name}" (segments[${earlier}] is the other)`;
      faults.add([...path, "name"], message, "Every segment needs a name of its own.");
    }
    names.set(segment.name, i);
    const prefix = readSubnet(segment.subnet, [...path, "subnet"], faults);
    if (prefix === undefined) return undefined;
    return { name: segment.name, subnet: prefix, gateway: gatewayOf(segment.gateway, prefix, path, faults) };
  });
  checkOverlaps(found, faults);
  return found.includes(undefined) ? undefined : (found as LabSegment[]);
}

/** Where the subnet of a segment stands in the file. */
export function segmentPath(file: LabFile, i: number): DocPath {
  return file.underlay.segments === undefined
    ? ["underlay", "subnet"]
    : ["underlay", "segments", i, "subnet"];
}

function gatewayOf(
  text: string | undefined,
  subnet: Prefix,
  path: DocPath,
  faults: DocumentFaults,
): Ipv4Addr | undefined {
  if (text === undefined) return undefined;
  return readMember(text, [subnet], [...path, "gateway"], "the segment's subnet", faults)?.addr;
}

function checkOverlaps(segments: readonly (LabSegment | undefined)[], faults: DocumentFaults): void {
  segments.forEach((segment, i) => {
    const other = segments.slice(0, i).find((one) => one && segment && overlaps(one.subnet, segment.subnet));
    if (segment === undefined || other === undefined) return;
    const message = `${formatPrefix(segment.subnet)} overlaps ${formatPrefix(other.subnet)}, the segment ${other.name}`;
    faults.add(["underlay", "segments", i, "subnet"], message, "Give each segment a subnet of its own.");
  });
}

function readSubnet(text: string, path: DocPath, faults: DocumentFaults): Prefix | undefined {
  const cidr = parseCidr(text);
  if (!cidr.ok) {
    faults.add(path, cidr.error, `Write it as ${DEFAULT_SUBNET}.`);
    return undefined;
  }
  const subnet = prefixOf(cidr.value.addr, cidr.value.len);
  if (subnet.addr !== cidr.value.addr) {
    faults.add(path, `"${text}" has bits set beyond its length`, `Write it as ${formatPrefix(subnet)}.`);
    return undefined;
  }
  if (subnet.len < 8 || subnet.len > 30) {
    faults.add(
      path,
      `the prefix length must be 8 to 30, not ${subnet.len}`,
      `Write a prefix such as ${DEFAULT_SUBNET}, which has room for 253 nodes.`,
    );
    return undefined;
  }
  checkUsable(subnet, path, DEFAULT_SUBNET, faults);
  return subnet;
}

/**
 * An address that must be a host's in one of `subnets`, and the number of that subnet. What is wrong is told; an address in no
 * subnet answers undefined.
 *
 * @param where what the remedy calls the subnets
 */
export function readMember(
  text: string,
  subnets: readonly Prefix[],
  path: DocPath,
  where: string,
  faults: DocumentFaults,
): { readonly addr: Ipv4Addr; readonly subnet: number } | undefined {
  const addr = parseIpv4(text);
  if (addr === undefined) {
    const remedy = "Write it without leading zeros, like 192.168.56.2.";
    faults.add(path, `"${text}" is not an IPv4 address`, remedy);
    return undefined;
  }
  const at = subnets.findIndex((one) => contains(one, addr));
  const subnet = subnets[at];
  if (subnet === undefined) {
    const remedy = `Choose an address inside ${where}, or change that.`;
    faults.add(path, `${formatIpv4(addr)} is outside ${outside(subnets, where)}`, remedy);
    return undefined;
  }
  const last = (subnet.addr | ~netmask(subnet.len)) >>> 0;
  if (addr === subnet.addr || addr === last) {
    const what = addr === last ? "broadcast" : "network";
    const remedy = `Choose one from ${formatIpv4(subnet.addr + 1)} to ${formatIpv4(last - 1)}.`;
    faults.add(path, `${formatIpv4(addr)} is the ${what} address of ${formatPrefix(subnet)}`, remedy);
  }
  return { addr, subnet: at };
}

function outside(subnets: readonly Prefix[], where: string): string {
  const [only, second] = subnets;
  const what = where === "underlay.subnet" ? "the underlay" : "the segment";
  if (only !== undefined && second === undefined) return `${what} ${formatPrefix(only)}`;
  return `every segment: ${subnets.map(formatPrefix).join(", ")}`;
}

/** Who has which underlay address. */
export class TakenAddresses {
  readonly #owners = new Map<Ipv4Addr, string>();
  readonly #faults: DocumentFaults;

  constructor(faults: DocumentFaults) {
    this.#faults = faults;
  }

  has(addr: Ipv4Addr): boolean {
    return this.#owners.has(addr);
  }

  /** Notes an owner; a second one is a fault. @param optional may the key be left out? */
  take(addr: Ipv4Addr, owner: string, path: DocPath, optional: boolean): void {
    const other = this.#owners.get(addr);
    if (other !== undefined) {
      const out = optional ? ", or leave the address out" : "";
      const message = `${formatIpv4(addr)} is the address of both ${other} and ${owner}`;
      this.#faults.add(path, message, `Give one of them another address${out}.`);
    }
    this.#owners.set(addr, owner);
  }
}

/** Addresses of a segment that nobody asked for, from .2 upward, as virtual-machine hosts number them. */
export function* freeAddresses(subnet: Prefix, taken: TakenAddresses): Generator<Ipv4Addr, undefined> {
  const last = (subnet.addr | ~netmask(subnet.len)) >>> 0;
  for (let address = subnet.addr + 2; address < last; address++) {
    if (!taken.has(address)) yield address;
  }
  return undefined;
}
