// What a node answers over its socket: the verbs of `io/ipc/protocol.ts`.
import * as z from "zod/mini";
import { CalicoAgent } from "../agent/calico/calico-agent.ts";
import { type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import type { Result } from "../base/result.ts";
import { type Instant, NEVER } from "../base/time.ts";
import { shortTime } from "../console/birdc/bird-time.ts";
import type { CalicoView } from "../console/calicoctl-command.ts";
import { type Command, type CommandContext, parseCommand } from "../console/command.ts";
import { Prober } from "../console/prober.ts";
import { INSPECT_NOUNS, type InspectNoun, type NodeRow, type PodRow } from "../control/inspect.ts";
import type { IncomingRequest } from "../io/ipc/connection.ts";
import type { ExecResult, PodAddArgs, PodDelArgs, StopArgs } from "../io/ipc/protocol.ts";
import { processMemory } from "../io/memory.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { NodeDriver, Task } from "./driver.ts";

/** Pings that one probe may be waiting for: an ICMP sequence number has 16 bits. */
const PROBES_OUTSTANDING_MAX = 60_000;
/** Exit code of a command whose pod or node went away under it, as a shell reports SIGKILL. */
const EXIT_KILLED = 137;
/** The same of SIGINT. */
const EXIT_INTERRUPTED = 130;
const POD_REFUSED_REMEDY =
  "Choose a name and an address of this node's subnet that no other pod has; without an address one is chosen.";
const POD_UNKNOWN_REMEDY = "`podloom get pods` lists the pods that there are.";

const NounArgs = z.object({ noun: z.enum(INSPECT_NOUNS as [InspectNoun, ...InspectNoun[]]) });
const PodAddShape = z.object({
  name: z.string(),
  ip: z.optional(z.string()),
  namespace: z.optional(z.string()),
});
const PodDelShape = z.object({ name: z.string() });
const ExecShape = z.object({
  pod: z.string(),
  argv: z.array(z.string()).check(z.minLength(1), z.maxLength(256)),
});
const ProbeShape = z.object({
  pod: z.string(),
  targets: z.array(z.string()).check(z.maxLength(65_536)),
  count: z.int().check(z.minimum(1), z.maximum(1_000_000)),
  intervalMs: z.number().check(z.minimum(0), z.maximum(3_600_000)),
  timeoutMs: z.number().check(z.minimum(1), z.maximum(3_600_000)),
  payloadBytes: z.optional(z.int().check(z.minimum(0), z.maximum(65_507))),
});
const StopShape = z.object({ revoke: z.boolean() });

type Verb = (request: IncomingRequest, driver: NodeDriver) => void;

const VERBS: Readonly<Record<string, Verb>> = {
  ping: (request, driver) => request.done({ name: driver.config.name, pid: process.pid }),
  state: (request, driver) => request.done(driver.state()),
  get: (request, driver) => {
    const { noun } = read(NounArgs, request);
    const rows = driver.agent.inspect(noun, driver.clock.now());
    request.done(noun === "nodes" ? (rows as readonly NodeRow[]).map((row) => completed(row, driver)) : rows);
  },
  "pod-add": (request, driver) => {
    const args: PodAddArgs = read(PodAddShape, request);
    const { name, namespace } = args;
    const ip = args.ip === undefined ? undefined : address(args.ip);
    void driver.podAdd({ name, ip, namespace }).then(({ result }) => {
      if (result.ok) driver.pods.forget(name);
      settle(request, result, "PL_POD_REFUSED", POD_REFUSED_REMEDY);
    });
  },
  "pod-del": (request, driver) => {
    const { name }: PodDelArgs = read(PodDelShape, request);
    void driver.podDel(name).then(({ result }) => {
      settle(request, result, "PL_POD_UNKNOWN", POD_UNKNOWN_REMEDY);
    });
  },
  exec,
  probe,
  stop: (request, driver) => {
    const { revoke }: StopArgs = read(StopShape, request);
    request.done({});
    driver.stop(revoke, "asked to stop");
  },
};

/** Answers one request. What is wrong with it becomes its failure. */
export function answer(request: IncomingRequest, driver: NodeDriver): void {
  const verb = Object.hasOwn(VERBS, request.verb) ? VERBS[request.verb] : undefined;
  if (verb === undefined) {
    throw new PodloomError("PL_IPC_UNKNOWN_VERB", `a node does not answer \`${request.verb}\``, {
      remedy: `A node of this version answers ${Object.keys(VERBS).join(", ")}.`,
    });
  }
  verb(request, driver);
}

function settle(
  request: IncomingRequest,
  result: Result<PodRow, string>,
  code: string,
  remedy: string,
): void {
  if (request.over) return;
  if (result.ok) request.done(result.value);
  else request.fail(new PodloomError(code, result.error, { remedy }));
}

function read<S extends z.ZodMiniType>(shape: S, request: IncomingRequest): z.output<S> {
  const args = shape.safeParse(request.args ?? {});
  if (args.success) return args.data;
  const faults = args.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message || issue.code}`);
  throw new PodloomError("PL_IPC_BAD_ARGS", `\`${request.verb}\` cannot be done with ${faults.join("; ")}`, {
    remedy: "Correct what is named; who asks must be the same version of podloom.",
  });
}

