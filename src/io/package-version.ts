import { readFileSync } from "node:fs";

/** The version of podloom, from its package. */
export function packageVersion(): string {
  // Two folders up from here, from dist/io as from dist/bundle.
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
