// `bridge fdb add|append|replace|del`: the forwarding databases of bridges and of VXLAN devices.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { type MacAddr, parseMac } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import { Bridge } from "../stack/bridge.ts";
import type { NetDevice } from "../stack/net-device.ts";
import { VxlanDevice } from "../tunnel/vxlan.ts";
import type { VxlanRemoteOptions } from "../tunnel/vxlan-fdb.ts";
import type { CommandContext } from "./command.ts";
import {
  absent,
  flag,
  type Grammar,
  garbage,
  missingWords,
  noSuchDevice,
  notAnAddress,
  readAddress,
  readNumber,
  readWords,
  valued,
  wrongArgument,
} from "./ip-words.ts";
import { DONE, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

type FdbState = "permanent" | "static" | "learned";
export type FdbVerb = "add" | "append" | "replace" | "del";

interface FdbDraft {
  /** As it was given. */
  address?: string;
  dev?: string;
  dst?: Ipv4Addr;
  port?: number;
  vni?: number;
  state: FdbState;
  self?: boolean;
  master?: boolean;
}

const VNI_MAX = 0xff_ffff;
/** Of `bridge`, for everything. */
const EXIT = 255;

const setState = (names: string, state: FdbState) =>
  flag<FdbDraft>(names, (draft) => {
    draft.state = state;
  });

const GRAMMAR: Grammar<FdbDraft> = {
  bare: "to",
  take: (draft, text) => {
    draft.address = text;
    return undefined;
  },
  keywords: [
    valued("dev", (draft, name) => {
      draft.dev = name;
      return undefined;
    }),
    valued("dst", (draft, text) => {
      if (draft.dst !== undefined) return garbage("dst", text);
      const dst = readAddress(text);
      if (dst === undefined) return notAnAddress("any valid", "address", text);
      draft.dst = dst;
      return undefined;
    }),
    valued("port", (draft, text) => {
      const port = readNumber(text);
      if (port === undefined || port > 0xffff) return wrongArgument(text, "invalid port\n");
      draft.port = port;
      return undefined;
    }),
    valued("vni", (draft, text) => {
      const vni = readNumber(text);
      if (vni === undefined || vni > VNI_MAX) return wrongArgument(text, "invalid VNI\n");
      draft.vni = vni;
      return undefined;
    }),
    flag("self", (draft) => {
      draft.self = true;
    }),
    flag("master", (draft) => {
      draft.master = true;
    }),
    setState("local|permanent", "permanent"),
    setState("static|temp", "static"),
    setState("dynamic", "learned"),
    ...["via", "vlan", "use", "extern_learn", "sticky", "router", "src_vni", "nhid"].map((name) =>
      absent<FdbDraft>(name, "a forwarding database's entry"),
    ),
  ],
};

/** `bridge fdb VERB LLADDR dev DEV [dst ADDRESS [port PORT] [vni VNI]] [self] [master] [permanent | static | dynamic]`. */
export function changeFdb(
  verb: FdbVerb,
  words: readonly string[],
  { netns }: CommandContext,
  now: Instant,
): Printed {
  const draft: FdbDraft = { state: "permanent" };
  const complaint = readWords(words, GRAMMAR, draft);
  if (complaint !== undefined) return complaint.exitCode === 2 ? { ...complaint, exitCode: EXIT } : complaint;
  const { address, dev: name, self, master } = draft;
  if (address === undefined || name === undefined) {
    return missingWords("Device and address are required arguments.", EXIT);
  }
  const mac = parseMac(address);
  if (mac === undefined) return missingWords(`Invalid mac address ${address}`, EXIT);
  const dev = netns.device(name);
  if (dev === undefined) return noSuchDevice(name, EXIT);
  const change: Change = { verb, mac, dev, draft, now };
  // Which of the two is meant: the port's place in its bridge, or the device's own table. Without a word, the latter.
  if (master === true) {
    const done = dev.master instanceof Bridge ? inBridge(dev.master, change) : err("Operation not supported");
    if (!done.ok) return netlinkRefusal(done.error, EXIT);
    if (self !== true) return DONE;
  }
  if (dev instanceof VxlanDevice) return answer(inVxlan(dev, change));
  if (dev instanceof Bridge) return answer(inBridge(dev, change));
  return notEmulated(`the list of addresses that ${name} hears ("self")`, EXIT);
}

interface Change {
  readonly verb: FdbVerb;
  readonly mac: MacAddr;
  readonly dev: NetDevice;
  readonly draft: FdbDraft;
  readonly now: Instant;
}

function answer(done: Result<void, string>): Printed {
  return done.ok ? DONE : netlinkRefusal(done.error, EXIT);
}

/** A bridge takes an `append` for a `replace`, and deletes an address only from the port where it is. */
function inBridge({ fdb }: Bridge, { verb, mac, dev, draft, now }: Change): Result<void, string> {
  if (verb === "add") return fdb.add(mac, dev, draft.state, now);
  if (verb !== "del") return fdb.replace(mac, dev, draft.state, now);
  const there = fdb.dump(now).some((entry) => entry.mac === mac && entry.port === dev);
  return there ? fdb.del(mac) : err("No such file or directory");
}

function inVxlan({ fdb }: VxlanDevice, { verb, mac, draft, now }: Change): Result<void, string> {
  const { dst, port, vni, state } = draft;
  if (verb === "del") return fdb.del(mac, dst);
  if (dst === undefined) return err("Invalid argument");
  const options: VxlanRemoteOptions = {
    ...(port === undefined ? {} : { port }),
    ...(vni === undefined ? {} : { vni }),
  };
  if (verb === "add") return fdb.add(mac, dst, state, now, options);
  if (verb === "append") return fdb.append(mac, dst, state, now, options);
  const replaced = fdb.replace(mac, dst, state, now, options);
  return replaced.ok ? ok(undefined) : replaced;
}
