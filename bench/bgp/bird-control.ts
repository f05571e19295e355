import { connect, type Socket } from "node:net";

/** How long BIRD may take to answer. */
const ANSWER_MS = 20_000;
/** The last line of an answer: a code that begins with 0, 8 or 9, and no dash behind it. */
const LAST_LINE = /^[089]\d{3}( |$)/;

/** BIRD's control socket: one command at a time. */
export class BirdControl {
  readonly #socket: Socket;
  #text = "";
  #wake: () => void = () => {};

  /** Resolves when BIRD has greeted. */
  static async connect(path: string): Promise<BirdControl> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const control = new BirdControl(socket);
    await control.#answer();
    return control;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      this.#text += text;
      this.#wake();
    });
    socket.on("error", () => {});
  }

  /** The lines of the answer, codes included. */
  async ask(command: string): Promise<readonly string[]> {
    this.#socket.write(`${command}\n`);
    return await this.#answer();
  }

  close(): void {
    this.#socket.destroy();
  }

  async #answer(): Promise<readonly string[]> {
    for (const deadline = performance.now() + ANSWER_MS; performance.now() < deadline; ) {
      const lines = this.#text.split("\n");
      // Behind the last line there is nothing, for BIRD says nothing unasked.
      if (lines.length > 1 && LAST_LINE.test(lines.at(-2) as string)) {
        this.#text = "";
        return lines.slice(0, -1);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    throw new Error("BIRD does not answer");
  }
}

/** A moment as BIRD prints it (`iso long us`, in UTC), in milliseconds since 1970; undefined when the line has none. */
export function birdMoment(line: string): number | undefined {
  const found = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{6})/.exec(line);
  if (found === null) return undefined;
  return Date.parse(`${found[1]}T${found[2]}Z`) + Number(found[3]) / 1000;
}
