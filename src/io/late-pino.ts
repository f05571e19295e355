// pino, which a process may do without until there is a line to write. Bundles put tools/late-pino.cjs in the place of this file, which
// runs the package when it is first asked for.
import pino from "pino";

/** The package. */
export function loadPino(): typeof pino {
  return pino;
}
