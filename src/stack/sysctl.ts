import { err, ok, type Result } from "../base/result.ts";
import { MS_US, SEC_US } from "../base/time.ts";
import { NeighParms } from "./neighbor/neigh-parms.ts";
import type { NetDevice } from "./net-device.ts";

/** How a device's own value and `all` make one: Linux's `IN_DEV_CONF_GET`, `IN_DEV_ORCONF` and `IN_DEV_MAXCONF`. */
type Combine = "own" | "or" | "max";

/** The keys of `net.ipv4.conf.<dev>.*` that change what the stack does. The kernel's default is 0 for each. */
const CONF_KEYS = {
  forwarding: { combine: "own", max: 1 },
  proxy_arp: { combine: "or", max: 1 },
  rp_filter: { combine: "max", max: 2 },
  arp_notify: { combine: "max", max: 1 },
  arp_accept: { combine: "max", max: 1 },
  arp_ignore: { combine: "max", max: 8 },
  arp_announce: { combine: "max", max: 2 },
  accept_local: { combine: "or", max: 1 },
  route_localnet: { combine: "or", max: 1 },
} as const satisfies Record<string, { combine: Combine; max: number }>;

type ConfKey = keyof typeof CONF_KEYS;
type ConfValues = Record<ConfKey, number>;

const CONF_DEFAULTS: ConfValues = {
  forwarding: 0,
  proxy_arp: 0,
  rp_filter: 0,
  arp_notify: 0,
  arp_accept: 0,
  arp_ignore: 0,
  arp_announce: 0,
  accept_local: 0,
  route_localnet: 0,
};

/** `net.ipv4.neigh.<dev>.*`: which field, and how many of its units the text's unit has. */
const NEIGH_KEYS: Record<string, { field: NeighField; scale: number } | undefined> = {
  base_reachable_time: { field: "baseReachableUs", scale: SEC_US },
  base_reachable_time_ms: { field: "baseReachableUs", scale: MS_US },
  delay_first_probe_time: { field: "delayFirstProbeUs", scale: SEC_US },
  retrans_time_ms: { field: "retransUs", scale: MS_US },
  mcast_solicit: { field: "mcastSolicit", scale: 1 },
  ucast_solicit: { field: "ucastSolicit", scale: 1 },
  gc_stale_time: { field: "gcStaleUs", scale: SEC_US },
  unres_qlen: { field: "unresQlen", scale: 1 },
  // In hundredths of a second, the kernel's USER_HZ.
  locktime: { field: "locktimeUs", scale: 10 * MS_US },
  proxy_delay: { field: "proxyDelayUs", scale: 10 * MS_US },
  proxy_qlen: { field: "proxyQlen", scale: 1 },
};

type NeighField =
  | "baseReachableUs"
  | "delayFirstProbeUs"
  | "retransUs"
  | "mcastSolicit"
  | "ucastSolicit"
  | "gcStaleUs"
  | "unresQlen"
  | "locktimeUs"
  | "proxyDelayUs"
  | "proxyQlen";

const INT_MAX = 0x7fff_ffff;

/** The rest, by full name: which field of {@link Sysctl}, and what it may be. A flag is a boolean there. */
const GLOBAL_KEYS: Record<string, { field: GlobalField; min: number; max: number } | undefined> = {
  "net.ipv4.ip_default_ttl": { field: "ipDefaultTtl", min: 1, max: 255 },
  "net.ipv4.icmp_ratelimit": { field: "icmpRatelimitMs", min: 0, max: INT_MAX },
  "net.ipv4.icmp_ratemask": { field: "icmpRatemask", min: 0, max: INT_MAX },
  "net.ipv4.icmp_msgs_per_sec": { field: "icmpMsgsPerSec", min: 0, max: INT_MAX },
  "net.ipv4.icmp_msgs_burst": { field: "icmpMsgsBurst", min: 0, max: INT_MAX },
  "net.ipv4.icmp_echo_ignore_all": { field: "icmpEchoIgnoreAll", min: 0, max: 1 },
  "net.ipv4.icmp_echo_ignore_broadcasts": { field: "icmpEchoIgnoreBroadcasts", min: 0, max: 1 },
  "net.ipv4.ipfrag_time": { field: "ipfragTimeSec", min: 0, max: INT_MAX },
  "net.ipv4.ipfrag_high_thresh": { field: "ipfragHighThreshBytes", min: 0, max: INT_MAX },
  "net.ipv4.ipfrag_max_dist": { field: "ipfragMaxDist", min: 0, max: INT_MAX },
  "net.ipv4.fib_multipath_hash_policy": { field: "fibMultipathHashPolicy", min: 0, max: 1 },
  "net.ipv4.neigh.default.gc_thresh1": { field: "gcThresh1", min: 0, max: INT_MAX },
  "net.ipv4.neigh.default.gc_thresh2": { field: "gcThresh2", min: 0, max: INT_MAX },
  "net.ipv4.neigh.default.gc_thresh3": { field: "gcThresh3", min: 0, max: INT_MAX },
};

