import { connectIpc } from "./client.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { SpeakerVerb, SpeakerVerbs } from "./speaker-protocol.ts";

/** Verbs that answer rows. */
export type RowsVerb = {
  [V in SpeakerVerb]: [SpeakerVerbs[V]["chunk"]] extends [never] ? never : V;
}[SpeakerVerb];

/** How long a speaker may take for an answer that is not a table. */
const ANSWER_TIMEOUT_MS = 10_000;

/** The asking side of a speaker's socket. Errors are PodloomErrors: those of {@link connectIpc}, and the speaker's own. */
export class SpeakerClient {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** @throws PodloomError as {@link connectIpc} */
  static async connect(path: string): Promise<SpeakerClient> {
    return new SpeakerClient(await connectIpc(path, { from: "cli" }));
  }

  /** Settles when the connection is over. */
  get closed(): Promise<unknown> {
    return this.#connection.closed;
  }

  /** Asks, and waits for the answer. */
  async ask<V extends Exclude<SpeakerVerb, RowsVerb | "birdc">>(
    verb: V,
    args: SpeakerVerbs[V]["args"],
    options: CallOptions = { timeoutMs: ANSWER_TIMEOUT_MS },
  ): Promise<SpeakerVerbs[V]["value"]> {
    return (await this.#connection.request(verb, args, options).done) as SpeakerVerbs[V]["value"];
  }

  /** Asks for rows, of which `each` is handed some at a time. Answers how many there were. */
  async rows<V extends RowsVerb>(
    verb: V,
    args: SpeakerVerbs[V]["args"],
    each: (rows: readonly SpeakerVerbs[V]["chunk"][]) => void,
  ): Promise<number> {
    const call = this.#connection.request(verb, args, {
      onChunk: (_, rows) => each(rows as readonly SpeakerVerbs[V]["chunk"][]),
    });
    return ((await call.done) as SpeakerVerbs[V]["value"]).rows;
  }

  /** Runs a command of BIRD's. Answers its exit code. @param print is handed its text in pieces */
  async birdc(argv: readonly string[], print: (text: string) => void): Promise<number> {
    const call = this.#connection.request("birdc", { argv }, { onChunk: (_, text) => print(String(text)) });
    return ((await call.done) as SpeakerVerbs["birdc"]["value"]).exitCode;
  }

  async close(): Promise<void> {
    await this.#connection.end();
  }
}
