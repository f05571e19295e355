import type { ExecResult } from "../io/ipc/protocol.ts";
import type { LabExecArgs } from "../lab/lab-protocol.ts";
import { type CommandContext, onSignals, withLab } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";

/** Pods are named plainly or as `pod/NAME`; `node/NAME` is a node's own namespace. */
export function readExecTarget(text: string): LabExecArgs["target"] {
  if (text.startsWith("node/")) return { t: "node", node: text.slice("node/".length) };
  return { t: "pod", pod: text.startsWith("pod/") ? text.slice("pod/".length) : text };
}

/** `podloom exec TARGET -- COMMAND…`. Answers the command's own exit code. */
export function exec(
  target: string,
  argv: readonly string[],
  flags: { readonly lab: string | undefined },
  cx: CommandContext,
): Promise<number> {
  // `exec POD -- ping` and `exec POD ping` are the same.
  const command = argv[0] === "--" ? argv.slice(1) : argv;
  return withLab(flags.lab, cx, async (client) => {
    const call = client.exec({ target: readExecTarget(target), argv: command }, (stream, data) => {
      if (stream === "stdout") cx.terminal.write(String(data));
      else cx.terminal.writeNote(String(data));
    });
    // The first Ctrl-C lets the command end in its own way (ping prints its statistics), the second does not wait.
    const signals = onSignals((_, nth) => {
      if (nth === 1) call.interrupt();
      else process.exit(ExitCode.INTERRUPTED);
    });
    try {
      return ((await call.done) as ExecResult).exitCode;
    } finally {
      signals.dispose();
    }
  });
}
