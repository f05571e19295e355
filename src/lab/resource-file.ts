// A file of Calico's resources, as `podloom apply -f` reads it: YAML or JSON, several documents, lists. All of it is checked before
// anything is done, and every fault names its line.
import { checkResource, documentsOf } from "../control/calico/check-resource.ts";
import type { CalicoResource } from "../control/calico/resources.ts";
import { byPosition, type DocPath, DocumentError, keyText, type Problem } from "../io/document/problem.ts";
import { splitDocuments } from "../io/document/yaml-documents.ts";
import { YamlSource } from "../io/document/yaml-source.ts";

/** Longest file that is read, in bytes. */
export const RESOURCE_FILE_BYTES_MAX = 16 * 1024 * 1024;

const REMEDY_YAML = "Correct the YAML; indentation is by spaces, and a list item starts with `- `.";

/**
 * The resources of the file, in its order.
 *
 * @param shown its name, for messages
 * @param namespace for those of a namespaced kind that name none
 * @throws DocumentError PL_RESOURCE_FILE with everything that is wrong
 */
export function readResourceFile(text: string, shown: string, namespace: string): CalicoResource[] {
  if (Buffer.byteLength(text) > RESOURCE_FILE_BYTES_MAX) {
    const message = `the file is larger than ${RESOURCE_FILE_BYTES_MAX / 1024 / 1024} MiB`;
    throw refusal(shown, [{ at: undefined, key: "", message, remedy: "Apply it in parts." }]);
  }
  const problems: Problem[] = [];
  const resources: CalicoResource[] = [];
  for (const part of splitDocuments(text)) {
    const source = new YamlSource(part, "a document");
    for (const { at, message } of source.faults) problems.push({ at, key: "", message, remedy: REMEDY_YAML });
    if (source.faults.length > 0) continue;
    for (const { path, document } of documentsOf(source.value)) {
      const checked = checkResource(placed(document, namespace));
      if (checked.ok) resources.push(checked.value);
      else for (const fault of checked.error) problems.push(problemOf(source, path, fault, document));
    }
  }
  if (problems.length > 0) throw refusal(shown, problems.sort(byPosition));
  return resources;
}

/** What Calico's client does to an endpoint that names no namespace. */
function placed(document: unknown, namespace: string): unknown {
  if (typeof document !== "object" || document === null) return document;
  const { kind, metadata } = document as { readonly kind?: unknown; readonly metadata?: unknown };
  if (kind !== "WorkloadEndpoint" || typeof metadata !== "object" || metadata === null) return document;
  return { ...document, metadata: { namespace, ...metadata } };
}

function problemOf(
  source: YamlSource,
  root: DocPath,
  fault: { readonly path: DocPath; readonly message: string },
  document: unknown,
): Problem {
  const { kind, metadata } = (document ?? {}) as { kind?: unknown; metadata?: { name?: unknown } | null };
  const name = metadata?.name;
  const what = typeof kind === "string" ? kind : "resource";
  const which = typeof name === "string" ? `${what} "${name}"` : `a ${what}`;
  const path = [...root, ...fault.path];
  const last = fault.path.at(-1);
  // An unknown key stands where the key stands, not where its value does.
  const at = typeof last === "string" ? source.keyAt(path.slice(0, -1), last) : source.valueAt(path);
  return {
    at,
    key: keyText(path),
    message: fault.message,
    remedy: `It is in ${which}; nothing was applied.`,
  };
}

function refusal(shown: string, problems: readonly Problem[]): DocumentError {
  return new DocumentError("PL_RESOURCE_FILE", shown, problems);
}
