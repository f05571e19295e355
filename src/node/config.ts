// `podloom node …`: its flags, what they must look like, and what to do when they do not.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod/mini";
import {
  contains,
  formatPrefix,
  type Ipv4Addr,
  type Prefix,
  parseCidr,
  parseIpv4,
  prefixOf,
} from "../base/ipv4-addr.ts";
import type { EtcdEndpoints } from "../io/etcd/etcd-transport.ts";
import { STORE_CLIENTS, type StoreClient } from "../io/etcd/open-transport.ts";
import type { Carrier } from "../io/host-address.ts";
import { LOG_LEVELS, type LogLevel } from "../io/logger.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";

/** A pod that the node attaches once it has a subnet. */
export interface PodWish {
  readonly name: string;
  readonly ip: Ipv4Addr | undefined;
  /** With Calico; absent: `default`. */
  readonly namespace?: string;
}

/** Whose pod network the node is in. */
export type Cni = "flannel" | "calico";

/** Everything that one node process is told. */
export interface NodeConfig {
  readonly name: string;
  readonly address: Ipv4Addr;
  readonly segment: Prefix;
  readonly carrier: Carrier;
  readonly mtuBytes: number;
  readonly etcd: EtcdEndpoints;
  readonly cni: Cni;
  /** With Calico: whose behaviour, BGP's timers, how IPIP is carried, and where the default route leads. */
  readonly calicoVersion: "3.31" | "3.32" | "3.33";
  readonly bgpTimers: "calico" | "fast";
  readonly ipipCarrier: "auto" | "proto4" | "fou";
  readonly gateway: Ipv4Addr | undefined;
  readonly storeClient: StoreClient;
  readonly etcdPrefix: string;
  readonly leaseTtlSec: number;
  readonly leaseMode: "keepalive" | "renew";
  readonly leaseMarginSec: number;
  readonly strict: boolean;
  /** The pod subnet that it would like when it has none from an earlier run. */
  readonly subnet: Prefix | undefined;
  readonly state: string;
  /** The supervisor's socket; undefined: the node listens on one of its own. */
  readonly control: string | undefined;
  readonly pods: readonly PodWish[];
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}

export const NODE_USAGE = `podloom node: run one node of a pod network

  --name NAME              the node's name (lower-case letters, digits, "-", ".")
  --address A.B.C.D        its underlay address
  --segment A.B.C.D/LEN    the subnet of its underlay
  --etcd URL[,URL…]        where etcd is, for example http://127.0.0.1:2379
  --carrier loopback|host  carry underlay addresses on 127.x of this machine (default), or on its own addresses
  --mtu BYTES              MTU of the underlay (default 1500)
  --store-client CLIENT    how to speak to etcd: slim (default), or through the etcd3 package
  --etcd-username NAME     with the password in the variable PODLOOM_ETCD_PASSWORD
  --etcd-cafile FILE       PEM, for https; --etcd-certfile and --etcd-keyfile for a client certificate
  --cni flannel|calico     whose pod network it is in (default flannel)
  --strict                 the originals' quirks instead of the safe behaviour
  --state DIR              what the node keeps across restarts (default ~/.local/state/podloom/node/NAME)
  --control SOCKET         a supervisor's socket; without it the node listens on DIR/node.sock
  --pod NAME[=IP]          attach a pod; may be repeated. With Calico NAME[=IP][@NAMESPACE]
  --log-level LEVEL        ${LOG_LEVELS.join(", ")} (default info)
  --log-file FILE          write the log there and not to standard error
  --help                   this text

With --cni flannel:
  --etcd-prefix PATH       where Flannel's keys are (default /coreos.com/network)
  --lease-mode MODE        keepalive (default) or renew, as flanneld does
  --lease-ttl SEC          lifetime of the lease (default 20, in mode renew 86400)
  --lease-margin SEC       renew so long before the end (default 3600; mode renew)
  --subnet A.B.C.D/LEN     the pod subnet it would like, if it is free and it had none before

With --cni calico:
  --calico-version VERSION 3.31, 3.32 (default) or 3.33: who programs which routes, and LOCAL_PREF
  --bgp-timers TIMERS      calico (default), or fast for a lab that must not wait
  --ipip-carrier CARRIER   proto4 (a raw socket), fou (UDP 5555), or auto (default): proto4 where it is permitted
  --gateway A.B.C.D        where its default route leads; it must be in --segment
`;

