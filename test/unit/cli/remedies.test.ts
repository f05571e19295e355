// An error for people says what they can do about it.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const SRC = resolve(import.meta.dirname, "../../../src");

/** The arguments of each `new PodloomError(…)` of a source text. */
function errorsOf(text: string): string[] {
  return text
    .split("new PodloomError(")
    .slice(1)
    .map((rest) => {
      let depth = 1;
      let end = 0;
      while (depth > 0 && end < rest.length) {
        if (rest[end] === "(") depth++;
        if (rest[end] === ")") depth--;
        end++;
      }
      return rest.slice(0, end - 1);
    });
}

const FILES = ["cli", "measure"].flatMap((room) =>
  readdirSync(join(SRC, room)).map((name) => join(room, name)),
);

test.each(FILES.filter((file) => file.endsWith(".ts")))("every error of %s has a remedy", (file) => {
  const errors = errorsOf(readFileSync(join(SRC, file), "utf8"));
  expect(errors.filter((args) => !/\bremedy\b/.test(args))).toEqual([]);
});
