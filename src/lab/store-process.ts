// The store's process: podloom's embedded one or the etcd on PATH. Either ends when we do, however we end.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { err, ok, type Result } from "../base/result.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { Child, type ChildExit, type ChildSpec, failedStart } from "./child-process.ts";
import { freePorts } from "./free-port.ts";
import { type LabDirs, logPath, makeStateFolder } from "./lab-dirs.ts";
import { describeEnd } from "./restart-policy.ts";

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

/** Picks ports and starts the store on them. @throws PodloomError PL_ETCD_MISSING, PL_STORE_FAILED, PL_STATE_DIR */
export async function startStore(
  context: StoreContext,
): Promise<{ readonly child: Child; readonly ports: StorePorts }> {
  // Looked for first: that there is none is a sentence of its own.
  if (context.kind === "etcd") findEtcd(context.env);
  let from: number | undefined;
  for (let attempt = 1; ; attempt++) {
    const [client, peer] = (await freePorts(2, from)) as [number, number];
    const started = await startStoreOn(context, { client, peer });
    if (started.ok) return { child: started.value, ports: { client, peer } };
    const taken = /in use|EADDRINUSE|ADDRESS_IN_USE/.test(started.error.cause);
    if (!taken || attempt === PORT_ATTEMPTS) throw storeFailure(context, started.error);
    from = peer + 1;
  }
}

/**
 * Starts the store on ports that are its own: what happens after it has died, too. `onSpawned` has the process before it
 * answers, for whoever must be able to end it. The error is how it ended, or why it never ran.
 */
export async function startStoreOn(
  context: StoreContext,
  ports: StorePorts,
  onSpawned?: (child: Child) => void,
): Promise<Result<Child, ChildExit>> {
  let child: Child;
  try {
    child = new Child(context.kind === "embedded" ? embeddedSpec(context, ports) : etcdSpec(context, ports));
  } catch (thrown) {
    return err(failedStart(thrown));
  }
  onSpawned?.(child);
  const ready = context.kind === "embedded" ? child.firstLine.then(() => true) : poll(context, child, ports);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), READY_TIMEOUT_MS);
  });
  const first = await Promise.race([ready, child.ended, late]);
  clearTimeout(timer);
  if (first === true) return ok(child);
  if (first !== "late") return err(await child.ended);
  child.signal("SIGKILL");
  await child.ended;
  return err(failedStart(new Error(`it did not answer within ${READY_TIMEOUT_MS / 1000} s`)));
}

function storeFailure({ kind, dirs }: StoreContext, exit: ChildExit): PodloomError {
  const how = exit.started ? `did not start: ${exit.cause}` : describeEnd(exit.cause);
  const code = exit.started ? undefined : exit.errorCode;
  return new PodloomError(code ?? "PL_STORE_FAILED", `the ${storeName(kind)} ${how}`, {
    remedy: exit.errorRemedy ?? `Its log is ${logPath(dirs, "store")}`,
  });
}

/** Stops it in bounded time. Answers whether it had to be killed. */
export async function stopStore(child: Child, timeoutMs: number): Promise<boolean> {
  child.endStdin();
  return child.endWithin(timeoutMs);
}

function storeName(kind: OwnStoreKind): string {
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
  makeStateFolder(data);
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
