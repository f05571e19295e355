// What a Flannel lab does while its store is away, and after: killed, paused, emptied, out of reach of some nodes, compacted
// behind their backs. Traffic goes on as long as leases are valid, everybody says what is the matter, and in the end all agree.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import type { NodeRow } from "../../src/control/inspect.ts";
import { SlimTransport } from "../../src/io/etcd/slim/slim-transport.ts";
import { retried } from "../../src/lab/store-network.ts";
import { Sandbox } from "../support/e2e-lab.ts";
import { hasEtcd, type StoreProcess, startStore } from "../support/etcd-process.ts";
import { OutageLab } from "../support/outage-lab.ts";
import { StoreProxy } from "../support/store-proxy.ts";

const HAS_ETCD = hasEtcd();
/** Short, so that fencing is seen soon: it comes 6.8 to 10.8 s after the last answer. */
const LEASE = "lease: { ttlSec: 12 }\n";

const isAway = ({ storeAwaySince }: NodeRow): boolean => storeAwaySince !== undefined;
const isFenced = ({ status }: NodeRow): boolean => status === "Fenced";

const OWN_STORES = [
  { store: "etcd", client: "slim", nodes: 20, third: 226, fence: true },
  // The same with less of everything; what fencing looks like has been seen then.
  { store: "embedded", client: "etcd3", nodes: 4, third: 227, fence: false },
] as const;

for (const { store, client, nodes, third, fence } of OWN_STORES) {
  const run = describe.skipIf(store === "etcd" && !HAS_ETCD);
  run(
    `${nodes} nodes, the lab's own store ${store}, through ${client} (etcd: skipped without it on PATH)`,
    () => {
      const box = new Sandbox();
      let lab: OutageLab;
      let before: Awaited<ReturnType<OutageLab["picture"]>>;

      beforeAll(async () => {
        const file = box.labFile(third, `name: outage\n${LEASE}nodes: { count: ${nodes}, pods: 1 }\n`);
        const up = await box.ok(
          "up",
          "-f",
          file,
          "--store",
          store,
          "--store-client",
          client,
          "-d",
          "--no-verify",
        );
        expect(up).toMatch(new RegExp(`^client +${client}, `, "m"));
        const members = box.processes().filter(({ command }) => command.includes(" node --name "));
        expect(members.map(({ command }) => command.includes("--store-client etcd3"))).toEqual(
          Array(nodes).fill(client === "etcd3"),
        );
        lab = await OutageLab.connect(box);
        await lab.agreed();
        before = await lab.picture();
      });
      afterAll(async () => {
        await lab?.close();
        await box.dispose();
      });

      test("killed: started again with its data; nobody loses a lease, a route or a ping", async () => {
        const { pid } = (await lab.status()).store;
        const pings = lab.ping();
        process.kill(pid as number, "SIGKILL");
        await lab.storeRestarted(pid);
        await lab.logged(/the store does not answer[\s\S]*the store answers again/);
        await lab.agreed();
        expect(await pings.stop()).toBeGreaterThan(0);
        expect(await lab.picture()).toEqual(before);
      });

      test("paused: all say since when, then fence themselves; afterwards the same subnets and routes", async () => {
        const { pid } = (await lab.status()).store;
        const stoppedAt = Date.now();
        process.kill(pid as number, "SIGSTOP");
        const pings = lab.ping();
        await lab.all("the store is missed", isAway);
        for (const { storeAwaySince, store: word } of await lab.nodes()) {
          // Counted from the last answer, of which the last question was asked at most 1.5 s before.
          expect(Math.abs(Date.parse(storeAwaySince as string) - stoppedAt)).toBeLessThan(5000);
          expect(word).toBe("Disconnected");
        }
        expect(await box.ok("get", "nodes")).toMatch(/^node1 +(Ready|Fenced),StoreAway /m);
        if (fence) await lab.all("every node is fenced", isFenced);
        expect(await pings.stop()).toBeGreaterThan(0);
        process.kill(pid as number, "SIGCONT");
        await lab.agreed();
        expect(await lab.picture()).toEqual(before);
      });

      test("emptied: a new cluster in its place; the same subnets are claimed again", async () => {
        const { store: was, state } = await lab.status();
        // Stopped, so that it does not write while its folder goes.
        process.kill(was.pid as number, "SIGSTOP");
        rmSync(join(state, "store"), { recursive: true });
        process.kill(was.pid as number, "SIGKILL");
        await lab.storeRestarted(was.pid);
        // It begins with no lease at all, so that this is true only when each has been claimed again.
        await lab.agreed();
        expect(await lab.picture()).toEqual(before);
        expect(await box.ok("verify", "--count", "1")).toMatch(/reachable, 0 of \d+ pings lost/);
      });
    },
  );
}

