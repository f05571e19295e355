/**
 * One column. `wide` columns show with -o wide; `volatile` ones change all the time and do not make a row "changed" for -w;
 * the `key` columns say together which row it is, whatever the others hold.
 */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  readonly key?: boolean;
  readonly wide?: boolean;
  readonly volatile?: boolean;
}

/** A cell: what is not there, or is empty, is a dash. */
export const text = (value: string | number | undefined): string =>
  value === undefined || value === "" ? "-" : String(value);
