// What the values of a speaker's file look like, and what becomes of them. Each is text or a number with bounds; its example and
// its description are shown to whoever writes another.
import * as z from "zod/mini";
import { type Ipv4Addr, parseIpv4 } from "../../../base/ipv4-addr.ts";
import { NAME_PATTERN, NAME_RULE } from "../../../base/name-rule.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { PrefixMatch } from "../../../routing/bgp/policy/policy.ts";
import { parseRibAddress, parseRibPrefix } from "../../../routing/bgp/rib/prefix-text.ts";
import type { RibPrefix } from "../../../routing/bgp/rib/route.ts";
import {
  type ExtCommunity,
  type LargeCommunity,
  parseCommunity,
  parseExtCommunity,
  parseLargeCommunity,
} from "../../../wire/bgp/communities.ts";
import { Family } from "../../../wire/bgp/family.ts";
import { type Ipv6Addr, parseIpv6 } from "../../../wire/bgp/ipv6-addr.ts";
import { isMartianNextHop, type NextHop } from "../../../wire/bgp/next-hop.ts";

/** What an editor shows about a value. */
interface Meta {
  readonly description: string;
  readonly examples?: string[];
}

/** Gives a schema its description. */
export function about<S extends z.ZodMiniType>(schema: S, description: string): S {
  z.globalRegistry.add(schema, { description });
  return schema;
}

/** Text that `read` turns into something; refused: what it must do, to follow "must". */
function text<T>(read: (value: string) => Result<T, string>, { description, examples }: Meta) {
  const schema = z.string();
  // On the text itself: what is made of it is not what the file says.
  z.globalRegistry.add(schema, examples === undefined ? {} : { examples });
  const piped = z.pipe(
    schema,
    z.transform((value: string, cx): T => {
      const got = read(value);
      if (got.ok) return got.value;
      cx.issues.push({ code: "custom", message: `must ${got.error}`, input: value });
      return z.NEVER;
    }),
  );
  z.globalRegistry.add(piped, { description });
  return piped;
}

function parsed<T>(
  parse: (value: string) => T | undefined,
  wanted: string,
): (value: string) => Result<T, string> {
  return (value) => {
    const got = parse(value);
    return got === undefined ? err(wanted) : ok(got);
  };
}

export function whole(min: number, max: number, description: string) {
  return about(z.int().check(z.minimum(min), z.maximum(max)), description);
}

export function flag(description: string) {
  return about(z.boolean(), description);
}

export function oneOf<const T extends readonly [string, ...string[]]>(words: T, description: string) {
  return about(z.enum(words), description);
}

/** A name as labs and nodes have them. */
export function name(description: string, example: string) {
  const schema = z.string().check(z.regex(NAME_PATTERN, { error: `must be ${NAME_RULE}` }));
  z.globalRegistry.add(schema, { description: `${description}: ${NAME_RULE}.`, examples: [example] });
  return schema;
}

/** One, or a list of them, which comes out as a list. */
export function oneOrMore<S extends z.ZodMiniType>(schema: S, description: string, max = 10_000) {
  const list = z.array(schema).check(z.minLength(1), z.maxLength(max));
  return about(
    z.pipe(
      z.union([schema, list]),
      z.transform((value): z.output<S>[] => (Array.isArray(value) ? value : [value]) as z.output<S>[]),
    ),
    description,
  );
}

/** @rfc 6793#9 23456 stands for numbers that an old speaker cannot read: nobody has it. */
export function asNumber(description: string) {
  const schema = z.int().check(
    z.minimum(1),
    z.maximum(0xffffffff),
    z.refine((value) => value !== 23_456, { error: "must be an AS number of somebody: 23456 is AS_TRANS" }),
  );
  return about(schema, description);
}

/** An address that a node can have. */
export function nodeAddress(description: string, example: string) {
  return text<Ipv4Addr>(
    (value) => {
      const addr = parseIpv4(value);
      if (addr === undefined) return err("be an IPv4 address");
      return isMartianNextHop(addr) ? err("be an address that a node can have") : ok(addr);
    },
    { description, examples: [example] },
  );
}

/** An identifier, which looks like an address. @rfc 6286#2.1 */
export function identifier(description: string) {
  return text<Ipv4Addr>(
    (value) => {
      const id = parseIpv4(value);
      return id === undefined || id === 0 ? err("be an identifier like 10.0.0.1, not 0.0.0.0") : ok(id);
    },
    { description, examples: ["10.0.0.1"] },
  );
}

export function ipv6Address(description: string) {
  return text<Ipv6Addr>(
    (value) => {
      const addr = parseIpv6(value);
      const usable = addr !== undefined && !isMartianNextHop({ global: addr, linkLocal: undefined });
      return usable ? ok(addr) : err("be an IPv6 address of a node");
    },
    { description, examples: ["fd00::1"] },
  );
}

/** A prefix of either family. */
export function anyPrefix(description: string) {
  return text<RibPrefix>(parseRibPrefix, { description, examples: ["10.244.1.0/24"] });
}

