import { PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { labDirs, makeRuntimeDir, removeLab } from "./lab-dirs.ts";
import { type LabHolder, ownIdentity, takeLock } from "./lab-lock.ts";
import { clearOrphans } from "./lab-preflight.ts";

/**
 * Removes what a killed supervisor left: its processes, if they have not ended by themselves, its files and its lock. Answers
 * how many processes had to be killed.
 *
 * @throws PodloomError PL_LAB_RUNNING when somebody has started the lab anew meanwhile, PL_RUNTIME_DIR, PL_STATE_DIR
 */
export async function removeDeadLab(holder: LabHolder, env: Environment): Promise<number> {
  const dirs = labDirs(holder.name, env);
  // Refuses a folder of somebody else's: the processes that are named in there must not be believed.
  makeRuntimeDir(dirs);
  try {
    takeLock(dirs, { ...holder, supervisor: ownIdentity() });
  } catch (thrown) {
    // A disk that is too full for our lock is for anybody's, and is the more reason to clean up.
    if (!(thrown instanceof PodloomError) || thrown.code !== "PL_RUNTIME_DIR") throw thrown;
  }
  const killed = await clearOrphans(dirs);
  removeLab(dirs);
  return killed;
}
