// The file of `podloom router`: interfaces, the keys of a speaker's file, and what an announcer watches.
import * as z from "zod/mini";
import { parseCidr } from "../../base/ipv4-addr.ts";
import type { Result } from "../../base/result.ts";
import { DocumentError } from "../../io/document/problem.ts";
import { type DocumentKind, readDocument } from "../../io/document/read-document.ts";
import type { JsonSchema } from "../../io/document/schema-remedy.ts";
import { STORE_CLIENTS } from "../../io/etcd/open-transport.ts";
import { readSpeakerText } from "../speaker/file/read-file.ts";
import { speakerFileSchema } from "../speaker/file/speaker-schema.ts";
import { about, asNumber, identifier, name, nodeAddress, oneOf, whole } from "../speaker/file/values.ts";

/** Longest file that is read, in bytes. */
const BYTES_MAX = 8 * 1024 * 1024;
const NICS_MAX = 64;
const GATEWAYS_MAX = 64;

const cidr = z.pipe(
  z.string(),
  z.transform((text: string, cx) => {
    const parsed: Result<{ addr: number; len: number }, string> = parseCidr(text);
    if (parsed.ok && parsed.value.len <= 30) return parsed.value;
    cx.issues.push({
      code: "custom",
      message: "must be an address with the length of its segment",
      input: text,
    });
    return z.NEVER;
  }),
);

const nic = z.strictObject({
  name: about(z.string().check(z.regex(/^[a-z][a-z0-9.-]{0,14}$/)), "The interface's name, such as eth0."),
  address: about(cidr, "Its address with the length of its segment, such as 10.20.0.1/24."),
});

const notAlone = {
  apiVersion: true,
  kind: true,
  name: true,
  routerId: true,
  address: true,
  address6: true,
  carrier: true,
  metrics: true,
  capture: true,
} as const;

/** What a speaker's file says, apart from what the router itself is. */
const bgp = z.extend(z.omit(speakerFileSchema, notAlone), {
  routerId: z.exactOptional(identifier("Our BGP identifier; default: the first interface's address.")),
});

const announcer = z.strictObject({
  etcd: about(
    z.array(z.string().check(z.regex(/^https?:\/\/[^\s/,]+$/))).check(z.minLength(1), z.maxLength(16)),
    "Where the store is: http://host:port.",
  ),
  storeClient: z.exactOptional(
    oneOf(STORE_CLIENTS, "How the store is spoken to: slim (default), or through the etcd3 package."),
  ),
  as: asNumber("Our AS number."),
  gateways: about(
    z.array(nodeAddress("A gateway.", "10.20.0.1")).check(z.minLength(1), z.maxLength(GATEWAYS_MAX)),
    "Whom the blocks are announced to.",
  ),
  port: about(whole(1, 65_535, "TCP port of the gateways."), "TCP port of the gateways."),
});

export const routerFileSchema = z.strictObject({
  apiVersion: about(z.literal("podloom/v1"), "podloom/v1, always."),
  kind: about(z.literal("Router"), "Router, always."),
  name: name("The router's name", "tor1"),
  carrier: z.exactOptional(oneOf(["host", "loopback"], "How addresses are carried; default host.")),
  mtu: z.exactOptional(whole(576, 65_535, "MTU of its interfaces in bytes; default 1500.")),
  interfaces: about(
    z.array(nic).check(z.minLength(1), z.maxLength(NICS_MAX)),
    "Its interfaces, one a segment.",
  ),
  bgp: z.exactOptional(about(bgp, "Its BGP: the keys of a `podloom bgp` file.")),
  announcer: z.exactOptional(about(announcer, "Announce the blocks that the store knows of.")),
});

export type RouterFile = z.output<typeof routerFileSchema>;

const KIND: DocumentKind<RouterFile> = {
  what: "a router's file",
  bytesMax: BYTES_MAX,
  smallest: "The smallest has apiVersion: podloom/v1, kind: Router, name and interfaces.",
  schema: routerFileSchema,
  jsonSchema: () => z.toJSONSchema(routerFileSchema, { io: "input" }) as JsonSchema,
  secretKeys: ["password"],
};

/** The refusal of a router's file. */
export function routerFileError(
  path: string,
  problems: ConstructorParameters<typeof DocumentError>[2],
): DocumentError {
  return new DocumentError("PL_ROUTER_FILE", path, problems);
}

/** @throws DocumentError PL_ROUTER_FILE */
export function readRouterFile(path: string) {
  const read = readDocument(readSpeakerText(path), KIND);
  if (!read.ok) throw routerFileError(path, read.error);
  return read.value;
}
