// The command line: names, flags and help. What a command does is loaded only when it runs.
import { Command, type CommanderError, Option } from "commander";
import { nearestWord } from "../base/nearest-word.ts";
import { CALICO_KINDS, kindOfWord } from "../control/calico/resource-kinds.ts";
import type { CalicoKind } from "../control/calico/resources.ts";
import { INSPECT_NOUNS, type InspectNoun } from "../control/inspect.ts";
import { STORE_CLIENTS } from "../io/etcd/open-transport.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { addBgp, addBirdc, addGetBgp, type Run } from "./bgp-program.ts";
import { addCalico, addCalicoctl, addGetKindFlags, type GetKindOptions, getKind } from "./calico-program.ts";
import { type CommandContext, readDuration, readWhole } from "./command-context.ts";
import { EXIT_CODES_TEXT, ExitCode } from "./exit-code.ts";
import { OUTPUT_FORMATS, readFormat } from "./output-format.ts";
import { versionInfo } from "./version.ts";

const LAB_FLAG = "--lab <name>";
const LAB_TEXT = "which lab, when several run (or PODLOOM_LAB)";

/** How a finished command is told: its exit code. */
export interface Outcome {
  exitCode: number;
}

/** Builds the program. The action that runs leaves its exit code in `outcome`. */
export function buildProgram(cx: CommandContext, outcome: Outcome): Command {
  const program = new Command("podloom");
  program
    .description(
      "Runs a Kubernetes pod network, Flannel's or Calico's, without Kubernetes, containers or root.",
    )
    .version(`podloom ${versionInfo().podloom}`, "-V, --version", "print the version")
    .helpCommand("help [command]", "explain a command")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cx.terminal.write(text),
      writeErr: (text) => cx.terminal.writeNote(text),
    })
    .addHelpText("after", HELP_FOOTER);
  const run = (exitCode: Promise<number>): Promise<void> =>
    exitCode.then((code) => {
      outcome.exitCode = code;
    });
  addUp(program, cx, run);
  addDown(program, cx, run);
  addGet(program, cx, run);
  addExec(program, cx, run);
  addLogs(program, cx, run);
  addWait(program, cx, run);
  addVerify(program, cx, run);
  addCalico(program, cx, run);
  addCalicoctl(program, cx, run);
  addBirdc(program, cx, run);
  addOthers(program, cx, run);
  bindEnvironment(program, cx.env);
  return program;
}

const HELP_FOOTER = `
A flag with a value may also be given as a variable: PODLOOM_UP_TIMEOUT=5m is --timeout 5m of \`up\`.
Exit codes: ${EXIT_CODES_TEXT}`;

interface UpOptions {
  readonly file?: string;
  readonly lab?: string;
  readonly nodes?: string;
  readonly pods?: string;
  readonly store?: string;
  readonly storeClient?: string;
  readonly detach?: boolean;
  readonly timeout?: string;
  readonly verify: boolean;
  readonly forceConfig?: boolean;
}

function addUp(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("up")
    .alias("deploy")
    .description("start a lab, wait until it has converged, ping every pair of pods, and stay until Ctrl-C")
    .option(
      "-f, --file <file>",
      "the lab file, - for standard input (default: podloom.yaml or *.podloom.yaml here)",
    )
    .option("--nodes <n>", "run this many nodes")
    .option("--pods <n>", "run this many pods on each node")
    .option("-d, --detach", "leave the lab running in the background")
    .option(
      "--store <store>",
      "embedded, etcd (the one on PATH), or http://host:port[,http://…] of one that runs",
    )
    .addOption(
      new Option(
        "--store-client <client>",
        "how all of the lab speaks to the store: podloom's own, or etcd3",
      ).choices(STORE_CLIENTS),
    )
    .option("--timeout <time>", "give up when it has not converged by then (default: 1m, and 1s a node)")
    .option("--no-verify", "do not ping every pair")
    .option("--force-config", "replace a different network configuration in a store that was there before")
    .option("--lab <name>", "the lab's name (default: the file's)")
    .action((options: UpOptions) =>
      run(
        import("./up.ts").then(({ up }) =>
          up(
            {
              file: options.file,
              lab: options.lab,
              nodes: options.nodes === undefined ? undefined : readWhole("--nodes", options.nodes, 1, 2000),
              pods: options.pods === undefined ? undefined : readWhole("--pods", options.pods, 0, 250),
              store: options.store,
              storeClient: options.storeClient,
              detach: options.detach === true,
              timeoutMs:
                options.timeout === undefined ? undefined : readDuration("--timeout", options.timeout),
              verify: options.verify,
              forceConfig: options.forceConfig === true,
            },
            cx,
          ),
        ),
      ),
    );
}

function addDown(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("down")
    .alias("destroy")
    .description("stop a lab: leases are revoked, processes end, nothing is left but the logs")
    .argument("[name]", "the lab, when several run")
    .option("--all", "stop every lab of this user")
    .option(LAB_FLAG, LAB_TEXT)
    .action((name: string | undefined, options: { all?: boolean; lab?: string }) =>
      run(
        import("./down.ts").then(({ down }) =>
          down({ name: name ?? options.lab, all: options.all === true }, cx),
        ),
      ),
    );
}

