// Text of a YAML file → a checked value, or everything that is wrong with it.
import { countOf } from "../../base/count-of.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { byPosition, type DocPath, type DocumentFault, keyText, type Problem } from "./problem.ts";
import { type JsonSchema, unknownKeyRemedy, valueRemedy } from "./schema-remedy.ts";
import { YamlSource } from "./yaml-source.ts";

/** What a zod schema does, of either kind. */
export interface DocumentSchema<T> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { readonly issues: readonly unknown[] } };
}

/** A kind of file. */
export interface DocumentKind<T> {
  /** "a lab file". */
  readonly what: string;
  readonly bytesMax: number;
  /** What to do when the file is empty, or too large. */
  readonly smallest: string;
  readonly schema: DocumentSchema<T>;
  /** The same as a JSON schema, with bounds, choices and descriptions. Asked for only when something is wrong. */
  readonly jsonSchema: () => JsonSchema;
  /** Keys whose values nobody else may read: they are not shown. */
  readonly secretKeys?: readonly string[];
  /** A remedy that the schema cannot tell. */
  readonly remedyFor?: (path: DocPath, value: unknown) => string | undefined;
}

/** A file that was read, and where its values stood. */
export interface ReadDocument<T> {
  readonly value: T;
  /** Turns a fault found later into a problem of this file. */
  locate(fault: DocumentFault): Problem;
}

/** Reads the text of a file. Never throws; the error lists every problem that was found, in the order of the file. */
export function readDocument<T>(
  text: string,
  kind: DocumentKind<T>,
): Result<ReadDocument<T>, readonly Problem[]> {
  const { what, smallest } = kind;
  if (Buffer.byteLength(text) > kind.bytesMax) {
    const message = `the file is larger than ${kind.bytesMax / 1024 / 1024} MiB`;
    return err([{ at: undefined, key: "", message, remedy: smallest }]);
  }
  const source = new YamlSource(text, what);
  if (source.faults.length > 0) {
    const remedy = "Correct the YAML; indentation is by spaces, and a list item starts with `- `.";
    return err(source.faults.map((fault) => ({ at: fault.at, key: "", message: fault.message, remedy })));
  }
  if (source.value === null || source.value === undefined) {
    const message = `the ${what.replace(/^an? /, "")} is empty`;
    return err([{ at: { line: 1, col: 1 }, key: "", message, remedy: smallest }]);
  }
  const parsed = kind.schema.safeParse(source.value);
  if (!parsed.success) {
    const describer = new IssueDescriber(source, kind);
    const problems = parsed.error.issues.flatMap((issue) => describer.describe(issue as Issue, []));
    return err(problems.sort(byPosition));
  }
  const locate = ({ path, message, remedy }: DocumentFault): Problem => ({
    at: source.valueAt(path),
    key: keyText(path),
    message,
    remedy,
  });
  return ok({ value: parsed.data, locate });
}

/** The members of zod's issues that are read here. */
interface Issue {
  readonly code: string;
  readonly path: DocPath;
  readonly message: string;
  readonly expected?: string;
  readonly keys?: readonly string[];
  readonly values?: readonly unknown[];
  /** Of a union: what each branch has to say. */
  readonly errors?: readonly (readonly Issue[])[];
  /** Of a key: what is wrong with it. */
  readonly issues?: readonly Issue[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly origin?: string;
}

/** Makes problems of zod's issues. */
class IssueDescriber {
  readonly #source: YamlSource;
  readonly #kind: DocumentKind<unknown>;
  #jsonSchema: JsonSchema | undefined;

  constructor(source: YamlSource, kind: DocumentKind<unknown>) {
    this.#source = source;
    this.#kind = kind;
  }

  describe(issue: Issue, above: DocPath): Problem[] {
    const path = [...above, ...issue.path];
    const value = valueIn(this.#source.value, path);
    if (issue.code === "unrecognized_keys") {
      return (issue.keys ?? []).map((key) => this.#unknownKey(key, path));
    }
    if (issue.code === "invalid_key") return [this.#badKey(issue, path)];
    if (issue.code === "invalid_union") {
      const branch = likeliestBranch(issue.errors ?? []);
      if (branch !== undefined) return branch.flatMap((inner) => this.describe(inner, path));
    }
    const secret = this.#kind.secretKeys?.includes(String(path.at(-1))) === true;
    const message = issueMessage(issue, path, value, secret ? "what it has" : valueText(value));
    const remedy = this.#kind.remedyFor?.(path, value) ?? valueRemedy(this.#schema, path, value);
    return [{ at: this.#source.valueAt(path), key: keyText(path), message, remedy }];
  }

  /** Made once: of a large schema it costs milliseconds. */
  get #schema(): JsonSchema {
    this.#jsonSchema ??= this.#kind.jsonSchema();
    return this.#jsonSchema;
  }

  #unknownKey(key: string, path: DocPath): Problem {
    return {
      at: this.#source.keyAt(path, key),
      key: keyText([...path, key]),
      message: `unknown key "${key}"`,
      remedy: unknownKeyRemedy(this.#schema, this.#kind.what, key, path),
    };
  }

  /** A key that people choose, and that will not do. */
  #badKey(issue: Issue, path: DocPath): Problem {
    const key = String(path.at(-1));
    const rule = issue.issues?.[0]?.message ?? issue.message;
    return {
      at: this.#source.keyAt(path.slice(0, -1), key),
      key: keyText(path),
      message: `the name ${rule}`,
      remedy: "Give it another name.",
    };
  }
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

/** @param shown the value, as far as it may be seen */
function issueMessage(issue: Issue, path: DocPath, value: unknown, shown: string): string {
  if (value === undefined && path.length > 0) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `must be ${typeName(issue.expected ?? "")}, not ${shown}`;
    case "invalid_value":
      return `must be ${(issue.values ?? []).map((v) => String(v)).join(" or ")}, not ${shown}`;
    case "too_small":
      return outOfBounds(issue, "least", issue.minimum ?? 0, shown);
    case "too_big":
      return outOfBounds(issue, "most", issue.maximum ?? 0, shown);
    case "invalid_union":
      return `does not take ${shown}`;
    default:
      return `${issue.message}, not ${shown}`;
  }
}

function outOfBounds(issue: Issue, end: "least" | "most", bound: number, shown: string): string {
  if (issue.origin === "array") return `must have at ${end} ${countOf(bound, "entry", "entries")}`;
  return issue.origin === "string"
    ? `${issue.message}, not ${shown}`
    : `must be at ${end} ${bound}, not ${shown}`;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: "a map of keys",
  record: "a map of keys",
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
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
