// sysctl, as procps 4.0 prints it, over the sysctls that the emulated namespace has.
import { ok } from "../base/result.ts";
import type { Sysctl } from "../stack/sysctl.ts";
import type { CommandContext } from "./command.ts";
import { type Printed, PrintedCommand } from "./printed-command.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const USAGE: readonly string[] = [
  "",
  "Usage:",
  " sysctl [options] [variable[=value] ...]",
  "",
  "Options:",
  "  -a, --all            display all variables",
  "  -e, --ignore         ignore unknown variables errors",
  "  -N, --names          print variable names without values",
  "  -n, --values         print only values of the given variable(s)",
  "  -b, --binary         print value without new line",
  "  -r, --pattern <expression>",
  "                       select setting that match expression",
  "  -q, --quiet          do not echo variable set",
  "  -w, --write          enable writing a value to variable",
  "  -V, --version        output version information and exit",
  "",
  "For more details see sysctl(8).",
];

type Letter = "a" | "e" | "N" | "n" | "b" | "q" | "w" | "r" | "V" | "h";

const LONG: Readonly<Record<string, Letter>> = {
  all: "a",
  ignore: "e",
  names: "N",
  values: "n",
  binary: "b",
  quiet: "q",
  write: "w",
  pattern: "r",
  version: "V",
  help: "h",
};
/** Other letters for the same. */
const ALIASES: Readonly<Record<string, Letter>> = { A: "a", X: "a", d: "h" };
/** Letters that do nothing. */
const IDLE = "ox";

interface SysctlOptions {
  readonly letters: Set<Letter>;
  pattern: RegExp | undefined;
  readonly variables: string[];
}

/** `sysctl [-n|-N|-b] [-e] [-q] NAME…`, `sysctl -w NAME=VALUE…`, `sysctl -a [-r PATTERN]`. */
export function parseSysctl(args: readonly string[], cx: CommandContext): ParsedCommand {
  if (args.length === 0) return usageError(1, ...USAGE);
  const options: SysctlOptions = { letters: new Set(), pattern: undefined, variables: [] };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (!arg.startsWith("-") || arg === "-") {
      options.variables.push(arg);
      continue;
    }
    const [word = "", attached] = arg.split("=", 2);
    const long = word.startsWith("--") ? LONG[word.slice(2)] : undefined;
    const letters = long === undefined ? arg.slice(1).split("") : [long];
    for (const letter of letters) {
      if (IDLE.includes(letter)) continue;
      const known = ALIASES[letter] ?? letter;
      if (!isLetter(known)) {
        const what = arg.startsWith("--") ? `unrecognized option '${arg}'` : `invalid option -- '${letter}'`;
        return usageError(1, `sysctl: ${what}`, ...USAGE);
      }
      options.letters.add(known);
      if (known === "r") {
        const text = attached ?? args[++i];
        const pattern = text === undefined ? undefined : readPattern(text);
        if (pattern === undefined) return usageError(1, "sysctl: -r needs a regular expression", ...USAGE);
        options.pattern = pattern;
      }
    }
  }
  return ok(new PrintedCommand(() => run(options, cx.netns.sysctl)));
}

function isLetter(text: string): text is Letter {
  return Object.values(LONG).includes(text as Letter);
}

/** Undefined also for a group that is repeated: ours goes back on itself, and such a pattern might keep the node busy for ever. */
function readPattern(text: string): RegExp | undefined {
  if (/\)[*+?{]/.test(text)) return undefined;
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}

function run(options: SysctlOptions, sysctl: Sysctl): Printed {
  const { letters, variables, pattern } = options;
  if (letters.has("V")) return { stdout: "sysctl from procps-ng 4.0.2\n", exitCode: 0 };
  if (letters.has("h")) return { stdout: `${USAGE.join("\n")}\n`, exitCode: 0 };
  const said: Said = { stdout: "", stderr: "", failed: false };
  if (letters.has("a")) {
    for (const name of sysctl.names()) {
      if (pattern === undefined || pattern.test(name)) show(name, options, sysctl, said);
    }
  } else if (variables.length === 0) {
    return {
      stderr: "sysctl: no variables specified\nTry `sysctl --help' for more information.\n",
      exitCode: 1,
    };
  }
  for (const variable of variables) {
    if (variable.includes("=")) write(variable, options, sysctl, said);
    else if (letters.has("w")) fail(said, "sysctl: command line(0): invalid syntax, continuing...");
    else read(variable, options, sysctl, said);
  }
  return { stdout: said.stdout, stderr: said.stderr, exitCode: said.failed ? 1 : 0 };
}

/** What has been said so far. */
interface Said {
  stdout: string;
  stderr: string;
  failed: boolean;
}

function fail(said: Said, text: string): void {
  said.stderr += `${text}\n`;
  said.failed = true;
}

/** Either separator will do; a device's own dots are slashes where the separator is a dot. */
function pathOf(name: string): string {
  const dot = name.indexOf(".");
  const slash = name.indexOf("/");
  const dotted = dot >= 0 && (slash < 0 || dot < slash);
  if (!dotted) return name;
  return swapped(name);
}

/** As procps names it: a device's dots become slashes. */
function nameOf(path: string): string {
  return swapped(path);
}

function swapped(text: string): string {
  return text.replaceAll(/[./]/g, (char) => (char === "." ? "/" : "."));
}

function read(variable: string, options: SysctlOptions, sysctl: Sysctl, said: Said): void {
  const path = pathOf(variable);
  if (sysctl.get(path).ok) {
    show(nameOf(path), options, sysctl, said);
    return;
  }
  const below = sysctl.names().filter((name) => pathOf(name).startsWith(`${path}/`));
  if (below.length === 0) missing(path, options, said);
  for (const name of below) show(name, options, sysctl, said);
}

function missing(path: string, { letters }: SysctlOptions, said: Said): void {
  if (!letters.has("e")) fail(said, `sysctl: cannot stat /proc/sys/${path}: No such file or directory`);
}

/** One line, or as much of it as was asked for. */
function show(name: string, { letters }: SysctlOptions, sysctl: Sysctl, said: Said): void {
  const value = sysctl.get(pathOf(name));
  if (!value.ok) return;
  if (letters.has("N")) said.stdout += `${name}\n`;
  else if (letters.has("b")) said.stdout += value.value;
  else said.stdout += letters.has("n") ? `${value.value}\n` : `${name} = ${value.value}\n`;
}

function write(assignment: string, options: SysctlOptions, sysctl: Sysctl, said: Said): void {
  const equals = assignment.indexOf("=");
  const variable = assignment.slice(0, equals).trim();
  const path = pathOf(variable);
  if (path === "") {
    fail(said, "sysctl: Path is not under /proc/sys/: /proc/sys/");
    return;
  }
  const before = sysctl.get(path);
  if (!before.ok) {
    missing(path, options, said);
    return;
  }
  const value = assignment.slice(equals + 1).trim();
  const set = sysctl.set(path, value);
  if (!set.ok) {
    fail(said, `sysctl: setting key "${nameOf(path)}": ${set.error}`);
    return;
  }
  const { letters } = options;
  if (letters.has("q")) return;
  if (letters.has("N")) said.stdout += `${nameOf(path)}\n`;
  else said.stdout += letters.has("n") || letters.has("b") ? `${value}\n` : `${nameOf(path)} = ${value}\n`;
}
