// The text of IPv6 addresses, as eight 16-bit groups, most significant first. How an address is held is its user's affair:
// Flannel's keys want one big integer, BGP four words.
import { parseIpv4 } from "./ipv4-addr.ts";

/** Canonical text of eight groups. @rfc 5952#4 */
export function formatIpv6Groups(groups: readonly number[]): string {
  let start = -1;
  let length = 1; // a single zero group is never shortened
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
    i = Math.max(i, end - 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** The eight groups of a text, as Go's net.ParseIP reads it: one `::`, an embedded IPv4 tail, no zone. @rfc 4291#2.2 */
export function parseIpv6Groups(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseHalf(halves[0] as string, halves.length === 1);
  const tail = halves.length === 2 ? parseHalf(halves[1] as string, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}

/** @param last may the text end in dotted IPv4? Only the end of the whole address may. */
function parseHalf(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const v4 = last && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (v4 === undefined) return undefined;
    groups.push(v4 >>> 16, v4 & 0xffff);
  }
  return groups;
}