describe.skipIf(!HAS_ETCD)("twenty nodes, an etcd of somebody else's (skipped without etcd on PATH)", () => {
  const box = new Sandbox();
  const NODES = 20;
  const OTHERS = Array.from({ length: NODES - 2 }, (_, i) => `node${i + 3}`);
  const PREFIX = "/coreos.com/network/subnets";
  const foreign = (n: number): string => `${PREFIX}/10.244.${n}.0-24`;
  const value = encodeUtf8(
    '{"PublicIP":"192.168.228.99","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:99"}}',
  );
  let etcd: StoreProcess;
  let proxy: StoreProxy;
  let client: SlimTransport;
  let lab: OutageLab;

  beforeAll(async () => {
    etcd = await startStore("etcd");
    proxy = await StoreProxy.listen(etcd.port);
    client = new SlimTransport({ endpoints: [etcd.url] });
    // Subnets of the nodes' own choice are below.
    const network = "network: { Network: 10.244.0.0/16, SubnetMax: 10.244.199.0 }\n";
    const file = box.labFile(228, `name: outage\n${LEASE}${network}nodes: { count: ${NODES}, pods: 1 }\n`);
    await box.ok("up", "-f", file, "--store", proxy.url, "-d", "--no-verify");
    lab = await OutageLab.connect(box);
    await retried(() => client.put(foreign(201), value, NO_LEASE));
    await lab.agreed();
  });
  afterAll(async () => {
    await lab?.close();
    await box.dispose();
    await client?.close();
    await proxy?.close();
    await etcd?.stop();
  });

  /** Cuts node1 and node2 off, each in its way, and waits until they say so. */
  async function cutOff(): Promise<{ readonly pids: readonly number[]; readonly atMs: number }> {
    const pids = (await lab.nodes()).slice(0, 2).map(({ pid }) => pid as number);
    const atMs = performance.now();
    proxy.cut(pids[0] as number, "refuse");
    proxy.cut(pids[1] as number, "hole");
    await lab.all("the two miss the store", isAway, ["node1", "node2"]);
    return { pids, atMs };
  }

  test("two cannot reach it, and it is compacted meanwhile: what they missed they learn, and the rest goes on", async () => {
    const pings = lab.ping();
    await cutOff();
    await lab.all(
      "the others miss nothing",
      (row) => row.status === "Ready" && row.store === "Synced",
      OTHERS,
    );
    await retried(() => client.put(foreign(202), value, NO_LEASE));
    const { header } = await retried(() => client.delete({ key: foreign(201), rangeEnd: undefined }));
    await retried(() => client.compact(header.revision));
    proxy.heal();
    await lab.agreed();
    expect(await pings.stop()).toBeGreaterThan(0);
    expect((await lab.status()).storeLeases).toContain("10.244.202.0/24");
    expect((await lab.status()).storeLeases).not.toContain("10.244.201.0/24");
  });

  test("for longer than their leases last: fenced, and forgotten by the others, until they have the same subnets again", async () => {
    const before = await lab.picture();
    const pings = lab.ping();
    const { pids, atMs } = await cutOff();
    await lab.all("the two are fenced", isFenced, ["node1", "node2"]);
    await pings.stop();
    // All but itself, of which two are gone, and the lease that was written by hand.
    await lab.all("the others forget them", ({ peers }) => peers === NODES - 1 - 2 + 1, OTHERS);
    for (const pid of pids) {
      // Once a second on average, and faster only in the beginning: nothing spins.
      const calls = proxy.attempts(pid);
      expect(calls).toBeGreaterThan(0);
      expect(calls).toBeLessThan(10 + (2 * (performance.now() - atMs)) / 1000);
    }
    proxy.heal();
    await lab.agreed();
    expect(await lab.picture()).toEqual(before);
    expect(await box.ok("verify", "--count", "1")).toMatch(/380\/380 ordered pod pairs reachable, 0 of 380/);
  });

  test("for good: the lab can be stopped, and says that nobody could give the leases back", async () => {
    await etcd.kill();
    await lab.all("all miss the store", isAway);
    const down = await box.run("down");
    expect(down).toMatchObject({ code: 0, stderr: expect.stringMatching(/its leases end by themselves/) });
    expect(down.stderr).not.toMatch(/had to be killed/);
    expect(box.processes()).toEqual([]);
  });
});
