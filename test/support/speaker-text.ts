import { describeProblem, type Problem } from "../../src/io/document/problem.ts";
import { parseSpeakerFile } from "../../src/node/speaker/file/read-file.ts";
import { resolveSpeaker } from "../../src/node/speaker/file/resolve.ts";
import type { PlanSurroundings, SpeakerPlan } from "../../src/node/speaker/plan.ts";

/** What every speaker's file has; five lines. */
export const SPEAKER_HEAD = `apiVersion: podloom/v1
kind: BGPSpeaker
as: 64512
routerId: 10.0.1.1
carrier: loopback
`;

const AROUND: PlanSurroundings = {
  name: undefined,
  defaultName: "sp",
  restarting: false,
  traceMessages: false,
  metrics: undefined,
  capture: undefined,
  policies: new Map(),
};

async function read(
  text: string,
  around: Partial<PlanSurroundings>,
): Promise<SpeakerPlan | readonly Problem[]> {
  const source = await parseSpeakerFile(text);
  if (!source.ok) return source.error;
  const plan = resolveSpeaker(source.value.file, { ...AROUND, ...around });
  return plan.ok ? plan.value : await source.value.problems(plan.error);
}

/** The plan of a file that is right. */
export async function planOf(text: string, around: Partial<PlanSurroundings> = {}): Promise<SpeakerPlan> {
  const plan = await read(text, around);
  if ("speaker" in plan) return plan;
  throw new Error(plan.map((problem) => describeProblem("sp.yaml", problem)).join("\n"));
}

/** What is wrong with a file, as it is shown: two lines a problem. */
export async function complaintsOf(text: string): Promise<readonly string[]> {
  const plan = await read(text, {});
  return "speaker" in plan ? [] : plan.map((problem) => describeProblem("sp.yaml", problem));
}
