// Two top-of-rack routers that share the load of a node's routes: flows spread over both, and when one falls silent what goes by it
// is lost until BGP says so, and nothing else.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LinkRow, RouteRow } from "../../src/control/inspect.ts";
import { changedExample, nodeNamed, PairProbes, routesBecome, summarize } from "../support/calico-lab.ts";
import { Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
/** What is stopped now. */
let frozen: number | undefined;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(async () => {
  if (frozen !== undefined) process.kill(frozen, "SIGCONT");
  frozen = undefined;
  await box.dispose();
});

const PAIRS = 16 * 15;
/** So many of four pings a second are lost at least while a router is silent: it is six to nine seconds until the hold time is over. */
const OUTAGE_PINGS = 12;

/** For each node, the other one's block and the routers that lead there. */
type Far = Readonly<Record<string, { readonly dst: string; readonly vias: readonly string[] }>>;

/** The example with eight pods a node. Not verified: eight pings at once are more than wait for a neighbour's address. */
async function start(more = ""): Promise<Far> {
  const lab = changedExample(box, "calico-two-tors", (text) =>
    text.replace("calico:\n  ", `${more}calico:\n  timers: fast\n  `).replaceAll("pods: 3", "pods: 8"),
  );
  await box.ok("up", "-f", lab, "-d", "--no-verify");
  const far = {
    node1: { dst: (await nodeNamed(box, "node2")).subnet as string, vias: ["10.20.0.1", "10.20.0.2"] },
    node2: { dst: (await nodeNamed(box, "node1")).subnet as string, vias: ["10.30.0.1", "10.30.0.2"] },
  };
  await become(far, both);
  return far;
}

/** Waits until each node's route to the other one's block is shown so. */
async function become(
  far: Far,
  shown: (dst: string, vias: readonly string[]) => readonly string[],
): Promise<void> {
  for (const [node, { dst, vias }] of Object.entries(far)) {
    const wanted = JSON.stringify(shown(dst, vias));
    await routesBecome(box, node, (routes) => JSON.stringify(linesOf(routes, dst)) === wanted, 60_000);
  }
}

const both = (dst: string, vias: readonly string[]): string[] => [
  `${dst} proto bird`,
  ...vias.map((via) => `\tnexthop via ${via} dev eth0 weight 1`),
];
const firstAlone = (dst: string, [via]: readonly string[]): string[] => [
  `${dst} via ${via} dev eth0 proto bird`,
];

/** Pings between all pods, four a second each: nobody is cut off. */
async function expectNoOutage(what: string): Promise<void> {
  const losses = await (await PairProbes.start(box, 5, 250)).end();
  summarize(what, losses, 250);
  expect(losses.filter(({ lost }) => lost >= OUTAGE_PINGS)).toEqual([]);
}

/** The lines of `ip route` about a destination: that of the route, and those of its next hops. */
function linesOf(routes: readonly string[], dst: string): string[] {
  const at = routes.findIndex((line) => line.startsWith(`${dst} `));
  if (at < 0) return [];
  const end = routes.findIndex((line, i) => i > at && !line.startsWith("\t"));
  return routes.slice(at, end < 0 ? undefined : end);
}

/** Frames that a router took in. */
async function forwarded(router: string): Promise<number> {
  const links = await box.rows<LinkRow>("links", "--node", router);
  return links.reduce((sum, link) => sum + (link.kind === "loopback" ? 0 : link.rxPackets), 0);
}

test("two routers share the flows; one that falls silent costs its share until BGP says so", async () => {
  const far = await start();
  const rows = await box.rows<RouteRow>("routes", "--node", "node1");
  const route = rows.find(({ dst, type }) => dst === far["node1"]?.dst && type === "unicast");
  expect(route?.nextHops).toEqual(
    far["node1"]?.vias.map((via) => ({ via, dev: "eth0", weight: 1, flags: [] })),
  );
  await expectNoOutage("two routers");
  // Of 64 flows each way. Asking for addresses is a handful of frames.
  for (const tor of ["tor1", "tor2"]) expect(await forwarded(tor)).toBeGreaterThan(20);

  // 64 flows, at four pings a second each, over the whole of the hold time.
  const probes = await PairProbes.start(box, 20, 250);
  frozen = (await nodeNamed(box, "tor2")).pid as number;
  process.kill(frozen, "SIGSTOP");
  await become(far, firstAlone);
  const losses = await probes.end();
  summarize("a router that falls silent", losses, 250);
  expect(losses).toHaveLength(PAIRS);
  const crossing = losses.filter(({ from, to }) => from.slice(0, 5) !== to.slice(0, 5));
  const broken = losses.filter(({ lost }) => lost >= OUTAGE_PINGS);
  // Flows that go by it one way or both; those that go by the other both ways do not notice, nor do neighbours.
  expect(broken.length).toBeGreaterThan(0);
  expect(broken.length).toBeLessThan(crossing.length);
  expect(broken.filter((one) => !crossing.includes(one))).toEqual([]);
  // Now the other router has all.
  await expectNoOutage("when BGP has said so");

  process.kill(frozen, "SIGCONT");
  frozen = undefined;
  await become(far, both);
});

test("a router that is killed is missed at once, since its host ends its sessions", async () => {
  const far = await start("restart: { policy: never }\n");
  await expectNoOutage("two routers");
  const probes = await PairProbes.start(box, 5, 250);
  process.kill((await nodeNamed(box, "tor2")).pid as number, "SIGKILL");
  await become(far, firstAlone);
  summarize("a router that is killed", await probes.end(), 250);
  await expectNoOutage("without it");
});
