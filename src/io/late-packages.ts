// Packages that a process may well do without: pino until there is a line to write, msgpackr until somebody asks. Bundles put
// tools/late-packages.cjs in the place of this file, which runs a package when it is first asked for: together they are a fifth of what
// a BGP speaker does before it is ready. Packages are types elsewhere.
import { Packr } from "msgpackr";
import pino from "pino";

/** The package. */
export function loadPino(): typeof pino {
  return pino;
}

/** The class. */
export function loadPackr(): typeof Packr {
  return Packr;
}
