// Real etcd servers and our embedded one as child processes on free ports, always reaped: each dies with the test's process,
// whatever becomes of it (`--control-stdin` for ours, PR_SET_PDEATHSIG for etcd), and its folder is removed.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { get as getTls } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { TestCertificates } from "./test-certificates.ts";

const STORE_MAIN = fileURLToPath(new URL("../../dist/bundle/store.js", import.meta.url));

/** The etcd to test with: the one on PATH, or another, such as one of a later version. */
const ETCD = process.env.PODLOOM_TEST_ETCD ?? "etcd";

/** How long a server may take to serve; a real etcd that restarts has to elect itself first. */
const READY_TIMEOUT_MS = 20_000;

export type StoreKind = "embedded" | "etcd";

export interface StartOptions {
  /** More arguments for the server. */
  readonly args?: readonly string[];
  /** A fixed client port; a free one else. */
  readonly port?: number;
  /** The server speaks TLS, by `args`, and lets in who has this client's certificate. */
  readonly tls?: TestCertificates;
  /** The real etcd waits for its disk too, as it does unless told otherwise. For measuring; tests have no need of it. */
  readonly fsync?: boolean;
}

/** A running store. */
export class StoreProcess {
  readonly kind: StoreKind;
  readonly port: number;
  /** Removed with the process. */
  readonly dataDir: string;
  readonly #args: readonly string[];
  readonly #tls: TestCertificates | undefined;
  #child: ChildProcess | undefined;
  #log = "";

  /** Use {@link startStore}. */
  constructor(kind: StoreKind, port: number, dataDir: string, { args = [], tls }: StartOptions) {
    this.kind = kind;
    this.port = port;
    this.dataDir = dataDir;
    this.#tls = tls;
    const url = `https://${this.endpoint}`;
    const urls = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`];
    this.#args = tls === undefined || kind === "embedded" ? args : [...urls, ...args];
  }

  /** `host:port`, as etcdctl wants it for `endpoint status`. */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `${this.#tls === undefined ? "http" : "https"}://${this.endpoint}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`the ${this.kind} store is not running`);
    return pid;
  }

  /** What it wrote to stderr (and, for etcd, to stdout), since the first start. */
  get log(): string {
    return this.#log;
  }

  /** Starts the process and waits until it serves; again after {@link kill}: same port, same folder. */
  async start(): Promise<void> {
    const child = spawnStore(this.kind, this.port, this.dataDir, this.#args);
    this.#child = child;
    running.add(this);
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    const exited = once(child, "exit").then(([code, signal]) => {
      throw new Error(`${this.kind} ended (${String(code ?? signal)}) before it served:\n${this.#log}`);
    });
    const ready = this.kind === "embedded" ? embeddedReady(child) : etcdReady(this.url, this.#tls);
    const deadline = sleep(READY_TIMEOUT_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${this.kind} did not serve within ${READY_TIMEOUT_MS} ms:\n${this.#log}`);
    });
    // The losers of the race fail later on, when nobody listens any more.
    exited.catch(() => undefined);
    deadline.catch(() => undefined);
    await Promise.race([ready, exited, deadline]);
  }

  /** Sends a signal and waits for the end. Returns the exit code, or the signal's name. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | NodeJS.Signals> {
    const child = this.#child;
    if (child === undefined) throw new Error(`the ${this.kind} store is not running`);
    this.#child = undefined;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill(signal);
      // A stopped process handles a termination only when it runs again.
      if (signal !== "SIGKILL") child.kill("SIGCONT");
      await exited;
    }
    return child.exitCode ?? (child.signalCode as NodeJS.Signals);
  }

  /** SIGSTOP: the process is there, its sockets are open, nothing answers. */
  async pause(): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    process.kill(pid, "SIGSTOP");
    // The signal is taken when the system gets round to it: until all its threads have stopped, one may still answer.
    while (!stopped(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Kills it and removes its folder. Fine when it is dead already. */
  async stop(): Promise<void> {
    if (this.#child !== undefined) await this.kill();
    this.reap();
  }

  /** The same without waiting, for the end of the process. */
  reap(): void {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
    running.delete(this);
    rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 3 });
  }
}

const running = new Set<StoreProcess>();
process.on("exit", () => {
  for (const store of running) store.reap();
});

/** Starts a store and waits until it serves. Call `stop()` in the end. */
export async function startStore(kind: StoreKind, options: StartOptions = {}): Promise<StoreProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), `podloom-test-${kind}-`));
  const port = options.port ?? (await freePort());
  const loose = kind === "etcd" && options.fsync !== true ? ["--unsafe-no-fsync"] : [];
  const store = new StoreProcess(kind, port, dataDir, {
    ...options,
    args: [...loose, ...(options.args ?? [])],
  });
  try {
    await store.start();
  } catch (error) {
    store.reap();
    throw error;
  }
  return store;
}

