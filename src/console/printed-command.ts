import { type Instant, NEVER } from "../base/time.ts";
import type { Command } from "./command.ts";
import { type Output, OutputQueue } from "./output.ts";

/** All that a command has to say which is over at once. */
export interface Printed {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode: number;
}

/** A command that is over at once: `ip`, `bridge`, `arp`, `route`, `sysctl`, `cat`. */
export class PrintedCommand implements Command {
  readonly #run: (now: Instant) => Printed;
  readonly #out = new OutputQueue();
  #exitCode: number | undefined = undefined;

  /** @param run looks or changes, at the moment of the start */
  constructor(run: (now: Instant) => Printed) {
    this.#run = run;
  }

  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  start(now: Instant): void {
    const { stdout, stderr, exitCode } = this.#run(now);
    this.#out.stdout(stdout ?? "");
    this.#out.stderr(stderr ?? "");
    this.#exitCode = exitCode;
  }

  poll(): Output | undefined {
    return this.#out.poll();
  }

  nextDeadline(): Instant {
    return NEVER;
  }

  wake(): void {}

  interrupt(): void {}

  close(): void {}
}
