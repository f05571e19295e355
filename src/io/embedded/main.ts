// `podloom store`: the embedded etcd as a process of its own, so that a stall of whoever started it expires no leases.
// stdout carries one JSON line; everything for people goes to stderr.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { makeFolder } from "../make-folder.ts";
import { describeError, messageOf, PodloomError } from "../podloom-error.ts";
import { EmbeddedServer } from "./server.ts";
import { parseStoreOptions, STORE_USAGE, type StoreOptions } from "./store-options.ts";

const Exit = { USAGE: 2, ENVIRONMENT: 5 } as const;

async function main(argv: readonly string[]): Promise<void> {
  const parsed = parseStoreOptions(argv);
  if (!parsed.ok) {
    process.stderr.write(`podloom store: ${parsed.error}\nTry: podloom store --help\n`);
    process.exitCode = Exit.USAGE;
    return;
  }
  if (parsed.value === "help") {
    process.stdout.write(STORE_USAGE);
    return;
  }
  try {
    await serve(parsed.value);
  } catch (thrown) {
    process.stderr.write(`podloom store: ${describeError(thrown)}\n`);
    process.exit(Exit.ENVIRONMENT);
  }
}

async function serve(options: StoreOptions): Promise<void> {
  // Its errors reach us as errors; said twice they only confuse.
  setLogVerbosity(logVerbosity.NONE);
  const server = new EmbeddedServer(options);
  // Before the socket: a folder that cannot be written is to be known before anyone connects.
  if (options.data !== undefined) writeClusterId(options.data, server.clusterId);
  await server.listen();
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void server.stop().then(() => process.exit(0));
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (options.controlStdin) {
    process.stdin.on("end", stop);
    process.stdin.on("error", stop);
    process.stdin.resume();
  }
  const listen = `${options.host}:${server.port}`;
  process.stderr.write(
    `podloom store: serving etcd v3 on ${listen}, in memory: the contents end with this process\n`,
  );
  const ready = { ready: true, port: server.port, pid: process.pid, listen, clusterId: server.clusterId };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

function writeClusterId(folder: string, clusterId: string): void {
  try {
    makeFolder(folder, 0o777);
    writeFileSync(join(folder, "cluster-id"), `${clusterId}\n`);
  } catch (cause) {
    throw new PodloomError("PL_STORE_DATA", `cannot write to the data folder: ${messageOf(cause)}`, {
      remedy: "Give --data a folder that you may write to.",
      cause,
    });
  }
}

// `podloom store …` hands the verb over, `node main.js …` does not.
const argv = process.argv.slice(2);
await main(argv[0] === "store" ? argv.slice(1) : argv);
