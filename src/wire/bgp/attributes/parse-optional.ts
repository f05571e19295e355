// Communities of all sizes, and what route reflection adds.
import {
  type ExtCommunity,
  type Ipv6ExtCommunity,
  type LargeCommunity,
  sortCommunities,
  sortExtCommunities,
  sortIpv6ExtCommunities,
  sortLargeCommunities,
} from "../communities.ts";
import { u32 } from "../octets.ts";
import type { AttributeState } from "./attribute-state.ts";
import { misplaced, wrongLength } from "./parse-basic.ts";

/** Is the value one or more elements of `size` octets? If not, the attribute is malformed. */
function isList(s: AttributeState, size: number, rfc: string): boolean {
  if (s.length > 0 && s.length % size === 0) return true;
  wrongLength(s, rfc);
  return false;
}

function words(s: AttributeState): number[] {
  const list: number[] = [];
  for (let off = s.off; off < s.end; off += 4) list.push(u32(s.bytes, off));
  return list;
}

/** @rfc 7606#7.8 */
export function parseCommunities(s: AttributeState): void {
  if (isList(s, 4, "7606#7.8")) s.communities = sortCommunities(words(s));
}

/** From another AS it is forgotten, well-formed or not. @rfc 7606#7.9 */
export function parseOriginatorId(s: AttributeState): void {
  if (!s.ctx.internal) misplaced(s, "7606#7.9");
  else if (s.length !== 4) wrongLength(s, "7606#7.9");
  else s.originatorId = u32(s.bytes, s.off);
}

/** From another AS it is forgotten, well-formed or not. @rfc 7606#7.10 */
export function parseClusterList(s: AttributeState): void {
  if (!s.ctx.internal) misplaced(s, "7606#7.10");
  else if (isList(s, 4, "7606#7.10")) s.clusterList = words(s);
}

/** Unknown types are no errors. @rfc 7606#7.14 */
export function parseExtCommunities(s: AttributeState): void {
  if (!isList(s, 8, "7606#7.14")) return;
  const list: ExtCommunity[] = [];
  for (let off = s.off; off < s.end; off += 8) {
    list.push({ high: u32(s.bytes, off), low: u32(s.bytes, off + 4) });
  }
  s.extCommunities = sortExtCommunities(list);
}

/** @rfc 7606#7.15 */
export function parseIpv6ExtCommunities(s: AttributeState): void {
  if (!isList(s, 20, "7606#7.15")) return;
  const list: Ipv6ExtCommunity[] = [];
  const at = (off: number): number => u32(s.bytes, off);
  for (let off = s.off; off < s.end; off += 20) {
    list.push([at(off), at(off + 4), at(off + 8), at(off + 12), at(off + 16)]);
  }
  s.ipv6ExtCommunities = sortIpv6ExtCommunities(list);
}

/** @rfc 8092#6 */
export function parseLargeCommunities(s: AttributeState): void {
  if (!isList(s, 12, "8092#6")) return;
  const list: LargeCommunity[] = [];
  for (let off = s.off; off < s.end; off += 12) {
    list.push({
      global: u32(s.bytes, off),
      local1: u32(s.bytes, off + 4),
      local2: u32(s.bytes, off + 8),
    });
  }
  s.largeCommunities = sortLargeCommunities(list);
}

/** Kept as octets: its meaning belongs to families that are not read here. @rfc 6514#5 */
export function parsePmsiTunnel(s: AttributeState): void {
  s.pmsiTunnel = s.bytes.slice(s.off, s.end);
}
