// A speaker's file → its checked content, or everything that is wrong with it.
import { closeSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { ok, type Result } from "../../../base/result.ts";
import { DocumentError, type DocumentFault, type Problem } from "../../../io/document/problem.ts";
import type { DocumentKind } from "../../../io/document/read-document.ts";
import { messageOf } from "../../../io/podloom-error.ts";
import {
  SPEAKER_FILE_BYTES_MAX,
  type SpeakerFile,
  speakerFileSchema,
  speakerJsonSchema,
} from "./speaker-schema.ts";

/** A file that was read, and how to say what is wrong with it. */
export interface SpeakerSource {
  readonly file: SpeakerFile;
  /** Faults found later, as problems of this file, in its order. */
  readonly problems: (faults: readonly DocumentFault[]) => Promise<readonly Problem[]>;
}

const KIND: DocumentKind<SpeakerFile> = {
  what: "a speaker's file",
  bytesMax: SPEAKER_FILE_BYTES_MAX,
  smallest:
    "The smallest has apiVersion: podloom/v1, kind: BGPSpeaker, as and routerId; examples/bgp has some.",
  schema: speakerFileSchema,
  jsonSchema: speakerJsonSchema,
  secretKeys: ["password"],
};

/** The refusal of a speaker's file. @param fileName as the reader wrote it */
export function speakerFileError(fileName: string, problems: readonly Problem[]): DocumentError {
  return new DocumentError("PL_SPEAKER_FILE", fileName, problems);
}

/**
 * Reads the text of a file. Never throws; the error lists every problem that was found.
 *
 * YAML and its positions cost more to load and to read than all else that a speaker does before it runs. So a file that is plain
 * JSON, as programs write it, is read as such, and as YAML (which all JSON is) only when something is wrong with it.
 */
export async function parseSpeakerFile(text: string): Promise<Result<SpeakerSource, readonly Problem[]>> {
  const plain = plainJson(text);
  if (plain !== undefined) {
    const parsed = speakerFileSchema.safeParse(plain);
    if (parsed.success) {
      const problems = (faults: readonly DocumentFault[]) => problemsOf(text, faults);
      return ok({ file: parsed.data, problems });
    }
  }
  const { readDocument } = await import("../../../io/document/read-document.ts");
  const read = readDocument(text, KIND);
  if (!read.ok) return read;
  return ok({ file: read.value.value, problems: (faults) => problemsOf(text, faults) });
}

async function problemsOf(text: string, faults: readonly DocumentFault[]): Promise<readonly Problem[]> {
  const [{ readDocument }, { byPosition }] = await Promise.all([
    import("../../../io/document/read-document.ts"),
    import("../../../io/document/problem.ts"),
  ]);
  const read = readDocument(text, KIND);
  // It was read before; only JSON in which a key stands twice is right as JSON and wrong as YAML.
  if (!read.ok) return read.error;
  return faults.map((fault) => read.value.locate(fault)).sort(byPosition);
}

function plainJson(text: string): unknown {
  if (!/^\s*\{/.test(text) || text.length > SPEAKER_FILE_BYTES_MAX) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Reads a file whole, if it is not too large; a device or a pipe must not feed us for ever. @throws DocumentError PL_SPEAKER_FILE */
export function readSpeakerText(path: string): string {
  try {
    return readBounded(path, SPEAKER_FILE_BYTES_MAX + 1);
  } catch (thrown) {
    const missing = (thrown as NodeJS.ErrnoException).code === "ENOENT";
    const message = missing ? "there is no such file" : messageOf(thrown);
    const remedy = "Name a speaker's file with -f FILE; examples/bgp has some.";
    throw speakerFileError(path, [{ at: undefined, key: "", message, remedy }]);
  }
}

function readBounded(path: string, bytesMax: number): string {
  const fd = openSync(path, "r");
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; size < bytesMax; ) {
      const chunk = Buffer.allocUnsafe(Math.min(64 * 1024, bytesMax - size));
      const got = readSync(fd, chunk);
      if (got === 0) break;
      size += got;
      chunks.push(chunk.subarray(0, got));
    }
    return Buffer.concat(chunks).toString("utf8");
  } finally {
    closeSync(fd);
  }
}

/** A speaker's name from its file's: `examples/bgp/Route_Reflector.yaml` is `route-reflector`. */
export function nameFromFile(path: string): string {
  const stem = basename(path).replace(/\.(ya?ml|json)$/, "");
  const name = stem
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return name === "" ? "speaker" : name;
}
