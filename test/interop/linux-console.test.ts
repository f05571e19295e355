// The commands of test/vectors/console-changes once more to the Linux of this machine: what was recorded is what it says, every text and
// every exit code. That ours says the same is a test of every day (test/unit/console/changes.test.ts).
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { LINUX_SCENE, transcribe, transcripts } from "../support/console-scene.ts";
import { namespacesUnavailable } from "../support/network-namespace.ts";

/** Runs the lines in a fresh namespace. */
function linux(lines: readonly string[]): string {
  const script = lines.map((line) => `printf '%s\\0' "$(${line} 2>&1; echo "x$?")"`).join("\n");
  const output = execFileSync("unshare", ["-n", "bash"], { input: LINUX_SCENE + script, encoding: "utf8" });
  const answers = output.split("\0");
  return lines
    .map((line, i) => {
      const said = answers[i] as string;
      const at = said.lastIndexOf("x");
      return transcribe(line, said.slice(0, at), Number(said.slice(at + 1)));
    })
    .join("");
}

const reason = namespacesUnavailable();

describe.skipIf(reason !== undefined)("Linux says what was recorded", () => {
  test.each(transcripts())("$name", ({ lines, text }) => {
    expect(text).toBe(linux(lines));
  });
});
