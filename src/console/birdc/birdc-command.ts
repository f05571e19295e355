// birdc, in the words of BIRD 2.0.12, over a speaker of ours. The commands that look at BGP are there, and those that switch
// protocols; a word may be cut short as long as it is clear (`sh pro`).
import { err, ok, type Result } from "../../base/result.ts";
import type { BirdcRun, BirdcSpeaker } from "./birdc-speaker.ts";
import { birdcWords, type Word } from "./birdc-words.ts";
import type { CommandText } from "./command-text.ts";
import { configure } from "./configure.ts";
import { reload, switchProtocols } from "./protocol-commands.ts";
import { showProtocols } from "./show-protocols.ts";
import { showRoute } from "./show-route.ts";
import { showStatus } from "./show-status.ts";

type Run = (words: readonly Word[], speaker: BirdcSpeaker) => CommandText | BirdcRun;

const COMMANDS: readonly { readonly name: string; readonly run: Run }[] = [
  { name: "show status", run: showStatus },
  { name: "show protocols", run: showProtocols },
  { name: "show route", run: showRoute },
  { name: "enable", run: switchProtocols("enable") },
  { name: "disable", run: switchProtocols("disable") },
  { name: "restart", run: switchProtocols("restart") },
  { name: "reload", run: reload },
  { name: "configure", run: configure },
];

/** Text is handed over in pieces of about so many characters. */
const PIECE_CHARS = 16_384;

/**
 * Runs one command.
 *
 * @param argv what stands behind `birdc`; one argument with blanks in it is a line, several are its words, of which one with blanks
 *   is a text
 */
export async function* runBirdc(argv: readonly string[], speaker: BirdcSpeaker): BirdcRun {
  const text = runWords(birdcWords(argv), speaker);
  let piece = `podloom ${speaker.status().version} ready.\n`;
  for (;;) {
    // Most have their lines at once: waiting for each would cost more than making it.
    const next = text.next();
    const { done, value } = next instanceof Promise ? await next : next;
    if (done === true) {
      yield piece;
      return value;
    }
    piece += `${value}\n`;
    if (piece.length < PIECE_CHARS) continue;
    yield piece;
    piece = "";
  }
}

function runWords(words: readonly Word[], speaker: BirdcSpeaker): CommandText | BirdcRun {
  const command = findCommand(words);
  return command.ok ? command.value.run(words.slice(command.value.taken), speaker) : refuse(command.error);
}

function* refuse(lines: readonly string[]): CommandText {
  yield* lines;
  return 1;
}

/** The command that the first words name, and how many they are; or what to say instead, line by line. */
function findCommand(
  words: readonly Word[],
): Result<{ readonly run: Run; readonly taken: number }, readonly string[]> {
  const fits = COMMANDS.filter(({ name }) =>
    name.split(" ").every((part, i) => words[i] !== undefined && part.startsWith((words[i] as Word).text)),
  );
  const [only, second] = fits;
  if (only === undefined) {
    return err(["No such command. There are:", ...COMMANDS.map(({ name }) => `  ${name}`)]);
  }
  if (second !== undefined) {
    return err(["Ambiguous command, possible expansions are:", ...fits.map(({ name }) => `  ${name}`)]);
  }
  return ok({ run: only.run, taken: only.name.split(" ").length });
}
