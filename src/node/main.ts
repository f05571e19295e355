// `podloom node …`: one emulated node as a process of its own. It needs an etcd and its address, nothing else; a supervisor
// is a convenience that it may be connected to.
import { join } from "node:path";
import { MonotonicClock, SystemRng } from "../io/clock.ts";
import type { EtcdEndpoints, EtcdTransport } from "../io/etcd/etcd-transport.ts";
import { connectIpc } from "../io/ipc/client.ts";
import type { ConnectionOptions } from "../io/ipc/connection.ts";
import { type NodeState, TOKEN_VARIABLE } from "../io/ipc/protocol.ts";
import { IpcServer } from "../io/ipc/server.ts";
import { Logger } from "../io/logger.ts";
import { describeError, PodloomError } from "../io/podloom-error.ts";
import { NODE_USAGE, type NodeConfig, parseNodeConfig } from "./config.ts";
import { dieLoudly, Exit } from "./die-loudly.ts";
import { NodeDriver, type NodeEnd } from "./driver.ts";
import { newAgent } from "./new-agent.ts";
import { StateFolder } from "./state-folder.ts";
import { answer } from "./verbs.ts";

/** Who is told of the node: a supervisor, or whoever has connected to the node's own socket. */
interface Control {
  readonly tell: (state: NodeState) => void;
  close(): Promise<void>;
}

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
  const loading = openTransport(config.etcd);
  const rng = new SystemRng();
  const driver = new NodeDriver(config, {
    clock: new MonotonicClock(),
    rng,
    logger,
    agent: newAgent(config, folder.files, rng),
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

/** Loaded while the rest of the node is set up: it is a third of what starting a node costs. */
async function openTransport(endpoints: EtcdEndpoints): Promise<EtcdTransport> {
  const { Etcd3Transport } = await import("../io/etcd/etcd3-transport.ts");
  return new Etcd3Transport(endpoints);
}

/** Connects to the supervisor, or opens the node's own socket. @throws PodloomError */
async function openControl(config: NodeConfig, driver: NodeDriver, logger: Logger): Promise<Control> {
  const options: ConnectionOptions = {
    from: config.name,
    token: process.env[TOKEN_VARIABLE],
    onRequest: (request) => answer(request, driver),
  };
  if (config.control === undefined) {
    const server = await IpcServer.listen(join(driver.folder.root, "node.sock"), {
      ...options,
      onHello: (hello, connection) => {
        logger.log("debug", "ipc", "hello", `${hello.from} connected`);
        connection.notify("state", driver.state());
      },
    });
    return {
      tell: (state) => {
        for (const connection of server.connections) connection.notify("state", state);
      },
      close: () => server.close(),
    };
  }
  const supervisor = await connectIpc(config.control, {
    ...options,
    onClosed: (_, error) => {
      // Whoever started us is gone, by a crash perhaps: leave nothing behind, and let the peers know at once.
      const why = error === undefined ? "" : ` (${error.message})`;
      driver.stop(true, `the supervisor has ended the connection${why}`);
    },
  });
  return { tell: (state) => void supervisor.notify("state", state), close: () => supervisor.end() };
}

// Explicitly: a timer of a library must not keep a node that has ended.
process.exit(await main(process.argv.slice(process.argv[2] === "node" ? 3 : 2)));
