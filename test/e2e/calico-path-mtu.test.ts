// A router says that a packet between two nodes was too long for it: the node believes it of its own packets to other nodes, tells
// its pods, and shows what it has heard.
import { afterEach, beforeEach, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import type { LinkRow } from "../../src/control/inspect.ts";
import { openRawSocket } from "../../src/io/raw-socket.ts";
import { changedExample, MAY_RAW, nodeNamed } from "../support/calico-lab.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";
import { icmpMessage, ipPacket } from "../support/test-wire.ts";

const ROUTER = "127.20.0.254";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

test.skipIf(!MAY_RAW)("what a router says reaches the pods (skipped without raw sockets)", async () => {
  const file = changedExample(box, "calico-ipip", (text) =>
    text.replace("timers: calico", "timers: fast").replace(/\n.*name: node3.*/, ""),
  );
  await box.ok("up", "-f", file, "-d");
  expect((await nodeNamed(box, "node1")).encapsulation).toBe("IPIP Always (proto4)");
  const outerErrors = async () =>
    (await box.rows<LinkRow>("links", "--node", "node1")).find(({ name }) => name === "tunl0")?.outerErrors;
  expect((await outerErrors())?.fragNeeded).toBe(0);

  const router = openRawSocket({
    what: "raw sockets",
    without: "skip this",
    protocol: 1,
    host: ipv4(ROUTER),
    carrier: "loopback",
    options: [],
  });
  const say = (dst: string, protocol: number, mtuBytes: number): void => {
    const quoted = {
      src: ipv4("127.20.0.5"),
      dst: ipv4(dst),
      protocol,
      df: true,
      payload: new Uint8Array(8),
    };
    router.send(icmpMessage(3, 4, mtuBytes, ipPacket(quoted)), 1, "127.20.0.5");
  };
  // To who is no node, and about another protocol: were they believed, the last would be no news.
  say("127.20.0.99", 4, 1000);
  say("127.20.0.6", 6, 1000);
  say("127.20.0.6", 4, 1400);
  await eventually(
    async () => (await outerErrors())?.fragNeeded === 1,
    20_000,
    () => "tunl0 heard nothing",
  );
  await new Promise<void>((resolve) => router.close(resolve));
  expect((await outerErrors())?.foreign).toBeGreaterThanOrEqual(2);

  expect(await box.ok("exec", "node/node1", "--", "ip", "route", "get", "10.20.0.6")).toMatch(
    /\n +cache mtu 1400 \n/,
  );
  const pods = await box.rows<{ name: string; ip: string }>("pods");
  const target = pods.find(({ name }) => name === "node2-pod1") as { ip: string };
  const ping = (size: number) =>
    box.run("exec", "node1-pod1", "--", ..."ping -c 1 -W 5 -M do -s".split(" "), String(size), target.ip);
  expect((await ping(1353)).stdout).toMatch(/Frag needed and DF set \(mtu = 1380\)/);
  expect((await ping(1352)).stdout).toMatch(/ 0% packet loss/);
});