const OPTIONS = {
  name: { type: "string" },
  address: { type: "string" },
  segment: { type: "string" },
  etcd: { type: "string" },
  carrier: { type: "string" },
  mtu: { type: "string" },
  cni: { type: "string" },
  "calico-version": { type: "string" },
  "bgp-timers": { type: "string" },
  "ipip-carrier": { type: "string" },
  gateway: { type: "string" },
  "store-client": { type: "string" },
  "etcd-prefix": { type: "string" },
  "etcd-username": { type: "string" },
  "etcd-cafile": { type: "string" },
  "etcd-certfile": { type: "string" },
  "etcd-keyfile": { type: "string" },
  "lease-mode": { type: "string" },
  "lease-ttl": { type: "string" },
  "lease-margin": { type: "string" },
  strict: { type: "boolean" },
  subnet: { type: "string" },
  state: { type: "string" },
  control: { type: "string" },
  pod: { type: "string", multiple: true },
  "log-level": { type: "string" },
  "log-file": { type: "string" },
  help: { type: "boolean" },
} as const;

/** Flags that one pod network has and the other has not. */
const OWN_FLAGS = {
  flannel: ["etcd-prefix", "lease-mode", "lease-ttl", "lease-margin", "subnet"],
  calico: ["calico-version", "bgp-timers", "ipip-carrier", "gateway"],
} as const;

const NAME = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

/** A flag's text, read by `read`: a value, or undefined, for which `wanted` says what is right. */
function text<T>(read: (value: string) => T | undefined, wanted: string) {
  return z.pipe(
    z.string(),
    z.transform((value: string, cx): T => {
      const got = read(value);
      if (got !== undefined) return got;
      cx.issues.push({ code: "custom", message: `"${value}" will not do; give ${wanted}`, input: value });
      return z.NEVER;
    }),
  );
}

function whole(min: number, max: number, unit: string) {
  return text((value) => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : -1;
    return number >= min && number <= max ? number : undefined;
  }, `a whole number of ${unit} from ${min} to ${max}`);
}

function oneOf<T extends string>(...values: readonly T[]) {
  return text((value) => values.find((known) => known === value), `one of ${values.join(", ")}`);
}

const nodeName = text(
  (value) => (NAME.test(value) ? value : undefined),
  'a name like node1: a-z, 0-9, "-" and "."',
);
const ipv4Address = text(parseIpv4, "an IPv4 address like 192.168.56.2");

const FLAGS = z.object({
  name: nodeName,
  address: ipv4Address,
  segment: text(readPrefix, "a subnet like 192.168.56.0/24"),
  etcd: text(readEndpoints, "http://host:port or https://host:port, several with commas between"),
  carrier: z._default(oneOf("loopback", "host"), "loopback"),
  mtu: z._default(whole(576, 65535, "bytes"), 1500),
  cni: z._default(oneOf("flannel", "calico"), "flannel"),
  "calico-version": z._default(oneOf("3.31", "3.32", "3.33"), "3.32"),
  "bgp-timers": z._default(oneOf("calico", "fast"), "calico"),
  "ipip-carrier": z._default(oneOf("auto", "proto4", "fou"), "auto"),
  gateway: z.optional(ipv4Address),
  "store-client": z._default(oneOf(...STORE_CLIENTS), "slim"),
  "etcd-prefix": z._default(text(readKeyPrefix, "a path like /coreos.com/network"), "/coreos.com/network"),
  "etcd-username": z.optional(z.string()),
  "etcd-cafile": z.optional(z.string()),
  "etcd-certfile": z.optional(z.string()),
  "etcd-keyfile": z.optional(z.string()),
  "lease-mode": z._default(oneOf("keepalive", "renew"), "keepalive"),
  "lease-ttl": z.optional(whole(2, 9_000_000_000, "seconds")),
  "lease-margin": z._default(whole(1, 9_000_000_000, "seconds"), 3600),
  strict: z._default(z.boolean(), false),
  subnet: z.optional(text(readSubnet, "a subnet without host bits, like 10.244.7.0/24")),
  state: z.optional(z.string()),
  control: z.optional(z.string()),
  pod: z._default(
    z.array(
      text(readPod, "NAME or NAME=IP, like web or web=10.244.1.9; with Calico also NAME[=IP]@NAMESPACE"),
    ),
    [],
  ),
  "log-level": z._default(oneOf(...LOG_LEVELS), "info"),
  "log-file": z.optional(z.string()),
});

