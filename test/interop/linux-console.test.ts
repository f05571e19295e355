// The commands of test/vectors/console-changes once more to the Linux of this machine: what was recorded is what it says, every text and
// every exit code. That ours says the same is a test of every day (test/unit/console/changes.test.ts).
import { execFileSync } from "node:child_process";
import { release } from "node:os";
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

/** Texts change from version to version, the kernel's too: why this machine's cannot be compared, if so. */
function unlikeRecorded(): string | undefined {
  const version = execFileSync("ip", ["-V"], { encoding: "utf8" });
  if (!version.includes("iproute2-6.1.0")) return `recorded with iproute2 6.1.0, here is ${version.trim()}`;
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 12)
    ? undefined
    : `recorded on Linux 6.18, here is ${release()}`;
}

const reason = namespacesUnavailable() ?? unlikeRecorded();

describe.skipIf(reason !== undefined)(`Linux says what was recorded ${reason ?? ""}`, () => {
  test.each(transcripts())("$name", ({ lines, text }) => {
    expect(text).toBe(linux(lines));
  });
});
