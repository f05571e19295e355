// The part of the command line that is about BGP speakers.
import type { Command } from "commander";
import type { CommandContext } from "./command-context.ts";
import { OUTPUT_FORMATS, readFormat } from "./output-format.ts";

/** Hands the exit code of a command on. */
export type Run = (exitCode: Promise<number>) => Promise<void>;

const SPEAKER_FLAG = "--speaker <name>";
const SPEAKER_TEXT = "which speaker, when several run (or PODLOOM_SPEAKER)";
const SOCKET_FLAG = "--socket <path>";
const SOCKET_TEXT = "the speaker that listens there";

interface SpeakerOptions {
  readonly speaker?: string;
  readonly socket?: string;
}

interface GetBgpOptions extends SpeakerOptions {
  readonly output: string;
  readonly watch?: boolean;
}

/** `podloom get bgp`. @param get the command that it goes below: flags before the noun are its own, and count here too */
export function addGetBgp(get: Command, cx: CommandContext, run: Run): void {
  get
    .command("bgp")
    .description("what a BGP speaker has: peers, routes, rib-in, rib-out, or explain")
    .argument("<what>", "peers, routes, rib-in, rib-out, explain")
    .argument("[of...]", "a neighbor's name or address, or a prefix")
    .option("-o, --output <format>", OUTPUT_FORMATS.join(", "), "table")
    .option("-w, --watch", "go on, showing what changes")
    .option(SPEAKER_FLAG, SPEAKER_TEXT)
    .option(SOCKET_FLAG, SOCKET_TEXT)
    .addHelpText("after", GET_BGP_HELP)
    .action((what: string, of: string[], own: GetBgpOptions, command: Command) => {
      const before = get.getOptionValueSource("output") === "default" ? undefined : get.opts().output;
      const output =
        command.getOptionValueSource("output") === "default" ? (before ?? own.output) : own.output;
      const flags = {
        speaker: own.speaker,
        socket: own.socket,
        format: readFormat(output),
        watch: own.watch === true || get.opts().watch === true,
      };
      return run(import("./get-bgp.ts").then(({ getBgp }) => getBgp(what, of, flags, cx)));
    });
}

const GET_BGP_HELP = `
  peers [NEIGHBOR]            sessions, and why one is not up
  routes [PREFIX]             all paths, the chosen ones first; of an address, those of the longest prefix
  rib-in NEIGHBOR             what it has told, before policy
  rib-out NEIGHBOR            what it is told
  explain PREFIX [NEIGHBOR]   why this path and not that, and who is told of it`;

/** `podloom birdc`. */
export function addBirdc(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("birdc")
    .description("ask or command a BGP speaker in the words of BIRD's birdc")
    .argument("<command...>", "show protocols, show route for 10.0.0.1 all, disable NAME, …")
    .passThroughOptions()
    .option(SPEAKER_FLAG, SPEAKER_TEXT)
    .option(SOCKET_FLAG, SOCKET_TEXT)
    .addHelpText("after", BIRDC_HELP)
    .action((argv: string[], { speaker, socket }: SpeakerOptions) =>
      run(import("./birdc.ts").then(({ birdc }) => birdc(argv, { speaker, socket }, cx))),
    );
}

/** What birdc knows, by its first words. */
export const BIRDC_COMMANDS: readonly string[] = [
  "show status",
  "show protocols",
  "show route",
  "enable",
  "disable",
  "restart",
  "reload",
  "configure",
];

const BIRDC_HELP = `
  show status
  show protocols [all] [NAME | PATTERN]
  show route [PREFIX | for ADDRESS] [all] [primary] [protocol NAME] [export NAME] [table TABLE] [filtered] [count | stats]
  enable | disable | restart NAME [TEXT]     the text goes to the neighbor
  reload [in | out] NAME
  configure [check]                          read the file again`;

/** `podloom bgp` is a program of its own (bin/podloom.js starts it); it stands here for the help. */
export function addBgp(program: Command): void {
  program.command("bgp").description("run a BGP speaker alone, from a file; see podloom bgp --help");
}
