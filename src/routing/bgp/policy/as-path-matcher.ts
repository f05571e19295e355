import type { Result } from "../../../base/result.ts";
import { ok } from "../../../base/result.ts";
import { type AsPath, type AsSegment, SegmentType } from "../../../wire/bgp/as-path.ts";
import {
  END_SYMBOL,
  Op,
  type PathNode,
  type PathProgram,
  parsePathExpression,
  SPACE_SYMBOL,
} from "./as-path-syntax.ts";

const SYMBOLS = END_SYMBOL + 1;

/** Places in a path, as the nodes that ask for one tell them apart. */
const Place = { BEGIN: 0, AFTER_DIGIT: 1, AFTER_OTHER: 2 } as const;

/** What a step leads to, besides a state (0..). */
const ACCEPTED = -1;
const REFUSED = -2;
const NOT_KNOWN = -3;

/** States that are remembered. What goes beyond is worked out anew each time: slower, but still linear. */
const MAX_STATES = 256;

/** The state that stands for whatever {@link State} was too many to remember. */
const SPILLED = MAX_STATES;

interface State {
  /** Nodes that wait for the next symbol, each once. */
  readonly waiting: readonly number[];
  readonly place: number;
}

/** Symbols around the AS numbers of a segment, by its type: undefined for a sequence. */
const BRACKETS: readonly (readonly [number, number] | undefined)[] = bracketsByType();

function bracketsByType(): (readonly [number, number] | undefined)[] {
  const brackets: (readonly [number, number] | undefined)[] = Array.from({ length: 5 });
  brackets[SegmentType.SET] = [SPACE_SYMBOL + 1, SPACE_SYMBOL + 2];
  brackets[SegmentType.CONFED_SEQUENCE] = [SPACE_SYMBOL + 3, SPACE_SYMBOL + 4];
  brackets[SegmentType.CONFED_SET] = [SPACE_SYMBOL + 5, SPACE_SYMBOL + 6];
  return brackets;
}

/** Compiles an expression; refused: what is wrong with it. The notation is in as-path-syntax.ts. */
export function compilePathExpression(text: string, maxLength: number): Result<AsPathMatcher, string> {
  const parsed = parsePathExpression(text, maxLength);
  return parsed.ok ? ok(new AsPathMatcher(parsed.value)) : parsed;
}

/**
 * Searches paths for an expression in one pass, without backtracking and without writing the path down. The states of the automaton
 * that paths lead to are worked out once and remembered; memory and the cost of a symbol are bounded by the expression.
 */
export class AsPathMatcher {
  readonly #nodes: readonly PathNode[];
  readonly #start: number;
  /** May a match begin later than with the path? */
  readonly #floating: boolean;
  readonly #states: State[] = [];
  readonly #known = new Map<string, number>();
  /** Where each state leads, by symbol. */
  #table = new Int16Array(4 * SYMBOLS).fill(NOT_KNOWN);
  #spilled: State = { waiting: [], place: Place.BEGIN };
  /** The state after what has been read: {@link SPILLED}, {@link ACCEPTED} and {@link REFUSED} are among its values. */
  #at = 0;
  /** In which search a node was seen last, before the symbol and after it. */
  readonly #seen: Float64Array;
  readonly #reached: Float64Array;
  #search = 0;

  constructor(program: PathProgram) {
    this.#nodes = program.nodes;
    this.#start = program.start;
    this.#seen = new Float64Array(program.nodes.length);
    this.#reached = new Float64Array(program.nodes.length);
    this.#floating = mayBeginAnywhere(program);
    this.#states.push({ waiting: [program.start], place: Place.BEGIN });
  }

