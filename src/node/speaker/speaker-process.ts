// One speaker with all that belongs to it: its sockets, its file, who asks it. Everything that decides is in routing/bgp; this
// file only carries out.
import { hostname } from "node:os";
import { formatIpv4 } from "../../base/ipv4-addr.ts";
import type { Rng } from "../../base/rng.ts";
import type { Instant } from "../../base/time.ts";
import type { BfdSocket } from "../../io/bfd-socket.ts";
import { BgpDriver, type OtherOutput, type StopOptions } from "../../io/bgp/bgp-driver.ts";
import { SessionCapture } from "../../io/bgp/session-capture.ts";
import type { Clock } from "../../io/clock.ts";
import type { Logger } from "../../io/logger.ts";
import type { MetricsServer } from "../../io/metrics-server.ts";
import { packageVersion } from "../../io/package-version.ts";
import { PodloomError } from "../../io/podloom-error.ts";
import type { Environment } from "../../io/xdg-folders.ts";
import { ConnIds } from "../../routing/bgp/session/peer-messages.ts";
import { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import type { ReloadReport, SpeakerStatus } from "../../routing/bgp/speaker/speaker-status.ts";
import { Family, formatFamily } from "../../wire/bgp/family.ts";
import { Carriers } from "./carriers.ts";
import { speakerFileError } from "./file/read-file.ts";
import type { LoadedPlan } from "./load-plan.ts";
import type { SpeakerMetrics } from "./metrics.ts";
import type { SpeakerPlan } from "./plan.ts";
import { SpeakerQueries } from "./queries.ts";
import { applyChange, describeChange, differences, frozenFaults } from "./reload.ts";
import { logOutput, ROOM } from "./speaker-log.ts";

const FAMILIES = [Family.IPV4_UNICAST, Family.IPV6_UNICAST] as const;

export interface SpeakerProcessDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  /** The file, for people. */
  readonly file: string;
  /** Reads the file again. @param policies those in use */
  readonly load: (policies: SpeakerPlan["policies"]) => Promise<LoadedPlan>;
  /** Of the process: what a scraper of metrics must show. */
  readonly env: Environment;
}

export class SpeakerProcess {
  readonly speaker: BgpSpeaker;
  readonly queries: SpeakerQueries;
  readonly #deps: SpeakerProcessDeps;
  readonly #driver: BgpDriver;
  readonly #startedAt = Date.now();
  #configuredAt = Date.now();
  #plan: SpeakerPlan;
  #carriers: Carriers;
  #phase: SpeakerStatus["phase"];
  #bfd: BfdSocket | undefined;
  #metrics: SpeakerMetrics | undefined;
  #metricsServer: MetricsServer | undefined;
  /** Reloads come one after the other. */
  #reloading: Promise<unknown> = Promise.resolve();

