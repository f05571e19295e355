// The process behind `podloom up -d`: takes its order over Node's IPC channel, then lives until `podloom down`.
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { EXIT_CRASHED, startGuarded } from "./guarded-supervisor.ts";
import { labDirs } from "./lab-dirs.ts";
import { readHolder } from "./lab-lock.ts";
import type { DetachedOrder, DetachedReport } from "./launch.ts";
import { CRASH_CODE, type Supervisor } from "./supervisor.ts";

/** Runs until the lab is down. Answers the exit code. */
export async function runDetachedSupervisor(): Promise<number> {
  // Started by hand, without anybody to take an order from.
  if (!process.connected) return 2;
  const exitCode = await supervise();
  // Sent last, so that everything before it has left as well.
  await report({ t: "ended" });
  // While the channel is open the process would stay, and whoever started us would wait for its end.
  if (process.connected) process.disconnect();
  return exitCode;
}

function supervise(): Promise<number> {
  let supervisor: Supervisor | undefined;
  let kept = false;
  /** Somebody wants it to end; it may still be starting. */
  let unwanted = false;
  const leave = (): void => {
    unwanted = true;
    void supervisor?.stop();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, leave);
  process.on("disconnect", () => {
    // Whoever started us is gone before it was content: nothing may be left behind.
    if (!kept) leave();
  });
  return new Promise((resolve) => {
    const start = async (order: Extract<DetachedOrder, { t: "start" }>): Promise<void> => {
      try {
        supervisor = await startGuarded(order.lab, {
          env: process.env,
          forceConfig: order.forceConfig,
          onEvent: (event) => void report({ t: "event", event }),
        });
      } catch (thrown) {
        const { code, message, remedy } = refusal(order, thrown);
        await report({ t: "refused", code, message, remedy });
        resolve(1);
        return;
      }
      const holder = readHolder(supervisor.dirs.lock);
      if (holder !== undefined) void report({ t: "started", holder });
      if (unwanted) leave();
      const failure = await supervisor.finished;
      if (failure?.code === CRASH_CODE) resolve(EXIT_CRASHED);
      else resolve(failure === undefined ? 0 : 1);
    };
    process.on("message", (message) => {
      const order = message as DetachedOrder;
      if (order.t === "start") void start(order);
      if (order.t === "stop") leave();
      if (order.t === "kill") supervisor?.kill();
      if (order.t === "keep") {
        kept = true;
        process.disconnect();
      }
    });
  });
}

/** Why the lab did not start. What is no error for people has its stack in our output, which is a file. */
function refusal(order: Extract<DetachedOrder, { t: "start" }>, thrown: unknown): PodloomError {
  if (thrown instanceof PodloomError) return thrown;
  process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
  const { output } = labDirs(order.lab.name, process.env);
  return new PodloomError("PL_SUPERVISOR", `the lab could not be started: ${messageOf(thrown)}`, {
    remedy: `${output} says more.`,
    cause: thrown,
  });
}

/** Resolves when it has been sent, or when nobody listens any more. */
function report(message: DetachedReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected && process.send !== undefined)
      process.send(message, undefined, {}, () => resolve());
    else resolve();
  });
}
