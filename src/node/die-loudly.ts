import type { Logger } from "../io/logger.ts";

/** Exit codes of the processes that run by themselves. */
export const Exit = { OK: 0, USAGE: 2, ENVIRONMENT: 5, INTERNAL: 70 } as const;

/** A fault of our own code: say everything, then die; whoever started us sees the exit code and the log. */
export function dieLoudly(logger: Logger, room: string): void {
  const die = (event: string) => (thrown: unknown) => {
    logger.error(room, event, thrown, "fatal");
    logger.close();
    process.exit(Exit.INTERNAL);
  };
  process.on("uncaughtException", die("uncaughtException"));
  process.on("unhandledRejection", die("unhandledRejection"));
}
