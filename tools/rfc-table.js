// `npm run rfc`: writes docs/rfc.md anew, the table of what the BGP speaker implements. What it is meant to cover stands in
// docs/rfc-sections.yaml, kept by hand; where that happens is what the `@rfc NUMBER#SECTION` tags of the sources say. The two are held
// against each other: whoever calls a section implemented must be able to point at it, and whoever tags one must have listed it.
// A test fails while docs/rfc.md is not current.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const STATUSES = ["implemented", "partly", "left out"];
const KEYS = ["section", "title", "status", "why"];
const TAG = /@rfc(?: (\d+)(?:#((?:\d+|[A-Z])(?:\.\d+)*)?)?)?/g;

/**
 * Reads the tags of sources. A tag without a section names the document as a whole. What looks like a tag and is none is a fault.
 *
 * @param {ReadonlyMap<string, string>} sources texts by path, as links in docs/ have it
 * @returns {{ tags: Map<string, Set<string>>, faults: string[] }} paths by "4271#8.2.2" or "4724"
 */
export function readTags(sources) {
  const tags = new Map();
  const faults = [];
  for (const [path, text] of sources) {
    for (const [index, line] of text.split("\n").entries()) {
      for (const [tag, number, section] of line.matchAll(TAG)) {
        if (number === undefined || tag.endsWith("#")) {
          faults.push(`${path}:${index + 1}: "${tag}" is no tag; write "@rfc 4271#8.2.2" or "@rfc 4271"`);
          continue;
        }
        const key = section === undefined ? number : `${number}#${section}`;
        tags.set(key, (tags.get(key) ?? new Set()).add(path));
      }
    }
  }
  return { tags, faults };
}

/**
 * @param {unknown} given the parsed docs/rfc-sections.yaml
 * @returns {string[]} what is wrong with it in itself
 */
function checkList(given) {
  const faults = [];
  const numbers = new Set();
  for (const { number, title, sections } of given.rfcs) {
    const place = `docs/rfc-sections.yaml, RFC ${number}`;
    if (!Number.isInteger(number) || typeof title !== "string")
      faults.push(`${place}: it has a number and a title`);
    if (numbers.has(number)) faults.push(`${place}: it is listed twice`);
    numbers.add(number);
    const seen = new Set();
    for (const one of sections) {
      const at = `${place}, section ${one.section}`;
      if (typeof one.section !== "string")
        faults.push(`${at}: put the number in quotes, or 5.10 becomes 5.1`);
      if (typeof one.title !== "string") faults.push(`${at}: it has no title`);
      // A comma in a value without quotes begins another key.
      const strange = Object.keys(one).filter((key) => !KEYS.includes(key));
      if (strange.length > 0)
        faults.push(`${at}: "${strange.join(", ")}" is no key; put texts with commas in quotes`);
      if (seen.has(one.section)) faults.push(`${at}: it is listed twice`);
      seen.add(one.section);
      if (!STATUSES.includes(one.status)) faults.push(`${at}: its status is one of ${STATUSES.join(", ")}`);
      if (one.status !== "implemented" && typeof one.why !== "string")
        faults.push(`${at}: say why it is ${one.status}`);
    }
  }
  for (const number of Object.keys(given.others)) {
    if (numbers.has(Number(number)))
      faults.push(`docs/rfc-sections.yaml, RFC ${number}: it is among the others, too`);
  }
  return faults;
}

/** As a tag names it. The section `all` is the document. */
function keyOf(number, section) {
  return section === "all" ? String(number) : `${number}#${section}`;
}

/** What the list and the tags say differently. */
function compare(given, tags) {
  const faults = [];
  const listed = new Map();
  for (const { number, sections } of given.rfcs) {
    listed.set(String(number), undefined);
    for (const one of sections) listed.set(keyOf(number, one.section), one);
  }
  for (const [key, one] of listed) {
    if (one?.status === "implemented" && !tags.has(key)) {
      faults.push(
        `RFC ${key}: it is called implemented, and no source names it; tag what implements it with "@rfc ${key}"`,
      );
    }
    if (one?.status === "left out" && tags.has(key)) {
      faults.push(`RFC ${key}: it is called left out, and ${[...tags.get(key)].join(", ")} names it`);
    }
  }
  for (const [key, paths] of tags) {
    const known = listed.has(key) || Object.hasOwn(given.others, key.split("#")[0]);
    if (!known) {
      faults.push(
        `RFC ${key}: ${[...paths].join(", ")} names it; list it in docs/rfc-sections.yaml, or correct the tag`,
      );
    }
  }
  return faults;
}

/** "src/a.ts" as a link that works in docs/. */
function link(path) {
  return `[${path.replace(/^src\//, "")}](../${path})`;
}

function links(paths, separator) {
  return [...(paths ?? [])].sort(compareTexts).map(link).join(separator);
}

function compareTexts(x, y) {
  return x < y ? -1 : x > y ? 1 : 0;
}

/** By number, part by part; appendices, which have letters, come last. */
function compareSections(x, y) {
  const xs = x.split(".");
  const ys = y.split(".");
  for (let i = 0; i < Math.min(xs.length, ys.length); i++) {
    const numbers = /^\d+$/.test(xs[i]) && /^\d+$/.test(ys[i]);
    const order = numbers ? Number(xs[i]) - Number(ys[i]) : compareTexts(xs[i], ys[i]);
    if (order !== 0) return order;
  }
  return xs.length - ys.length;
}

function tableOf({ number, title, note, sections }, tags) {
  const lines = [`## RFC ${number}: ${title}`, ""];
  if (note !== undefined) lines.push(note, "");
  const whole = tags.get(String(number));
  const listed = sections.some((one) => one.section === "all");
  if (whole !== undefined && !listed) lines.push(`Named as a whole in ${links(whole, ", ")}.`, "");
  lines.push("| section | title | status | where |", "|---|---|---|---|");
  for (const one of sections.toSorted((x, y) => compareSections(x.section, y.section))) {
    const status = one.why === undefined ? one.status : `${one.status}: ${one.why}`;
    lines.push(
      `| ${one.section} | ${one.title} | ${status} | ${links(tags.get(keyOf(number, one.section)), "<br>")} |`,
    );
  }
  lines.push("");
  return lines;
}

function summary(rfcs) {
  const lines = ["| RFC | title | implemented | partly | left out |", "|---|---|---|---|---|"];
  for (const { number, title, sections } of rfcs) {
    const counts = STATUSES.map((status) => sections.filter((one) => one.status === status).length);
    // What GitHub and others make of the heading.
    const anchor = `rfc-${number}-${title
      .toLowerCase()
      .replaceAll(/[^\w -]/g, "")
      .replaceAll(" ", "-")}`;
    lines.push(`| [${number}](#${anchor}) | ${title} | ${counts.join(" | ")} |`);
  }
  return [...lines, ""];
}

function othersTable(others, tags) {
  const lines = [
    "## Other RFCs named in the code",
    "",
    "| RFC | title | sections | where |",
    "|---|---|---|---|",
  ];
  for (const [number, title] of Object.entries(others)) {
    const keys = [...tags.keys()].filter((key) => key.split("#")[0] === number);
    if (keys.length === 0) continue;
    const sections = keys.flatMap((key) => key.split("#").slice(1)).sort(compareSections);
    const paths = new Set(keys.flatMap((key) => [...tags.get(key)]));
    lines.push(`| ${number} | ${title} | ${sections.join(", ")} | ${links(paths, "<br>")} |`);
  }
  return [...lines, ""];
}

/**
 * The whole of docs/rfc.md, and everything that is wrong: a page with faults is not to be kept.
 *
 * @param {string} list the text of docs/rfc-sections.yaml
 * @param {ReadonlyMap<string, string>} sources texts by path: "src/wire/bgp/open.ts"
 * @returns {{ markdown: string, faults: string[] }}
 */
export function rfcTable(list, sources) {
  const given = parse(list);
  const { tags, faults } = readTags(sources);
  const rfcs = given.rfcs.toSorted((x, y) => x.number - y.number);
  const markdown = [
    "<!-- Written by `npm run rfc` from docs/rfc-sections.yaml and the @rfc tags of the sources. Do not edit. -->",
    "",
    "# RFCs",
    "",
    ...given.introduction.trim().split("\n"),
    "",
    ...summary(rfcs),
    ...rfcs.flatMap((rfc) => tableOf(rfc, tags)),
    ...othersTable(given.others, tags),
  ].join("\n");
  return { markdown, faults: [...faults, ...checkList(given), ...compare(given, tags)] };
}

/** Texts of all sources of the project at `root`, by path with "/" in it. */
export function readSources(root) {
  const files = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort(compareTexts);
  return new Map(
    files.map((file) => [relative(root, file).split(sep).join("/"), readFileSync(file, "utf8")]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(fileURLToPath(import.meta.url), "../..");
  const { markdown, faults } = rfcTable(
    readFileSync(join(root, "docs/rfc-sections.yaml"), "utf8"),
    readSources(root),
  );
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exit(1);
  writeFileSync(join(root, "docs/rfc.md"), markdown);
}
