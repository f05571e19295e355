// The same scene, once of a real BIRD 2.0.12 with its birdc (test/vectors/birdc, as they printed it), and once of a speaker of ours:
// the same text, but for what `ours` says. Each file holds the words, the output and the exit code.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runBirdc } from "../../../../src/console/birdc/birdc-command.ts";
import { BirdcScene } from "../../../support/birdc-scene.ts";

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

/** What BIRD says and we do not: protocols, statistics and timers that we have not, and the interface that a next hop is behind. */
const NOT_OURS =
  /^(?:device1|direct1) .*\n|^ +Route change stats: .*\n|^ +(?:Import|Export) (?:updates|withdraws): .*\n|^ +IGP IPv[46] table: .*\n|^ +Action: .*\n|^ +(?:Connect delay|Restart timer): .*\n|^ +BGP Next hop: +::\n/gm;

function ours(bird: string): string {
  const text = bird
    .replace(/^BIRD /gm, "podloom ")
    .replace(NOT_OURS, "")
    .replace(/^(static1 +Static +)master4/m, "$1---    ")
    .replace(/ on d0$/gm, "")
    // One policy serves all families of a neighbour here.
    .replace("Output filter:  (unnamed)", "Output filter:  ACCEPT")
    .replace(/ multihop/g, "")
    .replace(/(Error wait: .*)\/20$/m, "$1/-")
    .replace(" [HIT]", "")
    .replace("(100) [AS64519i]", "(100s) [AS64519i]");
  return inOrder(text);
}

/** BIRD has its routes in the order of their hashes. */
function inOrder(text: string): string {
  return text.replace(/(?<=^Table .*:\n)(?:(?!\n|exit|\d+ of).*\n)+/gm, (table) => {
    const blocks = table.split(/^(?=[\da-f])/m);
    return blocks.sort((x, y) => compare(key(x), key(y))).join("");
  });
}

function key(block: string): number[] {
  return (/^[\d.:a-f/]+/.exec(block)?.[0] ?? "").split(/[./:]+/).map(Number);
}

function compare(x: readonly number[], y: readonly number[]): number {
  const at = x.findIndex((value, i) => value !== y[i]);
  return at < 0 ? 0 : (x[at] as number) - (y[at] as number);
}

const SHOWN = readdirSync(folder)
  .map((file) => file.replace(/\.txt$/, ""))
  .filter((name) => /^(?:status|protocol|route|two)/.test(name) && name !== "route-filtered");

test.each(SHOWN)("%s", async (name) => {
  const { words, want } = golden(name);
  expect(await run(words)).toBe(ours(want));
});

test("what is filtered: BIRD marks the first, and has forgotten what has gone in a circle", async () => {
  const { words, want } = golden("route-filtered");
  const scene = new BirdcScene();
  const bird = ours(want).replace(" * ", " ").replace("(100s)", "(100)");
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
    expect(await run(words, scene)).toBe(ours(want));
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
