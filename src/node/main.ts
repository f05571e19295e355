// `podloom node …`: one emulated node as a process of its own. It needs an etcd and its address, nothing else; a supervisor
// is a convenience that it may be connected to.
import { MonotonicClock, SystemRng } from "../io/clock.ts";
import { openTransport } from "../io/etcd/open-transport.ts";
import { Logger } from "../io/logger.ts";
import { describeError, PodloomError } from "../io/podloom-error.ts";
import { NODE_USAGE, type NodeConfig, parseNodeConfig } from "./config.ts";
import { openControl } from "./control.ts";
import { dieLoudly, Exit } from "./die-loudly.ts";
import { NodeDriver, type NodeEnd } from "./driver.ts";
import { newAgent } from "./new-agent.ts";
import { StateFolder } from "./state-folder.ts";

async function main(argv: readonly string[]): Promise<number> {
  let config: NodeConfig | undefined;
  try {
    config = parseNodeConfig(argv, process.env);
  } catch (thrown) {
    process.stderr.write(`podloom node: ${describeError(thrown)}\n`);
    return Exit.USAGE;
  }
  if (config === undefined) {
    process.stdout.write(NODE_USAGE);
    return Exit.OK;
  }
  let logger: Logger;
  try {
    logger = new Logger({ node: config.name, level: config.logLevel, file: config.logFile });
  } catch (thrown) {
    process.stderr.write(`podloom node: ${describeError(thrown)}\n`);
    return Exit.ENVIRONMENT;
  }
  dieLoudly(logger, "node");
  const end = await run(config, logger).catch((thrown: unknown) => failed(thrown, logger));
  logger.close();
  // The log says it too; but who started it by hand may not be reading the log.
  if (end.code !== Exit.OK && (config.logFile !== undefined || process.stderr.isTTY)) {
    process.stderr.write(`podloom node: ${end.reason}\n`);
  }
  return end.code;
}

function failed(thrown: unknown, logger: Logger): NodeEnd {
  const known = thrown instanceof PodloomError;
  logger.error("node", "start", thrown, known ? "error" : "fatal");
  return { code: known ? Exit.ENVIRONMENT : Exit.INTERNAL, reason: describeError(thrown) };
}

async function run(config: NodeConfig, logger: Logger): Promise<NodeEnd> {
  const folder = new StateFolder(config.state);
  // Loaded while the rest is set up.
  const loading = openTransport(config.etcd, config.storeClient);
  const rng = new SystemRng();
  const clock = new MonotonicClock();
  const driver = new NodeDriver(config, {
    clock,
    rng,
    logger,
    agent: newAgent(config, folder.files, rng, clock),
    transport: await loading,
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

// Explicitly: a timer of a library must not keep a node that has ended.
process.exit(await main(process.argv.slice(process.argv[2] === "node" ? 3 : 2)));
