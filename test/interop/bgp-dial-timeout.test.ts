import { resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Namespaces, namespacesUnavailable } from "../support/network-namespace.ts";

// A neighbour that never answers. Only a network of its own can be told to give up within seconds and to swallow a SYN.

const DIST = resolve(import.meta.dirname, "../../dist");
const unavailable = namespacesUnavailable();

/** Dials once and prints what the speaker is told, and how many sockets are left a moment later. */
const SCRIPT = `
const { BgpDriver } = await import(DIST + "/io/bgp/bgp-driver.js");
const { MonotonicClock } = await import(DIST + "/io/clock.js");
const { formatIpv4, ipv4 } = await import(DIST + "/base/ipv4-addr.js");
const { ConnIds } = await import(DIST + "/routing/bgp/session/peer-messages.js");
const said = [];
const outputs = [{ t: "dial", conn: 1, local: ipv4("10.97.1.1"), remote: ipv4("10.97.1.2"), port: 179 }];
const speaker = {
  handle: (input) => {
    said.push(input);
    if (input.t === "stop") outputs.push({ t: "stopped" });
    if (input.t === "connectFailed") setTimeout(() => driver.stop().then(print), 200);
  },
  poll: () => outputs.shift(),
  nextDeadline: () => Infinity,
};
const print = () => console.log(JSON.stringify({ said, sockets: driver.socketCount }));
const driver = new BgpDriver({
  speaker, ids: new ConnIds(), clock: new MonotonicClock(), listen: [], carry: formatIpv4, uncarry: () => undefined, onOutput: () => {},
});
await driver.start();
`;

describe.skipIf(unavailable !== undefined)(
  `a neighbour that never answers${unavailable ? ` (${unavailable})` : ""}`,
  () => {
    const spaces = new Namespaces();
    afterAll(() => spaces.close());

    test("fails to be dialled, once, when the system gives up", () => {
      const home = spaces.add("dial");
      spaces.exec(home, "sysctl -qw net.ipv4.tcp_syn_retries=1");
      spaces.exec(home, "ip link add nowhere type veth peer name beyond");
      spaces.exec(home, "ip addr add 10.97.1.1/24 dev nowhere");
      spaces.exec(home, "ip link set nowhere up");
      spaces.exec(home, "ip link set beyond up");
      spaces.exec(home, "ip neigh add 10.97.1.2 lladdr 02:00:00:00:00:02 dev nowhere");
      const script = `const DIST = ${JSON.stringify(DIST)};${SCRIPT}`;
      const args = ["netns", "exec", home, process.execPath, "--input-type=module", "-e", script];
      expect(JSON.parse(spaces.run("ip", ...args))).toEqual({
        said: [
          { t: "start" },
          { t: "connectFailed", conn: 1, message: "10.97.1.2:179 does not answer (ETIMEDOUT)" },
          { t: "stop" },
        ],
        sockets: 0,
      });
    });
  },
);
