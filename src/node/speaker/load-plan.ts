import type { DocumentFault, Problem } from "../../io/document/problem.ts";
import { nameFromFile, parseSpeakerFile, readSpeakerText, speakerFileError } from "./file/read-file.ts";
import { resolveSpeaker } from "./file/resolve.ts";
import type { PlanSurroundings, SpeakerPlan } from "./plan.ts";

/** A plan, and how to say what turns out to be wrong with its file. */
export interface LoadedPlan {
  readonly plan: SpeakerPlan;
  readonly problems: (faults: readonly DocumentFault[]) => Promise<readonly Problem[]>;
}

/**
 * Reads a speaker's file.
 *
 * @throws PodloomError PL_SPEAKER_FILE (a DocumentError) with every problem, a line each; PL_CARRIER_UNSUPPORTED
 */
export async function loadPlan(
  path: string,
  around: Omit<PlanSurroundings, "defaultName">,
): Promise<LoadedPlan> {
  const source = await parseSpeakerFile(readSpeakerText(path));
  if (!source.ok) throw speakerFileError(path, source.error);
  const { file, problems } = source.value;
  const plan = resolveSpeaker(file, { ...around, defaultName: nameFromFile(path) });
  if (!plan.ok) throw speakerFileError(path, await problems(plan.error));
  return { plan: plan.value, problems };
}
