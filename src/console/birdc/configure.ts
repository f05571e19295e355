import type { BirdcRun, BirdcSpeaker } from "./birdc-speaker.ts";
import type { Word } from "./birdc-words.ts";
import { unexpected } from "./syntax.ts";

/** `configure [soft | check]`: policies change without ending sessions anyway, so `soft` says nothing new. */
export async function* configure(words: readonly Word[], speaker: BirdcSpeaker): BirdcRun {
  const [mode, extra] = words;
  const known = mode === undefined || (!mode.quoted && (mode.text === "soft" || mode.text === "check"));
  if (!known || extra !== undefined) {
    yield unexpected(known ? extra : mode, known ? "the end" : "check, soft or the end");
    return 1;
  }
  const checkOnly = mode?.text === "check";
  yield `Reading configuration from ${speaker.status().file}`;
  const report = await speaker.configure(checkOnly);
  if (typeof report === "string") {
    yield report;
    return 1;
  }
  for (const what of report.needRestart) yield `Needs a restart: ${what}`;
  yield checkOnly ? "Configuration OK" : "Reconfigured";
  return 0;
}