function address(text: string): Ipv4Addr {
  const addr = parseIpv4(text);
  if (addr !== undefined) return addr;
  throw new PodloomError("PL_IPC_BAD_ARGS", `"${text}" is not an IPv4 address`, {
    remedy: "Write it as 10.244.1.9, or leave it out to have one chosen.",
  });
}

/** What only the process knows of its node. */
function completed(row: NodeRow, { storeReach }: NodeDriver): NodeRow {
  const { awaySince } = storeReach;
  return {
    ...row,
    ...(awaySince === undefined ? {} : { storeAwaySince: awaySince }),
    pid: process.pid,
    ...processMemory(),
  };
}

/** Where a command runs. @throws PodloomError PL_POD_UNKNOWN */
function contextOf(driver: NodeDriver, pod: string): CommandContext {
  const netns = driver.agent.netnsOf(pod);
  if (netns === undefined) {
    throw new PodloomError("PL_POD_UNKNOWN", `node ${driver.config.name} has no pod "${pod}"`, {
      remedy: POD_UNKNOWN_REMEDY,
    });
  }
  return {
    netns,
    hostname: pod === "" ? driver.config.name : pod,
    // The node's files; a pod has none of them.
    files: (path) => (pod === "" ? driver.folder.files.get(path.replace(/^\/+/, "")) : undefined),
    rng: driver.rng,
    ...(pod === "" && driver.agent instanceof CalicoAgent ? { calico: calicoView(driver.agent) } : {}),
  };
}

function calicoView(agent: CalicoAgent): CalicoView {
  return {
    nodeStatus: (now) => agent.nodeStatus(now),
    timeOfDay: (secondsAgo) => {
      const nowMs = Date.now();
      return shortTime(nowMs - secondsAgo * 1000, nowMs, {
        utcOffsetMin: (atMs) => -new Date(atMs).getTimezoneOffset(),
      }).replace(/\.\d+$/, "");
    },
  };
}

function exec(request: IncomingRequest, driver: NodeDriver): void {
  const { pod, argv } = read(ExecShape, request);
  if (pod === "" && argv[0] === "birdc") {
    birdc(request, driver, argv.slice(1)).catch((thrown: unknown) => request.fail(thrown));
    return;
  }
  const command = parseCommand(argv, contextOf(driver, pod));
  if (!command.ok) {
    request.chunk("stderr", command.error.message);
    request.done({ exitCode: command.error.exitCode } satisfies ExecResult);
    return;
  }
  driver.addTask(new ExecTask(pod, command.value, request, driver));
}

