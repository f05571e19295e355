import { readdirSync, readFileSync } from "node:fs";
import { emitAttributes } from "../../src/wire/bgp/attributes/emit-attributes.ts";
import { emitReachable } from "../../src/wire/bgp/emit-update.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { MessageReader } from "../../src/wire/bgp/message-reader.ts";
import type { Negotiated } from "../../src/wire/bgp/negotiated.ts";
import { parseNotification } from "../../src/wire/bgp/notification.ts";
import { parseOpen } from "../../src/wire/bgp/open.ts";
import { formatMessage, formatNotice } from "../../src/wire/bgp/pretty.ts";
import { formatUpdate } from "../../src/wire/bgp/pretty-update.ts";
import { parseRouteRefresh } from "../../src/wire/bgp/route-refresh.ts";
import { type ParsedUpdate, parseUpdate } from "../../src/wire/bgp/update.ts";
import { EBGP, IBGP, written } from "../support/bgp.ts";
import { bytesOf, hexOf } from "../support/dissect.ts";
import { speakerReader } from "./bgp-speaker-target.ts";
import type { FuzzTarget, Reader } from "./harness.ts";

const folder = new URL("../vectors/bgp/", import.meta.url);
const messages = readdirSync(folder)
  .filter((name) => name.endsWith(".hex"))
  .map((name) => bytesOf(readFileSync(new URL(name, folder), "utf8")));
const ofType = (type: number) => messages.filter((one) => one[18] === type);

const BOTH = [Family.IPV4_UNICAST, Family.IPV6_UNICAST];
const sessions: readonly Negotiated[] = [
  IBGP,
  EBGP,
  { ...EBGP, as4: false, enforceFirstAs: false },
  { ...IBGP, addPathRx: BOTH, addPathTx: BOTH, extNextHop: [Family.IPV4_UNICAST], confederationMember: true },
];

/** Marker, length and type as they must be. */
function repair(bytes: Uint8Array, end: number): void {
  if (end < 19) return;
  bytes.fill(0xff, 0, 16);
  bytes[16] = end >>> 8;
  bytes[17] = end;
  bytes[18] = ((bytes[18] as number) % 5) + 1;
}

/** A header that is right about its message, whose type stays. */
function repairLength(bytes: Uint8Array, end: number): void {
  if (end < 19) return;
  bytes.fill(0xff, 0, 16);
  bytes[16] = end >>> 8;
  bytes[17] = end;
}

/** Lengths that add up, with the last four octets for the NLRI. */
function repairUpdate(bytes: Uint8Array, end: number): void {
  if (end < 27) return;
  let withdrawn = ((bytes[19] as number) << 8) | (bytes[20] as number);
  if (withdrawn > end - 27) withdrawn = 0;
  bytes[19] = withdrawn >>> 8;
  bytes[20] = withdrawn;
  const attributes = end - 27 - withdrawn;
  bytes[21 + withdrawn] = attributes >>> 8;
  bytes[22 + withdrawn] = attributes;
}

const cut = (read: (message: Uint8Array) => string): (() => Reader) => {
  return () => (bytes, end) => read(bytes.subarray(0, end));
};

/** What was accepted must be accepted again when we send it, and say the same. */
function sendOn(parsed: ParsedUpdate, ctx: Negotiated): void {
  const { attributes } = parsed;
  const first = parsed.announced[0];
  if (attributes === undefined || first === undefined) return;
  const classic = first.prefixes.family === Family.IPV4_UNICAST && typeof first.nextHop === "number";
  const sent = { ...attributes, nextHop: classic ? (first.nextHop as number) : undefined };
  const block = emitAttributes(sent, ctx);
  const bytes = written((out) =>
    emitReachable(
      out,
      { ...ctx, txMaxBytes: 65535 },
      block,
      first.prefixes,
      classic ? undefined : first.nextHop,
    ),
  );
  const again = parseUpdate(bytes, ctx);
  if (again.rung !== "none") throw new Error(`we sent what we refuse: ${again.errors[0]?.message}`);
  const back = again.attributes === undefined ? "" : hexOf(emitAttributes(again.attributes, ctx));
  if (back !== hexOf(block)) throw new Error("what we sent on came back as something else");
}

function update(message: Uint8Array): string {
  return sessions
    .map((ctx) => {
      const parsed = parseUpdate(message, ctx);
      sendOn(parsed, ctx);
      return `${parsed.rung} ${parsed.errors.length} ${formatUpdate(parsed)}`;
    })
    .join("|");
}

/** Two chunks, cut in the middle of the input; a broken stream begins anew. */
function stream(): Reader {
  let reader = new MessageReader();
  return (bytes, end) => {
    let seen = "";
    for (const chunk of [bytes.slice(0, end >>> 1), bytes.slice(end >>> 1, end)]) {
      reader.push(chunk);
      for (let next = reader.next(); next !== undefined; next = reader.next()) seen += `${next.length} `;
      if (reader.stashed > 4096) throw new Error("more was kept than a message");
    }
    if (reader.error !== undefined) reader = new MessageReader();
    return seen;
  };
}

export const bgpTargets: readonly FuzzTarget[] = [
  { name: "bgp update", seeds: ofType(2), repair: repairUpdate, create: cut(update) },
  {
    name: "bgp open",
    seeds: ofType(1),
    create: cut((message) => {
      const parsed = parseOpen(message);
      return JSON.stringify(parsed.ok ? parsed.value : parsed.error);
    }),
  },
  {
    name: "bgp notification and route refresh",
    seeds: [...ofType(3), ...ofType(5)],
    create: cut((message) => {
      const refresh = parseRouteRefresh(message);
      return formatNotice(parseNotification(message)) + JSON.stringify(refresh);
    }),
  },
  { name: "bgp stream", seeds: messages, repair, create: stream },
  { name: "bgp pretty", seeds: messages, repair, create: cut((message) => formatMessage(message)) },
  { name: "bgp speaker", seeds: messages, repair: repairLength, create: speakerReader },
];
