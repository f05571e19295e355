import type { InspectNoun } from "../control/inspect.ts";
import { type CommandContext, withLab } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { renderItems } from "./output.ts";
import type { OutputFormat } from "./output-format.ts";
import { watchRows } from "./watch-rows.ts";

/** The flags of `get`, read. */
export interface GetFlags {
  readonly lab: string | undefined;
  readonly node: string | undefined;
  readonly format: OutputFormat;
  readonly watch: boolean;
}

/** `podloom get NOUN`. Answers the exit code: 1 when a node could not be asked. */
export function get(noun: InspectNoun, flags: GetFlags, cx: CommandContext): Promise<number> {
  return withLab(flags.lab, cx, async (client) => {
    const request = { noun, ...(flags.node === undefined ? {} : { node: flags.node }) };
    if (flags.watch) {
      const looks = {
        look: () => client.ask("get", request),
        closed: client.closed,
        ended: `lab "${client.lab.name}" has ended`,
      };
      return watchRows(noun, flags.format, looks, cx);
    }
    const { rows, missing } = await client.ask("get", request);
    if (rows.length === 0 && (flags.format === "table" || flags.format === "wide"))
      cx.terminal.note(`no ${noun}`);
    else cx.terminal.print(renderItems(noun, rows, flags.format));
    for (const { node, why } of missing) cx.terminal.note(`node ${node} could not be asked: ${why}`);
    return missing.length === 0 ? ExitCode.DONE : ExitCode.FAILED;
  });
}
