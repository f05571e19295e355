// The embedded server against a real etcd: the same random requests to both, and every reply, error and watch event must be
// the same, but for what names the cluster.
//
//   PODLOOM_DIFF_N      requests (default 4000; `npm run fuzz:store` takes 100,000)
//   PODLOOM_DIFF_SEED   where the sequence starts
import { setTimeout as sleep } from "node:timers/promises";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { below, SeededRng } from "../../src/base/rng.ts";
import { hasEtcd, type StoreProcess, startStore } from "../support/etcd-process.ts";
import { type Message, type Outcome, RawEtcd } from "../support/etcd-raw.ts";
import { type Request, RequestMaker } from "../support/store-operations.ts";

const COUNT = Number(process.env.PODLOOM_DIFF_N ?? "4000");
const SEED = Number(process.env.PODLOOM_DIFF_SEED ?? "1");

/** Requests between two looks at the watches. */
const ROUND = 100;
const WATCHES = 3;
/** For events that are on their way. */
const PATIENCE_MS = 5000;

/** Plain text of a reply, without what differs between any two clusters. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1");
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value)
    .filter(([name]) => !["cluster_id", "member_id", "raft_term"].includes(name))
    .map(([name, field]) => [name, normal(field)]);
  return Object.fromEntries(fields.sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)));
}

/** @param later the real etcd is of a version after 3.4, which is what ours is like */
function comparable({ method }: Request, outcome: Outcome, later: boolean): string {
  if (!("reply" in outcome)) return JSON.stringify(outcome);
  const { reply } = outcome;
  // Since 3.5 this one has a header, as all others always had.
  if (method === "Alarm" && later) delete reply.header;
  // Of the time that is left only the granting is sure; a real etcd tells the keys of a lease, and leases that were granted at
  // once, in no order.
  if (method === "LeaseTimeToLive") {
    if (Number(reply.TTL) > 0) reply.TTL = "left";
    reply.keys = (reply.keys as readonly Buffer[]).map((key) => key.toString("latin1")).sort();
  }
  if (method === "LeaseLeases") {
    const leases = reply.leases as readonly { readonly ID: string }[];
    reply.leases = leases.map(({ ID }) => ID).sort();
  }
  return JSON.stringify(normal(reply));
}

/** A watch stream and all that it has said, one line an event. */
class Watching {
  readonly lines: string[] = [];
  readonly #stream: ClientDuplexStream<Message, Message>;

  constructor(etcd: RawEtcd, requests: readonly Message[]) {
    this.#stream = etcd.stream("Watch", "Watch");
    this.#stream.on("error", () => undefined);
    this.#stream.on("data", (message: Message) => this.#take(message));
    for (const create_request of requests) this.#stream.write({ create_request });
  }

  /** Sorted by watch: between two watches there is no order. */
  text(): string {
    return [...this.lines].sort().join("\n");
  }

  close(): void {
    this.#stream.cancel();
  }

  #take(message: Message): void {
    const { events, header: _, ...rest } = message;
    const id = (message.watch_id as string | undefined) ?? "0";
    if (message.created === true || message.canceled === true)
      this.lines.push(`${id} control ${JSON.stringify(normal(rest))}`);
    for (const event of events as readonly Message[]) {
      const n = this.lines.filter((line) => line.startsWith(`${id} `)).length;
      this.lines.push(`${id} ${String(n).padStart(5, "0")} ${JSON.stringify(normal(event))}`);
    }
  }
}

describe.skipIf(!hasEtcd())("the embedded server and a real etcd", () => {
  const stores: StoreProcess[] = [];
  let later = false;
  let ours: RawEtcd;
  let theirs: RawEtcd;

  beforeAll(async () => {
    const embedded = await startStore("embedded", { args: ["--auto-compaction-retention", "0"] });
    stores.push(embedded);
    const etcd = await startStore("etcd");
    stores.push(etcd);
    ours = new RawEtcd(embedded.endpoint);
    theirs = new RawEtcd(etcd.endpoint);
    const { version } = await theirs.ask("Maintenance", "Status", {});
    later = !String(version).startsWith("3.4.");
  });

  afterAll(async () => {
    ours?.close();
    theirs?.close();
    for (const store of stores) await store.stop();
  });

  async function sameEvents(a: Watching, b: Watching, what: string): Promise<void> {
    for (const end = performance.now() + PATIENCE_MS; a.text() !== b.text() && performance.now() < end; )
      await sleep(2);
    expect(a.text(), what).toBe(b.text());
    a.close();
    b.close();
  }

  test(`answer ${COUNT} requests alike, seed ${SEED}`, async () => {
    const rng = new SeededRng(SEED);
    const maker = new RequestMaker(rng);
    let succeeded = 0;
    for (let done = 0; done < COUNT; done += ROUND) {
      maker.compacting = (done / ROUND) % 2 === 0;
      const watches = Array.from({ length: 1 + below(rng, WATCHES) }, () => maker.watch());
      const [a, b] = [new Watching(ours, watches), new Watching(theirs, watches)];
      // A watch from now on must be there before the next request.
      for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(1)) {
        if (
          [a, b].every(
            ({ lines }) => lines.filter((line) => line.includes("control")).length >= watches.length,
          )
        )
          break;
      }
      for (let i = 0; i < ROUND; i++) {
        const request = maker.next();
        const { service, method, message } = request;
        const [mine, real] = await Promise.all([
          ours.call(service, method, message),
          theirs.call(service, method, message),
        ]);
        const text = comparable(request, real, later);
        const asked = `request ${done + i}: ${service}.${method} ${JSON.stringify(normal(message))}`;
        expect(comparable(request, mine, later), asked).toBe(text);
        if (!("reply" in real)) continue;
        succeeded++;
        const header = real.reply.header as { readonly revision?: string } | undefined;
        maker.revision = Number(header?.revision ?? maker.revision);
      }
      await sameEvents(a, b, `watches ${JSON.stringify(normal(watches))} before request ${done + ROUND}`);
    }
    // Else they agree on nothing but errors.
    expect(succeeded).toBeGreaterThan(COUNT / 2);
  }, 1_800_000);
});
