// `podloom store`: the embedded etcd as a process of its own, so that a stall of whoever started it expires no leases.
// stdout carries one JSON line; everything for people goes to stderr.
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { SystemRng } from "../clock.ts";
import { makeFolder } from "../make-folder.ts";
import { describeError, messageOf, PodloomError } from "../podloom-error.ts";
import { lockData } from "./data-lock.ts";
import { NodeFiles } from "./journal/data-files.ts";
import { EmbeddedServer } from "./server.ts";
import { isStoreCommand, runStoreCommand } from "./store-command.ts";
import { type DurableData, ephemeralData, openData, type StoreData } from "./store-data.ts";
import { parseStoreOptions, STORE_USAGE, type StoreOptions } from "./store-options.ts";

const Exit = { USAGE: 2, ENVIRONMENT: 5 } as const;

async function main(argv: readonly string[]): Promise<void> {
  try {
    if (isStoreCommand(argv[0])) process.exitCode = await runStoreCommand(argv[0], argv.slice(1));
    else await parseAndServe(argv);
  } catch (thrown) {
    die(thrown);
  }
}

async function parseAndServe(argv: readonly string[]): Promise<void> {
  const parsed = parseStoreOptions(argv);
  if (!parsed.ok) {
    say(`${parsed.error}\nTry: podloom store --help`);
    process.exitCode = Exit.USAGE;
  } else if (parsed.value === "help") {
    process.stdout.write(STORE_USAGE);
  } else {
    await serve(parsed.value);
  }
}

async function serve(options: StoreOptions): Promise<void> {
  // Its errors reach us as errors; said twice they only confuse.
  setLogVerbosity(logVerbosity.NONE);
  const data = options.data === undefined ? ephemeralData(new SystemRng()) : await openFolder(options.data);
  const server = new EmbeddedServer(options, data);
  await server.listen();
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void server.stop().then(() => process.exit(0), die);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (options.controlStdin) {
    process.stdin.on("end", stop);
    process.stdin.on("error", stop);
    process.stdin.resume();
  }
  const listen = `${options.host}:${server.port}`;
  const where =
    options.data === undefined ? "in memory: the contents end with this process" : `data in ${options.data}`;
  say(`serving etcd v3 on ${listen}, ${where}`);
  // Who is told the cluster id may count on it.
  data.journal.whenDurable(() => {
    const ready = { ready: true, port: server.port, pid: process.pid, listen, clusterId: server.clusterId };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  });
}

/** @throws PodloomError PL_STORE_DATA, PL_STORE_IN_USE, PL_STORE_DAMAGED */
async function openFolder(folder: string): Promise<StoreData> {
  let data: DurableData;
  try {
    makeFolder(folder, 0o700);
    const unlock = lockData(folder);
    process.on("exit", unlock);
    data = await openData(new NodeFiles(folder), {
      rng: new SystemRng(),
      onFatal: (fault) => die(diskError(folder, fault)),
      onSnapshotFault: (fault) =>
        say(`could not write a snapshot, so the log goes on growing: ${messageOf(fault)}`),
    });
  } catch (cause) {
    if (cause instanceof PodloomError) throw cause;
    throw new PodloomError("PL_STORE_DATA", `cannot use the data folder ${folder}: ${messageOf(cause)}`, {
      remedy: "Give --data a folder that you may write to, on a disk that has room.",
      cause,
    });
  }
  const { torn, sequence, contents } = data;
  if (torn !== undefined) {
    say(
      `cut ${torn.bytes} bytes off the end of ${torn.file}, at byte ${torn.at}: a record that was half written when the ` +
        "store stopped, and that nobody was told about",
    );
  }
  if (sequence > 0) {
    const { mvcc, lessor } = contents;
    say(
      `read ${mvcc.keyCount} keys and ${lessor.size} leases, revision ${mvcc.revision}; the leases begin anew`,
    );
  }
  return data;
}

function diskError(folder: string, fault: unknown): PodloomError {
  return new PodloomError("PL_STORE_DISK", `cannot write to ${folder}: ${messageOf(fault)}`, {
    remedy:
      "What clients were told is on the disk. Make room there, or see to the disk, and start the store again.",
    cause: fault,
  });
}

function say(text: string): void {
  process.stderr.write(`podloom store: ${text}\n`);
}

function die(thrown: unknown): never {
  say(describeError(thrown));
  process.exit(Exit.ENVIRONMENT);
}

// `podloom store …` hands the verb over, `node main.js …` does not.
const argv = process.argv.slice(2);
await main(argv[0] === "store" ? argv.slice(1) : argv);
