// The AS path. Read RFC 4271 sections 4.3 and 5.1.2 first, RFC 5065 for confederations, then RFC 6793 section 4.2 for the two-octet
// world.
//
// +------------------+------------------+---------------------------------+
// | Segment type (1) | Count, 1..255    | AS numbers, 2 or 4 octets each  |   repeated
// +------------------+------------------+---------------------------------+
import { assert } from "../../base/assert.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type OctetWriter, u16, u32 } from "./octets.ts";

/** Stands for an AS number that needs four octets where only two are spoken. @rfc 6793#9 */
export const AS_TRANS = 23456;

/** The largest AS number of two octets. @rfc 6793#3 */
export const AS2_MAX = 0xffff;

/** @rfc 4271#4.3 @rfc 5065#3 */
export const SegmentType = { SET: 1, SEQUENCE: 2, CONFED_SEQUENCE: 3, CONFED_SET: 4 } as const;

/** Immutable. A sequence is in path order, the nearest AS first. @rfc 4271#4.3 */
export interface AsSegment {
  /** One of {@link SegmentType}. */
  readonly type: number;
  /** AS numbers, each 1..2^32-1. A segment off the wire has 1..255; a longer sequence is split when it is written. */
  readonly asns: readonly number[];
}

/** Immutable. No segments: the route comes from our own AS. @rfc 4271#5.1.2 */
export type AsPath = readonly AsSegment[];

/** The path of a route of our own AS, inside it. @rfc 4271#5.1.2 */
export const EMPTY_AS_PATH: AsPath = [];

/** Why octets are no AS path, and where that is written. */
export interface AsPathFault {
  readonly message: string;
  readonly rfc: string;
}

function fault(message: string, rfc = "7606#7.2"): { readonly ok: false; readonly error: AsPathFault } {
  return err({ message, rfc });
}

/**
 * Parses `off`..`end`. AS 0 is refused, and so are segments without an AS. @rfc 7606#7.2 @rfc 7607#2
 *
 * @param asOctets octets of an AS number: 4 between speakers that both have the capability, and always in AS4_PATH; else 2
 */
export function parseAsPath(
  bytes: Uint8Array,
  off: number,
  end: number,
  asOctets: 2 | 4,
): Result<AsPath, AsPathFault> {
  if (off === end) return ok(EMPTY_AS_PATH);
  const segments: AsSegment[] = [];
  while (off < end) {
    if (end - off < 2) return fault("a single octet follows the last segment");
    const type = bytes[off] as number;
    const count = bytes[off + 1] as number;
    off += 2;
    if (type < SegmentType.SET || type > SegmentType.CONFED_SET) {
      return fault(`segment type ${type} is not known`);
    }
    if (count === 0) return fault("a segment holds no AS");
    if (count * asOctets > end - off) return fault("a segment runs past the end of the attribute");
    const asns: number[] = [];
    for (let i = 0; i < count; i++) {
      const as = asOctets === 4 ? u32(bytes, off) : u16(bytes, off);
      if (as === 0) return fault("AS 0 is in the path", "7607#2");
      asns.push(as);
      off += asOctets;
    }
    segments.push({ type, asns });
  }
  return ok(segments);
}

/** Octets that {@link emitAsPath} writes. */
export function asPathLen(path: AsPath, asOctets: 2 | 4): number {
  let octets = 0;
  for (const { asns } of path) octets += 2 * Math.ceil(asns.length / 255) + asns.length * asOctets;
  return octets;
}

/** Appends the path. Numbers that do not fit into two octets become {@link AS_TRANS}. @rfc 6793#4.2.2 */
export function emitAsPath(out: OctetWriter, path: AsPath, asOctets: 2 | 4): void {
  for (const { type, asns } of path) {
    assert(asns.length <= 255 || !isSet(type), "a set of more than 255 AS numbers cannot be written");
    for (let from = 0; from < asns.length; ) {
      // The remainder goes first, so that an AS which prepends itself later finds room in the leading segment.
      const count = ((asns.length - from - 1) % 255) + 1;
      out.u8(type);
      out.u8(count);
      for (let i = from; i < from + count; i++) {
        const as = asns[i] as number;
        if (asOctets === 4) out.u32(as);
        else out.u16(as > AS2_MAX ? AS_TRANS : as);
      }
      from += count;
    }
  }
}

function isSet(type: number): boolean {
  return type === SegmentType.SET || type === SegmentType.CONFED_SET;
}

/** Is the segment one of a confederation? @rfc 5065#3 */
export function isConfed(segment: AsSegment): boolean {
  return segment.type >= SegmentType.CONFED_SEQUENCE;
}

function segmentLength(segment: AsSegment): number {
  if (isConfed(segment)) return 0;
  return segment.type === SegmentType.SET ? 1 : segment.asns.length;
}