interface GetOptions extends GetKindOptions {
  readonly node?: string;
  readonly watch?: boolean;
}

function addGet(program: Command, cx: CommandContext, run: Run): void {
  const get = program
    .command("get")
    .description(
      "show what runs: nodes, pods, leases, routes, neigh, fdb or links of a lab, one of Calico's kinds (ippool, bgppeer, wep, …), or bgp of a speaker",
    )
    // What stands behind `bgp` is its own.
    .enablePositionalOptions()
    .argument("<noun>", `${INSPECT_NOUNS.join(", ")}, or one of Calico's kinds`)
    .argument("[names...]", "only these, of a kind of Calico's")
    .option("--node <name>", "as this node sees it")
    .option("-o, --output <format>", `${OUTPUT_FORMATS.join(", ")}; of Calico's kinds also ps`, "table")
    .option(
      "-w, --watch",
      'go on, showing what changes; a row that goes is "- …", in JSON {"removed": row}, in YAML a list `removed`',
    );
  addGetKindFlags(get)
    .option(LAB_FLAG, LAB_TEXT)
    .action((word: string, names: string[], options: GetOptions) => run(getNoun(word, names, options, cx)));
  addGetBgp(get, cx, run);
}

/** A noun of the lab, or one of Calico's kinds; where both have a word (nodes), the lab does. */
function getNoun(
  word: string,
  names: readonly string[],
  options: GetOptions,
  cx: CommandContext,
): Promise<number> {
  const noun = readNoun(word);
  if (noun.t === "kind") {
    const lost = options.watch === true ? "-w" : options.node === undefined ? undefined : "--node";
    if (lost === undefined) return getKind(noun.kind, names, options, cx);
    throw new PodloomError("PL_USAGE", `${lost} does not go with ${noun.kind}, which is in the store`, {
      remedy: `Leave it out: podloom get ${word}`,
    });
  }
  const [stray] = names;
  const flag = options.etcd === undefined ? undefined : "--etcd";
  if (stray !== undefined || flag !== undefined) {
    throw new PodloomError("PL_USAGE", `\`get ${word}\` takes no ${flag ?? `"${stray}"`}`, {
      remedy: "It shows all of a running lab; --node NAME shows them as one node sees them.",
    });
  }
  const format = readFormat(options.output);
  const flags = { lab: options.lab, node: options.node, format, watch: options.watch === true };
  return import("./get.ts").then(({ get }) => get(noun.noun, flags, cx));
}

function addExec(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("exec")
    .description(
      "run a command in a pod, or in a node or router with node/NAME, router/NAME: ping, traceroute, ip, bridge, arp, route, sysctl, cat, udp-load, udp-sink",
    )
    .argument("<target>", "a pod, or node/NAME, router/NAME, announcer/NAME")
    .argument("<command...>", "the command and its arguments, best after --")
    .passThroughOptions()
    .option(LAB_FLAG, LAB_TEXT)
    .action((target: string, argv: string[], options: { lab?: string }) =>
      run(import("./exec.ts").then(({ exec }) => exec(target, argv, { lab: options.lab }, cx))),
    );
}

function addLogs(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("logs")
    .description("show the log of a node, of `store` or of `supervisor`; without a name, the end of each")
    .argument("[node]")
    .option("-f, --follow", "go on as lines come")
    .option("--tail <n>", "only the last lines")
    .option("-o, --output <format>", "text, or json for the lines as they are", "text")
    .option(LAB_FLAG, LAB_TEXT)
    .action(
      (
        node: string | undefined,
        options: { follow?: boolean; tail?: string; output: string; lab?: string },
      ) => {
        if (options.output !== "text" && options.output !== "json") {
          throw new PodloomError("PL_USAGE", `-o does not take "${options.output}"`, {
            remedy: "It takes: text, json.",
          });
        }
        const flags = {
          lab: options.lab,
          source: node,
          follow: options.follow === true,
          tail: options.tail === undefined ? undefined : readWhole("--tail", options.tail, 0, 1_000_000),
          raw: options.output === "json",
        };
        return run(import("./logs.ts").then(({ logs }) => logs(flags, cx)));
      },
    );
}

function addWait(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("wait")
    .description("wait until every node is ready, or until they also agree with the store (converged)")
    .addOption(
      new Option("--for <goal>", "what to wait for").choices(["converged", "ready"]).default("converged"),
    )
    .option("--timeout <time>", "give up then, with exit code 4", "60s")
    .option(LAB_FLAG, LAB_TEXT)
    .action((options: { for: "converged" | "ready"; timeout: string; lab?: string }) => {
      const flags = {
        lab: options.lab,
        goal: options.for,
        timeoutMs: readDuration("--timeout", options.timeout),
      };
      return run(import("./wait.ts").then(({ wait }) => wait(flags, cx)));
    });
}

