// `ip link set`: what a device may be told. The order in which it is done is the kernel's (do_setlink): address, MTU, master, flags;
// what was done before a refusal stays done.
import { isGroupMac, type MacAddr, parseMac } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import { Bridge } from "../stack/bridge.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import { VxlanDevice } from "../tunnel/vxlan.ts";
import type { CommandContext } from "./command.ts";
import type { IpOptions } from "./ip-filter.ts";
import {
  absent,
  flag,
  type Grammar,
  garbage,
  type Keyword,
  missingWords,
  noSuchDevice,
  readNumber,
  readWords,
  valued,
  wrongArgument,
} from "./ip-words.ts";
import { DONE, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import { lowerDevice } from "./link-state.ts";
import type { Printed } from "./printed-command.ts";

/** What a device is to become. */
interface LinkDraft {
  dev?: string;
  up?: boolean;
  arp?: boolean;
  mtuBytes?: number;
  mac?: MacAddr;
  /** "": none. */
  master?: string;
}

const LINK = "a link";

/** What a link is told when it is made, and later. */
export const OF_ANY_LINK: readonly Keyword<Pick<LinkDraft, "mtuBytes" | "mac">>[] = [
  valued("mtu", (draft, text) => {
    const mtuBytes = readNumber(text);
    if (mtuBytes === undefined) return wrongArgument(text, 'Invalid "mtu" value\n');
    draft.mtuBytes = mtuBytes;
    return undefined;
  }),
  valued("address*", (draft, text) => {
    const mac = readLinkAddress(text);
    if (typeof mac !== "number") return mac;
    draft.mac = mac;
    return undefined;
  }),
];

const GRAMMAR: Grammar<LinkDraft> = {
  bare: "dev",
  take: (draft, name) => {
    if (draft.dev !== undefined) return garbage("dev", name);
    draft.dev = name;
    return undefined;
  },
  keywords: [
    flag("up", (draft) => {
      draft.up = true;
    }),
    flag("down", (draft) => {
      draft.up = false;
    }),
    ...OF_ANY_LINK,
    valued("arp", (draft, word) => {
      if (word !== "on" && word !== "off") return neitherOnNorOff("arp", word);
      draft.arp = word === "on";
      return undefined;
    }),
    valued("master", (draft, name) => {
      draft.master = name;
      return undefined;
    }),
    flag("nomaster", (draft) => {
      draft.master = "";
    }),
    ...["name", "netns", "promisc", "multicast", "allmulticast", "txqueuelen", "txqlen", "qlen", "alias"].map(
      (name) => absent<LinkDraft>(name, LINK),
    ),
    ...[
      "group",
      "type",
      "broadcast",
      "brd",
      "trailers",
      "carrier",
      "dynamic",
      "vf",
      "xdp",
      "vrf",
      "mode",
    ].map((name) => absent<LinkDraft>(name, LINK)),
    ...["state", "addrgenmode", "protodown", "index", "numtxqueues", "numrxqueues", "gso_max_size"].map(
      (name) => absent<LinkDraft>(name, LINK),
    ),
  ],
};

function neitherOnNorOff(name: string, word: string): Printed {
  return {
    stderr: `Error: argument of "${name}" must be "on" or "off", not "${word}"\n`,
    exitCode: 1,
  };
}

/** A link-layer address, or the complaint. */
export function readLinkAddress(text: string): MacAddr | Printed {
  const mac = parseMac(text);
  if (mac !== undefined) return mac;
  const octets = text.split(":");
  if (octets.length === 1 || !octets.every((octet) => /^[0-9a-f]{1,2}$/i.test(octet))) {
    return { stderr: `"${text}" is invalid lladdr.\n`, exitCode: 1 };
  }
  if (octets.length !== 6) {
    return { stderr: `Invalid address length ${octets.length} - must be 6 bytes\n`, exitCode: 1 };
  }
  return parseMac(octets.map((octet) => octet.padStart(2, "0")).join(":")) as MacAddr;
}

/** `ip link set [dev] DEV { up | down | mtu N | address MAC | arp on|off | master BRIDGE | nomaster }…`. */
export function setLink(
  words: readonly string[],
  _options: IpOptions,
  { netns }: CommandContext,
  now: Instant,
): Printed {
  const draft: LinkDraft = {};
  const complaint = readWords(words, GRAMMAR, draft);
  if (complaint !== undefined) return complaint;
  if (draft.master !== undefined && draft.master !== "" && netns.device(draft.master) === undefined) {
    return wrongArgument(draft.master, "Device does not exist\n");
  }
  if (draft.dev === undefined)
    return missingWords('Not enough information: "dev" argument is required.', 255);
  const dev = netns.device(draft.dev);
  if (dev === undefined) return noSuchDevice(draft.dev);
  return notHere(dev, draft) ?? apply(netns, dev, draft, now);
}

/** What would be a lie: a node's tunnels and BGP leave by sockets of the host, whatever becomes of its card. */
function notHere(dev: NetDevice, { up, mtuBytes, mac }: LinkDraft): Printed | undefined {
  if (dev.kind === "uplink" && (up === false || mtuBytes !== undefined)) {
    const what = up === false ? `"down"` : `"mtu"`;
    return notEmulated(`${what} of ${dev.name}, by which the host's own sockets leave,`);
  }
  if (dev.medium === "ip" && mac !== undefined) return notEmulated(`"address" of ${dev.name}`);
  return undefined;
}

function apply(netns: Netns, dev: NetDevice, draft: LinkDraft, now: Instant): Printed {
  for (const step of [setAddress, setMtu, setMaster, setFlags]) {
    const done = step(netns, dev, draft, now);
    if (!done.ok) return netlinkRefusal(done.error);
  }
  return DONE;
}

type Step = (netns: Netns, dev: NetDevice, draft: LinkDraft, now: Instant) => Result<void, string>;

const setAddress: Step = (_netns, dev, { mac }, now) => {
  if (mac === undefined) return ok(undefined);
  if (dev.kind !== "loopback" && (mac === 0 || isGroupMac(mac)))
    return err("Cannot assign requested address");
  dev.setMac(mac, now);
  return ok(undefined);
};

const MTU_MIN_BYTES = 68;
const MTU_MAX_BYTES = 65_535;
const IPV4_HEADER_BYTES = 20;
/** Around a frame in VXLAN: outer IPv4, UDP, VXLAN, inner Ethernet. */
const VXLAN_BYTES = 50;

const setMtu: Step = (netns, dev, { mtuBytes }, now) => {
  if (mtuBytes === undefined) return ok(undefined);
  const refused = checkMtu(netns, dev, mtuBytes);
  if (refused !== undefined) return err(refused);
  if (mtuBytes !== dev.mtuBytes) dev.setMtu(mtuBytes, now);
  return ok(undefined);
};

/** @returns what the kernel says of this MTU on such a device */
function checkMtu(netns: Netns, dev: NetDevice, mtuBytes: number): string | undefined {
  const free = dev.kind === "loopback" || dev.kind === "ipip";
  if (!free && mtuBytes < MTU_MIN_BYTES) return "mtu less than device minimum";
  if (!free && mtuBytes > MTU_MAX_BYTES) return "mtu greater than device maximum";
  // Below this Linux takes IPv4 off the device, which is not emulated.
  if (mtuBytes < MTU_MIN_BYTES || mtuBytes > 0x7fff_ffff) return "Invalid argument";
  if (dev.kind === "ipip" && mtuBytes > MTU_MAX_BYTES - IPV4_HEADER_BYTES) return "Invalid argument";
  const lower = dev instanceof VxlanDevice ? lowerDevice(netns, dev) : undefined;
  return lower !== undefined && mtuBytes > lower.mtuBytes - VXLAN_BYTES ? "Invalid argument" : undefined;
}

/** `do_set_master`: a device leaves the old bridge before it is known whether the new one takes it. */
const setMaster: Step = (netns, dev, { master }, now) => {
  if (master === undefined) return ok(undefined);
  const bridge = netns.device(master);
  if (bridge !== undefined && bridge === dev.master) return ok(undefined);
  if (dev.master !== undefined) dev.master.delPort(dev, now);
  if (bridge === undefined) return ok(undefined);
  return bridge instanceof Bridge ? bridge.addPort(dev, now) : err("Operation not supported");
};

const setFlags: Step = (netns, dev, { up, arp }, now) => {
  if (arp !== undefined && dev.noArp === arp) {
    dev.noArp = !arp;
    netns.neigh.flush(dev, now);
  }
  if (up !== undefined) netns.setLink(dev, up, now);
  return ok(undefined);
};
