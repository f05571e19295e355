import { nearestWord } from "../base/nearest-word.ts";
import type { SpeakerClient } from "../io/ipc/speaker-client.ts";
import type { BgpExplanation, BgpPeerRow, BgpRouteRow } from "../io/ipc/speaker-protocol.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { connectSpeaker, type WhichSpeaker } from "../lab/find-speaker.ts";
import { BGP_NOUNS, type BgpTable } from "./bgp-columns.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { explainText } from "./explain-route.ts";
import { renderItems, renderYaml } from "./output.ts";
import type { OutputFormat } from "./output-format.ts";
import { watchRows } from "./watch-rows.ts";

/** The flags of `get bgp`, read. */
export interface GetBgpFlags {
  readonly speaker: string | undefined;
  readonly socket: string | undefined;
  readonly format: OutputFormat;
  readonly watch: boolean;
}

/** All that `get bgp` knows. */
export const BGP_QUESTIONS = [...BGP_NOUNS, "explain"] as const;

/** A question, read. */
type Question =
  | { readonly t: "table"; readonly table: BgpTable; readonly of: string | undefined }
  | { readonly t: "explain"; readonly prefix: string; readonly neighbor: string | undefined };

/** `podloom get bgp WHAT …`. @param words what stands behind the noun. Answers the exit code. */
export async function getBgp(
  noun: string,
  words: readonly string[],
  flags: GetBgpFlags,
  cx: CommandContext,
): Promise<number> {
  const question = readQuestion(noun, words);
  if (question.t === "explain" && flags.watch) {
    throw new PodloomError("PL_USAGE", "an explanation is of one moment: -w does not go with it", {
      remedy: "Watch the routes with `podloom get bgp routes PREFIX -w -o wide`.",
    });
  }
  const { name, client } = await connectSpeaker(cx.env, whichSpeaker(flags, cx));
  try {
    if (question.t === "explain") return await explain(question, flags.format, client, cx);
    const look = (): Promise<readonly unknown[]> => tableRows(question, client);
    const { table } = question;
    if (flags.watch) {
      const looks = {
        look: async () => ({ rows: await look(), missing: [] }),
        closed: client.closed,
        ended: `speaker "${name}" has ended`,
      };
      return await watchRows(`bgp ${table}`, flags.format, looks, cx);
    }
    const rows = await look();
    if (rows.length === 0 && table === "peers") await refuseNobody(question.of, client);
    if (rows.length === 0 && (flags.format === "table" || flags.format === "wide")) {
      cx.terminal.note(nothing(question));
    } else cx.terminal.print(renderItems(`bgp ${table}`, rows, flags.format));
    // Whoever asks for one route wants to know whether there is one.
    const missed = rows.length === 0 && table === "routes" && question.of !== undefined;
    return missed ? ExitCode.FAILED : ExitCode.DONE;
  } finally {
    await client.close();
  }
}

/** The speaker that a command is about: the flags', the environment's, or the only one. */
export function whichSpeaker(
  { speaker, socket }: Pick<GetBgpFlags, "speaker" | "socket">,
  { env }: CommandContext,
): WhichSpeaker {
  const usual = env.PODLOOM_SPEAKER === "" || socket !== undefined ? undefined : env.PODLOOM_SPEAKER;
  return { name: speaker ?? usual, socket };
}

const OPERANDS: Readonly<Record<(typeof BGP_QUESTIONS)[number], string>> = {
  peers: "[NEIGHBOR]",
  routes: "[PREFIX]",
  "rib-in": "NEIGHBOR",
  "rib-out": "NEIGHBOR",
  explain: "PREFIX [NEIGHBOR]",
};

/** @throws PodloomError PL_USAGE */
function readQuestion(text: string, words: readonly string[]): Question {
  const noun = BGP_QUESTIONS.find((known) => known === text || known === `${text}s`);
  if (noun === undefined) {
    const near = nearestWord(text, BGP_QUESTIONS);
    throw new PodloomError("PL_USAGE", `\`get bgp\` does not know "${text}"`, {
      remedy: near === undefined ? `It knows: ${BGP_QUESTIONS.join(", ")}.` : `Did you mean "${near}"?`,
    });
  }
  const operands = OPERANDS[noun];
  const least = operands.replaceAll(/\[[^\]]*\]/g, "").trim() === "" ? 0 : 1;
  if (words.length < least || words.length > operands.split(" ").length) {
    const what = words.length < least ? `needs ${operands.split(" ")[0]}` : `takes no "${words.at(-1)}"`;
    throw new PodloomError("PL_USAGE", `\`get bgp ${noun}\` ${what}`, {
      remedy: `Write: podloom get bgp ${noun} ${operands}`,
    });
  }
  const [first, second] = words;
  if (noun !== "explain") return { t: "table", table: noun, of: first };
  return { t: "explain", prefix: first as string, neighbor: second };
}

function nothing({ table, of }: Question & { readonly t: "table" }): string {
  if (table === "peers") return "no neighbors";
  if (table === "routes") return of === undefined ? "no routes" : `no routes to ${of}`;
  return table === "rib-in" ? `${of} has told us nothing` : `${of} is told nothing`;
}

/** @throws PodloomError PL_BGP_NEIGHBOR when somebody was meant, and there is no such neighbour */
async function refuseNobody(of: string | undefined, client: SpeakerClient): Promise<void> {
  // The speaker knows what to say of an unknown neighbour.
  if (of !== undefined) await client.rows("bgp-rib-in", { neighbor: of }, () => undefined);
}

async function tableRows(
  { table, of }: Question & { readonly t: "table" },
  client: SpeakerClient,
): Promise<readonly unknown[]> {
  if (table === "peers") {
    const peers: BgpPeerRow[] = [];
    await client.rows("bgp-peers", {}, (some) => peers.push(...some));
    return of === undefined ? peers : peers.filter(({ name, addr }) => name === of || addr === of);
  }
  const rows: BgpRouteRow[] = [];
  const each = (some: readonly BgpRouteRow[]): void => {
    rows.push(...some);
  };
  if (table === "routes") {
    // An address stands for the longest prefix that contains it.
    await client.rows("bgp-routes", of === undefined ? {} : { prefix: of, longest: !of.includes("/") }, each);
  } else await client.rows(`bgp-${table}`, { neighbor: of as string }, each);
  return rows;
}

async function explain(
  { prefix, neighbor }: Question & { readonly t: "explain" },
  format: OutputFormat,
  client: SpeakerClient,
  cx: CommandContext,
): Promise<number> {
  const args = neighbor === undefined ? { prefix } : { prefix, neighbor };
  const explanation: BgpExplanation = await client.ask("bgp-explain", args);
  if (format === "json") cx.terminal.print(JSON.stringify(explanation, null, 2));
  else if (format === "yaml") cx.terminal.print(renderYaml(explanation));
  else cx.terminal.print(explainText(explanation, format === "wide"));
  return ExitCode.DONE;
}
