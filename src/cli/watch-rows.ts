// `podloom get NOUN -w`: all rows, then again each that changes, and each that goes, until Ctrl-C or the end of whoever has them.
import { PodloomError } from "../io/podloom-error.ts";
import type { LabGetResult } from "../lab/lab-protocol.ts";
import { pause } from "../measure/convergence.ts";
import { type RowNoun, renderRows } from "./columns.ts";
import { type CommandContext, onSignals } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { renderYaml } from "./output.ts";
import type { OutputFormat } from "./output-format.ts";
import { type Changes, RowChanges } from "./row-changes.ts";
import { GrowingTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";

const WATCH_MS = 1000;

/** What is watched. */
export interface Looks {
  /** All rows, and who could not be asked. Rejects with PL_IPC_CLOSED when whoever has them has ended. */
  look(): Promise<LabGetResult>;
  /** Settles when whoever has the rows has ended. */
  readonly closed: Promise<unknown>;
  /** What is said then. */
  readonly ended: string;
}

/** Watches. Answers the exit code. */
export async function watchRows(
  noun: RowNoun,
  format: OutputFormat,
  looks: Looks,
  cx: CommandContext,
): Promise<number> {
  const stop = new AbortController();
  const stopped = new Promise<undefined>((resolve) => {
    stop.signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const signals = onSignals(() => stop.abort());
  let ended = false;
  void looks.closed.then(() => {
    ended = true;
    stop.abort();
  });
  const changes = new RowChanges(noun);
  const printer = new ChangePrinter(noun, format, cx.terminal);
  const silent = new SilentNodes(cx.terminal);
  try {
    while (!stop.signal.aborted) {
      // A node that does not answer is waited for, but not by somebody who wants to leave.
      const look = await Promise.race([lookUnlessClosed(looks), stopped]);
      if (look === undefined) {
        ended ||= !stop.signal.aborted;
        break;
      }
      silent.note(look.missing);
      printer.print(changes.look(look.rows, silent.names));
      await pause(WATCH_MS, stop.signal);
    }
    if (ended) cx.terminal.note(looks.ended);
    return ExitCode.DONE;
  } finally {
    signals.dispose();
  }
}

async function lookUnlessClosed(looks: Looks): Promise<LabGetResult | undefined> {
  try {
    return await looks.look();
  } catch (thrown) {
    if (thrown instanceof PodloomError && thrown.code === "PL_IPC_CLOSED") return undefined;
    throw thrown;
  }
}

/** Says which nodes could not be asked: once, and again when that or its reason changes. */
class SilentNodes {
  readonly #terminal: Terminal;
  #whys = new Map<string, string>();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#whys.keys());
  }

  note(missing: LabGetResult["missing"]): void {
    const now = new Map(missing.map(({ node, why }) => [node, why]));
    for (const [node, why] of now) {
      if (this.#whys.get(node) !== why) this.#terminal.note(`node ${node} could not be asked: ${why}`);
    }
    for (const node of this.#whys.keys()) {
      if (!now.has(node)) this.#terminal.note(`node ${node} answers again`);
    }
    this.#whys = now;
  }
}

/** Prints changes: table rows under the first head, one JSON object a line, or one YAML document a look. */
class ChangePrinter {
  readonly #noun: RowNoun;
  readonly #format: OutputFormat;
  readonly #terminal: Terminal;
  readonly #table = new GrowingTable();
  #first = true;

  constructor(noun: RowNoun, format: OutputFormat, terminal: Terminal) {
    this.#noun = noun;
    this.#format = format;
    this.#terminal = terminal;
  }

  print({ fresh, removed }: Changes): void {
    const first = this.#first;
    this.#first = false;
    if (!first && fresh.length === 0 && removed.length === 0) return;
    switch (this.#format) {
      case "json":
        for (const row of removed) this.#terminal.print(JSON.stringify({ removed: row }));
        for (const row of fresh) this.#terminal.print(JSON.stringify(row));
        return;
      case "yaml":
        this.#terminal.print(`---\n${renderYaml({ items: fresh, ...(removed.length > 0 && { removed }) })}`);
        return;
      case "table":
      case "wide": {
        const wide = this.#format === "wide";
        const { head, cells } = renderRows(this.#noun, fresh, wide);
        const gone = renderRows(this.#noun, removed, wide).cells;
        const lines = this.#table.lines(first ? head : undefined, cells, gone);
        for (const line of lines) this.#terminal.print(line);
      }
    }
  }
}
