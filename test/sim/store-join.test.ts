// What the join of one node costs the store, and the nodes that are there already: the same whatever their number.
import { expect, test } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, SEC_US } from "../../src/base/time.ts";
import { FakeStore } from "../support/fake-store.ts";
import { PREFIX, runUntil, SubnetNode } from "../support/subnet-node.ts";

/** What goes on by the clock, whether anybody joins or not. */
const BY_THE_CLOCK = ["leaseKeepAlive", "watchProgress", "leaseKeptAlive", "watchProgressed"];

/** A node, and what it asks the store and hears of it. */
class CountedNode extends SubnetNode {
  readonly asked: string[] = [];
  readonly heard: string[] = [];

  constructor(store: FakeStore, n: number) {
    super(store, { publicIp: `192.168.56.${n + 1}`, seed: n });
    const { conn } = this;
    const [submit, poll] = [conn.submit.bind(conn), conn.poll.bind(conn)];
    conn.submit = (op, now) => {
      if (!BY_THE_CLOCK.includes(op.t)) this.asked.push(op.t);
      submit(op, now);
    };
    conn.poll = (now) => {
      const event = poll(now);
      // One message may tell of several changes.
      const count = event?.t === "watchEvents" ? event.events.length : 1;
      if (event !== undefined && !BY_THE_CLOCK.includes(event.t))
        for (let i = 0; i < count; i++) this.heard.push(event.t);
      return event;
    };
  }
}

/** Lets a node join `others`. Answers what it asks, and what each of them asks and hears of it. */
function join(others: number) {
  const store = new FakeStore(new SeededRng(others));
  store.put(`${PREFIX}/config`, '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}');
  const nodes = Array.from({ length: others }, (_, n) => new CountedNode(store, n));
  let now: Instant = 0;
  const live = (): void => {
    now = runUntil(store, nodes, now, now + 10 * SEC_US);
    for (const { peers } of nodes) expect(peers.size).toBe(nodes.length - 1);
  };
  for (const node of nodes) node.start(now);
  live();
  for (const { asked, heard } of nodes) asked.length = heard.length = 0;
  const joining = new CountedNode(store, others);
  nodes.push(joining);
  joining.start(now);
  live();
  return {
    joining: joining.asked,
    others: nodes.slice(0, -1).map(({ asked, heard }) => ({ asked, heard })),
  };
}

test.each([5, 15, 60])(
  "one node joins %i: seven requests of its own, and one event for each other node",
  (others) => {
    const cost = join(others);
    // The configuration, twice as flanneld does it; the leases to choose by; lease and claim; the leases to follow, and the watch.
    expect(cost.joining).toEqual(["range", "range", "range", "leaseGrant", "txn", "range", "watchOpen"]);
    for (const other of cost.others) expect(other).toEqual({ asked: [], heard: ["watchEvents"] });
  },
);
