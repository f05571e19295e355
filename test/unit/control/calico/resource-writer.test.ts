import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../../src/base/rng.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../../../../src/base/time.ts";
import { emitResourceKey, type ResourceId } from "../../../../src/control/calico/calico-keys.ts";
import { checkResource } from "../../../../src/control/calico/check-resource.ts";
import type { ResourceOutcome, ResourceRequest } from "../../../../src/control/calico/resource-messages.ts";
import { disablePool } from "../../../../src/control/calico/resource-request.ts";
import { ResourceWriter } from "../../../../src/control/calico/resource-writer.ts";
import type { CalicoResource } from "../../../../src/control/calico/resources.ts";
import { OpIds } from "../../../../src/control/datastore/pending-ops.ts";
import { type Connection, FakeStore } from "../../../support/fake-store.ts";

/** 2026-06-01T00:00:00Z */
const WALL_MS = 1_780_272_000_000;

/** Some writers on one store, until all that was asked is answered. */
class World {
  readonly rng: SeededRng;
  readonly store: FakeStore;
  readonly writers: { readonly writer: ResourceWriter; readonly conn: Connection }[] = [];
  readonly outcomes = new Map<string, ResourceOutcome>();
  readonly logs: string[] = [];
  now: Instant = 1;

  constructor(writers = 1, seed = 1) {
    this.rng = new SeededRng(seed);
    this.store = new FakeStore(this.rng);
    for (let i = 0; i < writers; i++) {
      const writer = new ResourceWriter({ ids: new OpIds(), rng: new SeededRng(seed * 1000 + i) });
      this.writers.push({ writer, conn: this.store.connect() });
    }
  }

  submit(request: ResourceRequest, of = 0): string {
    const { writer } = this.writers[of] as World["writers"][number];
    const number = writer.submit(request, this.now, WALL_MS);
    this.#drain();
    return `${of}/${number}`;
  }

  ask(request: ResourceRequest): ResourceOutcome {
    const ticket = this.submit(request);
    this.run();
    return this.outcomes.get(ticket) as ResourceOutcome;
  }

  /** Lets time pass until nothing is asked any more. */
  run(): void {
    for (let steps = 0; steps < 100_000; steps++) {
      let at = NEVER;
      for (const { writer, conn } of this.writers)
        at = Math.min(at, writer.nextDeadline(), conn.nextDeadline());
      if (this.writers.every(({ writer }) => writer.nextDeadline() === NEVER)) return;
      this.now = Math.max(this.now, at);
      for (const { writer, conn } of this.writers) {
        for (let event = conn.poll(this.now); event !== undefined; event = conn.poll(this.now)) {
          writer.handle(event, this.now);
        }
        writer.tick(this.now);
      }
      this.#drain();
    }
    throw new Error("never done");
  }

  value(id: ResourceId): unknown {
    const text = this.store.text(emitResourceKey(id));
    return text === undefined ? undefined : JSON.parse(text);
  }

  #drain(): void {
    for (const [i, { writer, conn }] of this.writers.entries()) {
      for (let out = writer.poll(); out !== undefined; out = writer.poll()) {
        if (out.t === "op") conn.submit(out.op, this.now);
        else if (out.t === "done") this.outcomes.set(`${i}/${out.request}`, out.outcome);
        else this.logs.push(out.message);
      }
    }
  }
}

function resource(kind: string, name: string, spec: object, metadata: object = {}): CalicoResource {
  const document = { kind, apiVersion: "projectcalico.org/v3", metadata: { name, ...metadata }, spec };
  const checked = checkResource(document);
  if (!checked.ok) throw new Error(JSON.stringify(checked.error));
  return checked.value;
}

const pool = (name: string, cidr: string, spec: object = {}) => resource("IPPool", name, { cidr, ...spec });
const tor = (asNumber: number, metadata: object = {}) =>
  resource("BGPPeer", "tor", { peerIP: "10.1.0.1", asNumber }, metadata);
const TOR: ResourceId = { kind: "BGPPeer", name: "tor" };
const P: ResourceId = { kind: "IPPool", name: "p" };

