import type { JournalRecord } from "./record.ts";

/** What the store writes down before anybody may see it. */
export interface Journal {
  /** Sequence number of the last record. */
  readonly last: number;
  /** Writes a record down; that takes time. Returns its sequence number. */
  append(record: JournalRecord): number;
  /**
   * Calls `then` when every record up to `sequence` (the last one when it is left out) is safe: at once when it is already.
   * Calls for the last record come in the order in which they were asked for.
   */
  whenDurable(then: () => void, sequence?: number): void;
}

/** Keeps nothing: contents that end with the process are as safe as they will ever be. */
export class NoJournal implements Journal {
  last = 0;

  append(): number {
    return ++this.last;
  }

  whenDurable(then: () => void): void {
    then();
  }
}
