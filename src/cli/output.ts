import { stringify } from "yaml";
import { PodloomError } from "../io/podloom-error.ts";
import { type RowNoun, renderRows } from "./columns.ts";
import { tableLines } from "./table.ts";

export const OUTPUT_FORMATS = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

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

/** @throws PodloomError PL_USAGE for a format that does not exist */
export function readFormat(text: string, known: readonly OutputFormat[] = OUTPUT_FORMATS): OutputFormat {
  const found = known.find((format) => format === text);
  if (found !== undefined) return found;
  throw new PodloomError("PL_USAGE", `-o does not take "${text}"`, {
    remedy: `It takes: ${known.join(", ")}.`,
  });
}
