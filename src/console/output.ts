/** A piece of what a command says. */
export interface Output {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** Characters that may wait before a command that talks for ever should hold its breath. */
const FULL_CHARS = 65_536;

/** What a command has said and nobody has read yet, in order. */
export class OutputQueue {
  readonly #waiting: Output[] = [];
  #chars = 0;

  /** Is the reader so far behind that the command should wait, as a write to a full pipe would? */
  get full(): boolean {
    return this.#chars >= FULL_CHARS;
  }

  stdout(text: string): void {
    this.#add("stdout", text);
  }

  stderr(text: string): void {
    this.#add("stderr", text);
  }

  /** Takes the oldest piece. */
  poll(): Output | undefined {
    const piece = this.#waiting.shift();
    if (piece !== undefined) this.#chars -= piece.text.length;
    return piece;
  }

  #add(stream: Output["stream"], text: string): void {
    if (text === "") return;
    this.#chars += text.length;
    const last = this.#waiting.at(-1);
    if (last?.stream === stream) this.#waiting[this.#waiting.length - 1] = { stream, text: last.text + text };
    else this.#waiting.push({ stream, text });
  }
}