type GlobalField =
  | "ipDefaultTtl"
  | "icmpRatelimitMs"
  | "icmpRatemask"
  | "icmpMsgsPerSec"
  | "icmpMsgsBurst"
  | "icmpEchoIgnoreAll"
  | "icmpEchoIgnoreBroadcasts"
  | "ipfragTimeSec"
  | "ipfragHighThreshBytes"
  | "ipfragMaxDist"
  | "fibMultipathHashPolicy"
  | "gcThresh1"
  | "gcThresh2"
  | "gcThresh3";

/** What `net.ipv4.conf` amounts to for one device, `all` already combined in. Written by {@link Sysctl} only. */
export class DevConf {
  /** Packets that come in here may be forwarded. */
  forwarding = false;
  /** ARP requests are answered for whatever is routed through another device. */
  proxyArp = false;
  /** 0 none, 1 strict (the way back must lead through this device), 2 loose (there must be a way back). @rfc 3704 */
  rpFilter = 0;
  /** A gratuitous ARP for each address goes out when the device comes up. */
  arpNotify = false;
  /** Gratuitous ARP creates entries, not only updates them. */
  arpAccept = false;
  /** 0: answer for any local address; 1: for this device's only; 2: and only to its subnet; 8: for none. */
  arpIgnore = 0;
  /** 0: requests carry any local source; 1: prefer one of the target's subnet; 2: always the best one. */
  arpAnnounce = 0;
  /** Packets whose source is one of our own addresses are taken. */
  acceptLocal = false;
  /** 127/8 is not martian here. */
  routeLocalnet = false;
}

interface DevEntry {
  readonly dev: NetDevice;
  readonly own: ConfValues;
  readonly conf: DevConf;
  readonly neigh: NeighParms;
}

/** One sysctl that is a number, in the units of its text. */
interface Knob {
  readonly min: number;
  readonly max: number;
  get(): number;
  set(value: number): void;
}

/** A namespace's `net.ipv4.*`: typed fields for the layers, dotted names for people. Starts with the kernel's defaults. */
export class Sysctl {
  /** `net.ipv4.ip_default_ttl` */
  ipDefaultTtl = 64;
  /** `net.ipv4.icmp_ratelimit`: least milliseconds between two limited messages to one target; 0 = no limit. */
  icmpRatelimitMs = 1000;
  /** `net.ipv4.icmp_ratemask`: bit n limits ICMP type n (by default 3, 4, 11 and 12). */
  icmpRatemask = 0x1818;
  /** `net.ipv4.icmp_msgs_per_sec`: limited messages a second in all. */
  icmpMsgsPerSec = 1000;
  /** `net.ipv4.icmp_msgs_burst` */
  icmpMsgsBurst = 50;
  /** `net.ipv4.icmp_echo_ignore_all` */
  icmpEchoIgnoreAll = false;
  /** `net.ipv4.icmp_echo_ignore_broadcasts` */
  icmpEchoIgnoreBroadcasts = true;
  /** `net.ipv4.ipfrag_time`, in seconds: how long the fragments of a packet wait for the rest. */
  ipfragTimeSec = 30;
  /** `net.ipv4.ipfrag_high_thresh`: bytes that unfinished packets may hold. */
  ipfragHighThreshBytes = 4 << 20;
  /** `net.ipv4.ipfrag_max_dist`: fragments of one source that may arrive between those of a packet. 0 = any number. */
  ipfragMaxDist = 64;
  /** `net.ipv4.ip_local_port_range` */
  ipLocalPortMin = 32768;
  ipLocalPortMax = 60999;
  /**
   * `net.ipv4.fib_multipath_hash_policy`: what keeps a flow on one of several next hops. 0: its addresses; 1: its ports, too. Linux's
   * 2 and 3 (of the inner packet, of chosen fields) are refused.
   */
  fibMultipathHashPolicy = 0;
  /** `net.ipv4.neigh.default.gc_thresh1`: below so many entries nothing is collected. */
  gcThresh1 = 128;
  /** `net.ipv4.neigh.default.gc_thresh2`: above it, what is older than five seconds goes when room is needed. */
  gcThresh2 = 512;
  /** `net.ipv4.neigh.default.gc_thresh3`: so many entries and no more (permanent ones not counted). */
  gcThresh3 = 1024;

