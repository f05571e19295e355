import type { InspectNoun } from "../control/inspect.ts";
import type { LabClient } from "../lab/lab-client.ts";
import { pause } from "../measure/convergence.ts";
import { renderRows } from "./columns.ts";
import { type CommandContext, onSignals, withLab } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { type OutputFormat, renderItems } from "./output.ts";
import { tableLines } from "./table.ts";

/** The flags of `get`, read. */
export interface GetFlags {
  readonly lab: string | undefined;
  readonly node: string | undefined;
  readonly format: OutputFormat;
  readonly watch: boolean;
}

const WATCH_MS = 1000;

/** `podloom get NOUN`. Answers the exit code: 1 when a node could not be asked. */
export function get(noun: InspectNoun, flags: GetFlags, cx: CommandContext): Promise<number> {
  return withLab(flags.lab, cx, async (client) => {
    if (flags.watch) return watch(noun, flags, client, cx);
    const { rows, missing } = await ask(noun, flags, client);
    if (rows.length === 0 && (flags.format === "table" || flags.format === "wide"))
      cx.terminal.note(`no ${noun}`);
    else cx.terminal.print(renderItems(noun, rows, flags.format));
    for (const { node, why } of missing) cx.terminal.note(`node ${node} could not be asked: ${why}`);
    return missing.length === 0 ? ExitCode.DONE : ExitCode.FAILED;
  });
}

function ask(noun: InspectNoun, flags: GetFlags, client: LabClient) {
  return client.ask("get", { noun, ...(flags.node === undefined ? {} : { node: flags.node }) });
}

/** Prints all rows, then again each that has changed, until Ctrl-C. */
async function watch(
  noun: InspectNoun,
  flags: GetFlags,
  client: LabClient,
  cx: CommandContext,
): Promise<number> {
  const stop = new AbortController();
  const signals = onSignals(() => stop.abort());
  void client.closed.then(() => stop.abort());
  const seen = new Map<string, number>();
  let first = true;
  try {
    while (!stop.signal.aborted) {
      const { rows } = await ask(noun, flags, client);
      const { head, cells, fingerprints } = renderRows(noun, rows, flags.format === "wide");
      const counts = new Map<string, number>();
      const changed = rows.map((_, i) => {
        // Equal rows are told apart by how many there are.
        const print = fingerprints[i] as string;
        const count = (counts.get(print) ?? 0) + 1;
        counts.set(print, count);
        return count > (seen.get(print) ?? 0);
      });
      seen.clear();
      for (const [print, count] of counts) seen.set(print, count);
      const fresh = rows.filter((_, i) => changed[i]);
      if (fresh.length > 0 || first) {
        if (flags.format === "json") for (const row of fresh) cx.terminal.print(JSON.stringify(row));
        else if (flags.format === "yaml") cx.terminal.print(`---\n${renderItems(noun, fresh, "yaml")}`);
        else
          printChanged(
            first ? head : undefined,
            cells.filter((_, i) => changed[i]),
            cx,
          );
      }
      first = false;
      await pause(WATCH_MS, stop.signal);
    }
    return ExitCode.DONE;
  } finally {
    signals.dispose();
  }
}

function printChanged(
  head: readonly string[] | undefined,
  cells: readonly (readonly string[])[],
  cx: CommandContext,
): void {
  for (const line of tableLines(head, cells)) cx.terminal.print(line);
}
