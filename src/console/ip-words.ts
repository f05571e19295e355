// How iproute2 reads the words of a change: from left to right, keywords with their values in any order, and one bare word, which is
// what the change is about. Its complaints, word for word.
import { type Ipv4Addr, netmask } from "../base/ipv4-addr.ts";
import { notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

export interface Keyword<T> {
  readonly names: readonly string[];
  /** May it be shortened to any beginning of it? */
  readonly short: boolean;
  /** Does a value follow? */
  readonly valued: boolean;
  /** Notes what was given. @returns the complaint */
  readonly take: (draft: T, value: string) => Printed | undefined;
}

export interface Grammar<T> {
  /** The first that fits counts. */
  readonly keywords: readonly Keyword<T>[];
  /** The word that may stand before the bare word, and what messages call it. */
  readonly bare: string;
  /** Notes the bare word. @returns the complaint */
  readonly take: (draft: T, word: string) => Printed | undefined;
}

/** A keyword with a value; one that ends in `*` may be shortened. */
export function valued<T>(names: string, take: Keyword<T>["take"]): Keyword<T> {
  const short = names.endsWith("*");
  return { names: names.replace(/\*$/, "").split("|"), short, valued: true, take };
}

/** A keyword alone. */
export function flag<T>(names: string, take: (draft: T) => void): Keyword<T> {
  return {
    names: names.split("|"),
    short: false,
    valued: false,
    take: (draft) => {
      take(draft);
      return undefined;
    },
  };
}

/** Keywords that Linux knows, and that mean nothing here. @param of ends the sentence: `"mtu" of a route` */
export function absent<T>(names: string, of: string): Keyword<T> {
  return {
    names: names.split("|"),
    short: false,
    valued: false,
    take: () => notEmulated(`"${names.split("|")[0]}" of ${of}`),
  };
}

/** Reads all words into the draft. @returns the first complaint */
export function readWords<T>(words: readonly string[], grammar: Grammar<T>, draft: T): Printed | undefined {
  let named = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const keyword = grammar.keywords.find(({ names, short }) =>
      names.some((name) => name === word || (short && name.startsWith(word))),
    );
    let complaint: Printed | undefined;
    if (keyword === undefined) {
      const bare = word === grammar.bare ? words[++i] : word;
      if (bare === undefined) return NOT_COMPLETE;
      if (named) return garbage(grammar.bare, bare);
      named = true;
      complaint = grammar.take(draft, bare);
    } else if (keyword.valued) {
      const value = words[++i];
      if (value === undefined) return NOT_COMPLETE;
      complaint = keyword.take(draft, value);
    } else complaint = keyword.take(draft, "");
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

const EXIT_USAGE = 255;

export const NOT_COMPLETE: Printed = {
  stderr: 'Command line is not complete. Try option "help"\n',
  exitCode: EXIT_USAGE,
};

export function garbage(name: string, word: string): Printed {
  return {
    stderr: `Error: either "${name}" is duplicate, or "${word}" is a garbage.\n`,
    exitCode: EXIT_USAGE,
  };
}

/** A value that its keyword cannot have. @param why some of iproute2's texts bring a line end of their own */
export function wrongArgument(word: string, why: string): Printed {
  return { stderr: `Error: argument "${word}" is wrong: ${why}\n`, exitCode: EXIT_USAGE };
}

/** @param kind "inet", or "any valid" where another family could have stood */
export function notAnAddress(kind: "inet" | "any valid", what: "address" | "prefix", text: string): Printed {
  // An address of IPv6 is one, but not of a family that is here.
  const family = text.includes(":") ? "inet" : kind;
  return { stderr: `Error: ${family} ${what} is expected rather than "${text}".\n`, exitCode: 1 };
}

export function noSuchDevice(name: string, exitCode = 1): Printed {
  return { stderr: `Cannot find device "${name}"\n`, exitCode };
}

export function missingWords(text: string, exitCode: number): Printed {
  return { stderr: `${text}\n`, exitCode };
}

const U32_MAX = 0xffff_ffff;

/** A number as `strtoul` reads it: decimal, 0x… or 0…; undefined for what is none or has more than 32 bits. */
export function readNumber(text: string): number | undefined {
  if (!/^(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.test(text)) return undefined;
  const octal = text.length > 1 && /^0\d/.test(text);
  const number = octal ? Number.parseInt(text, 8) : Number(text);
  return number <= U32_MAX ? number : undefined;
}

/** An address as iproute2 reads one: octets that are left out at the end are zero. */
export function readAddress(text: string): Ipv4Addr | undefined {
  const octets = text.split(".");
  if (octets.length > 4) return undefined;
  let addr = 0;
  for (let i = 0; i < 4; i++) {
    const octet = readNumber(octets[i] ?? "0");
    if (octet === undefined || octet > 255) return undefined;
    addr = addr * 256 + octet;
  }
  return addr;
}

export interface PrefixWord {
  readonly addr: Ipv4Addr;
  readonly len: number;
  /** Was the length given? Otherwise it is 32. */
  readonly explicit: boolean;
}

/** `ADDRESS[/LEN]`, or `ADDRESS/MASK`. Host bits stay. */
export function readPrefix(text: string): PrefixWord | undefined {
  const slash = text.indexOf("/");
  const addr = readAddress(slash < 0 ? text : text.slice(0, slash));
  if (addr === undefined) return undefined;
  if (slash < 0) return { addr, len: 32, explicit: false };
  const len = readLength(text.slice(slash + 1));
  return len === undefined ? undefined : { addr, len, explicit: true };
}

function readLength(text: string): number | undefined {
  const len = readNumber(text);
  if (len !== undefined) return len <= 32 ? len : undefined;
  const mask = text.includes(".") ? readAddress(text) : undefined;
  return mask === undefined ? undefined : maskLength(mask);
}

/** Of a network mask; undefined when its ones are not together. */
export function maskLength(mask: number): number | undefined {
  for (let len = 0; len <= 32; len++) if (netmask(len) === mask) return len;
  return undefined;
}
