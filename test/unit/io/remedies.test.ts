// Whoever meets an error of these rooms is told what to do about it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const SRC = join(import.meta.dirname, "../../../src");

function filesOf(room: string): string[] {
  return readdirSync(join(SRC, room), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The text of each `new PodloomError(…)`, to its closing parenthesis. */
function errorsIn(text: string): string[] {
  return [...text.matchAll(/new PodloomError\(/g)].map(({ index }) => {
    let depth = 0;
    for (let at = text.indexOf("(", index); at < text.length; at++) {
      if (text[at] === "(") depth++;
      if (text[at] === ")" && --depth === 0) return text.slice(index, at + 1);
    }
    throw new Error("a parenthesis is not closed");
  });
}

test.each(["io", "node"])("every PodloomError of %s has a remedy", (room) => {
  const found = filesOf(room).flatMap((file) => errorsIn(readFileSync(file, "utf8")));
  expect(found.length).toBeGreaterThan(10);
  expect(found.filter((text) => !/\bremedy\b/.test(text))).toEqual([]);
});
