import { stringify } from "yaml";
import { type RowNoun, renderRows } from "./columns.ts";
import type { OutputFormat } from "./output-format.ts";
import { tableLines } from "./table.ts";

/** Rows of a noun in the format that was asked for; ends without a line end. JSON and YAML are `{"items": […]}`. */
export function renderItems(noun: RowNoun, rows: readonly unknown[], format: OutputFormat): string {
  if (format === "json") return JSON.stringify({ items: rows }, null, 2);
  if (format === "yaml") return renderYaml({ items: rows });
  const { head, cells } = renderRows(noun, rows, format === "wide");
  return tableLines(head, cells).join("\n");
}

/** A value as YAML, without a line end. */
export function renderYaml(value: unknown): string {
  return stringify(value).trimEnd();
}