function addVerify(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("verify")
    .description("ping every ordered pair of pods; beyond 2,000 pairs a sample of them")
    .option("--count <n>", "pings a pair; losses count all, RTTs all but the first reply", "5")
    .option("--seed <n>", "seed of the sample", "1")
    .option("--all-pairs", "no sample, however many pairs there are")
    .option("-o, --output <format>", "table or json", "table")
    .option(LAB_FLAG, LAB_TEXT)
    .action((options: { count: string; seed: string; allPairs?: true; output: string; lab?: string }) => {
      const flags = {
        lab: options.lab,
        allPairs: options.allPairs ?? false,
        count: readWhole("--count", options.count, 1, 1000),
        seed: readWhole("--seed", options.seed, 0, 999_999_999),
        format: readFormat(options.output, ["table", "json"]) as "table" | "json",
      };
      return run(import("./verify.ts").then(({ verify }) => verify(flags, cx)));
    });
}

function addOthers(program: Command, cx: CommandContext, run: Run): void {
  program
    .command("version")
    .description("print the version")
    .option("-o, --output <format>", "json")
    .action((options: { output?: string }) => {
      const info = versionInfo();
      if (options.output === undefined)
        cx.terminal.print(`podloom ${info.podloom} (node ${info.node}, ${info.platform} ${info.arch})`);
      else if (readFormat(options.output, ["json"]) === "json")
        cx.terminal.print(JSON.stringify(info, null, 2));
    });
  program
    .command("completion")
    .description("print a completion script for bash, zsh or fish")
    .argument("<shell>", "bash, zsh or fish")
    .action((shell: string) =>
      import("./completion.ts").then(({ completionScript }) => cx.terminal.print(completionScript(shell))),
    );
  addBgp(program);
  // These are programs of their own (bin/podloom.js starts them); they stand here for the help.
  program
    .command("node")
    .description("run one node alone, given an etcd and an address; see podloom node --help");
  program.command("router").description("run one router or announcer alone, from a file");
  program.command("store").description("run the embedded etcd v3 store alone; see podloom store --help");
  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .action((words: string[]) =>
      import("./completion.ts").then(({ candidates }) => {
        for (const word of candidates(program, words, cx)) cx.terminal.print(word);
      }),
    );
  program
    .command("__supervise", { hidden: true })
    .action(() =>
      run(
        import("../lab/detached-supervisor.ts").then(({ runDetachedSupervisor }) => runDetachedSupervisor()),
      ),
    );
}

/**
 * Gives every flag with a value its variable; what stands on the command line goes before it. The help says so once for all.
 *
 * @throws PodloomError PL_USAGE
 */
function bindEnvironment(program: Command, env: CommandContext["env"], prefix = "PODLOOM"): void {
  for (const command of program.commands) {
    const name = `${prefix}_${command.name()}`;
    bindEnvironment(command, env, name);
    for (const option of command.options) {
      if ((!option.required && !option.optional) || !option.long) continue;
      const variable = `${name}_${option.long.slice(2)}`.toUpperCase().replaceAll("-", "_");
      const value = env[variable];
      if (value === undefined || value === "") continue;
      if (option.argChoices?.includes(value) === false) {
        throw new PodloomError("PL_USAGE", `the variable ${variable} cannot be "${value}"`, {
          remedy: `It takes: ${option.argChoices.join(", ")}.`,
        });
      }
      command.setOptionValueWithSource(option.attributeName(), value, "env");
    }
    command.configureHelp({ optionDescription: (option) => describeOption(option) });
  }
}

function describeOption(option: Option): string {
  const extra: string[] = [];
  if (option.argChoices !== undefined) extra.push(option.argChoices.join(" or "));
  if (typeof option.defaultValue === "string") extra.push(`default: ${option.defaultValue}`);
  return extra.length === 0 ? option.description : `${option.description} (${extra.join("; ")})`;
}

function readNoun(
  text: string,
): { readonly t: "noun"; readonly noun: InspectNoun } | { readonly t: "kind"; readonly kind: CalicoKind } {
  const singular = INSPECT_NOUNS.find((noun) => noun === text || noun === `${text}s`);
  if (singular !== undefined) return { t: "noun", noun: singular };
  const kind = kindOfWord(text);
  if (kind.ok) return { t: "kind", kind: kind.value };
  const known = [...INSPECT_NOUNS, "bgp", ...CALICO_KINDS.map((one) => one.toLowerCase())];
  const near = nearestWord(text, known);
  throw new PodloomError("PL_USAGE", `\`get\` does not know "${text}"`, {
    remedy: near === undefined ? `It knows: ${known.join(", ")}.` : `Did you mean "${near}"?`,
  });
}

/** The exit code of what commander threw: asking for help is no fault, everything else is one of usage. */
export function commanderExitCode(error: CommanderError): number {
  const fine = ["commander.helpDisplayed", "commander.help", "commander.version"].includes(error.code);
  return fine && error.exitCode === 0 ? ExitCode.DONE : ExitCode.USAGE;
}