  /** @throws PodloomError PL_CAPTURE_FAILED, or when the addresses cannot be carried here */
  constructor(plan: SpeakerPlan, deps: SpeakerProcessDeps) {
    const { clock, rng, logger } = deps;
    this.#plan = plan;
    this.#deps = deps;
    this.#carriers = new Carriers(plan);
    this.#phase = plan.speaker.restarting ? "restarting" : "running";
    const ids = new ConnIds();
    this.speaker = new BgpSpeaker(plan.speaker, { rng, ids });
    this.queries = new SpeakerQueries(this.speaker, () => clock.now());
    const capture = plan.capture === undefined ? undefined : openCapture(plan.capture, plan, clock, logger);
    this.#driver = new BgpDriver({
      speaker: this.speaker,
      ids,
      clock,
      listen: plan.listen,
      carry: (addr) => this.#carriers.carry(addr),
      uncarry: (host) => this.#carriers.uncarry(host),
      onOutput: (output) => this.#perform(output),
      ...(capture === undefined ? {} : { capture }),
    });
    this.#fill(plan);
  }

  get plan(): SpeakerPlan {
    return this.#plan;
  }

  /** Where it may be called: as neighbours know it, and on this machine. */
  get listening(): readonly { readonly at: string; readonly socket: string }[] {
    return this.#driver.listening.map(({ addr, port }) => ({
      at: `${formatIpv4(addr)}:${port}`,
      socket: `${this.#carriers.carry(addr)}:${port}`,
    }));
  }

  /** `127.0.0.1:9179`; undefined when there are no metrics. */
  get metricsAddress(): string | undefined {
    return this.#metricsServer?.address;
  }

  /**
   * Opens all sockets and starts the sessions. When this fails, {@link stop} closes what was opened.
   *
   * @throws PodloomError PL_BGP_PORT, PL_BGP_MD5, PL_BFD_PORT, PL_METRICS_PORT, PL_METRICS_OPEN
   */
  async start(): Promise<void> {
    if (this.#plan.metrics !== undefined) await this.#openMetrics(this.#plan.metrics);
    if (wantsBfd(this.#plan)) await this.#openBfd();
    await this.#driver.start();
  }

  /** Ends all sessions and closes everything, in bounded time. Never rejects. */
  async stop(how: StopOptions): Promise<void> {
    this.#phase = "stopping";
    await this.#driver.stop(how);
    await Promise.all([this.#metricsServer?.close(), this.#bfd?.close()]);
  }

  /** Lets `act` change the speaker, then carries out what follows. Answers what `act` answers. */
  change<T>(act: (speaker: BgpSpeaker, now: Instant) => T): T {
    return this.#driver.change((now) => act(this.speaker, now));
  }

  /**
   * Reads the file again and does what is different in it. What did not change is not touched.
   *
   * @param checkOnly say what would be done, and do nothing
   * @throws PodloomError PL_SPEAKER_FILE with every problem: then nothing has changed
   */
  reload(checkOnly = false): Promise<ReloadReport> {
    const done = this.#reloading.then(() => this.#reload(checkOnly));
    this.#reloading = done.catch(() => {});
    return done;
  }

  status(): SpeakerStatus {
    const { speaker } = this;
    const { name } = this.#plan;
    const { localAs, routerId, clusterId } = this.#plan.speaker;
    const neighbors = speaker.neighbors.dump().map((row) => row.neighbor);
    const sources = [speaker.rib.local, ...neighbors.map(({ ribPeer }) => ribPeer)];
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    return {
      name,
      pid: process.pid,
      version: packageVersion(),
      hostname: hostname(),
      as: localAs,
      routerId: formatIpv4(routerId),
      clusterId: formatIpv4(clusterId),
      listening: this.listening.map(({ at }) => at),
      file: this.#deps.file,
      startedAt: this.#startedAt,
      configuredAt: this.#configuredAt,
      at: Date.now(),
      phase: this.#phase,
      neighbors: neighbors.length,
      established: neighbors.filter(({ negotiated }) => negotiated !== undefined).length,
      destinations: sum(FAMILIES.map((family) => speaker.rib.count(family))),
      paths: sum(FAMILIES.flatMap((family) => sources.map((peer) => speaker.rib.prefixCount(peer, family)))),
    };
  }

  /** Prometheus' text. */
  async metricsText(): Promise<string> {
    const metrics = await this.#loadMetrics();
    const { rib, out } = this.speaker;
    const { user, system } = process.cpuUsage();
    return await metrics.text({
      peers: this.queries.peers(),
      rib: rib.stats,
      out: out.stats,
      tcp: this.#driver.stats,
      destinations: FAMILIES.map((family) => ({ family: formatFamily(family), count: rib.count(family) })),
      undecided: rib.undecided,
      cpuSec: (user + system) / 1_000_000,
      rssBytes: process.memoryUsage.rss(),
      startedSec: Math.floor(this.#startedAt / 1000),
    });
  }

  /** Everything of a new plan. It has been checked: what is refused is a fault of ours. */
  #fill({ neighbors, ranges, networks }: SpeakerPlan): void {
    const now = this.#deps.clock.now();
    for (const range of ranges) this.#insist(this.speaker.addRange(range));
    for (const neighbor of neighbors) this.#insist(this.speaker.addNeighbor(neighbor, now));
    for (const network of networks) this.speaker.originate(network, now);
  }

  #insist(done: { readonly ok: true } | { readonly ok: false; readonly error: string }): void {
    if (done.ok) return;
    throw new PodloomError("PL_SPEAKER_FILE", done.error, { remedy: "Correct the file." });
  }

  async #reload(checkOnly: boolean): Promise<ReloadReport> {
    const { load, logger, file } = this.#deps;
    const loaded = await load(this.#plan.policies);
    const frozen = frozenFaults(this.#plan, loaded.plan);
    if (frozen.length > 0) throw speakerFileError(file, await loaded.problems(frozen));
    const { changes, plan, needRestart } = differences(this.#plan, loaded.plan);
    const report = { changes: changes.map(describeChange).filter((one) => one !== undefined), needRestart };
    if (checkOnly) return report;
    if (wantsBfd(plan)) await this.#openBfd().catch((thrown: unknown) => logger.error(ROOM, "bfd", thrown));
    this.#carriers = new Carriers(plan);
    this.change((speaker, now) => {
      for (const change of changes) {
        const done = applyChange(change, speaker, now);
        if (done?.ok === false) logger.log("error", ROOM, "reload", done.error);
      }
    });
    this.#plan = { ...plan, name: this.#plan.name };
    this.#configuredAt = Date.now();
    const what = changes.length === 0 ? "nothing is different" : report.changes.join("; ");
    logger.log("info", ROOM, "reload", `${file} was read again: ${what}`, report);
    return report;
  }

  #perform(output: OtherOutput): void {
    if (output.t === "bfdSend") this.#bfd?.send(output);
    else if (output.t === "restartComplete" && this.#phase === "restarting") this.#phase = "running";
    logOutput(this.#deps.logger, output);
  }

  /** Where there is one already, nothing happens. */
  async #openBfd(): Promise<void> {
    if (this.#bfd !== undefined) return;
    const { BfdSocket } = await import("../../io/bfd-socket.ts");
    const socket = new BfdSocket({
      carry: (addr) => this.#carriers.carry(addr),
      uncarry: (host) => this.#carriers.uncarry(host),
      // Node does not tell the time to live.
      onReceived: (from, bytes) => this.#driver.handle({ t: "bfdReceived", from, bytes, ttl: undefined }),
    });
    await socket.listen(this.#plan.address);
    this.#bfd = socket;
  }

  async #loadMetrics(): Promise<SpeakerMetrics> {
    const { SpeakerMetrics } = await import("./metrics.ts");
    this.#metrics ??= new SpeakerMetrics();
    return this.#metrics;
  }

  async #openMetrics({ host, port }: NonNullable<SpeakerPlan["metrics"]>): Promise<void> {
    const [{ contentType }, { METRICS_TOKEN_VARIABLE, MetricsServer }] = await Promise.all([
      this.#loadMetrics(),
      import("../../io/metrics-server.ts"),
    ]);
    const token = this.#deps.env[METRICS_TOKEN_VARIABLE] || undefined;
    const text = () => this.metricsText();
    this.#metricsServer = await MetricsServer.listen({ host, port, token, contentType, text });
  }
}

function wantsBfd({ neighbors, ranges }: SpeakerPlan): boolean {
  return [...neighbors, ...ranges].some(({ bfd }) => bfd !== undefined);
}

function openCapture(path: string, { name }: SpeakerPlan, clock: Clock, logger: Logger): SessionCapture {
  const onEnd = (why: string) => logger.log("warn", ROOM, "capture", why);
  return SessionCapture.open({ path, clock, name, onEnd });
}
