// Lab files as text, and what podloom makes of them.
import { describeProblem } from "../../src/io/document/problem.ts";
import { parseLabFile } from "../../src/lab/lab-file.ts";
import { type Lab, resolveLab } from "../../src/lab/resolve-lab.ts";

/** What every lab file begins with. */
export const HEAD = "apiVersion: podloom/v1\n";

/** Everything that podloom says about a lab file, one entry a problem. */
export function complaints(text: string): string[] {
  const parsed = parseLabFile(text);
  if (!parsed.ok) return parsed.error.map((problem) => describeProblem("lab.yaml", problem));
  const resolved = resolveLab(parsed.value.file, "lab");
  if (resolved.ok) return [];
  return resolved.error.map((fault) => describeProblem("lab.yaml", parsed.value.locate(fault)));
}

/** The lab of a file that must be right. */
export function labOf(text: string): Lab {
  const problems = complaints(text);
  const parsed = parseLabFile(text);
  const resolved = parsed.ok ? resolveLab(parsed.value.file, "lab") : undefined;
  if (resolved?.ok !== true) throw new Error(problems.join("\n"));
  return resolved.value;
}
