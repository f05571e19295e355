// YAML with positions: what lets a message about `nodes[1].address` name the line and column of that very value.
import { isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import type { DocPath, Position } from "./problem.ts";

/** A fault of YAML itself. */
export interface YamlFault {
  readonly at: Position;
  readonly message: string;
}

/** Lists and maps in one another; beyond some thousands the parser takes minutes, or dies. */
const DEPTH_MAX = 100;
/** Items that begin on one line, one in the other: "- - - a". */
const NESTED_ITEMS = new RegExp(`^[ \\t]*(?:[-?:][ \\t]+){${DEPTH_MAX}}`, "m");

/** One parsed YAML document that remembers where everything stood. */
export class YamlSource {
  readonly faults: readonly YamlFault[];
  /** The document as plain values; undefined while {@link faults} is not empty. */
  readonly value: unknown;
  readonly #doc: ReturnType<typeof parseDocument>;
  readonly #lines = new LineCounter();

  /** @param what the document is: "a lab file" */
  constructor(text: string, what: string) {
    const deep = tooDeepAt(text);
    this.#doc = parseDocument(deep === undefined ? text : text.slice(0, deep), {
      lineCounter: this.#lines,
      prettyErrors: false,
    });
    if (deep !== undefined) {
      this.faults = [
        { at: this.#at(deep), message: `more than ${DEPTH_MAX} lists and maps are in one another here` },
      ];
      return;
    }
    const faults: YamlFault[] = this.#doc.errors.map((error) => ({
      at: this.#at(error.pos[0]),
      message:
        error.code === "MULTIPLE_DOCS"
          ? `${what} is one YAML document, without a second \`---\``
          : error.message,
    }));
    if (faults.length === 0) {
      try {
        this.value = this.#doc.toJS({ maxAliasCount: 100 });
      } catch (thrown) {
        // An alias without its anchor, or too many of them: the library names no position.
        faults.push({ at: { line: 1, col: 1 }, message: (thrown as Error).message });
      }
    }
    this.faults = faults;
  }

  /** Where the value at `path` stands; of one that is absent, the key or list item above it that exists. */
  valueAt(path: DocPath): Position {
    for (let depth = path.length; depth > 0; depth--) {
      const node = this.#node(path.slice(0, depth));
      if (!node?.range) continue;
      const last = path[depth - 1];
      // A block map begins at its first key, which has nothing to do with one that it lacks.
      if (depth < path.length && typeof last === "string") return this.keyAt(path.slice(0, depth - 1), last);
      return this.#at(node.range[0]);
    }
    return this.#start();
  }

  /** Where the key `key` of the map at `path` stands. */
  keyAt(path: DocPath, key: string): Position {
    const map = path.length === 0 ? this.#doc.contents : this.#node(path);
    if (isMap(map)) {
      for (const pair of map.items) {
        if (isPair(pair) && isScalar(pair.key) && String(pair.key.value) === key && pair.key.range) {
          return this.#at(pair.key.range[0]);
        }
      }
    }
    return this.valueAt(path);
  }

  #node(path: DocPath): Node | undefined {
    const node: unknown = this.#doc.getIn(path as (string | number)[], true);
    return typeof node === "object" && node !== null ? (node as Node) : undefined;
  }

  #start(): Position {
    const range = this.#doc.contents?.range;
    return range ? this.#at(range[0]) : { line: 1, col: 1 };
  }

  #at(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), col: Math.max(1, col) };
  }
}

/** Where the text nests deeper than any file for people does. Brackets in text count too, which does no harm at this depth. */
function tooDeepAt(text: string): number | undefined {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "[" || char === "{") depth++;
    else if ((char === "]" || char === "}") && depth > 0) depth--;
    if (depth > DEPTH_MAX) return i;
  }
  const items = NESTED_ITEMS.exec(text);
  return items?.index;
}
