// What `show protocols all` says of a neighbour, as BIRD says it; what we do not know (the statistics of routes as they changed, the
// tables of an IGP) is left out rather than made up.
import { printable } from "../../base/printable.ts";
import { faultWords } from "../../routing/bgp/speaker/bird-fault.ts";
import { protocolState, stateWord } from "../../routing/bgp/speaker/bird-state.ts";
import type { BgpFamilyRow, BgpPeerRow } from "../../routing/bgp/speaker/inspect.ts";
import type { BgpCapabilitiesRow } from "../../routing/bgp/speaker/inspect-session.ts";
import { timerText } from "./bird-time.ts";
import { familyWord, tableOf } from "./family-word.ts";

export function peerDetails(peer: BgpPeerRow): readonly string[] {
  const text = peer.enabled && peer.state !== "Established" ? peer.downText : undefined;
  const fault = faultWords(peer);
  const state = protocolState(peer);
  return [
    ...(text === undefined ? [] : [`  Message:        ${printable(text)}`]),
    item("  BGP state", stateWord(peer)),
    item("    Neighbor address", peer.addr),
    ...(peer.port === undefined ? [] : [item("    Neighbor port", String(peer.port))]),
    item("    Neighbor AS", peer.as),
    item("    Local AS", String(peer.localAs)),
    ...(peer.families.some(({ stale }) => stale) ? ["    Neighbor graceful restart active"] : []),
    ...(state === "start" && peer.backOffSec !== undefined
      ? [item("    Error wait", `${timerText(peer.backOffSec)}/-`)]
      : []),
    ...(state === "up" ? sessionLines(peer) : []),
    ...(fault === "" ? [] : [item("    Last error", fault)]),
    ...peer.families.flatMap((family) => channelLines(peer, family)),
  ];
}

/** The value begins in column 22. */
function item(name: string, value: string): string {
  return `${`${name}:`.padEnd(21)} ${value}`;
}

function sessionLines(peer: BgpPeerRow): string[] {
  const { announced, heard, role, holdTimeSec = 0, keepaliveSec = 0 } = peer;
  const as4 = announced?.as4 === true && heard?.as4 === true;
  const kind = role === "external" ? "external" : "internal";
  const timer = (left: number | undefined, of: number): string => `${timerText(left ?? 0)}/${of}`;
  return [
    item("    Neighbor ID", peer.bgpId ?? ""),
    ...(announced === undefined ? [] : ["    Local capabilities", ...capabilityLines(announced)]),
    ...(heard === undefined ? [] : ["    Neighbor capabilities", ...capabilityLines(heard)]),
    item("    Session", `${kind}${role === "rr-client" ? " route-reflector" : ""}${as4 ? " AS4" : ""}`),
    item("    Source address", peer.localAddr),
    item("    Hold timer", timer(peer.holdLeftSec, holdTimeSec)),
    item("    Keepalive timer", timer(peer.keepaliveLeftSec, keepaliveSec)),
  ];
}

function capabilityLines(row: BgpCapabilitiesRow): string[] {
  const list = (name: string, families: readonly string[]): string =>
    `        ${name}:${families.map((family) => ` ${familyWord(family)}`).join("")}`;
  const { gracefulRestart: restart } = row;
  const lines: string[] = [];
  if (row.families.length > 0) lines.push("      Multiprotocol", list("AF announced", row.families));
  if (row.routeRefresh) lines.push("      Route refresh");
  if (row.extendedNextHop.length > 0) {
    lines.push("      Extended next hop", list("IPv6 nexthop", row.extendedNextHop));
  }
  if (row.extendedMessages) lines.push("      Extended message");
  if (restart !== undefined) {
    lines.push("      Graceful restart");
    if (restart.families.length > 0) {
      lines.push(`        Restart time: ${restart.restartTimeSec}`);
      if (restart.restarting) lines.push("        Restart recovery");
      lines.push(list("AF supported", restart.families), list("AF preserved", restart.preserved));
    }
  }
  if (row.as4) lines.push("      4-octet AS numbers");
  if (row.addPathReceive.length + row.addPathSend.length > 0) {
    lines.push("      ADD-PATH", list("RX", row.addPathReceive), list("TX", row.addPathSend));
  }
  if (row.enhancedRefresh) lines.push("      Enhanced refresh");
  if (row.longLived) lines.push("      Long-lived graceful restart");
  if (row.hostname !== undefined) lines.push(`      Hostname: ${printable(row.hostname)}`);
  return lines;
}

/** Where IPv4 routes of neighbours stand, as in BIRD, among those of other protocols. */
const PREFERENCE = "100";

function channelLines(peer: BgpPeerRow, family: BgpFamilyRow): string[] {
  const up = peer.state === "Established";
  const spoken = up && peer.heard?.families.includes(family.family) !== false;
  const state = spoken ? "UP" : family.stale ? "START" : "DOWN";
  const value = (name: string, text: string): string => `${`    ${name}:`.padEnd(19)} ${text}`;
  const lines = [
    `  Channel ${familyWord(family.family)}`,
    value("State", state),
    value("Table", tableOf(family.family)),
    value("Preference", PREFERENCE),
    value("Input filter", filterWord(peer.importPolicy)),
    value("Output filter", filterWord(peer.exportPolicy)),
  ];
  if (family.limit !== undefined) lines.push(value("Import limit", String(family.limit)));
  if (state === "DOWN") return lines;
  lines.push(value("Routes", routesText(family)));
  if (state === "START") lines.push(value("Neighbor GR", "Regular"));
  else if (familyWord(family.family) === "ipv4") lines.push(value("BGP Next hop", peer.localAddr));
  return lines;
}

function routesText({ received, accepted, preferred, advertised }: BgpFamilyRow): string {
  const filtered = received > accepted ? `, ${received - accepted} filtered` : "";
  return `${accepted} imported${filtered}, ${advertised} exported, ${preferred} preferred`;
}

function filterWord(policy: string): string {
  if (policy === "all") return "ACCEPT";
  return policy === "none" ? "REJECT" : policy;
}
