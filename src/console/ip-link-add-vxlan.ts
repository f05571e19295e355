// `ip link add … type vxlan`: a device on a UDP port that the node has open, for its socket is the one that devices share.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { MAC_ZERO, randomMac } from "../base/mac-addr.ts";
import type { Instant } from "../base/time.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import { VxlanDevice } from "../tunnel/vxlan.ts";
import type { CommandContext } from "./command.ts";
import {
  absent,
  flag,
  type Grammar,
  noSuchDevice,
  notAnAddress,
  readAddress,
  readNumber,
  readWords,
  valued,
  wrongArgument,
} from "./ip-words.ts";
import { DONE, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import { checkMtu, MTU_BYTES, type NewLink, newName, settle } from "./new-link.ts";
import type { Printed } from "./printed-command.ts";

interface NewVxlan {
  vni?: number;
  dev?: string;
  local?: Ipv4Addr;
  remote?: Ipv4Addr;
  dstPort?: number;
  learning: boolean;
  gbp: boolean;
  ageingSec: number;
}

const VNI_MAX = 0xff_ffff;
const AGEING_SEC = 300;
/** Linux's own, from before there was an assigned one. */
const LINUX_PORT = 8472;
/** Around a frame: outer IPv4, UDP, VXLAN, inner Ethernet. */
const OVERHEAD_BYTES = 50;

const NO_PORT = `vxlan: destination port not specified
Will use Linux kernel default (non-standard value)
Use 'dstport 4789' to get the IANA assigned value
Use 'dstport 0' to get default and quiet this message
`;

const VXLAN: Grammar<NewVxlan> = {
  bare: "",
  take: (_draft, word) => ({ stderr: `vxlan: unknown command "${word}"?\n`, exitCode: 1 }),
  keywords: [
    valued("id|vni", (draft, text) => {
      const vni = readNumber(text);
      if (vni === undefined || vni > VNI_MAX) return wrongArgument(text, "invalid id");
      draft.vni = vni;
      return undefined;
    }),
    valued("dev", (draft, name) => {
      draft.dev = name;
      return undefined;
    }),
    valued("local", (draft, text) => {
      const addr = readAddress(text);
      if (addr === undefined) return notAnAddress("any valid", "address", text);
      draft.local = addr;
      return undefined;
    }),
    valued("remote", (draft, text) => {
      const addr = readAddress(text);
      if (addr === undefined) return notAnAddress("any valid", "address", text);
      draft.remote = addr;
      return undefined;
    }),
    valued("dstport", (draft, text) => {
      const port = readNumber(text);
      if (port === undefined || port > 0xffff) return wrongArgument(text, "dst port");
      draft.dstPort = port;
      return undefined;
    }),
    flag("learning", (draft) => {
      draft.learning = true;
    }),
    flag("nolearning", (draft) => {
      draft.learning = false;
    }),
    flag("gbp", (draft) => {
      draft.gbp = true;
    }),
    valued("ageing", (draft, text) => {
      const sec = text === "none" ? 0 : readNumber(text);
      if (sec === undefined) return wrongArgument(text, "ageing timer");
      draft.ageingSec = sec;
      return undefined;
    }),
    ...["group", "ttl", "tos", "df", "flowlabel", "srcport", "port", "proxy", "rsc", "l2miss", "l3miss"].map(
      (name) => absent<NewVxlan>(name, "a vxlan device"),
    ),
    ...["maxaddress", "udpcsum", "noudpcsum", "external", "gpe", "vnifilter", "remcsumtx", "remcsumrx"].map(
      (name) => absent<NewVxlan>(name, "a vxlan device"),
    ),
  ],
};

/** `type vxlan id VNI [dev DEV] [local ADDR] [remote ADDR] [dstport PORT] [[no]learning] [ageing SECONDS] [gbp]`. */
export function makeVxlan(
  link: NewLink,
  words: readonly string[],
  cx: CommandContext,
  now: Instant,
): Printed {
  const draft: NewVxlan = { learning: true, gbp: false, ageingSec: AGEING_SEC };
  const complaint = readWords(words, VXLAN, draft);
  if (complaint !== undefined) return complaint;
  const { netns } = cx;
  const { vni, dev: lowerName } = draft;
  const lower = lowerName === undefined ? undefined : netns.device(lowerName);
  if (lowerName !== undefined && lower === undefined) return noSuchDevice(lowerName, 255);
  if (vni === undefined) {
    return netlinkRefusal("Required attributes not provided to perform the operation");
  }
  const made = createVxlan(link, vni, draft, lower, cx, now);
  return draft.dstPort === undefined ? { ...made, stderr: NO_PORT + (made.stderr ?? "") } : made;
}

function createVxlan(
  link: NewLink,
  vni: number,
  draft: NewVxlan,
  lower: NetDevice | undefined,
  { netns, rng }: CommandContext,
  now: Instant,
): Printed {
  const { learning, gbp, ageingSec, local = 0, remote, dstPort = 0 } = draft;
  const name = newName(netns, link.name, "vxlan");
  if (!name.ok) return name.error;
  const refused = checkMtu(link, "MTU must be between 68 and 65535");
  if (refused !== undefined) return refused;
  const port = dstPort === 0 ? LINUX_PORT : dstPort;
  const sibling = vxlanOn(netns, port);
  const vnis = sibling?.vnis;
  if (sibling === undefined || vnis === undefined) return notEmulated(portsOpen(netns, port));
  if (vnis.lookup(vni) !== undefined) {
    return netlinkRefusal("A VXLAN device with the specified VNI already exists");
  }
  const mtuBytes = link.mtuBytes ?? (lower === undefined ? MTU_BYTES : lower.mtuBytes - OVERHEAD_BYTES);
  const options = { vni, learning, gbp, ageingSec, local, dstPort: port };
  const dev = new VxlanDevice(
    netns.ctx,
    name.value,
    link.mac ?? randomMac(rng),
    mtuBytes,
    options,
    sibling.underlay,
  );
  vnis.add(dev);
  if (remote !== undefined) dev.fdb.add(MAC_ZERO, remote, "permanent", now);
  settle(netns, dev, link, now);
  return DONE;
}

/** A device that has this UDP port already: its socket is the one that a further device shares, as in a kernel. */
function vxlanOn(netns: Netns, port: number): VxlanDevice | undefined {
  for (const dev of netns.devices()) {
    if (dev instanceof VxlanDevice && dev.dstPort === port && dev.vnis !== undefined) return dev;
  }
  return undefined;
}

function portsOpen(netns: Netns, port: number): string {
  const open = new Set<number>();
  for (const dev of netns.devices()) if (dev instanceof VxlanDevice) open.add(dev.dstPort);
  const there =
    open.size === 0 ? "no UDP port for VXLAN is open here" : `only ${[...open].join(", ")} is open here`;
  return `a vxlan device on UDP port ${port} (${there})`;
}