/** An IPv4 prefix. */
export function ipv4Prefix(description: string, example: string) {
  return text<RibPrefix>(
    (value) => {
      const prefix = parseRibPrefix(value);
      if (prefix.ok && prefix.value.family !== Family.IPV4_UNICAST) return err("be an IPv4 prefix");
      return prefix;
    },
    { description, examples: [example] },
  );
}

function readNextHop(value: string): Result<NextHop, string> {
  const address = parseRibAddress(value);
  if (address === undefined) return err("be an IPv4 or IPv6 address");
  const { family, a, b, c, d } = address;
  const hop: NextHop = family === Family.IPV4_UNICAST ? a : { global: { a, b, c, d }, linkLocal: undefined };
  return isMartianNextHop(hop) ? err("be an address that something can be sent to") : ok(hop);
}

/** The next hop that is meant, or our own address. */
export function nextHopOrSelf(description: string) {
  return text<NextHop | "self">((value) => (value === "self" ? ok("self" as const) : readNextHop(value)), {
    description,
    examples: ["self"],
  });
}

const BOUND = /^(ge|le) (\d{1,3})$/;

/** "10.0.0.0/8", "10.0.0.0/8 ge 24", "10.0.0.0/8 le 28", "10.0.0.0/8 ge 24 le 28". */
export function prefixRange(description: string) {
  return text<PrefixMatch>(readPrefixRange, { description, examples: ["10.0.0.0/8 ge 24 le 28"] });
}

function readPrefixRange(value: string): Result<PrefixMatch, string> {
  const [first = "", ...bounds] = value.trim().split(/\s+(?=[gl]e\s)/);
  const prefix = parseRibPrefix(first.trim());
  if (!prefix.ok) return prefix;
  const { family, len } = prefix.value;
  const bits = family === Family.IPV4_UNICAST ? 32 : 128;
  const given = new Map<string, number>();
  for (const bound of bounds) {
    const [, word, number] = BOUND.exec(bound.replace(/\s+/g, " ")) ?? [];
    if (word === undefined || given.has(word))
      return err('be a prefix, then perhaps "ge" and "le" with a length each');
    given.set(word, Number(number));
  }
  const lenMin = given.get("ge") ?? len;
  const lenMax = given.get("le") ?? (given.has("ge") ? bits : lenMin);
  if (lenMin < len || lenMax > bits || lenMin > lenMax) {
    return err(`name lengths from ${len} to ${bits}, the smaller one after "ge"`);
  }
  return ok({ family, prefix: prefixOfFamily(prefix.value), lenMin, lenMax });
}

function prefixOfFamily({ family, a, b, c, d, len }: RibPrefix): PrefixMatch["prefix"] {
  return family === Family.IPV4_UNICAST ? { addr: a, len } : { a, b, c, d, len };
}

/** An address, or a prefix of addresses. */
export function nextHopRange(description: string) {
  return text<PrefixMatch>(
    (value) => {
      const address = parseRibAddress(value);
      const prefix = address === undefined ? parseRibPrefix(value) : ok(address);
      return prefix.ok ? ok({ family: prefix.value.family, prefix: prefixOfFamily(prefix.value) }) : prefix;
    },
    { description, examples: ["10.0.0.0/8"] },
  );
}

export function community(description: string) {
  return text<number>(parsed(parseCommunity, "be a community like 64512:100 or no-export"), {
    description,
    examples: ["64512:100"],
  });
}

export function largeCommunity(description: string) {
  return text<LargeCommunity>(parsed(parseLargeCommunity, "be a large community like 64512:1:2"), {
    description,
    examples: ["64512:1:2"],
  });
}

export function extCommunity(description: string) {
  return text<ExtCommunity>(parsed(parseExtCommunity, "be an extended community like rt:64512:1"), {
    description,
    examples: ["rt:64512:1"],
  });
}

/** Where a process listens: "127.0.0.1:9179", "[::1]:9179". */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Undefined when it is none. */
export function parseHostPort(value: string): HostPort | undefined {
  const [, v6, v4, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(value) ?? [];
  const host = v6 ?? v4;
  if (host === undefined || Number(port) > 65_535) return undefined;
  const valid = v6 === undefined ? parseIpv4(host) !== undefined : parseIpv6(host) !== undefined;
  return valid ? { host, port: Number(port) } : undefined;
}

export function hostPort(description: string) {
  return text<HostPort>(parsed(parseHostPort, "be an address and a port like 127.0.0.1:9179"), {
    description,
    examples: ["127.0.0.1:9179"],
  });
}

/** Text of bounded length. */
export function words(maxLength: number, description: string, example: string) {
  const schema = z
    .string()
    .check(
      z.minLength(1, { error: "must not be empty" }),
      z.maxLength(maxLength, { error: `must have at most ${maxLength} characters` }),
    );
  z.globalRegistry.add(schema, { description, examples: [example] });
  return schema;
}
