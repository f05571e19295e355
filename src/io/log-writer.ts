// Where log lines go: a file, written in the background, or standard error, written at once. What cannot be written (a full
// disk, a reader that went away) is lost and counted, and is never waited for: a log must not end a process, nor keep it from
// ending. So this is not pino's own destination, which tries again for ever.
import { close, write, writeSync } from "node:fs";

/** Bytes that may wait for a disk that is slow. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** A reader of standard error that is slow is given so many chances, this long apart, before lines are lost. */
const BUSY_TRIES_MAX = 50;
const BUSY_PAUSE_MS = 10;

/** How one attempt to write ended. */
type WriteEnd = { readonly written: number; readonly failed: boolean };

export class LogWriter {
  /** Called when writing works again, with the number of lines that were lost meanwhile. */
  onRecovered: (lostLines: number) => void = () => {};
  readonly #fd: number;
  readonly #inBackground: boolean;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #armed = false;
  /** A write of the background is with the kernel. */
  #writing = false;
  #lostLines = 0;
  /** The last line in the file has no end. */
  #torn = false;
  #ending = false;

  /** @param fd owned: closed by {@link end}, unless it is standard error */
  constructor(fd: number, inBackground: boolean) {
    this.#fd = fd;
    this.#inBackground = inBackground;
  }

  /** Lines that were lost since writing last worked. */
  get lostLines(): number {
    return this.#lostLines;
  }

  /** Takes one line, with its end. */
  write(line: string): void {
    if (this.#waitingBytes + line.length > WAITING_BYTES_MAX) {
      this.#lostLines++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (!this.#inBackground) this.flushSync();
    else if (!this.#armed) {
      this.#armed = true;
      setImmediate(() => this.#pump());
    }
  }

  /** Writes what waits, now. */
  flushSync(): void {
    const bytes = this.#take();
    if (bytes !== undefined) this.#wrote(bytes, writeAll(this.#fd, bytes, 0, this.#patience));
  }

  /** Closes the file once nothing is being written. Later lines are lost. */
  end(): void {
    this.#ending = true;
    if (!this.#writing) this.#close();
  }

  #pump(): void {
    this.#armed = false;
    const bytes = this.#writing || this.#ending ? undefined : this.#take();
    if (bytes === undefined) return;
    this.#writing = true;
    write(this.#fd, bytes, 0, bytes.length, null, (error, written) => {
      this.#writing = false;
      const end =
        error === null ? writeAll(this.#fd, bytes, written, this.#patience) : { written, failed: true };
      this.#wrote(bytes, end);
      if (this.#ending) this.#close();
      else this.#pump();
    });
  }

  /** Who was waited for in vain once is not waited for again. */
  get #patience(): number {
    return this.#lostLines === 0 ? BUSY_TRIES_MAX : 0;
  }

  /** What waits, as one piece. */
  #take(): Buffer | undefined {
    if (this.#waiting.length === 0) return undefined;
    const bytes = Buffer.from((this.#torn ? "\n" : "") + this.#waiting.join(""));
    this.#waiting = [];
    this.#waitingBytes = 0;
    return bytes;
  }

  #wrote(bytes: Buffer, { written, failed }: WriteEnd): void {
    if (written > 0) this.#torn = bytes[written - 1] !== NEWLINE;
    if (failed) {
      this.#lostLines += linesIn(bytes, written);
      return;
    }
    const lost = this.#lostLines;
    this.#lostLines = 0;
    if (lost > 0 && !this.#ending) this.onRecovered(lost);
  }

  #close(): void {
    // Not closeSync: nobody waits for it, and that it fails would change nothing.
    if (this.#fd > 2) close(this.#fd, () => {});
  }
}

const NEWLINE = 10;

/** Writes `bytes` from `from` on, in as many pieces as it takes. @param patience tries more, when the other side is busy */
function writeAll(fd: number, bytes: Buffer, from: number, patience: number): WriteEnd {
  let written = from;
  for (let tries = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (thrown) {
      const busy = (thrown as NodeJS.ErrnoException).code === "EAGAIN";
      if (!busy || ++tries > patience) return { written, failed: true };
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_PAUSE_MS);
    }
  }
  return { written, failed: false };
}

function linesIn(bytes: Buffer, from: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