  /** Is the expression in the path? */
  matches(path: AsPath): boolean {
    this.#at = 0;
    for (let i = 0; i < path.length; i++) {
      if ((i > 0 && this.#step(SPACE_SYMBOL)) || this.#segment(path[i] as AsSegment)) return this.#accepted();
    }
    this.#step(END_SYMBOL);
    return this.#accepted();
  }

  #accepted(): boolean {
    return this.#at === ACCEPTED;
  }

  /** Like those below: reads on, and says whether that has settled it. */
  #segment({ type, asns }: AsSegment): boolean {
    const brackets = BRACKETS[type];
    if (brackets !== undefined && this.#step(brackets[0])) return true;
    for (let i = 0; i < asns.length; i++) {
      if ((i > 0 && this.#step(SPACE_SYMBOL)) || this.#number(asns[i] as number)) return true;
    }
    return brackets !== undefined && this.#step(brackets[1]);
  }

  #number(as: number): boolean {
    let scale = 1;
    while (as >= scale * 10) scale *= 10;
    for (; scale >= 1; scale /= 10) if (this.#step(Math.trunc(as / scale) % 10)) return true;
    return false;
  }

  #step(symbol: number): boolean {
    const at = this.#at;
    const known = at === SPILLED ? NOT_KNOWN : (this.#table[at * SYMBOLS + symbol] as number);
    this.#at = known === NOT_KNOWN ? this.#learn(at, symbol) : known;
    return this.#at < 0;
  }

  #learn(at: number, symbol: number): number {
    const from = at === SPILLED ? this.#spilled : (this.#states[at] as State);
    const waiting = this.#follow(from, symbol);
    let next = REFUSED;
    if (waiting === undefined) next = ACCEPTED;
    else if (waiting.length > 0) {
      next = this.#stateOf(
        { waiting, place: symbol < SPACE_SYMBOL ? Place.AFTER_DIGIT : Place.AFTER_OTHER },
        at,
      );
    }
    // What is spilled is another state each time, so that no table can name it.
    if (at !== SPILLED && next !== SPILLED) this.#table[at * SYMBOLS + symbol] = next;
    return next;
  }

  #stateOf(state: State, at: number): number {
    if (at !== SPILLED) {
      const key = `${state.place}:${state.waiting.toSorted((x, y) => x - y).join()}`;
      const known = this.#known.get(key);
      if (known !== undefined) return known;
      if (this.#states.length < MAX_STATES) {
        this.#known.set(key, this.#states.length);
        return this.#add(state);
      }
    }
    this.#spilled = state;
    return SPILLED;
  }

  #add(state: State): number {
    const id = this.#states.push(state) - 1;
    const size = this.#table.length;
    if (id * SYMBOLS === size) {
      const larger = new Int16Array(2 * size).fill(NOT_KNOWN, size);
      larger.set(this.#table);
      this.#table = larger;
    }
    return id;
  }

  /** Nodes that wait after the symbol; undefined when the expression has been found before it. */
  #follow(from: State, symbol: number): readonly number[] | undefined {
    const seen = this.#seen;
    const search = ++this.#search;
    const stack = from.waiting.slice();
    const after: number[] = [];
    const reach = (id: number): void => {
      if (this.#reached[id] === search) return;
      this.#reached[id] = search;
      after.push(id);
    };
    while (stack.length > 0) {
      const id = stack.pop() as number;
      if (seen[id] === search) continue;
      seen[id] = search;
      const { op, x, y } = this.#nodes[id] as PathNode;
      if (op === Op.ACCEPT) return undefined;
      if (op === Op.ONE_OF) {
        if (((x >>> symbol) & 1) !== 0) reach(y);
      } else if (op === Op.EITHER) stack.push(y, x);
      else if (holdsHere(op, from.place, symbol)) stack.push(y);
    }
    if (symbol === END_SYMBOL) return [];
    if (this.#floating) reach(this.#start);
    return after;
  }
}

/** Is what a node asks of its place true between what was read and `symbol`, which comes next? */
function holdsHere(op: number, place: number, symbol: number): boolean {
  if (op === Op.BEGIN) return place === Place.BEGIN;
  if (op === Op.END) return symbol === END_SYMBOL;
  return place !== Place.AFTER_DIGIT || symbol >= SPACE_SYMBOL;
}

/** Can the program get anywhere without its "^"? */
function mayBeginAnywhere({ nodes, start }: PathProgram): boolean {
  const seen = new Set<number>();
  const stack = [start];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const { op, x, y } = nodes[id] as PathNode;
    if (op === Op.ONE_OF || op === Op.ACCEPT) return true;
    if (op === Op.EITHER) stack.push(x, y);
    else if (op !== Op.BEGIN) stack.push(y);
  }
  return false;
}