describe("one writer", () => {
  test("create gives uid and creation time; update and apply keep them", () => {
    const world = new World();
    const created = world.ask({ t: "create", resource: tor(1) });
    expect(created).toMatchObject({ t: "written", change: "created", stored: { modRevision: 2 } });
    const value = world.value(TOR) as { metadata: { uid: string } };
    expect(value.metadata).toEqual({
      name: "tor",
      uid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      creationTimestamp: "2026-06-01T00:00:00Z",
    });
    const replaced = tor(2, { labels: { a: "b" }, uid: "mine", creationTimestamp: "1970-01-01T00:00:00Z" });
    expect(world.ask({ t: "apply", resource: replaced })).toMatchObject({ change: "updated" });
    expect(world.value(TOR)).toMatchObject({
      metadata: { ...value.metadata, labels: { a: "b" } },
      spec: { asNumber: 2 },
    });
    expect(world.ask({ t: "update", resource: replaced })).toMatchObject({
      change: "none",
      stored: { modRevision: 3 },
    });
  });

  test("Calico's outcomes", () => {
    const world = new World();
    const refusal = (request: ResourceRequest) => {
      const outcome = world.ask(request);
      return outcome.t === "refused" ? [outcome.code, outcome.message] : outcome.t;
    };
    const absent = ["doesNotExist", "resource does not exist: BGPPeer(tor)"];
    expect(refusal({ t: "update", resource: tor(1) })).toEqual(absent);
    expect(refusal({ t: "get", id: TOR })).toEqual(absent);
    expect(refusal({ t: "delete", id: TOR })).toEqual(absent);
    expect(refusal({ t: "apply", resource: tor(1) })).toBe("written");
    expect(refusal({ t: "create", resource: tor(1) })).toEqual([
      "alreadyExists",
      "resource already exists: BGPPeer(tor)",
    ]);
    expect(refusal({ t: "create", resource: tor(1, { resourceVersion: "2" }) })[0]).toBe("invalid");
    const [code, message] = refusal({ t: "update", resource: tor(2, { resourceVersion: "1" }) });
    expect(code).toBe("updateConflict");
    expect(message).toContain("Resource version '1' is out of date (latest: 2)");
    expect(refusal({ t: "delete", id: TOR, modRevision: 1 })[0]).toBe("updateConflict");
    expect(refusal({ t: "apply", resource: tor(2, { resourceVersion: "2" }) })).toBe("written");
    expect(refusal({ t: "get", id: TOR })).toBe("found");
    expect(refusal({ t: "delete", id: TOR, modRevision: 3 })).toBe("deleted");
    expect(world.store.dump()).toEqual([]);
    expect(refusal({ t: "get", id: { kind: "Node", name: "../ippools/p" } })[0]).toBe("invalid");
    expect(refusal({ t: "get", id: { kind: "WorkloadEndpoint", name: "a" } })[0]).toBe("invalid");
  });

  test("a list leaves out and names what cannot be read; apply mends it", () => {
    const world = new World();
    world.ask({ t: "apply", resource: tor(1) });
    world.store.put("/calico/resources/v3/projectcalico.org/bgppeers/bad", "{");
    expect(world.ask({ t: "list", kind: "BGPPeer" })).toMatchObject({
      t: "listed",
      stored: [{ modRevision: 2 }],
    });
    expect(world.logs).toEqual([
      'Ignoring "/calico/resources/v3/projectcalico.org/bgppeers/bad": unexpected end of JSON input',
    ]);
    const bad: ResourceId = { kind: "BGPPeer", name: "bad" };
    expect(world.ask({ t: "get", id: bad })).toMatchObject({ code: "corrupt" });
    expect(world.ask({ t: "edit", id: bad, change: (it) => it })).toMatchObject({ code: "corrupt" });
    expect(
      world.ask({ t: "apply", resource: resource("BGPPeer", "bad", { peerSelector: "all()" }) }),
    ).toMatchObject({
      t: "written",
    });
    expect(world.ask({ t: "get", id: bad })).toMatchObject({ t: "found" });
  });

  test("an edit keeps what it does not know, to the digit", () => {
    const world = new World();
    const key = emitResourceKey(TOR);
    const text =
      '{"kind":"BGPPeer","apiVersion":"projectcalico.org/v3","metadata":{"name":"tor"},"spec":{"peerIP":"10.1.0.1","x":9007199254740993}}';
    world.store.put(key, text);
    const change = (it: CalicoResource | undefined) =>
      it?.kind === "BGPPeer" ? { ...it, spec: { ...it.spec, asNumber: 7 } } : undefined;
    expect(world.ask({ t: "edit", id: TOR, change })).toMatchObject({ change: "updated" });
    expect(world.store.text(key)).toBe(text.replace('"x"', '"asNumber":7,"x"'));
    expect(world.ask({ t: "edit", id: TOR, change: () => undefined })).toMatchObject({ change: "none" });
    expect(world.ask({ t: "edit", id: P, change: () => undefined })).toMatchObject({ code: "doesNotExist" });
    expect(world.ask({ t: "edit", id: P, change: () => pool("p", "10.0.0.0/16") })).toMatchObject({
      change: "created",
    });
  });

  test("a WorkloadEndpoint's own labels are not anybody's to write", () => {
    const world = new World();
    const spec = {
      orchestrator: "k8s",
      node: "n1",
      pod: "web",
      endpoint: "eth0",
      interfaceName: "c",
      ipNetworks: [],
    };
    const labels = { app: "web", "projectcalico.org/namespace": "other" };
    world.ask({
      t: "apply",
      resource: resource("WorkloadEndpoint", "n1-k8s-web-eth0", spec, { namespace: "shop", labels }),
    });
    expect(
      world.value({ kind: "WorkloadEndpoint", name: "n1-k8s-web-eth0", namespace: "shop" }),
    ).toMatchObject({
      metadata: {
        labels: {
          app: "web",
          "projectcalico.org/namespace": "shop",
          "projectcalico.org/orchestrator": "k8s",
        },
      },
    });
  });
});

