import type { BgpExplanation } from "../io/ipc/speaker-protocol.ts";
import { renderRows } from "./columns.ts";
import { tableLines } from "./table.ts";

/** Why a prefix is reached as it is, and who is told of it, as two tables. Without a line end. */
export function explainText({ prefix, paths, told }: BgpExplanation, wide: boolean): string {
  const { head, cells } = renderRows("bgp routes", paths, true);
  // All of them are about one prefix, and what they are here for is the reason.
  const shown = head.flatMap((name, i) => (name !== "PREFIX" && (wide || BASIC.has(name)) ? [i] : []));
  const pick = (row: readonly string[]): string[] => shown.map((i) => row[i] as string);
  const lines = [prefix, "", ...tableLines(pick(head), cells.map(pick))];
  if (told.length > 0) {
    const rows = told.map(({ neighbor, addr, why }) => [neighbor, addr, why]);
    lines.push("", ...tableLines(["NEIGHBOR", "ADDRESS", "IS TOLD"], rows));
  }
  return lines.join("\n");
}

const BASIC: ReadonlySet<string> = new Set([
  "CHOSEN",
  "FROM",
  "NEXT-HOP",
  "AS-PATH",
  "LOCAL-PREF",
  "MED",
  "WHY",
]);
