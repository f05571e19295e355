import { readFileSync } from "node:fs";

/** What this is, and what it runs on. */
export interface VersionInfo {
  readonly podloom: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
}

/** Reads the version from the package. */
export function versionInfo(): VersionInfo {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  return { podloom: version, node: process.versions.node, platform: process.platform, arch: process.arch };
}