/** Length for the decision process: a set counts 1, a confederation's segments 0. @rfc 4271#9.1.2.2 @rfc 5065#5.3 */
export function asPathLength(path: AsPath): number {
  let length = 0;
  for (const segment of path) length += segmentLength(segment);
  return length;
}

/** How often `as` is in the path: the loop check. @rfc 4271#9.1.2 */
export function countAs(path: AsPath, as: number): number {
  let times = 0;
  for (const { asns } of path) for (const one of asns) if (one === as) times++;
  return times;
}

/** The AS that the path came through last: the first of the first sequence, confederations skipped. @rfc 4271#9.1.2.2 */
export function neighborAs(path: AsPath): number | undefined {
  const segment = path.find((one) => !isConfed(one));
  return segment?.type === SegmentType.SEQUENCE ? segment.asns[0] : undefined;
}

/** The AS that the route comes from: the last of the last sequence, undefined when a set ends the path. */
export function originAs(path: AsPath): number | undefined {
  const segment = path.at(-1);
  return segment?.type === SegmentType.SEQUENCE ? segment.asns.at(-1) : undefined;
}

/**
 * The path with `as` in front, `times` times: in the leading sequence while it has room, else in a new segment.
 *
 * @param type SEQUENCE towards another AS, CONFED_SEQUENCE towards another member of our confederation
 * @rfc 4271#5.1.2 @rfc 5065#4.1
 */
export function prepend(path: AsPath, as: number, times = 1, type: number = SegmentType.SEQUENCE): AsPath {
  const segments = path.slice();
  for (let left = times; left > 0; ) {
    const first = segments[0];
    const open = first !== undefined && first.type === type && first.asns.length < 255;
    const room = open ? 255 - first.asns.length : 255;
    const count = Math.min(left, room);
    const asns = Array.from({ length: count }, () => as);
    if (open) segments[0] = { type, asns: [...asns, ...first.asns] };
    else segments.unshift({ type, asns });
    left -= count;
  }
  return segments;
}

/** The path without the segments of a confederation: what leaves it, and what AS4_PATH holds. @rfc 5065#4.1 @rfc 6793#3 */
export function withoutConfed(path: AsPath): AsPath {
  return path.some(isConfed) ? path.filter((segment) => !isConfed(segment)) : path;
}

/** Does a two-octet speaker need AS4_PATH beside this path? @rfc 6793#4.2.2 */
export function needsAs4Path(path: AsPath): boolean {
  return path.some((segment) => !isConfed(segment) && segment.asns.some((as) => as > AS2_MAX));
}

/**
 * The path that an AS_PATH from a two-octet speaker and its AS4_PATH describe together: the leading part of AS_PATH that AS4_PATH
 * is short of, then AS4_PATH. An AS4_PATH that is longer than AS_PATH is ignored. @rfc 6793#4.2.3
 *
 * @param as4Path without segments of a confederation
 */
export function mergeAs4Path(asPath: AsPath, as4Path: AsPath): AsPath {
  let missing = asPathLength(asPath) - asPathLength(as4Path);
  if (missing < 0 || as4Path.length === 0) return asPath;
  const merged: AsSegment[] = [];
  for (const segment of asPath) {
    // A confederation's segment stays where it leads, or follows one that stays whole.
    if (isConfed(segment)) {
      merged.push(segment);
      continue;
    }
    if (missing === 0) break;
    const length = segmentLength(segment);
    if (length > missing) {
      merged.push({ type: segment.type, asns: segment.asns.slice(0, missing) });
      break;
    }
    merged.push(segment);
    missing -= length;
  }
  const last = merged.at(-1);
  const first = as4Path[0] as AsSegment;
  // What was one sequence before it was cut becomes one again, as far as a segment reaches.
  const joins =
    last?.type === SegmentType.SEQUENCE &&
    first.type === SegmentType.SEQUENCE &&
    last.asns.length + first.asns.length <= 255;
  if (!joins) return [...merged, ...as4Path];
  merged[merged.length - 1] = { type: last.type, asns: [...last.asns, ...first.asns] };
  return [...merged, ...as4Path.slice(1)];
}

/** Are the two the same, segment by segment? */
export function sameAsPath(x: AsPath, y: AsPath): boolean {
  if (x === y) return true;
  return (
    x.length === y.length &&
    x.every((segment, i) => {
      const other = y[i] as AsSegment;
      return (
        segment.type === other.type &&
        segment.asns.length === other.asns.length &&
        segment.asns.every((as, j) => as === other.asns[j])
      );
    })
  );
}

/** For people, as tcpdump and BIRD do: "64512 64513 {64514 64515} (65001)"; sets in braces, confederations in parentheses. */
export function formatAsPath(path: AsPath): string {
  const text = path.map(({ type, asns }) => {
    const list = asns.join(" ");
    if (type === SegmentType.SET) return `{${list}}`;
    if (type === SegmentType.CONFED_SEQUENCE) return `(${list})`;
    return type === SegmentType.CONFED_SET ? `[${list}]` : list;
  });
  return text.join(" ");
}
