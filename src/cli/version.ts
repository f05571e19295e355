import { packageVersion } from "../io/package-version.ts";

/** What this is, and what it runs on. */
export interface VersionInfo {
  readonly podloom: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
}

/** Reads the version from the package. */
export function versionInfo(): VersionInfo {
  const { platform, arch, versions } = process;
  return { podloom: packageVersion(), node: versions.node, platform, arch };
}
