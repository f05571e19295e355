// Text of a lab file → a LabFile, or everything that is wrong with it, each with file, line, column and remedy.
import { err, ok, type Result } from "../base/result.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { countOf } from "./count-of.ts";
import { unknownKeyRemedy, valueRemedy } from "./key-remedy.ts";
import { type LabFile, labFileSchema } from "./lab-schema.ts";
import { type DocPath, keyText, type Position, YamlSource } from "./yaml-source.ts";

/** Longest lab file that is read, in bytes. */
export const LAB_FILE_BYTES_MAX = 1024 * 1024;

/** One thing that is wrong with a lab file. */
export interface LabFileProblem {
  /** Where it stands; undefined for a lab that no file describes. */
  readonly at: Position | undefined;
  /** The key, as `nodes[1].address`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

/** A fault by its path, before its position is known. */
export interface LabFault {
  readonly path: DocPath;
  readonly message: string;
  readonly remedy: string;
}

/** A lab file that was read, and where its values stood. */
export interface LabSource {
  readonly file: LabFile;
  /** Turns a fault found later into a problem of this file. */
  locate(fault: LabFault): LabFileProblem;
}

/** The refusal of a lab file: every problem, one a line. */
export class LabFileError extends PodloomError {
  readonly problems: readonly LabFileProblem[];

  /** @param fileName as the reader wrote it, for `file:line:col` */
  constructor(fileName: string, problems: readonly LabFileProblem[]) {
    super("PL_LAB_FILE", problems.map((problem) => describeProblem(fileName, problem)).join("\n"));
    this.problems = problems;
  }
}

/** `file:line:col: key: message` and the remedy on a line of its own. */
export function describeProblem(fileName: string, problem: LabFileProblem): string {
  const where = problem.at === undefined ? fileName : `${fileName}:${problem.at.line}:${problem.at.col}`;
  const key = problem.key === "" ? "" : `${problem.key}: `;
  return `${where}: ${key}${problem.message}\n  ${problem.remedy}`;
}

const SMALLEST = "The smallest lab file is the one line `apiVersion: podloom/v1`.";

/** Reads the text of a lab file. Never throws; the error lists every problem that was found. */
export function parseLabFile(text: string): Result<LabSource, readonly LabFileProblem[]> {
  if (Buffer.byteLength(text) > LAB_FILE_BYTES_MAX) {
    return err([{ at: undefined, key: "", message: "the file is larger than 1 MiB", remedy: SMALLEST }]);
  }
  const source = new YamlSource(text);
  if (source.faults.length > 0) {
    const remedy = "Correct the YAML; indentation is by spaces, and a list item starts with `- `.";
    return err(source.faults.map((fault) => ({ at: fault.at, key: "", message: fault.message, remedy })));
  }
  if (source.value === null || source.value === undefined) {
    return err([{ at: { line: 1, col: 1 }, key: "", message: "the lab file is empty", remedy: SMALLEST }]);
  }
  const parsed = labFileSchema.safeParse(source.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap((issue) => describeIssue(issue as Issue, [], source));
    return err(problems.sort(byPosition));
  }
  const locate = (fault: LabFault): LabFileProblem => ({
    at: source.valueAt(fault.path),
    key: keyText(fault.path),
    message: fault.message,
    remedy: fault.remedy,
  });
  return ok({ file: parsed.data, locate });
}

/** The lab that runs when there is no file: every default. */
export function defaultLabSource(): LabSource {
  return {
    file: labFileSchema.parse({ apiVersion: "podloom/v1", name: "podloom" }),
    locate: (fault) => ({
      at: undefined,
      key: keyText(fault.path),
      message: fault.message,
      remedy: fault.remedy,
    }),
  };
}

/** The members of zod's issues that are read here. */
interface Issue {
  readonly code: string;
  readonly path: DocPath;
  readonly message: string;
  readonly expected?: string;
  readonly keys?: readonly string[];
  readonly values?: readonly unknown[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly origin?: string;
}

function describeIssue(issue: Issue, above: DocPath, source: YamlSource): LabFileProblem[] {
  const path = [...above, ...issue.path];
  const value = valueIn(source.value, path);
  if (issue.code === "unrecognized_keys") {
    return (issue.keys ?? []).map((key) => ({
      at: source.keyAt(path, key),
      key: keyText([...path, key]),
      message: `unknown key "${key}"`,
      remedy: unknownKeyRemedy(key, path),
    }));
  }
  if (issue.code === "invalid_union") {
    const branch = likeliestBranch(issue.errors ?? []);
    if (branch !== undefined) return branch.flatMap((inner) => describeIssue(inner, path, source));
  }
  const message = issueMessage(issue, path, value);
  return [{ at: source.valueAt(path), key: keyText(path), message, remedy: valueRemedy(path, value) }];
}

/** The branch of a union that the writer had in mind: the one that fits the value's type and complains least. */
function likeliestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  let best: readonly Issue[] | undefined;
  for (const branch of branches) {
    const wrongType = branch.some((issue) => issue.path.length === 0 && issue.code === "invalid_type");
    const wrongValue = branch.some((issue) => issue.path.length === 0 && issue.code === "invalid_value");
    if (wrongType || wrongValue) continue;
    if (best === undefined || branch.length < best.length) best = branch;
  }
  return best;
}

function issueMessage(issue: Issue, path: DocPath, value: unknown): string {
  if (value === undefined && path.length > 0) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `must be ${typeName(issue.expected ?? "")}, not ${valueText(value)}`;
    case "invalid_value":
      return `must be ${(issue.values ?? []).map((v) => String(v)).join(" or ")}, not ${valueText(value)}`;
    case "too_small":
      return issue.origin === "array"
        ? `must have at least ${countOf(issue.minimum ?? 0, "entry", "entries")}`
        : `must be at least ${issue.minimum}, not ${valueText(value)}`;
    case "too_big":
      return issue.origin === "array"
        ? `must have at most ${countOf(issue.maximum ?? 0, "entry", "entries")}`
        : `must be at most ${issue.maximum}, not ${valueText(value)}`;
    case "invalid_union":
      return `does not take ${valueText(value)}`;
    default:
      return `${issue.message}, not ${valueText(value)}`;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: "a map of keys",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

function typeName(expected: string): string {
  return TYPE_NAMES[expected] ?? expected;
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map of keys";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function valueIn(root: unknown, path: DocPath): unknown {
  let value: unknown = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** The order in which problems are shown: as they stand in the file. */
export function byPosition(a: LabFileProblem, b: LabFileProblem): number {
  return (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.col ?? 0) - (b.at?.col ?? 0);
}
