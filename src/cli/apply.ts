// `podloom apply -f FILE`, `create` and `replace`: Calico's resources into the store, with calicoctl's words.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { CalicoKind, CalicoResource } from "../control/calico/resources.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { readResourceFile } from "../lab/resource-file.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** The flags of `apply` and its kin, read. */
export interface ApplyFlags extends WhichStore {
  /** `-` is standard input. */
  readonly file: string;
  /** For resources of namespaced kinds that name none. */
  readonly namespace: string;
  /** `create`: what exists already is no fault. */
  readonly skipExists: boolean;
}

/** What is done to each resource, and how calicoctl says that it was done. */
const DEEDS = {
  apply: { request: "apply", verb: "apply", done: "applied" },
  create: { request: "create", verb: "create", done: "created" },
  replace: { request: "update", verb: "replace", done: "replaced" },
} as const;

export type Deed = keyof typeof DEEDS;

/** Runs the command. Answers the exit code. */
export async function apply(deed: Deed, flags: ApplyFlags, cx: CommandContext): Promise<number> {
  const resources = readResources(flags.file, flags.namespace, cx);
  const { request, verb, done } = DEEDS[deed];
  if (resources.length === 0) {
    cx.terminal.print("No resources specified");
    return ExitCode.DONE;
  }
  return withStore(flags, cx, (client) =>
    oneByOne(resources, { verb, done }, cx, async (resource) => {
      const outcome = await client.request({ t: request, resource });
      if (outcome.t !== "refused") return undefined;
      if (outcome.code === "alreadyExists" && flags.skipExists) return undefined;
      return outcome.message;
    }),
  );
}

/** The resources of a file. @throws DocumentError PL_RESOURCE_FILE, PodloomError PL_USAGE */
export function readResources(file: string, namespace: string, cx: CommandContext): CalicoResource[] {
  const shown = file === "-" ? "(standard input)" : file;
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : resolve(cx.cwd, file), "utf8");
  } catch (thrown) {
    const missing = (thrown as NodeJS.ErrnoException).code === "ENOENT";
    throw new PodloomError(
      "PL_USAGE",
      `${shown}: ${missing ? "there is no such file" : (thrown as Error).message}`,
      { remedy: "Name a file of resources with -f FILE; - is standard input." },
    );
  }
  return readResourceFile(text, shown, namespace);
}

/** Something that has a kind. */
interface Kinded {
  readonly kind: CalicoKind;
}

/**
 * Does something to one after the other, until one fails, and says how far it came, as calicoctl does. Answers the exit code.
 *
 * @param act undefined: it is done; else why it is not
 */
export async function oneByOne<R extends Kinded>(
  all: readonly R[],
  words: { readonly verb: string; readonly done: string },
  cx: CommandContext,
  act: (one: R) => Promise<string | undefined>,
): Promise<number> {
  const kinds = new Set(all.map(({ kind }) => kind));
  const kind = kinds.size === 1 ? ` '${all[0]?.kind}'` : "";
  let handled = 0;
  for (const one of all) {
    const fault = await act(one);
    if (fault === undefined) {
      handled++;
      continue;
    }
    throw new PodloomError("PL_RESOURCE", failure(handled, all.length, kind, words, fault), {
      remedy:
        handled === 0 ? "Nothing was changed." : "What stands before it in the order of the file was done.",
    });
  }
  cx.terminal.print(`Successfully ${words.done} ${handled}${kind} resource(s)`);
  return ExitCode.DONE;
}

function failure(
  handled: number,
  all: number,
  kind: string,
  { verb, done }: { readonly verb: string; readonly done: string },
  fault: string,
): string {
  if (handled > 0) {
    return `Partial success: ${done} the first ${handled} out of ${all}${kind} resources: Hit error: ${fault}`;
  }
  if (all === 1) return `Failed to ${verb}${kind} resource: ${fault}`;
  return `Failed to ${verb} any${kind} resources: ${fault}`;
}
