// What Node's own sockets cannot do is asked of the C library, through the optional package koffi.
import { createRequire } from "node:module";
import { constants } from "node:os";
import { messageOf, PodloomError } from "./podloom-error.ts";

/** A function of the C library. Buffers are passed as they are. */
export type NativeFunction = (...args: readonly unknown[]) => number;

/** As much of koffi as is used. */
export interface Koffi {
  load(path: null): { func(declaration: string): NativeFunction };
  errno(): number;
}

/** Who needs the library, in the words of its errors. */
export interface NativeNeed {
  readonly code: string;
  /** The thing that needs it, in the plural: `BGP passwords (TCP MD5 signatures)`. */
  readonly what: string;
  /** What to do without it: `run the sessions without passwords`. */
  readonly without: string;
}

/** Socket constants are those of these; other Linuxes have numbers of their own. */
const ARCHITECTURES: readonly string[] = [
  "x64",
  "arm64",
  "arm",
  "ia32",
  "ppc64",
  "s390x",
  "riscv64",
  "loong64",
];

/**
 * The package, or why there is none.
 *
 * @param load answers the package, or throws
 * @throws PodloomError with the code of `need`
 */
export function findKoffi(
  need: NativeNeed,
  platform: string = process.platform,
  arch: string = process.arch,
  load: () => unknown = loadKoffi,
): Koffi {
  const { code, what, without } = need;
  if (platform !== "linux" || !ARCHITECTURES.includes(arch)) {
    throw new PodloomError(code, `${what} work on Linux only, and not on ${platform} ${arch}`, {
      remedy: `Use Linux, or ${without}.`,
    });
  }
  try {
    return load() as Koffi;
  } catch (cause) {
    throw new PodloomError(
      code,
      `${what} need the optional package koffi, which cannot be loaded: ${messageOf(cause).split("\n")[0] ?? ""}`,
      { remedy: `Install it where podloom is installed (npm install koffi), or ${without}.`, cause },
    );
  }
}

/** Not an import: bundlers would look for the package, and so would a start that needs none. */
function loadKoffi(): unknown {
  return createRequire(import.meta.url)("koffi");
}

/** The name of an error number, like `EPERM`. */
export function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `error ${errno}`;
}
