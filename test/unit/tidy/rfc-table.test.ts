import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";

// docs/rfc.md says what the BGP speaker implements. It must say so truthfully, and be current.

const ROOT = resolve(import.meta.dirname, "../../..");

type Sources = ReadonlyMap<string, string>;

interface RfcTable {
  readonly readTags: (sources: Sources) => { tags: Map<string, Set<string>>; faults: string[] };
  readonly rfcTable: (list: string, sources: Sources) => { markdown: string; faults: string[] };
  readonly readSources: (root: string) => Sources;
}

const { readTags, rfcTable, readSources }: RfcTable = await import(
  pathToFileURL(join(ROOT, "tools/rfc-table.js")).href
);

describe("docs/rfc.md", () => {
  const { markdown, faults } = rfcTable(
    readFileSync(join(ROOT, "docs/rfc-sections.yaml"), "utf8"),
    readSources(ROOT),
  );

  test("what is called implemented is tagged, and what is tagged is listed", () => {
    expect(faults).toEqual([]);
  });

  test("is what `npm run rfc` writes", () => {
    expect(readFileSync(join(ROOT, "docs/rfc.md"), "utf8")).toBe(markdown);
  });
});

describe("tags", () => {
  const tagsOf = (text: string) => readTags(new Map([["src/a.ts", text]]));

  test("are found with and without a section, several on a line", () => {
    const { tags, faults } = tagsOf(
      "/** One. @rfc 4271#8.2.2 @rfc 4724 */\n// @rfc 4271#9.1.2.2 (e), @rfc 5880#A.1.\n",
    );
    expect([...tags.keys()]).toEqual(["4271#8.2.2", "4724", "4271#9.1.2.2", "5880#A.1"]);
    expect(faults).toEqual([]);
  });

  test("that cannot be read are errors with their place", () => {
    const { tags, faults } = tagsOf("ok\n// @rfc RFC4271\n// @rfc 4271#\n// @rfc4271\n// @rfc\n");
    expect(tags.size).toBe(0);
    expect(faults.map((fault) => fault.split(" ")[0])).toEqual([
      "src/a.ts:2:",
      "src/a.ts:3:",
      "src/a.ts:4:",
      "src/a.ts:5:",
    ]);
  });
});

describe("the list and the tags are held against each other", () => {
  const list = (sections: string, others = "{ 768: User Datagram Protocol }") =>
    `introduction: Text.\nrfcs: [{ number: 4271, title: BGP-4, sections: [${sections}] }]\nothers: ${others}\n`;
  const section = (number: string, status: string) => `{ section: ${number}, title: "T", ${status} }`;
  const done = "status: implemented";
  const faultsOf = (yaml: string, text: string): string[] =>
    rfcTable(yaml, new Map([["src/a.ts", text]])).faults;

  test("both say the same", () => {
    const { markdown, faults } = rfcTable(
      list(`${section('"10"', done)}, ${section('"9.2"', "status: left out, why: because")}`),
      new Map([
        ["src/b.ts", "@rfc 4271#10"],
        ["src/a.ts", "@rfc 4271#10 @rfc 768 @rfc 4271"],
      ]),
    );
    expect(faults).toEqual([]);
    expect(markdown).toContain("| [4271](#rfc-4271-bgp-4) | BGP-4 | 1 | 0 | 1 |");
    expect(markdown).toContain("Named as a whole in [a.ts](../src/a.ts).");
    expect(markdown).toContain(
      "| 9.2 | T | left out: because |  |\n| 10 | T | implemented | [a.ts](../src/a.ts)<br>[b.ts](../src/b.ts) |",
    );
    expect(markdown).toContain("| 768 | User Datagram Protocol |  | [a.ts](../src/a.ts) |");
  });

  test.each([
    ["implemented, and not tagged", section('"10"', done), "", /RFC 4271#10: .*no source names it/],
    [
      "tagged, and not listed",
      section('"10"', done),
      "@rfc 4271#10 @rfc 4271#9",
      /RFC 4271#9: src\/a.ts names it/,
    ],
    ["of a document that is not listed", "", "@rfc 9999#1", /RFC 9999#1: src\/a.ts names it/],
    [
      "left out, and tagged",
      section('"10"', "status: left out, why: b"),
      "@rfc 4271#10",
      /left out, and src\/a.ts/,
    ],
    ["partly, and nobody says why", section('"10"', "status: partly"), "", /say why it is partly/],
    ["of another status", section('"10"', "status: done, why: b"), "", /its status is one of/],
    [
      "twice",
      `${section('"1"', "status: partly, why: b")}, ${section('"1"', "status: partly, why: b")}`,
      "",
      /twice/,
    ],
    ["cut at a comma", section('"10"', "status: partly, why: a, b"), "", /"b" is no key/],
    ["not in quotes", section("5.10", "status: partly, why: b"), "", /put the number in quotes/],
    ["the whole document, and not tagged", section("all", done), "", /RFC 4271: .*no source names it/],
  ])("%s", (_, sections, text, says) => {
    const faults = faultsOf(list(sections), text);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(says);
  });

  test("a document is in one of the two parts", () => {
    expect(faultsOf(list("", "{ 4271: BGP }"), "")).toEqual([
      "docs/rfc-sections.yaml, RFC 4271: it is among the others, too",
    ]);
  });
});
