// Text of a lab file → a LabFile, or everything that is wrong with it, each with file, line, column and remedy.
import { ok, type Result } from "../base/result.ts";
import { DocumentError, type DocumentFault, keyText, type Problem } from "../io/document/problem.ts";
import { type DocumentKind, readDocument } from "../io/document/read-document.ts";
import type { JsonSchema } from "../io/document/schema-remedy.ts";
import { type LabFile, labFileSchema, labJsonSchema } from "./lab-schema.ts";
import { storeRemedy } from "./store-endpoints.ts";

/** Longest lab file that is read, in bytes. */
export const LAB_FILE_BYTES_MAX = 1024 * 1024;

/** A lab file that was read, and where its values stood. */
export interface LabSource {
  readonly file: LabFile;
  /** Turns a fault found later into a problem of this file. */
  locate(fault: DocumentFault): Problem;
}

/** The refusal of a lab file: every problem, one a line. */
export class LabFileError extends DocumentError {
  /** @param fileName as the reader wrote it, for `file:line:col` */
  constructor(fileName: string, problems: readonly Problem[]) {
    super("PL_LAB_FILE", fileName, problems);
  }
}

const LAB_FILE: DocumentKind<LabFile> = {
  what: "a lab file",
  bytesMax: LAB_FILE_BYTES_MAX,
  smallest: "The smallest lab file is the one line `apiVersion: podloom/v1`.",
  schema: labFileSchema,
  jsonSchema: () => labJsonSchema() as JsonSchema,
  remedyFor: (path, value) =>
    path.length === 1 && path[0] === "store" && typeof value === "string" ? storeRemedy(value) : undefined,
};

/** Reads the text of a lab file. Never throws; the error lists every problem that was found. */
export function parseLabFile(text: string): Result<LabSource, readonly Problem[]> {
  const read = readDocument(text, LAB_FILE);
  if (!read.ok) return read;
  const document = read.value;
  return ok({ file: document.value, locate: (fault) => document.locate(fault) });
}

/** The lab that runs when there is no file: every default. */
export function defaultLabSource(): LabSource {
  return {
    file: labFileSchema.parse({ apiVersion: "podloom/v1", name: "podloom" }),
    locate: ({ path, message, remedy }) => ({ at: undefined, key: keyText(path), message, remedy }),
  };
}
