// One torture run: a store, five reflectors, claimants that fight over fewer subnets than there are of them, and writers, each
// through a link of its own; a plan of what goes wrong; and in the end what was wrong with what they were told.
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRng } from "../../src/base/rng.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NO_LEASE, prefixEnd } from "../../src/control/datastore/messages.ts";
import { type EtcdTransport, StoreError } from "../../src/io/etcd/etcd-transport.ts";
import { type StoreKind, type StoreProcess, startStore } from "./etcd-process.ts";
import { type Belief, CLAIM_PREFIX, checkBeliefs, TortureClaimant } from "./torture-claimant.ts";
import { checkHistory, Recorder } from "./torture-history.ts";
import { TortureLink } from "./torture-link.ts";
import { type Fault, type PlannedFault, planTorture } from "./torture-plan.ts";
import { checkDeliveries, TortureReflector } from "./torture-reflector.ts";
import { TortureWriters } from "./torture-writers.ts";
import type { TransportKind } from "./transports.ts";

const PREFIX = "/torture/";
const REFLECTORS = 5;
const CLAIMANTS = 8;
/** Five subnets for eight. */
const NET_CONF = `{"Network":"10.77.0.0/16","SubnetMin":"10.77.1.0","SubnetMax":"10.77.5.0","Backend":{"Type":"vxlan"}}`;
/** How long anything may take that must come about in the end. */
const PATIENCE_MS = 60_000;
const NEVER_MS = 2 ** 31 - 1;
/** Between the seeds of two rounds. */
const ROUND_SEEDS = 7919;

export interface TortureOptions {
  readonly kind: StoreKind;
  readonly transport: TransportKind;
  readonly seed: number;
  readonly durationMs: number;
  readonly writes: number;
}

export interface TortureReport {
  /** What must not have happened, if anything. */
  readonly wrong: readonly string[];
  /** What the server says that it is. */
  readonly version: string;
  readonly writes: number;
  readonly changes: number;
  /** Writes of which nobody said whether they were done. */
  readonly unanswered: number;
  readonly faults: Readonly<Record<string, number>>;
  /** How often each reflector had to list again. */
  readonly relists: readonly number[];
  /** How often a subnet was held, until its holder lost it or renewed its trust in it. */
  readonly beliefs: number;
  /** How often a subnet went from one to another. */
  readonly handovers: number;
  readonly lives: number;
  /** How many plans were gone through until all was written. */
  readonly rounds: number;
  readonly tookSec: number;
}