/** The words of birdc are loaded when somebody uses them. */
async function birdc(request: IncomingRequest, driver: NodeDriver, argv: readonly string[]): Promise<void> {
  const [{ runBirdc }, { BirdcAccess }, { NodeSpeaker }, { streamText }] = await Promise.all([
    import("../console/birdc/birdc-command.ts"),
    import("./speaker/birdc-access.ts"),
    import("./node-speaker.ts"),
    import("./speaker/row-stream.ts"),
  ]);
  const exitCode = await streamText(request, runBirdc(argv, new BirdcAccess(new NodeSpeaker(driver))));
  request.done({ exitCode: exitCode ?? EXIT_INTERRUPTED } satisfies ExecResult);
}

/** A command that runs in a pod and whose output streams to who asked for it. */
class ExecTask implements Task {
  readonly pod: string;
  readonly #command: Command;
  readonly #request: IncomingRequest;
  #started = false;
  /** The asker is slow: what the command says waits in the command. */
  #paused = false;
  #cancelled = false;

  constructor(pod: string, command: Command, request: IncomingRequest, driver: NodeDriver) {
    this.pod = pod;
    this.#command = command;
    this.#request = request;
    request.onInterrupt = () => driver.change((_, now) => this.#command.interrupt(now));
    request.onDrain = () => {
      this.#paused = false;
      driver.change(() => {});
    };
  }

  get over(): boolean {
    return this.#request.over;
  }

  wake(now: Instant): void {
    if (this.#request.over) return;
    if (this.#started) this.#command.wake(now);
    else {
      this.#started = true;
      this.#command.start(now);
    }
    this.#flush();
  }

  nextDeadline(): Instant {
    return this.#request.over ? NEVER : this.#command.nextDeadline();
  }

  cancel(why: string): void {
    if (this.#request.over) return;
    this.#cancelled = true;
    this.#request.chunk("stderr", `podloom: ${why}\n`);
    this.#close(EXIT_KILLED);
  }

  #flush(): void {
    while (!this.#paused) {
      const said = this.#command.poll();
      if (said === undefined) break;
      this.#paused = !this.#request.chunk(said.stream, said.text);
    }
    const { exitCode } = this.#command;
    if (exitCode !== undefined && !this.#paused && !this.#cancelled) this.#close(exitCode);
  }

  #close(exitCode: number): void {
    this.#command.close();
    this.#request.done({ exitCode } satisfies ExecResult);
  }
}

function probe(request: IncomingRequest, driver: NodeDriver): void {
  const args = read(ProbeShape, request);
  const rounds = Math.min(args.count, Math.ceil(args.timeoutMs / Math.max(args.intervalMs, 0.001)) + 1);
  if (rounds * args.targets.length > PROBES_OUTSTANDING_MAX) {
    throw new PodloomError(
      "PL_IPC_BAD_ARGS",
      `these probes would have more than ${PROBES_OUTSTANDING_MAX} pings under way at once`,
      { remedy: "Use a longer interval, a shorter timeout, or fewer targets." },
    );
  }
  const prober = new Prober(contextOf(driver, args.pod), args);
  driver.addTask(new ProbeTask(args.pod, prober, request, driver));
}

/** Many pings at once, whose results are the answer. */
class ProbeTask implements Task {
  readonly pod: string;
  readonly #prober: Prober;
  readonly #request: IncomingRequest;
  #started = false;

  constructor(pod: string, prober: Prober, request: IncomingRequest, driver: NodeDriver) {
    this.pod = pod;
    this.#prober = prober;
    this.#request = request;
    request.onInterrupt = () => driver.change(() => this.#prober.interrupt());
  }

  get over(): boolean {
    return this.#request.over;
  }

  wake(now: Instant): void {
    if (this.#request.over) return;
    if (this.#started) this.#prober.wake(now);
    else {
      this.#started = true;
      this.#prober.start(now);
    }
    const { results } = this.#prober;
    if (results === undefined) return;
    this.#prober.close();
    this.#request.done(results);
  }

  nextDeadline(): Instant {
    return this.#request.over ? NEVER : this.#prober.nextDeadline();
  }

  cancel(why: string): void {
    if (this.#request.over) return;
    this.#prober.close();
    this.#request.fail(
      new PodloomError("PL_POD_GONE", why, { remedy: "Ask again once the pod or the node is back." }),
    );
  }
}
