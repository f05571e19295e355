import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";

// The house's own hygiene: what the compiler and the linter do not say.

const ROOT = resolve(import.meta.dirname, "../../..");
const SRC = join(ROOT, "src");

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const sources = filesBelow(SRC).filter((file) => file.endsWith(".ts"));
const tests = filesBelow(join(ROOT, "test")).filter(
  (file) => file.endsWith(".ts") && basename(file) !== "tidy.test.ts",
);
const texts = new Map([...sources, ...tests].map((file) => [file, readFileSync(file, "utf8")]));
const textOf = (file: string): string => texts.get(file) ?? "";
const short = (file: string): string => relative(ROOT, file);
const roomOf = (file: string): string => relative(SRC, file).split("/")[0] ?? "";

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

/** Relative imports and re-exports of a file. */
function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const pattern = /^\s*(?:import|export)\s+(type\s+)?([^"';]*?)from\s+"(\.[^"]+)"|import\("(\.[^"]+)"\)/gm;
  for (const match of textOf(file).matchAll(pattern)) {
    const names = match[2] ?? "";
    const allTypes = /^\{\s*(type\s+[^,}]+,?\s*)+\}\s*$/.test(names);
    const target = match[3] ?? match[4] ?? "";
    found.push({ target: resolve(dirname(file), target), typeOnly: match[1] !== undefined || allTypes });
  }
  return found;
}

function referencesOf(room: string): string[] {
  const config = JSON.parse(readFileSync(join(SRC, room, "tsconfig.json"), "utf8"));
  return config.references.map((ref: { path: string }) => basename(ref.path));
}

describe("files", () => {
  test("are named in kebab-case, say one thing, and none is a barrel", () => {
    const bad = sources.filter((file) => {
      const name = basename(file, ".ts");
      return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) || /^(index|utils?|helpers?|common|misc)$/.test(name);
    });
    expect(bad.map(short)).toEqual([]);
    const barrels = sources.filter((file) => {
      const code = textOf(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      const statements = code
        .split(";")
        .map((one) => one.trim())
        .filter((one) => one !== "");
      return statements.length > 0 && statements.every((one) => /^export\b[\s\S]*\bfrom\s+"/.test(one));
    });
    expect(barrels.map(short)).toEqual([]);
  });

  test("leave nothing open", () => {
    const open = sources.filter((file) => /\b(TODO|FIXME|XXX)\b/.test(textOf(file)));
    expect(open.map(short)).toEqual([]);
  });
});

describe("arrows", () => {
  test("an import goes down the house, as the room's tsconfig says", () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const allowed = [roomOf(file), ...referencesOf(roomOf(file))];
      for (const { target } of importsOf(file)) {
        if (!allowed.includes(roomOf(target))) wrong.push(`${short(file)} -> ${short(target)}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("siblings never meet: stack, routing and control are joined only in agent", () => {
    expect(referencesOf("stack")).not.toContain("control");
    expect(referencesOf("control")).not.toContain("stack");
    expect(referencesOf("io")).not.toContain("agent");
    expect(referencesOf("lab")).not.toContain("node");
    expect(referencesOf("lab")).not.toContain("agent");
    for (const room of ["base", "wire", "stack", "tunnel", "control", "agent", "console"]) {
      const config = JSON.parse(readFileSync(join(SRC, room, "tsconfig.json"), "utf8"));
      expect(config.compilerOptions.types ?? [], room).toEqual([]);
    }
  });

  test("there is no cycle of value imports", () => {
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        cycles.push([...path.slice(path.indexOf(file)), file].map(short).join(" -> "));
        return;
      }
      state.set(file, "open");
      for (const { target, typeOnly } of importsOf(file)) {
        if (!typeOnly && texts.has(target)) visit(target, [...path, file]);
      }
      state.set(file, "done");
    };
    for (const file of sources) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

/** The file without its comments; strings stay, whatever they hold. */
function codeOf(file: string): string {
  const tokens = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/.*$/gm;
  return textOf(file).replaceAll(tokens, (_, text: string | undefined) => text ?? "");
}

describe("drop reasons", () => {
  const names = Object.keys(DropReason).filter((name) => name !== "NOT_DROPPED");
  const produced = sources
    .filter((file) => basename(file) !== "drop-reason.ts")
    .map(codeOf)
    .join("\n");
  const tested = tests.map(codeOf).join("\n");

  // A comment, or a word that happens to be the same, is no test.
  test.each(names)("%s is produced by the code and by some test", (name) => {
    expect(produced).toMatch(new RegExp(`\\bDropReason\\.${name}\\b`));
    expect(tested).toMatch(new RegExp(`\\bDropReason\\.${name}\\b|["'\`]${name}["'\`]`));
  });

  test("what stands in a comment does not count", () => {
    texts.set("x.ts", 'const a = "http://x"; // DropReason.A\n/* "B" */ const b = DropReason.C;');
    expect(codeOf("x.ts")).toBe('const a = "http://x"; \n const b = DropReason.C;');
    texts.delete("x.ts");
  });
});