type Flags = z.output<typeof FLAGS>;

function usageError(message: string): PodloomError {
  return new PodloomError("PL_USAGE", message, { remedy: "`podloom node --help` lists the flags." });
}

/**
 * Reads the arguments after `podloom node`. Answers undefined when they ask for help.
 *
 * @param env the environment: PODLOOM_ETCD_PASSWORD, XDG_STATE_HOME
 * @throws PodloomError PL_USAGE, naming every flag that is wrong and what to give instead
 */
export function parseNodeConfig(argv: readonly string[], env: NodeJS.ProcessEnv): NodeConfig | undefined {
  const given = parseFlags(argv);
  if (given.help === true) return undefined;
  const read = FLAGS.safeParse(given);
  if (!read.success) throw usageError(read.error.issues.map((issue) => complaint(issue, given)).join("; "));
  const flags = read.data;
  checkAddress(flags);
  checkCni(flags, given);
  return {
    name: flags.name,
    address: flags.address,
    segment: flags.segment,
    carrier: flags.carrier,
    mtuBytes: flags.mtu,
    etcd: etcdEndpoints(flags, env),
    cni: flags.cni,
    calicoVersion: flags["calico-version"],
    bgpTimers: flags["bgp-timers"],
    ipipCarrier: flags["ipip-carrier"],
    gateway: flags.gateway,
    storeClient: flags["store-client"],
    etcdPrefix: flags["etcd-prefix"],
    leaseTtlSec: flags["lease-ttl"] ?? (flags["lease-mode"] === "renew" ? 86_400 : 20),
    leaseMode: flags["lease-mode"],
    leaseMarginSec: flags["lease-margin"],
    strict: flags.strict,
    subnet: flags.subnet,
    state: flags.state ?? defaultState(flags.name, env),
    control: flags.control,
    pods: flags.pod,
    logLevel: flags["log-level"],
    logFile: flags["log-file"],
  };
}

function parseFlags(argv: readonly string[]): Record<string, unknown> {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false }).values;
  } catch (thrown) {
    // Node's own sentences name the flag; what follows the first is advice about positional arguments, of which there are none.
    throw usageError(messageOf(thrown).split(". To specify")[0] as string);
  }
}

function complaint(issue: z.core.$ZodIssue, given: Record<string, unknown>): string {
  const flag = `--${String(issue.path[0])}`;
  return given[String(issue.path[0])] === undefined ? `${flag} is missing` : `${flag} ${issue.message}`;
}

function checkAddress({ address, segment, gateway }: Flags): void {
  if (!isHostIn(segment, address)) {
    throw usageError(`--address must be a host's address in --segment ${formatPrefix(segment)}`);
  }
  if (gateway === undefined) return;
  if (!isHostIn(segment, gateway)) {
    throw usageError(`--gateway must be a host's address in --segment ${formatPrefix(segment)}`);
  }
  if (gateway === address) throw usageError("--gateway is the node's own --address; give the router's");
}

function isHostIn(segment: Prefix, address: Ipv4Addr): boolean {
  const last = segment.addr + 2 ** (32 - segment.len) - 1;
  const special = segment.len < 31 && (address === segment.addr || address === last);
  return contains(segment, address) && !special;
}

