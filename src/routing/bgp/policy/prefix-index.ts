import { Family } from "../../../wire/bgp/family.ts";
import type { RibPrefix } from "../rib/route.ts";
import { contains, type PrefixRange } from "./prefix-match.ts";

/** Numbers of rules, ascending. Equal lists are mostly, not always, one object. */
export type RuleList = readonly number[];

/** What a rule says of prefixes: undefined when it takes all. */
export type RuleRanges = readonly PrefixRange[] | undefined;

/** Rule numbers in lists, and answers, that are kept before they are worked out anew. */
const MAX_KEPT = 1 << 20;
const MAX_ANSWERS = 1 << 18;

/**
 * Finds the rules whose prefixes a route may match, without asking each: the prefixes that all rules name stand in one sorted table,
 * and each knows the next wider one around it. One search leads to the narrowest prefix around the route's; the rules along the way
 * out, with those that take all prefixes, are the answer, which is kept for the next route there.
 */
export class PrefixIndex {
  readonly #all: RuleList;
  readonly #ipv4: PrefixTable | undefined;
  readonly #ipv6: PrefixTable | undefined;

  /** @param rules what each rule says of prefixes, in order */
  constructor(rules: readonly RuleRanges[]) {
    this.#all = rules.flatMap((ranges, rule) => (ranges === undefined ? [rule] : []));
    this.#ipv4 = tableOf(rules, Family.IPV4_UNICAST, this.#all);
    this.#ipv6 = tableOf(rules, Family.IPV6_UNICAST, this.#all);
  }

  /** Rules that the prefix does not rule out. */
  lookup(prefix: RibPrefix): RuleList {
    const table = prefix.family === Family.IPV4_UNICAST ? this.#ipv4 : this.#ipv6;
    return table === undefined ? this.#all : table.lookup(prefix);
  }
}

/** A length range of a rule at one prefix. */
interface Entry {
  readonly rule: number;
  readonly min: number;
  readonly max: number;
}

interface TableRow {
  readonly prefix: RibPrefix;
  readonly entries: Entry[];
}

function tableOf(rules: readonly RuleRanges[], family: Family, all: RuleList): PrefixTable | undefined {
  const given = rules.flatMap((ranges, rule) =>
    (ranges ?? [])
      .filter((range) => range.prefix.family === family)
      .map(({ prefix, min, max }) => ({ prefix, entry: { rule, min, max } })),
  );
  if (given.length === 0) return undefined;
  given.sort((x, y) => compare(x.prefix, y.prefix) || x.entry.rule - y.entry.rule);
  const rows: TableRow[] = [];
  for (const { prefix, entry } of given) {
    const last = rows.at(-1);
    if (last !== undefined && compare(last.prefix, prefix) === 0) last.entries.push(entry);
    else rows.push({ prefix, entries: [entry] });
  }
  return new PrefixTable(rows, all);
}

/** By address, the wider prefix first: so that what lies in a prefix follows it. */
function compare(x: RibPrefix, y: RibPrefix): number {
  return x.a - y.a || x.b - y.b || x.c - y.c || x.d - y.d || x.len - y.len;
}

class PrefixTable {
  readonly #rows: readonly TableRow[];
  /** Row of the next wider prefix around each row's; -1: none. */
  readonly #outer: Int32Array;
  readonly #all: RuleList;
  /** Answers, by row and length of the route's prefix. */
  readonly #answers = new Map<number, RuleList>();
  /** Equal answers once. */
  readonly #lists = new Map<string, RuleList>();
  #kept = 0;

  constructor(rows: readonly TableRow[], all: RuleList) {
    this.#rows = rows;
    this.#all = all;
    this.#outer = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const { prefix } = rows[i] as TableRow;
      this.#outer[i] = this.#outwards(i - 1, prefix);
    }
  }

  lookup(prefix: RibPrefix): RuleList {
    const row = this.#outwards(this.#lastUpTo(prefix), prefix);
    if (row < 0) return this.#all;
    const key = row * 129 + prefix.len;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = this.#answer(row, prefix.len);
    if (this.#answers.size >= MAX_ANSWERS) this.#answers.clear();
    this.#answers.set(key, answer);
    return answer;
  }

  /** The last row that does not come after the prefix; -1: none. */
  #lastUpTo(prefix: RibPrefix): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare((this.#rows[middle] as TableRow).prefix, prefix) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** From `row` on outwards, the first that contains the prefix. */
  #outwards(row: number, { a, b, c, d, len }: RibPrefix): number {
    while (row >= 0 && !contains((this.#rows[row] as TableRow).prefix, a, b, c, d, len)) {
      row = this.#outer[row] as number;
    }
    return row;
  }

  #answer(row: number, len: number): RuleList {
    const rules = new Set(this.#all);
    for (; row >= 0; row = this.#outer[row] as number) {
      for (const { rule, min, max } of (this.#rows[row] as TableRow).entries) {
        if (len >= min && len <= max) rules.add(rule);
      }
    }
    if (rules.size === this.#all.length) return this.#all;
    const list = [...rules].sort((x, y) => x - y);
    const text = list.join();
    const known = this.#lists.get(text);
    if (known !== undefined) return known;
    this.#keep(list.length);
    this.#lists.set(text, list);
    return list;
  }

  /** Forgets all when it would become too much. */
  #keep(more: number): void {
    this.#kept += more;
    if (this.#kept <= MAX_KEPT) return;
    this.#answers.clear();
    this.#lists.clear();
    this.#kept = more;
  }
}
