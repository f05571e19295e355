// The steps of a long command: on a terminal the running one moves, elsewhere each is a line when it ends, and every few
// seconds while it lasts.
import { formatElapsed } from "./format.ts";
import type { Terminal } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;
const PLAIN_REPORT_MS = 5000;
const LABEL_WIDTH = 11;

/** Reports steps one after another. */
export class Progress {
  readonly #terminal: Terminal;
  #label = "";
  #detail = "";
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  #drawn = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Begins a step; one that runs is given up without a word. */
  begin(label: string, detail = ""): void {
    this.#clear();
    this.#label = label;
    this.#detail = detail;
    this.#startedMs = performance.now();
    const moving = this.#terminal.noteIsTerminal;
    this.#timer = setInterval(
      () => (moving ? this.#draw() : this.#report()),
      moving ? FRAME_MS : PLAIN_REPORT_MS,
    );
    this.#timer.unref();
    if (moving) this.#draw();
  }

  /** What the running step is at. */
  update(detail: string): void {
    this.#detail = detail;
  }

  /** The running step is done. */
  done(detail: string): void {
    const took = formatElapsed(performance.now() - this.#startedMs);
    const label = this.#label;
    this.#clear();
    const mark = this.#terminal.style("err", "green", "✔");
    this.#terminal.note(
      `${mark} ${label.padEnd(LABEL_WIDTH)} ${detail}  ${this.#terminal.style("err", "dim", took)}`,
    );
  }

  /** A line beside the steps. */
  note(line: string): void {
    const label = this.#label;
    this.#erase();
    this.#terminal.note(line);
    if (label !== "" && this.#terminal.noteIsTerminal) this.#draw();
  }

  /** Ends without a word: an error is said by whoever throws it. */
  end(): void {
    this.#clear();
  }

  #clear(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#label = "";
    this.#erase();
  }

  #erase(): void {
    if (this.#drawn) this.#terminal.writeNote("\r\u001b[K");
    this.#drawn = false;
  }

  #draw(): void {
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const line = `${FRAMES[this.#frame]} ${this.#label.padEnd(LABEL_WIDTH)} ${this.#detail}`;
    this.#erase();
    this.#terminal.writeNote(line.slice(0, this.#terminal.noteColumns - 1));
    this.#drawn = true;
  }

  #report(): void {
    const took = formatElapsed(performance.now() - this.#startedMs);
    this.#terminal.note(`… ${this.#label.padEnd(LABEL_WIDTH)} ${this.#detail}  ${took}`);
  }
}
