// Where a command writes: data to stdout, progress and errors to stderr; colour and moving lines only on a terminal.

/** As much of a stream as is written to here. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(count?: number): boolean;
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow";

const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
};

/** The two streams of a command. */
export class Terminal {
  readonly #out: TextSink;
  readonly #err: TextSink;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(out: TextSink, err: TextSink, env: Readonly<Record<string, string | undefined>>) {
    this.#out = out;
    this.#err = err;
    this.#env = env;
  }

  /** Data. */
  print(line: string): void {
    this.#out.write(`${line}\n`);
  }

  /** Data without a line end. */
  write(text: string): void {
    this.#out.write(text);
  }

  /** Progress, notes and errors. */
  note(line: string): void {
    this.#err.write(`${line}\n`);
  }

  writeNote(text: string): void {
    this.#err.write(text);
  }

  /** May lines move on stderr? */
  get noteIsTerminal(): boolean {
    return this.#isTerminal(this.#err);
  }

  get noteColumns(): number {
    return columnsOf(this.#err);
  }

  /** How wide the terminal on stdout is; undefined when there is none, and lines may be as long as they like. */
  get outColumns(): number | undefined {
    return this.#isTerminal(this.#out) ? columnsOf(this.#out) : undefined;
  }

  /** `text` in a style, where the stream shows it. */
  style(stream: "out" | "err", style: Style, text: string): string {
    const sink = stream === "out" ? this.#out : this.#err;
    const plain = this.#env.NO_COLOR !== undefined && this.#env.NO_COLOR !== "";
    if (plain || !this.#isTerminal(sink) || sink.hasColors?.() === false) return text;
    const [on, off] = CODES[style];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  }

  /** A dumb terminal prints what should move the cursor, and the log of a CI job keeps it. */
  #isTerminal(sink: TextSink): boolean {
    const { TERM, CI } = this.#env;
    const ci = CI !== undefined && !["", "0", "false"].includes(CI);
    return sink.isTTY === true && TERM !== "dumb" && !ci;
  }
}

function columnsOf(sink: TextSink): number {
  // Some pseudo-terminals say 0.
  return sink.columns || 80;
}
