// Shell completion. The scripts ask `podloom __complete WORDS…` for candidates, so that all shells know the same: commands,
// flags, and the names of labs, nodes and pods.
import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { CALICO_KINDS } from "../control/calico/resource-kinds.ts";
import { INSPECT_NOUNS } from "../control/inspect.ts";
import { findSpeakers } from "../io/ipc/speaker-socket.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { labDirs } from "../lab/lab-dirs.ts";
import { runningLabs } from "../lab/lab-lock.ts";
import type { Lab } from "../lab/resolve-lab.ts";
import { BIRDC_COMMANDS } from "./bgp-program.ts";
import type { CommandContext } from "./command-context.ts";
import { BGP_QUESTIONS } from "./get-bgp.ts";
import { OUTPUT_FORMATS } from "./output-format.ts";

/** Calico's kinds, as people type them. */
const KIND_WORDS = CALICO_KINDS.map((kind) => kind.toLowerCase());
const FILE_COMMANDS = ["up", "bgp", "apply", "delete", "calicoctl"];

export const SHELLS = ["bash", "zsh", "fish"] as const;

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `# podloom completion for bash: source <(podloom completion bash)
_podloom() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(podloom __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _podloom podloom`,
  zsh: `#compdef podloom
# podloom completion for zsh: source <(podloom completion zsh)
_podloom() {
  local -a candidates
  candidates=("\${(@f)$(podloom __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _podloom podloom`,
  fish: `# podloom completion for fish: podloom completion fish | source
function __podloom_complete
  set -l words (commandline -opc) (commandline -ct)
  podloom __complete -- $words[2..-1] 2>/dev/null
end
complete -c podloom -f -a '(__podloom_complete)'
complete -c podloom -n '__fish_seen_subcommand_from up' -s f -l file -r -F`,
};

/** The script for a shell. @throws PodloomError PL_USAGE */
export function completionScript(shell: string): string {
  const script = SCRIPTS[shell as keyof typeof SCRIPTS];
  if (script !== undefined) return script;
  throw new PodloomError("PL_USAGE", `there is no completion for "${shell}"`, {
    remedy: `It takes: ${SHELLS.join(", ")}.`,
  });
}

/** What may stand in place of the last of `words` (which may be empty). Never throws. */
export function candidates(program: Command, words: readonly string[], cx: CommandContext): string[] {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const visible = program.commands.filter((command) => !command.name().startsWith("__"));
  const command = visible.find((known) => known.name() === before[0]);
  const all =
    command === undefined
      ? before.length === 0
        ? visible.map((known) => known.name())
        : []
      : inCommand(command, before, current, cx);
  return all.filter((word) => word.startsWith(current));
}

function inCommand(
  command: Command,
  before: readonly string[],
  current: string,
  cx: CommandContext,
): string[] {
  if (before.includes("--")) return [];
  const previous = before.at(-1) ?? "";
  const values = flagValues(command.name(), previous, cx);
  if (values !== undefined) return values;
  const args = operands(command, before.slice(1));
  const below = command.commands.find((known) => known.name() === args[0]);
  if (current.startsWith("-")) {
    return deepest(command, args).options.flatMap((option) => (option.long ? [option.long] : []));
  }
  if (command.name() === "calicoctl" || command.name() === "ipam") return inTree(command, args);
  if (below !== undefined) return args.length === 1 ? [...BGP_QUESTIONS] : [];
  if (command.name() === "birdc") return birdcWords(args);
  if (args.length > 0) return [];
  switch (command.name()) {
    case "get":
      // There `nodes` are the lab's.
      return [...INSPECT_NOUNS, "bgp", ...KIND_WORDS.filter((word) => word !== "node")];
    case "delete":
      return [...KIND_WORDS];
    case "exec":
      return labs(before, cx).flatMap((lab) => [
        ...lab.nodes.flatMap((node) => node.pods.map((pod) => pod.name)),
        ...lab.nodes.map((node) => `node/${node.name}`),
        ...lab.routers.map((router) => `router/${router.name}`),
        ...lab.announcers.map((announcer) => `announcer/${announcer.name}`),
      ]);
    case "logs":
      return [...memberNames(before, cx), "store", "supervisor"];
    case "down":
      return runningLabs(cx.env).map((lab) => lab.name);
    case "completion":
      return [...SHELLS];
    default:
      return [];
  }
}

