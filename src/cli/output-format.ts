// The values of `-o`. What they need is loaded when something is shown.
import { PodloomError } from "../io/podloom-error.ts";

export const OUTPUT_FORMATS = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Of Calico's resources, as calicoctl takes them. `ps` is its word for a table, and a table's columns may be chosen. */
export const RESOURCE_FORMATS = ["table", "ps", "wide", "json", "yaml", "custom-columns=..."] as const;

export type ResourceFormat =
  | { readonly t: "json" | "yaml" }
  | { readonly t: "table"; readonly wide: boolean; readonly columns?: readonly string[] };

/** @throws PodloomError PL_USAGE for a format that does not exist */
export function readResourceFormat(text: string): ResourceFormat {
  switch (text) {
    case "table":
    case "ps":
      return { t: "table", wide: false };
    case "wide":
      return { t: "table", wide: true };
    case "json":
      return { t: "json" };
    case "yaml":
    case "yml":
      return { t: "yaml" };
  }
  const columns = /^custom-columns(?:=(.*))?$/s.exec(text);
  if (columns === null) {
    throw new PodloomError("PL_USAGE", `-o does not take "${text}"`, {
      remedy: `It takes: ${RESOURCE_FORMATS.join(", ")}.`,
    });
  }
  if ((columns[1] ?? "") === "") {
    throw new PodloomError("PL_USAGE", "need to specify at least one column", {
      remedy: "Write for example: -o custom-columns=NAME,CIDR",
    });
  }
  return { t: "table", wide: false, columns: (columns[1] as string).split(",") };
}

/** @throws PodloomError PL_USAGE for a format that does not exist */
export function readFormat(text: string, known: readonly OutputFormat[] = OUTPUT_FORMATS): OutputFormat {
  const found = known.find((format) => format === text);
  if (found !== undefined) return found;
  throw new PodloomError("PL_USAGE", `-o does not take "${text}"`, {
    remedy: `It takes: ${known.join(", ")}.`,
  });
}
