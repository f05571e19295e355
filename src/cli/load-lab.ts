// Which lab `podloom up` runs: the file that was named, the one that lies here, or the default.
import { readdirSync, readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { byPosition } from "../io/document/problem.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { defaultLabSource, LabFileError, type LabSource, parseLabFile } from "../lab/lab-file.ts";
import { applyOverrides, type LabOverrides } from "../lab/lab-overrides.ts";
import { type Lab, resolveLab } from "../lab/resolve-lab.ts";

/** A lab that is ready to run, and where it came from. */
export interface LoadedLab {
  readonly lab: Lab;
  /** The file, or undefined for the default lab. */
  readonly file: string | undefined;
}

/**
 * Loads the lab.
 *
 * @param file as given with -f; `-` is standard input; undefined looks for one in `cwd`
 * @throws LabFileError with every problem, PodloomError PL_USAGE
 */
export function loadLab(file: string | undefined, overrides: LabOverrides, cwd: string): LoadedLab {
  const found = file ?? discover(cwd);
  const shown = found === "-" ? "(standard input)" : (found ?? "(the default lab)");
  const source = found === undefined ? defaultLabSource() : readSource(found, shown, cwd);
  const changed = applyOverrides(source.file, overrides);
  if (!changed.ok) {
    throw new PodloomError("PL_USAGE", changed.error.message, { remedy: changed.error.remedy });
  }
  const resolved = resolveLab(changed.value, nameFrom(found));
  if (!resolved.ok)
    throw new LabFileError(shown, resolved.error.map((fault) => source.locate(fault)).sort(byPosition));
  return { lab: resolved.value, file: found };
}

function readSource(file: string, shown: string, cwd: string): LabSource {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : resolve(cwd, file), "utf8");
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : (thrown as Error).message;
    throw new PodloomError("PL_LAB_FILE", `${shown}: ${why}`, {
      remedy: "Name a lab file with -f FILE; without it the default lab runs.",
      cause: thrown,
    });
  }
  const parsed = parseLabFile(text);
  if (!parsed.ok) throw new LabFileError(shown, parsed.error);
  return parsed.value;
}

/** The one lab file in `cwd`: podloom.yaml, or *.podloom.yaml. */
function discover(cwd: string): string | undefined {
  const files = readdirSync(cwd).filter((name) => /^(podloom|.+\.podloom)\.ya?ml$/.test(name));
  if (files.length <= 1) return files[0];
  throw new PodloomError("PL_USAGE", `there are several lab files here: ${files.sort().join(", ")}`, {
    remedy: "Say which with -f FILE.",
  });
}

/** A lab's name from its file's: `examples/Three_Nodes.yaml` is `three-nodes`. */
function nameFrom(file: string | undefined): string {
  if (file === undefined || file === "-") return "podloom";
  const stem = basename(file).replace(/(\.podloom)?\.ya?ml$/, "");
  const name = stem
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return name === "" ? "podloom" : name;
}
