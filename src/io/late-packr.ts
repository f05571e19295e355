// msgpackr, which a process may do without until somebody asks it. Bundles put tools/late-packr.cjs in the place of this file, which runs
// the package when it is first asked for.
import { Packr } from "msgpackr";

/** The class. */
export function loadPackr(): typeof Packr {
  return Packr;
}
