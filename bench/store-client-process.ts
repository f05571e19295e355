// A process that has one store client open, as a node has: a read, a watch, a lease that is kept alive. Then it says what that
// cost, and on each line that it is sent what it has cost since. `store-client.ts` bundles it once for each client.
import { readdirSync, readFileSync } from "node:fs";
import type { EtcdEndpoints, EtcdTransport } from "../src/io/etcd/etcd-transport.ts";

declare const CLIENT: "slim" | "etcd3" | "none";

/** CPU time of this process, all threads, in microseconds. */
function cpuUs(): number {
  const tasks = readdirSync("/proc/self/task");
  const ns = tasks.map((task) =>
    Number(readFileSync(`/proc/self/task/${task}/schedstat`, "utf8").split(" ")[0]),
  );
  return ns.reduce((sum, each) => sum + each, 0) / 1000;
}

async function load(endpoints: EtcdEndpoints): Promise<EtcdTransport | undefined> {
  if (CLIENT === "slim") {
    const { SlimTransport } = await import("../src/io/etcd/slim/slim-transport.ts");
    return new SlimTransport(endpoints);
  }
  if (CLIENT === "etcd3") {
    const { Etcd3Transport } = await import("../src/io/etcd/etcd3-transport.ts");
    return new Etcd3Transport(endpoints);
  }
  return undefined;
}

let heard = 0;
const bootUs = cpuUs();
const since = performance.now();
const store = await load({ endpoints: [process.argv[2] as string] });
if (store !== undefined) {
  await store.range({ key: "/bench/", rangeEnd: "/bench0" });
  await new Promise<void>((resolve) => {
    store.openWatch({ key: "/bench/", rangeEnd: "/bench0" }, 0, {
      message: ({ created, events }) => {
        heard += events.length;
        if (created) resolve();
      },
      broken: (error) => {
        throw error;
      },
    });
  });
  const { lease } = await store.leaseGrant(300);
  await new Promise<void>((resolve) => {
    const stream = store.openKeepAlive({
      message: () => resolve(),
      broken: (error) => {
        throw error;
      },
    });
    stream.send(lease);
  });
}
process.stdout.write(
  `${JSON.stringify({ bootUs, openUs: cpuUs() - bootUs, openMs: performance.now() - since })}\n`,
);
process.stdin.on("data", () => process.stdout.write(`${JSON.stringify({ cpuUs: cpuUs(), heard })}\n`));
process.stdin.on("end", () => process.exit(0));
