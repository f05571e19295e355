import type { ExecResult } from "../io/ipc/protocol.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { LabExecArgs } from "../lab/lab-protocol.ts";
import { type CommandContext, onSignals, withLab } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";

/** Whose own namespace may be named, before the slash. */
const MEMBERS = ["node/", "router/", "announcer/"];

/** Pods are named plainly or as `pod/NAME`; `node/NAME` is a node's own namespace, `router/NAME` a router's. */
export function readExecTarget(text: string): LabExecArgs["target"] {
  const member = MEMBERS.find((start) => text.startsWith(start));
  if (member !== undefined) return { t: "node", node: text.slice(member.length) };
  return { t: "pod", pod: text.startsWith("pod/") ? text.slice("pod/".length) : text };
}

/** How long an interrupted command may take to end in its own way. */
const INTERRUPT_GRACE_MS = 2000;

/** `podloom exec TARGET -- COMMAND…`. Answers the command's own exit code, or 128 + the signal that ended the waiting. */
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
    const leaving = new Leaving(() => call.interrupt());
    try {
      return await Promise.race([
        call.done.then((result) => (result as ExecResult).exitCode),
        leaving.exitCode,
      ]);
    } finally {
      leaving.dispose();
    }
  });
}

/**
 * When to go without the command's end. The first Ctrl-C lets the command end in its own way (ping prints its statistics),
 * but a node that hangs would never do so: a second one, or two seconds, end the waiting. Other signals wait for nothing;
 * the lab interrupts the command when the connection goes.
 */
class Leaving {
  /** Settles when the waiting ends: the exit code of the signal, or the error that says why. */
  readonly exitCode: Promise<number>;
  readonly #signals: { dispose(): void };
  #timer: NodeJS.Timeout | undefined;

  constructor(interrupt: () => void) {
    let leave: (code: number) => void = () => undefined;
    let giveUp: (error: PodloomError) => void = () => undefined;
    this.exitCode = new Promise((resolve, reject) => {
      leave = resolve;
      giveUp = reject;
    });
    this.#signals = onSignals((signal, nth) => {
      if (signal === "SIGTERM") leave(ExitCode.TERMINATED);
      else if (signal === "SIGHUP") leave(ExitCode.HUNG_UP);
      else if (nth > 1) giveUp(noAnswer("yet"));
      else {
        interrupt();
        this.#timer = setTimeout(
          () => giveUp(noAnswer(`within ${INTERRUPT_GRACE_MS / 1000} s`)),
          INTERRUPT_GRACE_MS,
        );
      }
    });
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#signals.dispose();
  }
}

function noAnswer(when: string): PodloomError {
  return new PodloomError(
    "PL_INTERRUPTED",
    `the command was interrupted, but the node does not answer: it has not ended ${when}`,
    { remedy: "`podloom get nodes -o wide` shows how the node is, `podloom logs NODE` what it did." },
  );
}