describe("pools", () => {
  test("fit in with the others, with the blocks, and stay what they are", () => {
    const world = new World();
    const faults = (request: ResourceRequest) => {
      const outcome = world.ask(request);
      return outcome.t === "refused" ? outcome.faults.map((fault) => fault.message) : outcome.t;
    };
    expect(faults({ t: "create", resource: pool("p", "10.244.0.0/16") })).toBe("written");
    expect(faults({ t: "create", resource: pool("q", "10.0.0.0/8") })).toEqual([
      "IPPool(q) CIDR overlaps with IPPool(p) CIDR 10.244.0.0/16",
    ]);
    world.store.put("/calico/ipam/v2/assignment/ipv4/block/10.9.0.0-26", "{}");
    expect(faults({ t: "apply", resource: pool("q", "10.9.0.0/16", { blockSize: 28 }) })).toEqual([
      "IPPool blocksSize conflicts with existing allocations that use a different blockSize: 10.9.0.0/26",
    ]);
    expect(faults({ t: "apply", resource: pool("q", "10.9.0.0/16") })).toBe("written");
    expect(faults({ t: "apply", resource: pool("p", "10.245.0.0/16", { blockSize: 28 }) })).toEqual([
      expect.stringContaining("IPPool CIDR cannot be modified"),
      expect.stringContaining("IPPool BlockSize cannot be modified"),
    ]);
    expect(faults({ t: "apply", resource: pool("p", "10.244.0.0/16", { vxlanMode: "Always" }) })).toBe(
      "written",
    );
    world.ask({ t: "create", resource: pool("lb", "10.8.0.0/16", { allowedUses: ["LoadBalancer"] }) });
    expect(faults({ t: "apply", resource: pool("lb", "10.8.0.0/16") })).toEqual([
      expect.stringContaining("cannot be changed from LoadBalancer"),
    ]);
  });

  test("are disabled before they are deleted", () => {
    const world = new World();
    world.ask({ t: "create", resource: pool("p", "10.244.0.0/16") });
    expect(world.ask(disablePool("p"))).toMatchObject({ change: "updated" });
    expect(world.value(P)).toMatchObject({ spec: { cidr: "10.244.0.0/16", disabled: true } });
    expect(world.ask(disablePool("p"))).toMatchObject({ change: "none" });
    expect(world.ask({ t: "delete", id: P })).toMatchObject({ t: "deleted" });
    expect(world.ask(disablePool("p"))).toMatchObject({ code: "doesNotExist" });
  });
});

describe("a store that fails", () => {
  test("that is down is waited for, and not for ever", () => {
    const world = new World();
    world.store.outage(1, 2 * SEC_US);
    expect(world.ask({ t: "create", resource: tor(1) })).toMatchObject({ change: "created" });
    world.store.outage(world.now, world.now + 60 * SEC_US);
    const began = world.now;
    expect(world.ask({ t: "get", id: TOR })).toMatchObject({ code: "unavailable" });
    expect(world.now - began).toBeLessThanOrEqual(15 * SEC_US);
  });

  test.each(Array.from({ length: 30 }, (_, seed) => seed + 1))(
    "lost answers are found out, races are run again (seed %i)",
    (seed) => {
      const world = new World(5, seed);
      Object.assign(world.store.faults, { loseRequest: 0.1, loseReply: 0.2, callDeadlineUs: 300 * MS_US });
      // Five create the same: one has done it, even if its answer was lost.
      const creations = world.writers.map((_, i) => world.submit({ t: "create", resource: tor(1) }, i));
      world.run();
      const codes = creations.map((ticket) => {
        const outcome = world.outcomes.get(ticket) as ResourceOutcome;
        return outcome.t === "refused" ? outcome.code : outcome.t;
      });
      expect(codes.filter((code) => code === "written")).toHaveLength(1);
      expect(codes.filter((code) => code === "alreadyExists")).toHaveLength(4);
      // Each adds a label of its own: none is lost, and none is added twice.
      const edits = world.writers.map((_, i) =>
        world.submit(
          {
            t: "edit",
            id: TOR,
            change: (it) =>
              it === undefined
                ? undefined
                : ({
                    ...it,
                    metadata: { ...it.metadata, labels: { ...it.metadata.labels, [`w${i}`]: "" } },
                  } as CalicoResource),
          },
          i,
        ),
      );
      world.run();
      for (const ticket of edits) expect(world.outcomes.get(ticket)).toMatchObject({ t: "written" });
      expect(Object.keys((world.value(TOR) as { metadata: { labels: object } }).metadata.labels)).toEqual([
        "w0",
        "w1",
        "w2",
        "w3",
        "w4",
      ]);
      const deletions = world.writers.map((_, i) => world.submit({ t: "delete", id: TOR }, i));
      world.run();
      const ends = deletions.map((ticket) => (world.outcomes.get(ticket) as ResourceOutcome).t);
      expect(ends.filter((end) => end === "deleted").length).toBeGreaterThanOrEqual(1);
      expect(world.store.dump()).toEqual([]);
    },
  );
});