  readonly #all: ConfValues = { ...CONF_DEFAULTS };
  readonly #default: ConfValues = { ...CONF_DEFAULTS };
  readonly #neighDefault = new NeighParms();
  /** By ifindex, because this is read for every packet. */
  readonly #devs: (DevEntry | undefined)[] = [];
  readonly #fallback = new DevConf();

  /** `net.ipv4.ip_forward`: the same as `net.ipv4.conf.all.forwarding`; writing it writes every device's. */
  get ipForward(): boolean {
    return this.#all.forwarding !== 0;
  }

  set ipForward(on: boolean) {
    this.#setAllForwarding(on ? 1 : 0);
  }

  /** What holds for `dev` now, `all` combined in. The object lives as long as the device is here and changes in place. */
  conf(dev: NetDevice): DevConf {
    const entry = this.#devs[dev.ifindex];
    return entry !== undefined && entry.dev === dev ? entry.conf : this.#fallback;
  }

  /** Neighbour discovery's times and limits on `dev`. */
  neigh(dev: NetDevice): NeighParms {
    const entry = this.#devs[dev.ifindex];
    return entry !== undefined && entry.dev === dev ? entry.neigh : this.#neighDefault;
  }

  /** A device enters the namespace: it starts with the values of `default`. Its ifindex must be set. */
  addDevice(dev: NetDevice): void {
    while (this.#devs.length <= dev.ifindex) this.#devs.push(undefined);
    const own = { ...this.#default };
    const entry: DevEntry = { dev, own, conf: new DevConf(), neigh: this.#neighDefault.clone() };
    this.#devs[dev.ifindex] = entry;
    this.#combine(entry.own, entry.conf);
  }

  /** A device leaves the namespace: its values go with it. */
  delDevice(dev: NetDevice): void {
    if (this.#devs[dev.ifindex]?.dev === dev) this.#devs[dev.ifindex] = undefined;
  }

  /** All there are, sorted, as procps writes them: a device's own dots become slashes. */
  names(): string[] {
    const devices = this.#devs.flatMap((entry) => entry?.dev.name.replaceAll(".", "/") ?? []);
    const names = [PORT_RANGE, "net.ipv4.ip_forward", ...Object.keys(GLOBAL_KEYS)];
    for (const who of ["all", "default", ...devices]) {
      for (const leaf of Object.keys(CONF_KEYS)) names.push(`net.ipv4.conf.${who}.${leaf}`);
      if (who === "all") continue;
      for (const leaf of Object.keys(NEIGH_KEYS)) names.push(`net.ipv4.neigh.${who}.${leaf}`);
    }
    return names.sort();
  }

  /** Reads a sysctl by its dotted name. @returns "No such file or directory" for a name that there is not */
  get(name: string): Result<string, string> {
    const key = dotted(name);
    if (key === PORT_RANGE) return ok(`${this.ipLocalPortMin}\t${this.ipLocalPortMax}`);
    const knob = this.#knob(key);
    return knob === undefined ? err("No such file or directory") : ok(String(knob.get()));
  }

  /**
   * Writes a sysctl by its dotted name (or its path below /proc/sys; a device's own dots need no escape).
   * @returns "No such file or directory", or "Invalid argument" for a value that the kernel would refuse
   */
  set(name: string, value: string): Result<void, string> {
    const key = dotted(name);
    if (key === PORT_RANGE) return this.#setPortRange(value);
    const knob = this.#knob(key);
    if (knob === undefined) return err("No such file or directory");
    const number = /^\s*-?\d+\s*$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= knob.min && number <= knob.max)) return err("Invalid argument");
    knob.set(number);
    return ok(undefined);
  }

  #setPortRange(value: string): Result<void, string> {
    const match = /^\s*(\d+)\s+(\d+)\s*$/.exec(value);
    const min = Number(match?.[1]);
    const max = Number(match?.[2]);
    if (!(min >= 1 && max <= 65535 && min <= max)) return err("Invalid argument");
    this.ipLocalPortMin = min;
    this.ipLocalPortMax = max;
    return ok(undefined);
  }

  #knob(name: string): Knob | undefined {
    const key = Object.hasOwn(GLOBAL_KEYS, name) ? GLOBAL_KEYS[name] : undefined;
    if (key !== undefined) return this.#globalKnob(key.field, key.min, key.max);
    if (name === "net.ipv4.ip_forward") return this.#confKnob("all", "forwarding");
    const match = /^net\.ipv4\.(conf|neigh)\.(.+)\.(\w+)$/.exec(name);
    if (match === null) return undefined;
    const [, tree, who, leaf] = match as unknown as [string, string, string, string];
    return tree === "conf" ? this.#confKnob(who, leaf) : this.#neighKnob(who, leaf);
  }

