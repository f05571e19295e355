// `podloom router -f FILE`: a gateway between segments, or an announcer of blocks, as a process of its own.
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { RouterAgent } from "../../agent/router/router-agent.ts";
import type { Rng } from "../../base/rng.ts";
import { CalicoSyncer } from "../../control/calico/calico-syncer.ts";
import { parseIpamBlock } from "../../control/calico/ipam/ipam-block-json.ts";
import { OpIds } from "../../control/datastore/pending-ops.ts";
import { MonotonicClock, SystemRng } from "../../io/clock.ts";
import { byPosition, DocumentError } from "../../io/document/problem.ts";
import { openTransport } from "../../io/etcd/open-transport.ts";
import { LOG_LEVELS, Logger, type LogLevel } from "../../io/logger.ts";
import { describeError, messageOf, PodloomError } from "../../io/podloom-error.ts";
import { openControl } from "../control.ts";
import { dieLoudly, Exit } from "../die-loudly.ts";
import { NodeDriver, type NodeEnd } from "../driver.ts";
import { StateFolder } from "../state-folder.ts";
import { readRouterFile, routerFileError } from "./router-file.ts";
import { type RouterPlan, resolveRouter } from "./router-plan.ts";

const USAGE = `podloom router: forward between segments, and speak BGP

  -f, --file FILE          the router's file, YAML or JSON (default router.yaml)
  --check                  say what is wrong with the file, and end: exit code 0 or 2
  --state DIR              where its socket is (default ~/.local/state/podloom/router/NAME)
  --control SOCKET         a supervisor's socket; without it the router listens on DIR/node.sock
  --log-level LEVEL        ${LOG_LEVELS.join(", ")} (default info)
  --log-file FILE          write the log there and not to standard error
  --help                   this text
`;

const OPTIONS = {
  file: { type: "string", short: "f" },
  check: { type: "boolean" },
  state: { type: "string" },
  control: { type: "string" },
  "log-level": { type: "string" },
  "log-file": { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

interface Flags {
  readonly file: string;
  readonly check: boolean;
  readonly state: string | undefined;
  readonly control: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}

/** Undefined: they ask for help. @throws PodloomError PL_USAGE */
function parseFlags(argv: readonly string[]): Flags | undefined {
  const remedy = "`podloom router --help` lists the flags.";
  try {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false });
    if (values.help === true) return undefined;
    const { file = "router.yaml", check = false, state, control } = values;
    const level = values["log-level"] ?? "info";
    const logLevel = LOG_LEVELS.find((one) => one === level);
    if (logLevel === undefined) {
      throw new PodloomError("PL_USAGE", `--log-level: "${level}" is none of ${LOG_LEVELS.join(", ")}`, {
        remedy,
      });
    }
    return { file, check, state, control, logLevel, logFile: values["log-file"] };
  } catch (thrown) {
    if (thrown instanceof PodloomError) throw thrown;
    throw new PodloomError("PL_USAGE", messageOf(thrown).split(". To specify")[0] as string, { remedy });
  }
}

/** @throws DocumentError PL_ROUTER_FILE */
function load(path: string): RouterPlan {
  const file = readRouterFile(path);
  const plan = resolveRouter(file.value);
  if (!plan.ok) throw routerFileError(path, plan.error.map((fault) => file.locate(fault)).sort(byPosition));
  return plan.value;
}

async function main(argv: readonly string[]): Promise<number> {
  let flags: Flags | undefined;
  let plan: RouterPlan;
  let logger: Logger;
  try {
    flags = parseFlags(argv);
    if (flags === undefined) {
      process.stdout.write(USAGE);
      return Exit.OK;
    }
    plan = load(flags.file);
    if (flags.check) {
      process.stdout.write(
        `${flags.file}: router ${plan.name} with ${plan.nics.map(({ name }) => name).join(", ")}\n`,
      );
      return Exit.OK;
    }
    logger = new Logger({ node: plan.name, level: flags.logLevel, file: flags.logFile });
  } catch (thrown) {
    return complain(thrown);
  }
  dieLoudly(logger, "router");
  const end = await run(plan, flags, logger).catch((thrown: unknown): NodeEnd => {
    const known = thrown instanceof PodloomError;
    logger.error("router", "start", thrown, known ? "error" : "fatal");
    return { code: known ? Exit.ENVIRONMENT : Exit.INTERNAL, reason: describeError(thrown) };
  });
  logger.close();
  if (end.code !== Exit.OK && (flags.logFile !== undefined || process.stderr.isTTY)) {
    process.stderr.write(`podloom router: ${end.reason}\n`);
  }
  return end.code;
}

function complain(thrown: unknown): number {
  const inFile = thrown instanceof DocumentError;
  process.stderr.write(inFile ? `${thrown.message}\n` : `podloom router: ${describeError(thrown)}\n`);
  if (!(thrown instanceof PodloomError)) return Exit.INTERNAL;
  return inFile || thrown.code === "PL_USAGE" ? Exit.USAGE : Exit.ENVIRONMENT;
}

async function run(plan: RouterPlan, flags: Flags, logger: Logger): Promise<NodeEnd> {
  const { name, nics, mtuBytes, bgp, carrier, etcd, storeClient } = plan;
  const rng = new SystemRng();
  const folder = new StateFolder(flags.state ?? join(stateHome(), "podloom", "router", name));
  const transport = etcd === undefined ? undefined : await openTransport({ endpoints: etcd }, storeClient);
  const syncer = etcd === undefined ? undefined : newSyncer(name, rng);
  const agent = new RouterAgent({ name, nics, underlayMtuBytes: mtuBytes, bgp, syncer }, { rng });
  const address = (nics[0] as (typeof nics)[number]).addr;
  const config = { name, address, carrier, pods: [], control: flags.control };
  const driver = new NodeDriver(config, {
    clock: new MonotonicClock(),
    rng,
    logger,
    agent,
    transport,
    folder,
  });
  const control = await openControl(config, driver, logger);
  driver.onState = control.tell;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => driver.stop(true, `${signal} received`));
  }
  driver.start();
  const end = await driver.ended;
  await control.close();
  return end;
}

/** It runs no pods, so it has no affinities of its own. */
function newSyncer(node: string, rng: Rng): CalicoSyncer {
  return new CalicoSyncer({
    node,
    ids: new OpIds(),
    rng,
    parseBlock: (bytes) => parseIpamBlock(bytes),
    affinities: false,
  });
}

function stateHome(): string {
  return process.env.XDG_STATE_HOME || join(homedir(), ".local", "state");
}

// Explicitly: a timer of a library must not keep a router that has ended.
process.exit(await main(process.argv.slice(process.argv[2] === "router" ? 3 : 2)));
