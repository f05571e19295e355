// The store's process: podloom's embedded one or the etcd on PATH. Either ends when we do, however we end.
import { accessSync, constants, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { PodloomError } from "../io/podloom-error.ts";
import { Child, type ChildSpec } from "./child-process.ts";
import { freePorts } from "./free-port.ts";
import { type Environment, type LabDirs, logPath } from "./lab-dirs.ts";

/** A store that we start ourselves. */
export type OwnStoreKind = "embedded" | "etcd";

/** Ports of one store, the same for each of its starts: the nodes know them. */
export interface StorePorts {
  readonly client: number;
  readonly peer: number;
}

/** How often other ports are tried when somebody takes one between our look and the start. */
const PORT_ATTEMPTS = 3;
const READY_TIMEOUT_MS = 15_000;

/**
 * A shell that becomes etcd and leaves a guard behind: when our end of the pipe closes, because we stop or because we were
 * killed, the guard ends etcd. etcd keeps the shell's pid.
 */
const GUARDED =
  'exec 3<&0; { cat <&3 >/dev/null; kill -TERM $$ 2>/dev/null; } & exec 3<&-; exec "$@" </dev/null';

/** What starting a store needs to know. */
export interface StoreContext {
  readonly kind: OwnStoreKind;
  readonly dirs: LabDirs;
  /** The program and arguments that run podloom itself. */
  readonly program: readonly string[];
  readonly env: Environment;
  /** Does an etcd answer at this endpoint? Never rejects. */
  readonly answers: (endpoint: string) => Promise<boolean>;
}

/** Picks ports and starts the store on them. @throws PodloomError PL_ETCD_MISSING, PL_STORE_FAILED */
export async function startStore(
  context: StoreContext,
): Promise<{ readonly child: Child; readonly ports: StorePorts }> {
  let from: number | undefined;
  for (let attempt = 1; ; attempt++) {
    const [client, peer] = (await freePorts(2, from)) as [number, number];
    try {
      return { child: await startStoreOn(context, { client, peer }), ports: { client, peer } };
    } catch (thrown) {
      const taken = thrown instanceof PodloomError && /in use|EADDRINUSE|ADDRESS_IN_USE/.test(thrown.message);
      if (!taken || attempt === PORT_ATTEMPTS) throw thrown;
      from = peer + 1;
    }
  }
}

/** Starts the store on ports that are already its own: what happens after it has died. */
export async function startStoreOn(context: StoreContext, ports: StorePorts): Promise<Child> {
  const child = new Child(
    context.kind === "embedded" ? embeddedSpec(context, ports) : etcdSpec(context, ports),
  );
  const ready = context.kind === "embedded" ? child.firstLine.then(() => true) : poll(context, child, ports);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), READY_TIMEOUT_MS);
  });
  const first = await Promise.race([ready, child.ended, late]);
  clearTimeout(timer);
  if (first === true) return child;
  if (first === "late") {
    child.signal("SIGKILL");
    await child.ended;
  }
  const how = child.exit === undefined || first === "late" ? "it did not answer in time" : child.exit.cause;
  throw new PodloomError("PL_STORE_FAILED", `the ${storeName(context.kind)} did not start: ${how}`, {
    remedy: `Its log is ${logPath(context.dirs, "store")}`,
  });
}

/** Stops it in bounded time. Answers whether it had to be killed. */
export async function stopStore(child: Child, timeoutMs: number): Promise<boolean> {
  child.endStdin();
  return child.endWithin(timeoutMs);
}

/** The store in words. */
export function storeName(kind: OwnStoreKind): string {
  return kind === "embedded" ? "embedded store" : "etcd on PATH";
}

/** The `etcd` on PATH. @throws PodloomError PL_ETCD_MISSING */
export function findEtcd(env: Environment): string {
  for (const folder of (env.PATH ?? "").split(delimiter)) {
    if (folder === "") continue;
    const path = join(folder, "etcd");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  throw new PodloomError("PL_ETCD_MISSING", "the store is etcd, but there is no `etcd` on PATH", {
    remedy: "Install it (Debian: apt-get install etcd-server), or use --store embedded.",
  });
}

function embeddedSpec({ program, dirs, env }: StoreContext, ports: StorePorts): ChildSpec {
  const listen = `127.0.0.1:${ports.client}`;
  return {
    argv: [...program, "store", "--listen", listen, "--data", dirs.store, "--control-stdin"],
    env,
    log: logPath(dirs, "store"),
    stdin: "pipe",
    stdout: "pipe",
  };
}

function etcdSpec({ dirs, env }: StoreContext, ports: StorePorts): ChildSpec {
  const client = `http://127.0.0.1:${ports.client}`;
  const peer = `http://127.0.0.1:${ports.peer}`;
  const data = join(dirs.store, "etcd");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const flags = {
    "--name": "podloom",
    "--data-dir": data,
    "--listen-client-urls": client,
    "--advertise-client-urls": client,
    "--listen-peer-urls": peer,
    "--initial-advertise-peer-urls": peer,
    "--initial-cluster": `podloom=${peer}`,
    "--auto-compaction-mode": "revision",
    "--auto-compaction-retention": "10000",
  };
  // An ETCD_… variable of the user's would contradict a flag, and etcd refuses to start then.
  const clean = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("ETCD_")));
  return {
    argv: ["/bin/sh", "-c", GUARDED, "sh", findEtcd(env), ...Object.entries(flags).flat()],
    env: clean,
    log: logPath(dirs, "store"),
    stdin: "pipe",
    stdout: "log",
  };
}

/** True when etcd serves; settles with false when it has ended. */
async function poll(context: StoreContext, child: Child, ports: StorePorts): Promise<boolean> {
  while (child.exit === undefined) {
    if (await context.answers(`http://127.0.0.1:${ports.client}`)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
