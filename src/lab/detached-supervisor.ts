// The process behind `podloom up -d`: takes its order over Node's IPC channel, then lives until `podloom down`.
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { readHolder } from "./lab-lock.ts";
import type { DetachedOrder, DetachedReport } from "./launch.ts";
import { Supervisor } from "./supervisor.ts";

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
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => void supervisor?.stop());
  process.on("disconnect", () => {
    // Whoever started us is gone before it was content: nothing may be left behind.
    if (!kept) void supervisor?.stop();
  });
  return new Promise((resolve) => {
    const start = async (order: Extract<DetachedOrder, { t: "start" }>): Promise<void> => {
      try {
        supervisor = await Supervisor.start(order.lab, {
          env: process.env,
          forceConfig: order.forceConfig,
          onEvent: (event) => void report({ t: "event", event }),
        });
      } catch (thrown) {
        const { code, message, remedy } =
          thrown instanceof PodloomError ? thrown : new PodloomError("PL_SUPERVISOR", messageOf(thrown));
        await report({ t: "refused", code, message, remedy });
        resolve(1);
        return;
      }
      const holder = readHolder(supervisor.dirs.lock);
      if (holder !== undefined) void report({ t: "started", holder });
      // The command that started us may have gone while the store was starting.
      if (!process.connected && !kept) void supervisor.stop();
      const failure = await supervisor.finished;
      resolve(failure === undefined ? 0 : 1);
    };
    process.on("message", (message) => {
      const order = message as DetachedOrder;
      if (order.t === "start") void start(order);
      if (order.t === "stop") void supervisor?.stop();
      if (order.t === "kill") supervisor?.kill();
      if (order.t === "keep") {
        kept = true;
        process.disconnect();
      }
    });
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
