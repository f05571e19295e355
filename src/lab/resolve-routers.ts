// The routers and announcers of a lab file, and whether the gateways that it names are such routers.
import { formatIpv4, formatPrefix, type Ipv4Addr, parseCidr, parseIpv4 } from "../base/ipv4-addr.ts";
import type { DocumentFaults } from "../io/document/problem.ts";
import type { LabFile } from "./lab-schema.ts";
import { type LabSegment, readMember, type TakenAddresses } from "./resolve-segments.ts";

/** A NIC in a segment. */
export interface LabInterface {
  readonly address: Ipv4Addr;
  readonly segment: LabSegment;
}

/** A router as the lab file asks for it. */
export interface LabRouter {
  readonly name: string;
  /** eth0, eth1, … */
  readonly interfaces: readonly LabInterface[];
  /** Keys of a BGP speaker's file; undefined: it speaks no BGP. */
  readonly bgp: Readonly<Record<string, unknown>> | undefined;
}

/** An announcer as the lab file asks for it. */
export interface LabAnnouncer {
  readonly name: string;
  readonly interfaces: readonly LabInterface[];
  readonly as: number;
  readonly gateways: readonly Ipv4Addr[];
}

/** The routers. Their addresses are taken before those of nodes are filled in. */
export function resolveRouters(
  file: LabFile,
  segments: readonly LabSegment[],
  taken: TakenAddresses,
  faults: DocumentFaults,
): LabRouter[] {
  return (file.routers ?? []).map((router, i) => {
    const inSegment = new Map<string, string>();
    const interfaces = router.interfaces.flatMap((text, j): LabInterface[] => {
      const path = ["routers", i, "interfaces", j];
      const found = readInterface(text, segments, path, faults);
      if (found === undefined) return [];
      taken.take(found.address, router.name, path, false);
      const other = inSegment.get(found.segment.name);
      if (other !== undefined) {
        const message = `${text} and ${other} are both in the segment ${found.segment.name}`;
        faults.add(path, message, "Give the router one interface a segment.");
      }
      inSegment.set(found.segment.name, text);
      return [found];
    });
    return { name: router.name, interfaces, bgp: router.bgp as LabRouter["bgp"] };
  });
}

function readInterface(
  text: string,
  segments: readonly LabSegment[],
  path: readonly (string | number)[],
  faults: DocumentFaults,
): LabInterface | undefined {
  const cidr = parseCidr(text);
  if (!cidr.ok) {
    faults.add(path, cidr.error, "Write the address with the length of its segment, like 10.20.0.1/24.");
    return undefined;
  }
  const address = formatIpv4(cidr.value.addr);
  const subnets = segments.map((segment) => segment.subnet);
  const found = readMember(address, subnets, path, "one of underlay.segments", faults);
  const segment = found === undefined ? undefined : segments[found.subnet];
  if (segment === undefined) return undefined;
  if (segment.subnet.len !== cidr.value.len) {
    const message = `"${text}" is a /${cidr.value.len}, but its segment is ${formatPrefix(segment.subnet)}`;
    faults.add(path, message, `Write it as ${address}/${segment.subnet.len}.`);
  }
  return { address: cidr.value.addr, segment };
}

/** The announcers. */
export function resolveAnnouncers(
  file: LabFile,
  segments: readonly LabSegment[],
  routers: readonly LabRouter[],
  taken: TakenAddresses,
  faults: DocumentFaults,
): LabAnnouncer[] {
  const subnets = segments.map((segment) => segment.subnet);
  return (file.announcers ?? []).flatMap((announcer, i) => {
    const path = ["announcers", i, "address"];
    const found = readMember(announcer.address, subnets, path, "one of underlay.segments", faults);
    const segment = found === undefined ? undefined : segments[found.subnet];
    const gateways = announcer.gateways.flatMap((text, j) => {
      checkSpeaker(text, file, routers, ["announcers", i, "gateways", j], faults);
      return parseIpv4(text) ?? [];
    });
    checkOnePort(gateways, routers, ["announcers", i, "gateways"], faults);
    if (found === undefined || segment === undefined) return [];
    taken.take(found.addr, announcer.name, path, false);
    const interfaces = [{ address: found.addr, segment }];
    return [{ name: announcer.name, interfaces, as: announcer.as, gateways }];
  });
}

function checkSpeaker(
  text: string,
  file: LabFile,
  routers: readonly LabRouter[],
  path: readonly (string | number)[],
  faults: DocumentFaults,
): void {
  const router = routerWith(parseIpv4(text), routers);
  if (router === undefined) {
    // On a host's own addresses the gateway may be a real one.
    if (file.underlay.carrier === "host") return;
    faults.add(
      path,
      `${text} is no router's address`,
      `Name an interface of a router: ${addresses(routers)}.`,
    );
  } else if (router.bgp === undefined) {
    const remedy = `Give ${router.name} a bgp block with its AS and the announcer as a neighbor.`;
    faults.add(path, `${text} is ${router.name}, which speaks no BGP`, remedy);
  }
}

/** An announcer calls all its gateways on one port. */
function checkOnePort(
  gateways: readonly Ipv4Addr[],
  routers: readonly LabRouter[],
  path: readonly (string | number)[],
  faults: DocumentFaults,
): void {
  const ports = gateways.map((gateway) => listenPort(routerWith(gateway, routers)?.bgp));
  const other = ports.findIndex((port) => port !== ports[0]);
  if (other < 0) return;
  const said = (port: number | undefined): string => (port === undefined ? "the usual port" : `port ${port}`);
  const message = `an announcer calls all gateways on one port, but they listen on ${said(ports[0])} and ${said(ports[other])}`;
  faults.add(
    [...path, other],
    message,
    "Give the routers the same bgp.listen.port, or each an announcer of its own.",
  );
}

/** The port that a router's BGP is told to listen on. */
export function listenPort(bgp: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const listen = bgp?.listen;
  const port =
    typeof listen === "object" && listen !== null ? (listen as { port?: unknown }).port : undefined;
  return typeof port === "number" && port !== 0 ? port : undefined;
}

/** Are the segments' gateways interfaces of routers? */
export function checkGateways(
  file: LabFile,
  segments: readonly LabSegment[],
  routers: readonly LabRouter[],
  faults: DocumentFaults,
): void {
  segments.forEach(({ gateway, name }, i) => {
    if (gateway === undefined || file.underlay.carrier === "host") return;
    if (routerWith(gateway, routers) !== undefined) return;
    const known = routers.length === 0 ? "there is no router" : `there are ${addresses(routers)}`;
    const message = `${formatIpv4(gateway)} is no router's interface; ${known}`;
    const remedy = `Add a router with an interface in ${name}, or leave gateway out.`;
    faults.add(["underlay", "segments", i, "gateway"], message, remedy);
  });
}

function routerWith(address: Ipv4Addr | undefined, routers: readonly LabRouter[]): LabRouter | undefined {
  return routers.find((router) => router.interfaces.some((nic) => nic.address === address));
}

function addresses(routers: readonly LabRouter[]): string {
  const all = routers.flatMap((router) => router.interfaces.map((nic) => formatIpv4(nic.address)));
  return all.length === 0 ? "there is none yet" : all.join(", ");
}