  #globalKnob(field: GlobalField, min: number, max: number): Knob {
    const set = (value: number) => {
      if (field === "icmpEchoIgnoreAll" || field === "icmpEchoIgnoreBroadcasts") this[field] = value !== 0;
      else this[field] = value;
    };
    return { min, max, get: () => Number(this[field]), set };
  }

  #confKnob(who: string, leaf: string): Knob | undefined {
    if (!Object.hasOwn(CONF_KEYS, leaf)) return undefined;
    const key = leaf as ConfKey;
    const values = who === "all" ? this.#all : who === "default" ? this.#default : this.#byName(who)?.own;
    if (values === undefined) return undefined;
    const set = (value: number) => {
      if (who === "all" && key === "forwarding") return this.#setAllForwarding(value);
      values[key] = value;
      this.#combineAll();
    };
    return { min: 0, max: CONF_KEYS[key].max, get: () => values[key], set };
  }

  #neighKnob(who: string, leaf: string): Knob | undefined {
    const key = Object.hasOwn(NEIGH_KEYS, leaf) ? NEIGH_KEYS[leaf] : undefined;
    const parms = who === "default" ? this.#neighDefault : this.#byName(who)?.neigh;
    if (key === undefined || parms === undefined) return undefined;
    const { field, scale } = key;
    const set = (value: number) => {
      parms[field] = value * scale;
      if (field === "baseReachableUs") parms.reroll();
    };
    return { min: 0, max: INT_MAX, get: () => Math.floor(parms[field] / scale), set };
  }

  #byName(name: string): DevEntry | undefined {
    return this.#devs.find((entry) => entry?.dev.name === name);
  }

  /** `inet_forward_change`: the switch for all also sets the default and every device there is. */
  #setAllForwarding(value: number): void {
    this.#all.forwarding = value;
    this.#default.forwarding = value;
    for (const entry of this.#devs) if (entry !== undefined) entry.own.forwarding = value;
    this.#combineAll();
  }

  #combineAll(): void {
    for (const entry of this.#devs) if (entry !== undefined) this.#combine(entry.own, entry.conf);
    this.#combine(this.#default, this.#fallback);
  }

  #combine(own: ConfValues, conf: DevConf): void {
    conf.forwarding = this.#effective(own, "forwarding") !== 0;
    conf.proxyArp = this.#effective(own, "proxy_arp") !== 0;
    conf.rpFilter = this.#effective(own, "rp_filter");
    conf.arpNotify = this.#effective(own, "arp_notify") !== 0;
    conf.arpAccept = this.#effective(own, "arp_accept") !== 0;
    conf.arpIgnore = this.#effective(own, "arp_ignore");
    conf.arpAnnounce = this.#effective(own, "arp_announce");
    conf.acceptLocal = this.#effective(own, "accept_local") !== 0;
    conf.routeLocalnet = this.#effective(own, "route_localnet") !== 0;
  }

  #effective(own: ConfValues, key: ConfKey): number {
    const combine: Combine = CONF_KEYS[key].combine;
    if (combine === "own") return own[key];
    return combine === "or" ? own[key] | this.#all[key] : Math.max(own[key], this.#all[key]);
  }
}

const PORT_RANGE = "net.ipv4.ip_local_port_range";

/** `net/ipv4/conf/flannel.1/forwarding` and `net.ipv4.conf.flannel/1.forwarding` mean the same. */
function dotted(name: string): string {
  return name.replaceAll("/", ".");
}
