import { type RowNoun, renderRows } from "./columns.ts";

/** What a look has that the one before had not, and the other way round. */
export interface Changes {
  /** Rows that are new or have changed, as they are now. */
  readonly fresh: readonly unknown[];
  /** Rows that are gone, as they were last seen. A row that has changed is not among them. */
  readonly removed: readonly unknown[];
}

interface Seen {
  readonly row: unknown;
  readonly node: string;
  readonly fingerprint: string;
}

/** Compares looks at the rows of one noun. */
export class RowChanges {
  readonly #noun: RowNoun;
  #before = new Map<string, readonly Seen[]>();

  constructor(noun: RowNoun) {
    this.#noun = noun;
  }

  /** @param silent nodes that could not be asked: nothing is known of their rows, so those have not gone */
  look(rows: readonly unknown[], silent: ReadonlySet<string> = new Set()): Changes {
    const now = this.#group(rows);
    const fresh = new Set<unknown>();
    const removed: unknown[] = [];
    for (const key of new Set([...this.#before.keys(), ...now.keys()])) {
      const old = this.#before.get(key) ?? [];
      const unheard = old.filter((seen) => silent.has(seen.node));
      // Where another node's answer speaks of the same thing, that one counts.
      if (!now.has(key) && unheard.length > 0) now.set(key, unheard);
      const present = now.get(key) ?? [];
      const changed = without(present, old);
      for (const { row } of changed) fresh.add(row);
      const gone = without(old, present);
      removed.push(...gone.slice(changed.length).map((seen) => seen.row));
    }
    this.#before = now;
    return { fresh: rows.filter((row) => fresh.has(row)), removed };
  }

  #group(rows: readonly unknown[]): Map<string, readonly Seen[]> {
    const { fingerprints, keys } = renderRows(this.#noun, rows, true);
    const groups = new Map<string, Seen[]>();
    rows.forEach((row, i) => {
      const { node, name } = row as { readonly node?: string; readonly name?: string };
      const seen = { row, node: node ?? name ?? "", fingerprint: fingerprints[i] as string };
      const key = keys[i] as string;
      groups.set(key, [...(groups.get(key) ?? []), seen]);
    });
    return groups;
  }
}

/** `all` without as many equal ones as `others` has. */
function without(all: readonly Seen[], others: readonly Seen[]): readonly Seen[] {
  const counts = new Map<string, number>();
  for (const { fingerprint } of others) counts.set(fingerprint, (counts.get(fingerprint) ?? 0) + 1);
  return all.filter(({ fingerprint }) => {
    const left = counts.get(fingerprint) ?? 0;
    counts.set(fingerprint, left - 1);
    return left <= 0;
  });
}