/** Is a real etcd (and so the interop half of a test) to be had here? */
export function hasEtcd(): boolean {
  const found = spawnSync(ETCD, ["--version"], { stdio: "ignore" }).status === 0;
  // Whoever names one wants it tested, not skipped.
  if (!found && process.env.PODLOOM_TEST_ETCD !== undefined)
    throw new Error(`PODLOOM_TEST_ETCD: ${ETCD} does not run`);
  return found;
}

export function hasEtcdctl(): boolean {
  return spawnSync("etcdctl", ["version"], { stdio: "ignore" }).status === 0;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function spawnStore(kind: StoreKind, port: number, dataDir: string, args: readonly string[]): ChildProcess {
  if (kind === "embedded") {
    const flags = ["--listen", `127.0.0.1:${port}`, "--data", dataDir, "--control-stdin"];
    return spawn(process.execPath, [STORE_MAIN, ...flags, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  }
  // Port 0 for its peers: nobody connects, but it insists on listening.
  const client = `http://127.0.0.1:${port}`;
  const peer = "http://127.0.0.1:1";
  const flags = {
    "data-dir": join(dataDir, "etcd"),
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": "http://127.0.0.1:0",
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
    logger: "zap",
    "log-level": "warn",
  };
  const argv = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  argv.push(...args);
  return spawn("setpriv", ["--pdeathsig", "KILL", ETCD, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
}

async function embeddedReady(child: ChildProcess): Promise<void> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes("\n")) break;
  }
  const line = JSON.parse(text) as { ready: boolean };
  if (!line.ready) throw new Error(`the embedded store said ${text}`);
}

async function etcdReady(url: string, tls: TestCertificates | undefined): Promise<void> {
  while (!(await healthy(`${url}/health`, tls))) await sleep(25);
}

/** False while nobody listens yet. */
function healthy(url: string, tls: TestCertificates | undefined): Promise<boolean> {
  const files = tls && {
    ca: readFileSync(tls.ca),
    cert: readFileSync(tls.client.cert),
    key: readFileSync(tls.client.key),
  };
  return new Promise((resolve) => {
    const answered = (response: IncomingMessage): void => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("error", () => resolve(false));
      response.on("end", () => resolve(/"health":\s*"true"/.test(text)));
    };
    const options = { agent: false, timeout: 1000 } as const;
    const request =
      files === undefined ? get(url, options, answered) : getTls(url, { ...options, ...files }, answered);
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

export interface EtcdctlResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An etcdctl that runs: for `watch`, `lock`, `elect` and `lease keep-alive`, which do not end by themselves. */
export class EtcdctlProcess {
  readonly #child: ChildProcess;
  /** Ended, and all its output is here. */
  readonly #closed: Promise<unknown>;
  #stdout = "";
  #stderr = "";

  constructor(endpoint: string, args: readonly string[]) {
    this.#child = spawn("etcdctl", ["--endpoints", endpoint, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ETCDCTL_API: "3" },
    });
    this.#closed = once(this.#child, "close");
    // Whoever asks for the end learns of it.
    this.#closed.catch(() => undefined);
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Feeds its stdin, which stays open unless it is to be the end. */
  input(text: string, end = true): void {
    if (end) this.#child.stdin?.end(text);
    else this.#child.stdin?.write(text);
  }

  /** Waits until its output matches. */
  async until(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(10)) {
      if (pattern.test(this.#stdout)) return this.#stdout;
    }
    throw new Error(`etcdctl never printed ${String(pattern)}:\n${this.#stdout}\n${this.#stderr}`);
  }

  async exit(): Promise<EtcdctlResult> {
    await this.#closed;
    return { code: this.#child.exitCode, stdout: this.#stdout, stderr: this.#stderr };
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<EtcdctlResult> {
    this.#child.kill(signal);
    return await this.exit();
  }
}

/** Runs etcdctl to its end, at most 20 s. */
export async function etcdctl(
  endpoint: string,
  args: readonly string[],
  input?: string,
): Promise<EtcdctlResult> {
  const child = new EtcdctlProcess(endpoint, ["--command-timeout", "10s", ...args]);
  child.input(input ?? "");
  const timer = setTimeout(() => void child.stop("SIGKILL"), 20_000);
  try {
    return await child.exit();
  } finally {
    clearTimeout(timer);
  }
}

/** Has every thread of the process stopped? One that is gone has, too. */
function stopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((task) => {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
      return "TtXZ".includes(stat.slice(stat.lastIndexOf(")") + 2)[0] as string);
    });
  } catch {
    return true;
  }
}
