// bridge, as iproute2 6.1 prints it. The groups that a kernel's devices listen to ("33:33:… self
// permanent") are not in it: the emulated devices hear every group.
import { formatIpv4 } from "../base/ipv4-addr.ts";
import { formatMac } from "../base/mac-addr.ts";
import { ok } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import { Bridge } from "../stack/bridge.ts";
import type { NetDevice } from "../stack/net-device.ts";
import { Veth } from "../stack/veth.ts";
import { VxlanDevice } from "../tunnel/vxlan.ts";
import { changeFdb, type FdbVerb } from "./bridge-fdb-change.ts";
import type { CommandContext } from "./command.ts";
import { readFilters } from "./ip-filter.ts";
import { adminFlags } from "./link-state.ts";
import { type Printed, PrintedCommand } from "./printed-command.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const USAGE: readonly string[] = [
  "Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }",
  "where  OBJECT := { link | fdb }",
  "       OPTIONS := { -d[etails] }",
  "       bridge link { show }",
  "       bridge fdb { add | append | replace | del } LLADDR dev DEV",
  "              { self | master } [ permanent | static | dynamic ] [ dst IPADDR ] [ port PORT ] [ vni VNI ]",
  "       bridge fdb [ show [ br BRDEV ] [ brport DEV ] ]",
];

const FDB_VERBS: readonly (readonly [full: string, verb: FdbVerb])[] = [
  ["add", "add"],
  ["append", "append"],
  ["replace", "replace"],
  ["delete", "del"],
];

/** Reads bridge's arguments: `bridge [-d] fdb|link [COMMAND …]`. */
export function parseBridge(args: readonly string[], cx: CommandContext): ParsedCommand {
  let details = false;
  let at = 0;
  for (; at < args.length && (args[at] as string).startsWith("-"); at++) {
    const word = args[at] as string;
    if (word.length < 2 || !"-details".startsWith(word)) {
      return usageError(255, `Option "${word}" is unknown, try "bridge help".`, ...USAGE);
    }
    details = true;
  }
  const [name, verb = "show", ...words] = args.slice(at);
  if (name === undefined || name === "help") return usageError(255, ...USAGE);
  const object = ["link", "fdb"].find((full) => full.startsWith(name));
  if (object === undefined) {
    return usageError(255, `Object "${name}" is unknown, try "bridge help".`, "Objects here: link, fdb.");
  }
  if (verb === "help") return usageError(255, ...USAGE);
  const changes = object === "fdb" ? FDB_VERBS : [];
  const change = changes.find(([full]) => full.startsWith(verb));
  if (change !== undefined) return ok(new PrintedCommand((now) => changeFdb(change[1], words, cx, now)));
  if (!["show", "list", "lst"].some((full) => full.startsWith(verb))) {
    const there = [...changes.map(([full]) => full), "show", "list"].join(", ");
    return usageError(
      255,
      `Command "${verb}" is unknown, try "bridge ${object} help".`,
      `Commands of bridge ${object} here: ${there}.`,
    );
  }
  const show = object === "fdb" ? showFdb : showPorts;
  return ok(new PrintedCommand((now) => show(words, details, cx, now)));
}

interface FdbLine {
  readonly mac: string;
  /** The device that `dev` names: the vxlan device, or the port. */
  readonly dev: NetDevice;
  readonly bridge: NetDevice | undefined;
  readonly state: "permanent" | "static" | "";
  readonly rest: string;
}

const FDB_FILTERS = {
  valued: ["dev", "brport", "br"],
  flags: ["permanent", "static", "dynamic"],
  bare: "dev",
};

/** `bridge fdb show [dev DEV | brport DEV] [br BRIDGE] [permanent | static | dynamic]`. */
function showFdb(words: readonly string[], _details: boolean, cx: CommandContext, now: Instant): Printed {
  const filters = readFilters(words, FDB_FILTERS);
  if (!filters.ok) return filters.error;
  const { value: given } = filters;
  const name = given.get("dev") ?? given.get("brport");
  const br = given.get("br");
  for (const wanted of [name, br]) {
    if (wanted === undefined || cx.netns.device(wanted) !== undefined) continue;
    return { stderr: `Cannot find device "${wanted}"\n`, exitCode: 255 };
  }
  const state = (["permanent", "static", "dynamic"] as const).find((one) => given.has(one));
  let stdout = "";
  for (const line of fdbLines(cx, now)) {
    if (name !== undefined && line.dev.name !== name) continue;
    if (br !== undefined && line.bridge?.name !== br) continue;
    if (state !== undefined && line.state !== (state === "dynamic" ? "" : state)) continue;
    const dev = name === undefined ? ` dev ${line.dev.name}` : "";
    stdout += `${line.mac}${dev} ${line.rest} ${line.state}\n`;
  }
  return { stdout, exitCode: 0 };
}

function fdbLines(cx: CommandContext, now: Instant): FdbLine[] {
  const lines: FdbLine[] = [];
  for (const dev of cx.netns.devices()) {
    if (dev instanceof Bridge) {
      for (const { mac, port, state } of dev.fdb.dump(now)) {
        const rest = `master ${dev.name}`;
        lines.push({ mac: formatMac(mac), dev: port, bridge: dev, state: shown(state), rest });
      }
    } else if (dev instanceof VxlanDevice) {
      for (const { mac, remote, port, vni, state } of dev.fdb.dump(now)) {
        const other = `${port === 0 ? "" : ` port ${port}`}${vni < 0 ? "" : ` vni ${vni}`}`;
        const rest = `dst ${formatIpv4(remote)}${other} self`;
        lines.push({ mac: formatMac(mac), dev, bridge: undefined, state: shown(state), rest });
      }
    }
  }
  return lines;
}

function shown(state: "permanent" | "static" | "learned"): FdbLine["state"] {
  return state === "learned" ? "" : state;
}

/** `bridge link show [dev PORT]`. */
function showPorts(words: readonly string[], details: boolean, cx: CommandContext, _now: Instant): Printed {
  const filters = readFilters(words, { valued: ["dev"], flags: [], bare: "dev" });
  if (!filters.ok) return filters.error;
  const name = filters.value.get("dev");
  if (name !== undefined && cx.netns.device(name) === undefined) {
    return { stderr: `Cannot find device "${name}"\n`, exitCode: 255 };
  }
  let stdout = "";
  for (const dev of cx.netns.devices()) {
    if (name !== undefined && dev.name !== name) continue;
    if (dev.master instanceof Bridge) stdout += formatPort(dev, dev.master, details, cx);
  }
  return { stdout, exitCode: 0 };
}

function formatPort(dev: NetDevice, bridge: Bridge, details: boolean, cx: CommandContext): string {
  const flags = adminFlags(cx.netns, dev).join(",");
  const state = dev.running ? "forwarding" : "disabled";
  const line = `${dev.ifindex}: ${dev.name}${lower(dev, cx)}: <${flags}> mtu ${dev.mtuBytes} master ${bridge.name} state ${state} priority 32 cost 2 \n`;
  if (!details) return line;
  const hairpin = bridge.ports.find((port) => port.dev === dev)?.hairpin === true ? "on" : "off";
  return `${line}    hairpin ${hairpin} guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated off locked off \n`;
}

/** What follows the @: bridge(8) reads the other end's number as one of this namespace, wherever that end is. */
function lower(dev: NetDevice, cx: CommandContext): string {
  const peer = dev instanceof Veth ? dev.peer : undefined;
  if (peer === undefined) return "";
  return `@${cx.netns.deviceByIndex(peer.ifindex)?.name ?? `if${peer.ifindex}`}`;
}