/** The command that these words lead to. */
function deepest(command: Command, args: readonly string[]): Command {
  const next = command.commands.find((known) => known.name() === args[0]);
  return next === undefined ? command : deepest(next, args.slice(1));
}

/** Words below a command that has several levels; behind `get` and `delete` stand kinds. */
function inTree(command: Command, args: readonly string[]): string[] {
  let at = command;
  for (const [i, arg] of args.entries()) {
    const next = at.commands.find((known) => known.name() === arg);
    if (next === undefined) return [];
    at = next;
    if (i === args.length - 1 && (arg === "get" || arg === "delete")) return [...KIND_WORDS];
  }
  return at.commands.map((known) => known.name());
}

/** What of `words` is neither a flag nor the value of one. */
function operands(command: Command, words: readonly string[]): string[] {
  const below = command.commands.flatMap((one) => [one, ...one.commands]);
  const options = [command, ...below].flatMap(({ options }) => options);
  const valued = new Set(
    options.flatMap(({ required, optional, short, long }) => (required || optional ? [short, long] : [])),
  );
  return words.filter((word, i) => !word.startsWith("-") && !(i > 0 && valued.has(words[i - 1])));
}

/** What may follow these words of a command of birdc's. */
function birdcWords(args: readonly string[]): string[] {
  return BIRDC_COMMANDS.flatMap((name) => {
    const parts = name.split(" ");
    const next = parts[args.length];
    return next !== undefined && args.every((arg, i) => arg === parts[i]) ? [next] : [];
  }).filter((word, i, all) => all.indexOf(word) === i);
}

/** Candidates for the value of the flag before; undefined when that flag takes none we know. */
function flagValues(command: string, flag: string, cx: CommandContext): string[] | undefined {
  switch (flag) {
    case "-o":
    case "--output":
      if (command === "ipam") return undefined;
      return command === "get" || command === "calicoctl" ? [...OUTPUT_FORMATS, "ps"] : ["json"];
    case "--lab":
      return runningLabs(cx.env).map((lab) => lab.name);
    case "--speaker":
      return findSpeakers(cx.env).map(({ name }) => name);
    case "--node":
      return nodeNames([], cx);
    case "--for":
      return ["converged", "ready"];
    case "--store":
      return ["embedded", "etcd", "http://"];
    case "--strictaffinity":
      return ["true", "false"];
    case "-f":
    case "--file":
    case "--filename":
      return FILE_COMMANDS.includes(command)
        ? readdirSync(cx.cwd).filter((name) => /\.ya?ml$/.test(name))
        : undefined;
    default:
      return undefined;
  }
}

function memberNames(before: readonly string[], cx: CommandContext): string[] {
  return labs(before, cx).flatMap(({ nodes, routers, announcers }) =>
    [...nodes, ...routers, ...announcers].map(({ name }) => name),
  );
}

function nodeNames(before: readonly string[], cx: CommandContext): string[] {
  return labs(before, cx).flatMap((lab) => lab.nodes.map((node) => node.name));
}

/** The running labs as they were resolved, or the one that --lab names. */
function labs(
  before: readonly string[],
  cx: CommandContext,
): Pick<Lab, "nodes" | "routers" | "announcers">[] {
  const at = before.indexOf("--lab");
  const wanted = at < 0 ? undefined : before[at + 1];
  return runningLabs(cx.env).flatMap((holder) => {
    if (wanted !== undefined && holder.name !== wanted) return [];
    try {
      return [JSON.parse(readFileSync(labDirs(holder.name, cx.env).labJson, "utf8")) as Lab];
    } catch {
      return [];
    }
  });
}
