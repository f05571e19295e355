// The same scene, once of a real BIRD 2.0.12 with its birdc (test/vectors/birdc, as they printed it), and once of a speaker of ours:
// the same text, but for what `asOurs` says, and our mark of stale routes. Each file holds the words, the output and the exit code.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runBirdc } from "../../../../src/console/birdc/birdc-command.ts";
import { BirdcScene } from "../../../support/birdc-scene.ts";
import { asOurs } from "../../../support/birdc-text.ts";

const folder = new URL("../../../vectors/birdc/", import.meta.url);

function golden(name: string): { readonly words: string; readonly want: string } {
  const text = readFileSync(new URL(`${name}.txt`, folder), "utf8");
  return { words: text.slice(2, text.indexOf("\n")), want: text };
}

async function run(words: string, scene = new BirdcScene()): Promise<string> {
  const command = runBirdc([words], scene);
  let text = `$ ${words}\n`;
  for (;;) {
    const { done, value } = await command.next();
    if (done === true) return `${text}exit ${value}\n`;
    text += value;
  }
}

const SHOWN = readdirSync(folder)
  .map((file) => file.replace(/\.txt$/, ""))
  .filter((name) => /^(?:status|protocol|route|two)/.test(name) && name !== "route-filtered");

test.each(SHOWN)("%s", async (name) => {
  const { words, want } = golden(name);
  expect(await run(words)).toBe(asOurs(want).replace("(100) [AS64519i]", "(100s) [AS64519i]"));
});

test("what is filtered: BIRD marks the first, and has forgotten what has gone in a circle", async () => {
  const { words, want } = golden("route-filtered");
  const scene = new BirdcScene();
  const bird = asOurs(want)
    .replace("(100) [AS64519i]", "(100s) [AS64519i]")
    .replace(" * ", " ")
    .replace("(100s)", "(100)");
  expect(await run(words, scene)).toBe(
    bird.replace(
      "Table master4:\n",
      "Table master4:\n10.63.0.0/16         unicast [ib 16:01:03.487 from 127.0.1.4] (100) [AS64512i]\n\tvia 10.9.0.7\n",
    ),
  );
});

test("protocols are switched and told of in the same words", async () => {
  const scene = new BirdcScene();
  const names = [
    "disable",
    "disable-again",
    "restart-disabled",
    "reload-disabled",
    "enable",
    "enable-again",
    "restart",
    "reload",
    "reload-out",
    "reload-pattern",
    "restart-pattern",
    "configure",
    "configure-check",
  ];
  for (const name of names) {
    const { words, want } = golden(name);
    expect(await run(words, scene)).toBe(asOurs(want).replace("(100) [AS64519i]", "(100s) [AS64519i]"));
  }
  expect(scene.asked.map(({ verb, neighbor, text }) => [verb, neighbor, text].join(" ").trim())).toEqual([
    "shutdown ib gone for lunch",
    "enable ib",
    "reset p3",
    "refreshIn p2",
    "refreshOut p2",
    "refreshOut p2",
    "reset p2",
    "reset p3",
    "configure",
    "check",
  ]);
  expect(SHOWN.length + 1 + names.length).toBe(readdirSync(folder).length);
});
