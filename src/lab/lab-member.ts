// What a lab is made of: a process each for its nodes, routers and announcers, and how each is started.
import { join } from "node:path";
import { formatIpv4, formatPrefix } from "../base/ipv4-addr.ts";
import type { Environment } from "../io/xdg-folders.ts";
import type { LabDirs } from "./lab-dirs.ts";
import type { Lab, LabNode } from "./resolve-lab.ts";
import type { LabAnnouncer, LabRouter } from "./resolve-routers.ts";
import { announcerFile, routerFile, writeRouterFile } from "./router-file.ts";

export type MemberRole = "node" | "router" | "announcer";

/** What every member of a lab is started with. */
export interface MemberContext {
  readonly lab: Lab;
  readonly dirs: LabDirs;
  /** The program and arguments that run podloom itself. */
  readonly program: readonly string[];
  readonly env: Environment;
  readonly endpoints: readonly string[];
  readonly token: string;
  /** Where BGP listens: 179 where it may be bound. */
  readonly bgpPort: number;
}

/** One process of a lab. */
export interface LabMember {
  readonly name: string;
  readonly role: MemberRole;
  /** Its underlay addresses, for people. */
  readonly underlay: string;
  /** Pods that it is to have. */
  readonly pods: readonly string[];
  /** Its command line; files that it names are written first. @throws PodloomError PL_STATE_DIR */
  argv(context: MemberContext): string[];
}

/** The processes of a lab, gateways first: what nodes send before those run is lost. */
export function labMembers(lab: Lab): LabMember[] {
  return [
    ...lab.routers.map(routerMember),
    ...lab.nodes.map(nodeMember),
    ...lab.announcers.map(announcerMember),
  ];
}

function nodeMember(node: LabNode): LabMember {
  return {
    name: node.name,
    role: "node",
    underlay: formatIpv4(node.address),
    pods: node.pods.map((pod) => pod.name),
    argv: (context) => nodeArguments(node, context),
  };
}

function routerMember(router: LabRouter): LabMember {
  return routing(router, "router", (context) => routerFile(router, context));
}

function announcerMember(announcer: LabAnnouncer): LabMember {
  return routing(announcer, "announcer", (context) => announcerFile(announcer, context));
}

/** A member that `podloom router` runs. */
function routing(
  { name, interfaces }: LabRouter | LabAnnouncer,
  role: MemberRole,
  content: (context: MemberContext) => object,
): LabMember {
  return {
    name,
    role,
    underlay: interfaces.map(({ address }) => formatIpv4(address)).join(","),
    pods: [],
    argv: (context) => {
      const file = writeRouterFile(name, content(context), context.dirs);
      return [...context.program, "router", "-f", file, "--control", context.dirs.socket];
    },
  };
}

/** The command line of one node. */
function nodeArguments(node: LabNode, context: MemberContext): string[] {
  const { lab, dirs } = context;
  const flags = {
    "--name": node.name,
    "--address": formatIpv4(node.address),
    "--segment": formatPrefix(node.segment.subnet),
    "--carrier": lab.underlay.carrier,
    "--mtu": String(lab.underlay.mtuBytes),
    "--etcd": context.endpoints.join(","),
    "--state": join(dirs.nodes, node.name),
    "--control": dirs.socket,
  };
  const args = [...context.program, "node", ...Object.entries(flags).flat()];
  args.push(...(lab.calico === undefined ? flannelArguments(node, lab) : calicoArguments(node, lab.calico)));
  if (lab.strict) args.push("--strict");
  // Slim is a node's own default.
  if (lab.storeClient !== "slim") args.push("--store-client", lab.storeClient);
  for (const { name, ip, namespace } of node.pods) {
    const at = namespace === undefined ? "" : `@${namespace}`;
    args.push("--pod", `${name}${ip === undefined ? "" : `=${formatIpv4(ip)}`}${at}`);
  }
  return args;
}

function flannelArguments(node: LabNode, { lease, etcdPrefix }: Lab): string[] {
  const flags = {
    "--etcd-prefix": etcdPrefix,
    "--lease-ttl": String(lease.ttlSec),
    "--lease-mode": lease.mode,
  };
  const args = Object.entries(flags).flat();
  // Flannel renews an hour before the end; a lease too short for that is renewed at half its time.
  if (lease.mode === "renew")
    args.push("--lease-margin", String(Math.min(3600, Math.floor(lease.ttlSec / 2))));
  if (node.subnet !== undefined) args.push("--subnet", formatPrefix(node.subnet));
  return args;
}

function calicoArguments({ segment }: LabNode, calico: NonNullable<Lab["calico"]>): string[] {
  const flags = {
    "--cni": "calico",
    "--calico-version": calico.version,
    "--bgp-timers": calico.timers,
    "--ipip-carrier": calico.ipipCarrier,
  };
  const gateway = segment.gateway === undefined ? [] : ["--gateway", formatIpv4(segment.gateway)];
  return [...Object.entries(flags).flat(), ...gateway];
}
