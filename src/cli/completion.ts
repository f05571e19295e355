// Shell completion. The scripts ask `podloom __complete WORDS…` for candidates, so that all shells know the same: commands,
// flags, and the names of labs, nodes and pods.
import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { INSPECT_NOUNS } from "../control/inspect.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { labDirs } from "../lab/lab-dirs.ts";
import { runningLabs } from "../lab/lab-lock.ts";
import type { Lab } from "../lab/resolve-lab.ts";
import type { CommandContext } from "./command-context.ts";
import { OUTPUT_FORMATS } from "./output.ts";

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
  if (current.startsWith("-")) return command.options.flatMap((option) => (option.long ? [option.long] : []));
  const args = before.slice(1).filter((word) => !word.startsWith("-"));
  if (args.length > 0) return [];
  switch (command.name()) {
    case "get":
      return [...INSPECT_NOUNS];
    case "exec":
      return labs(before, cx).flatMap((lab) => [
        ...lab.nodes.flatMap((node) => node.pods.map((pod) => pod.name)),
        ...lab.nodes.map((node) => `node/${node.name}`),
      ]);
    case "logs":
      return [...nodeNames(before, cx), "store", "supervisor"];
    case "down":
      return runningLabs(cx.env).map((lab) => lab.name);
    case "completion":
      return [...SHELLS];
    default:
      return [];
  }
}

/** Candidates for the value of the flag before; undefined when that flag takes none we know. */
function flagValues(command: string, flag: string, cx: CommandContext): string[] | undefined {
  switch (flag) {
    case "-o":
    case "--output":
      return command === "get" ? [...OUTPUT_FORMATS] : ["json"];
    case "--lab":
      return runningLabs(cx.env).map((lab) => lab.name);
    case "--node":
      return nodeNames([], cx);
    case "--for":
      return ["converged", "ready"];
    case "--store":
      return ["embedded", "etcd", "http://"];
    case "-f":
    case "--file":
      return command === "up" ? readdirSync(cx.cwd).filter((name) => /\.ya?ml$/.test(name)) : undefined;
    default:
      return undefined;
  }
}

function nodeNames(before: readonly string[], cx: CommandContext): string[] {
  return labs(before, cx).flatMap((lab) => lab.nodes.map((node) => node.name));
}

/** The running labs as they were resolved, or the one that --lab names. */
function labs(before: readonly string[], cx: CommandContext): Pick<Lab, "nodes">[] {
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
