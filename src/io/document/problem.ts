// What is wrong with a file that a person wrote: each problem with file, line, column, key and remedy.
import { PodloomError } from "../podloom-error.ts";

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly col: number;
}

/** A key or an index for each step from the root of a document. */
export type DocPath = readonly (string | number)[];

/** A path as people write it: `nodes[1].address`. */
export function keyText(path: DocPath): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : text === "" ? step : `.${step}`;
  return text;
}

/** One thing that is wrong with a file. */
export interface Problem {
  /** Where it stands; undefined for a document that no file holds, and for the file as a whole. */
  readonly at: Position | undefined;
  /** The key, as `nodes[1].address`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

/** A fault by its path, before its position is known. */
export interface DocumentFault {
  readonly path: DocPath;
  readonly message: string;
  /** What to write instead, as a sentence. */
  readonly remedy: string;
}

/** Collects what is wrong with a document while the checks run. */
export class DocumentFaults {
  readonly list: DocumentFault[] = [];

  /** @param path the key that the fault concerns @param remedy what to write instead, as a sentence */
  add(path: DocPath, message: string, remedy: string): void {
    this.list.push({ path, message, remedy });
  }
}

/** The refusal of a file: every problem, one a line. */
export class DocumentError extends PodloomError {
  readonly problems: readonly Problem[];

  /** @param fileName as the reader wrote it, for `file:line:col` */
  constructor(code: string, fileName: string, problems: readonly Problem[]) {
    super(code, problems.map((problem) => describeProblem(fileName, problem)).join("\n"));
    this.problems = problems;
  }
}

/** `file:line:col: key: message` and the remedy on a line of its own. */
export function describeProblem(fileName: string, problem: Problem): string {
  const where = problem.at === undefined ? fileName : `${fileName}:${problem.at.line}:${problem.at.col}`;
  const key = problem.key === "" ? "" : `${problem.key}: `;
  return `${where}: ${key}${problem.message}\n  ${problem.remedy}`;
}

/** The order in which problems are shown: as they stand in the file. */
export function byPosition(a: Problem, b: Problem): number {
  return (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.col ?? 0) - (b.at?.col ?? 0);
}
