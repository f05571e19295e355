// The process behind `podloom up -d`: takes its order over Node's IPC channel, then lives until `podloom down`.
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { readHolder } from "./lab-lock.ts";
import type { DetachedOrder, DetachedReport } from "./launch.ts";
import { Supervisor } from "./supervisor.ts";

/** Runs until the lab is down. Answers the exit code. */
export function runDetachedSupervisor(): Promise<number> {
  return new Promise((resolve) => {
    let supervisor: Supervisor | undefined;
    let kept = false;
    const report = (message: DetachedReport): void => {
      if (process.connected) process.send?.(message);
    };
    const start = async (order: Extract<DetachedOrder, { t: "start" }>): Promise<void> => {
      try {
        supervisor = await Supervisor.start(order.lab, {
          env: process.env,
          forceConfig: order.forceConfig,
          onEvent: (event) => report({ t: "event", event }),
        });
      } catch (thrown) {
        const known =
          thrown instanceof PodloomError ? thrown : new PodloomError("PL_SUPERVISOR", messageOf(thrown));
        if (process.connected) {
          const refusal = {
            t: "refused",
            code: known.code,
            message: known.message,
            remedy: known.remedy,
          } as const;
          process.send?.(refusal, () => resolve(1));
        } else resolve(1);
        return;
      }
      const holder = readHolder(supervisor.dirs.lock);
      if (holder !== undefined) report({ t: "started", holder });
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
        process.disconnect?.();
      }
    });
    process.on("disconnect", () => {
      // Whoever started us is gone before it was content: nothing may be left behind.
      if (!kept) void supervisor?.stop();
    });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => void supervisor?.stop());
    if (!process.connected) resolve(2);
  });
}