/** A flag of the other pod network would be silently without effect. */
function checkCni({ cni, pod }: Flags, given: Record<string, unknown>): void {
  const other = cni === "flannel" ? "calico" : "flannel";
  const wrong = OWN_FLAGS[other].filter((flag) => given[flag] !== undefined).map((flag) => `--${flag}`);
  if (wrong.length > 0) {
    const verb = wrong.length === 1 ? "is" : "are";
    throw usageError(`${wrong.join(", ")} ${verb} for --cni ${other}; this node has --cni ${cni}`);
  }
  const named = pod.find(({ namespace }) => namespace !== undefined);
  if (cni === "flannel" && named !== undefined) {
    throw usageError(`--pod ${named.name}@${named.namespace}: namespaces are for --cni calico`);
  }
}

function etcdEndpoints(flags: Flags, env: NodeJS.ProcessEnv): EtcdEndpoints {
  const username = flags["etcd-username"];
  const password = env.PODLOOM_ETCD_PASSWORD;
  if (username !== undefined && password === undefined) {
    throw usageError("--etcd-username needs the password in the environment variable PODLOOM_ETCD_PASSWORD");
  }
  const ca = readPem("--etcd-cafile", flags["etcd-cafile"]);
  const cert = readPem("--etcd-certfile", flags["etcd-certfile"]);
  const key = readPem("--etcd-keyfile", flags["etcd-keyfile"]);
  if ((cert === undefined) !== (key === undefined)) {
    throw usageError("--etcd-certfile and --etcd-keyfile go together");
  }
  const https = flags.etcd.some((endpoint) => endpoint.startsWith("https:"));
  if ((ca !== undefined || cert !== undefined) && !https) {
    throw usageError("--etcd-cafile and --etcd-certfile need an https endpoint in --etcd");
  }
  if (cert !== undefined && ca === undefined) throw usageError("--etcd-certfile needs --etcd-cafile");
  return {
    endpoints: flags.etcd,
    ...(username === undefined || password === undefined ? {} : { auth: { username, password } }),
    ...(ca === undefined ? {} : { tls: { ca, ...(key && { key }), ...(cert && { cert }) } }),
  };
}

function readPem(flag: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (thrown) {
    throw usageError(`${flag} "${path}" cannot be read: ${messageOf(thrown)}`);
  }
}

function defaultState(name: string, env: NodeJS.ProcessEnv): string {
  const root = env.XDG_STATE_HOME ?? join(homedir(), ".local", "state");
  return join(root, "podloom", "node", name);
}

function readPrefix(value: string): Prefix | undefined {
  const cidr = parseCidr(value);
  return cidr.ok ? prefixOf(cidr.value.addr, cidr.value.len) : undefined;
}

/** A subnet as a lease names it; an address within one is a slip, and which subnet was meant is a guess. */
function readSubnet(value: string): Prefix | undefined {
  const cidr = parseCidr(value);
  const subnet = cidr.ok ? prefixOf(cidr.value.addr, cidr.value.len) : undefined;
  return subnet !== undefined && cidr.ok && subnet.addr === cidr.value.addr ? subnet : undefined;
}

function readEndpoints(value: string): string[] | undefined {
  const endpoints = value.split(",").map((endpoint) => endpoint.trim().replace(/\/$/, ""));
  return endpoints.every((endpoint) => /^https?:\/\/[^/\s]+:\d{1,5}$/.test(endpoint)) ? endpoints : undefined;
}

function readKeyPrefix(value: string): string | undefined {
  return /^(\/[\w.-]+)+$/.test(value) ? value : undefined;
}

const POD = /^([^=@]+)(?:=([^=@]+))?(?:@([^=@]+))?$/;

function readPod(value: string): PodWish | undefined {
  const [, name, ip, namespace] = POD.exec(value) ?? [];
  if (name === undefined || !NAME.test(name)) return undefined;
  if (namespace !== undefined && !NAME.test(namespace)) return undefined;
  const addr = ip === undefined ? undefined : parseIpv4(ip);
  if (ip !== undefined && addr === undefined) return undefined;
  return { name, ip: addr, ...(namespace !== undefined && { namespace }) };
}
