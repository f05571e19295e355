// The values of `-o`. What they need is loaded when something is shown.
import { PodloomError } from "../io/podloom-error.ts";

export const OUTPUT_FORMATS = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Of Calico's resources. `ps` is calicoctl's word for a table. */
export const RESOURCE_FORMATS = ["table", "ps", "wide", "json", "yaml"] as const;
export type ResourceFormat = (typeof RESOURCE_FORMATS)[number];

/** @throws PodloomError PL_USAGE for a format that does not exist */
export function readFormat(text: string, known: readonly OutputFormat[] = OUTPUT_FORMATS): OutputFormat {
  const found = known.find((format) => format === text);
  if (found !== undefined) return found;
  throw new PodloomError("PL_USAGE", `-o does not take "${text}"`, {
    remedy: `It takes: ${known.join(", ")}.`,
  });
}