export async function torture(options: TortureOptions): Promise<TortureReport> {
  const run = new TortureRun(options, await startStore(options.kind));
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

class TortureRun {
  readonly #options: TortureOptions;
  readonly #store: StoreProcess;
  readonly #recorder: Recorder;
  /** Without a relay in between: it sets things up, compacts, and looks in the end. */
  readonly #direct: EtcdTransport;
  readonly #links: TortureLink[] = [];
  readonly #reflectors: TortureReflector[] = [];
  readonly #claimants: TortureClaimant[] = [];
  readonly #beliefs: Belief[] = [];
  readonly #faults: Record<string, number> = {};
  #writerTransport: EtcdTransport | undefined;
  #writers: TortureWriters | undefined;
  /** One at a time does something to the server's process. */
  #server: Promise<void> = Promise.resolve();
  #marks = 0;
  #version = "";
  /** Faults that did not become what they are planned for. */
  readonly #unmet: string[] = [];
  #closed = false;

  constructor(options: TortureOptions, store: StoreProcess) {
    this.#options = options;
    this.#store = store;
    this.#recorder = new Recorder(store.endpoint, PREFIX);
    this.#direct = options.transport.open({ endpoints: [store.url] });
  }

  async run(): Promise<TortureReport> {
    const { seed, durationMs, writes } = this.#options;
    const started = performance.now();
    await this.#begin();
    const size = { durationMs, reflectors: REFLECTORS, claimants: CLAIMANTS };
    const writers = this.#writers as TortureWriters;
    // A machine that is slow with the writes has more to suffer meanwhile; but it must get on.
    let before = -1;
    let rounds = 0;
    for (; rounds === 0 || (writers.written < writes * 0.7 && writers.written > before); rounds++) {
      before = writers.written;
      await this.#suffer(planTorture(seed + rounds * ROUND_SEEDS, size));
    }
    // The rest in peace, however slowly.
    for (let seen = -1; !writers.isDone && writers.written > seen; ) {
      seen = writers.written;
      await this.#until(() => writers.isDone || writers.written > seen);
    }
    writers.stop();
    await writers.done;
    const wrong = await this.#settle();
    const tookSec = Math.round((performance.now() - started) / 1000);
    wrong.push(...this.#unmet, ...(await this.#check()));
    return { ...this.#report(), wrong, rounds, tookSec };
  }

  async #suffer(plan: readonly PlannedFault[]): Promise<void> {
    const since = performance.now();
    await Promise.all(
      plan.map(async ({ atMs, fault }) => {
        await sleep(Math.max(0, since + atMs - performance.now()));
        if (!this.#closed && (await this.#do(fault))) this.#count(fault);
      }),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#writers?.stop();
    for (const claimant of this.#claimants) await claimant.close();
    for (const reflector of this.#reflectors) await reflector.close();
    await this.#writerTransport?.close();
    await this.#direct.close();
    await this.#recorder.close();
    for (const link of this.#links) link.close();
    await this.#server.catch(() => undefined);
    await this.#store.stop();
  }

  async #begin(): Promise<void> {
    const { transport, seed, writes, durationMs } = this.#options;
    for (let i = 0; i < REFLECTORS + CLAIMANTS + 1; i++) {
      this.#links.push(await TortureLink.to(this.#store.port));
    }
    const open = (link: number): EtcdTransport =>
      transport.open({ endpoints: [(this.#links[link] as TortureLink).url] });
    this.#version = (await this.#direct.status()).version;
    await this.#direct.put(`${CLAIM_PREFIX}/config`, encodeUtf8(NET_CONF), NO_LEASE);
    for (let i = 0; i < REFLECTORS; i++) {
      this.#reflectors.push(new TortureReflector(open(i), PREFIX, seed + i));
    }
    for (let index = 0; index < CLAIMANTS; index++) {
      this.#claimants.push(
        new TortureClaimant({
          index,
          seed: seed + 100 + index,
          open: () => open(REFLECTORS + index),
          beliefs: this.#beliefs,
        }),
      );
    }
    this.#writerTransport = open(REFLECTORS + CLAIMANTS);
    this.#writers = new TortureWriters({
      transport: this.#writerTransport,
      prefix: PREFIX,
      rng: new SeededRng(seed + 200),
      writes,
      // Done a little before the last fault is over.
      durationMs: durationMs * 0.8,
    });
  }

  // ---- faults ----

  #count(fault: Fault): void {
    const name = fault.t === "blackHole" && fault.dark ? "dark" : fault.t;
    this.#faults[name] = (this.#faults[name] ?? 0) + 1;
  }

  /** Lets it happen, to its end. False when there was nothing that it could happen to. */
  async #do(fault: Fault): Promise<boolean> {
    switch (fault.t) {
      case "cut":
        this.#links[fault.link]?.cut();
        return true;
      case "blackHole":
        await this.#blackHole(fault);
        return true;
      case "compact":
        await this.#compactPast(await this.#mark("compacted"));
        return true;
      case "pause":
        await this.#onServer(async () => {
          await this.#store.pause();
          await sleep(fault.forMs);
          this.#store.resume();
        });
        return true;
      case "kill":
        await this.#onServer(async () => {
          await this.#store.kill();
          await sleep(fault.downMs);
          await this.#store.start();
        });
        return true;
      default:
        return await this.#tamper(fault);
    }
  }

  async #tamper(
    fault: Extract<Fault, { readonly t: "freeze" | "suspend" | "jump" | "leave" }>,
  ): Promise<boolean> {
    const claimant = await this.#holder(fault.claimant);
    if (claimant === undefined) return false;
    switch (fault.t) {
      case "jump":
        claimant.jump(fault.byMs);
        this.#reflectors[fault.claimant % REFLECTORS]?.jump(fault.byMs);
        return true;
      case "leave":
        return await claimant.leave(fault.revoke, fault.forMs);
      default: {
        const subnet = claimant.holds;
        if (!claimant.freeze(fault.t === "suspend")) return false;
        await sleep(fault.forMs);
        if (fault.taken) {
          const isTaken = (): boolean => this.#claimants.some(({ holds }) => holds === subnet);
          // Or the plan has asked for what cannot be, and nothing would be shown of a sleeper.
          if (!(await this.#until(isTaken))) this.#unmet.push(`nobody took ${subnet} from a sleeper`);
        }
        claimant.thaw(fault.timersFirst);
        return true;
      }
    }
  }

  /** One that holds a subnet, as soon as there is one. */
  async #holder(number: number): Promise<TortureClaimant | undefined> {
    const holders = (): TortureClaimant[] => this.#claimants.filter(({ holds }) => holds !== undefined);
    await this.#until(() => holders().length > 0);
    const found = holders();
    return found[number % found.length];
  }

  async #onServer(act: () => Promise<void>): Promise<void> {
    const before = this.#server;
    this.#server = before.then(async () => {
      if (!this.#closed) await act();
    });
    await this.#server;
  }

  async #blackHole({ link, way, forMs, dark }: Extract<Fault, { readonly t: "blackHole" }>): Promise<void> {
    const relay = this.#links[link] as TortureLink;
    relay.breach(way);
    await sleep(forMs);
    const reflector = this.#reflectors[link];
    if (dark && reflector !== undefined) {
      const isDark = (): boolean => reflector.reflector.status === "Disconnected";
      if (!(await this.#until(isDark))) this.#unmet.push(`reflector ${link} did not miss the store`);
      // Two writes that it cannot know; when the first is compacted away, there is no way to hear of it but a list.
      await this.#mark("dark");
      await this.#compactPast(await this.#mark("dark"));
    }
    relay.mend(way);
  }

  /** A write that succeeds, once the store can be reached. Answers its revision. */
  async #mark(name: string): Promise<number> {
    for (;;) {
      const value = `mark${this.#marks++}`;
      try {
        return (await this.#direct.put(`${PREFIX}${name}`, encodeUtf8(value), NO_LEASE)).revision;
      } catch (error) {
        if (this.#closed) throw error;
        await sleep(50);
      }
    }
  }

  /** Compacts all before `revision` away, at the least, as soon as it can be done and the recorder has seen it. */
  async #compactPast(revision: number): Promise<void> {
    const { history } = this.#recorder;
    for (let compacted = 0; compacted < revision && !this.#closed; ) {
      await this.#until(() => history.revision >= revision);
      const seen = history.revision;
      compacted = await this.#direct.compact(seen).then(
        () => seen,
        (error: unknown) => (error instanceof StoreError && error.reason === "compacted" ? seen : 0),
      );
      if (compacted === 0) await sleep(50);
    }
  }

  async #until(reached: () => boolean): Promise<boolean> {
    const end = performance.now() + PATIENCE_MS;
    while (!this.#closed && performance.now() < end) {
      if (reached()) return true;
      await sleep(20);
    }
    return reached();
  }

  // ---- the end ----

  /** Waits until everybody knows all, which they must some time after the last fault. */
  async #settle(): Promise<string[]> {
    const { history } = this.#recorder;
    const wrong: string[] = [];
    // A last write, so that there is something to be waited for, and nothing on the way before it.
    const revision = await this.#mark("end");
    if (!(await this.#until(() => history.revision === revision))) {
      wrong.push(`the recorder ends at revision ${history.revision}, the store at ${revision}`);
    }
    for (const [i, { reflector }] of this.#reflectors.entries()) {
      const end = (): number | undefined => reflector.items.get(`${PREFIX}end`)?.modRevision;
      const knows = (): boolean => reflector.status === "Synced" && end() === revision;
      if (!(await this.#until(knows))) wrong.push(`reflector ${i} is ${reflector.status} and not up to date`);
    }
    const held = (): number => this.#claimants.filter(({ holds }) => holds !== undefined).length;
    if (!(await this.#until(() => held() === 5))) wrong.push(`${held()} of 5 subnets are held in the end`);
    // One goes for good: somebody else has what it gave back.
    await (await this.#holder(0))?.leave(true, NEVER_MS);
    if (!(await this.#until(() => held() === 5)))
      wrong.push(`${held()} of 5 subnets are held after one was left`);
    return wrong;
  }

  async #check(): Promise<string[]> {
    const { history, refused } = this.#recorder;
    const writers = this.#writers as TortureWriters;
    const wrong = refused === undefined ? [] : [`the recorder was refused: ${refused}`];
    const { writes } = this.#options;
    if (writers.written < writes) wrong.push(`${writers.written} of ${writes} writes were acknowledged`);
    const sent = (key: string, value: string): boolean =>
      value.startsWith("mark") || writers.wasSent(key, value);
    wrong.push(...checkHistory(history, writers.acknowledged, sent));
    const state = history.state(history.revision);
    const { kvs } = await this.#direct.range({ key: PREFIX, rangeEnd: prefixEnd(PREFIX) });
    const differ = kvs.filter(({ key, modRevision }) => state.get(key)?.revision !== modRevision).length;
    if (kvs.length !== state.size || differ > 0)
      wrong.push(`the store and its history differ in ${differ} keys`);
    for (const [i, { deliveries }] of this.#reflectors.entries()) {
      wrong.push(...checkDeliveries(history, deliveries).map((what) => `reflector ${i}: ${what}`));
    }
    for (const claimant of this.#claimants) await claimant.close();
    wrong.push(...checkBeliefs(this.#beliefs));
    return wrong;
  }

  #report(): Omit<TortureReport, "wrong" | "rounds" | "tookSec"> {
    const holders = new Map<string, number>();
    let handovers = 0;
    for (const { subnet, claimant } of this.#beliefs) {
      if ((holders.get(subnet) ?? claimant) !== claimant) handovers++;
      holders.set(subnet, claimant);
    }
    const writers = this.#writers as TortureWriters;
    return {
      version: this.#version,
      writes: writers.written,
      changes: this.#recorder.history.changes.length,
      unanswered: writers.unanswered,
      faults: this.#faults,
      relists: this.#reflectors.map(({ relists }) => relists),
      beliefs: this.#beliefs.length,
      handovers,
      lives: this.#claimants.reduce((sum, { lives }) => sum + lives, 0),
    };
  }
}
