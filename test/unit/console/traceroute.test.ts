// What Debian's traceroute 2.1.2 printed for the same command lines over the same topology; times are the virtual clock's.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prefix } from "../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../src/base/time.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { ReferenceLab } from "../../support/reference-lab.ts";

let lab: ReferenceLab;
let pod: Netns;
beforeEach(() => {
  lab = new ReferenceLab();
  pod = lab.nodes[0].pod;
});
afterEach(() => {
  lab.close();
  expect(lab.pool.outstanding).toBe(0);
});

const traceroute = (args: string) => lab.run(pod, ["traceroute", ...(args === "" ? [] : args.split(" "))]);

test.each([
  ["UDP", "-n 10.244.2.2"],
  ["one at a time", "-N 1 -n 10.244.2.2"],
  ["ICMP", "-I -n 10.244.2.2"],
])("the way to a pod of another node, by %s", (_name, args) => {
  expect(traceroute(args)).toEqual({
    stdout: `traceroute to 10.244.2.2 (10.244.2.2), 30 hops max, 60 byte packets
 1  10.244.1.1  0.000 ms  0.000 ms  0.000 ms
 2  10.244.2.0  0.200 ms  0.200 ms  0.200 ms
 3  10.244.2.2  0.200 ms  0.200 ms  0.200 ms
`,
    stderr: "",
    exitCode: 0,
  });
});

test("without -n, addresses stand twice, and a name where one was given", () => {
  expect(traceroute("-q 1 10.244.2.2").stdout).toContain("\n 2  10.244.2.0 (10.244.2.0)  0.200 ms\n");
  expect(traceroute("localhost").stdout).toBe(
    "traceroute to localhost (127.0.0.1), 30 hops max, 60 byte packets\n 1  localhost (127.0.0.1)  0.000 ms  0.000 ms  0.000 ms\n",
  );
});

test.each([
  [
    "-n -m 2 10.244.2.2",
    " 1  10.244.1.1  0.000 ms  0.000 ms  0.000 ms\n 2  10.244.2.0  0.200 ms  0.200 ms  0.200 ms\n",
  ],
  ["-n -f 3 -q 1 10.244.2.2", " 3  10.244.2.2  0.200 ms\n"],
  ["-n 10.9.9.9", " 1  10.244.1.1  0.000 ms !N  0.000 ms !N  0.000 ms !N\n"],
  ["-n 10.7.1.1", " 1  10.244.1.1  0.000 ms !H  0.000 ms !H  0.000 ms !H\n"],
  ["-n 10.6.1.1", " 1  10.244.1.1  0.000 ms !X  0.000 ms !X  0.000 ms !X\n"],
  ["-n -q 1 -m 3 -w 1 10.8.1.1", " 1  *\n 2  *\n 3  *\n"],
  ["-n -q 2 -m 1 10.244.1.77", " 1  10.244.1.2  3000.000 ms !H  3000.000 ms !H\n"],
])("traceroute %s", (args, hops) => {
  const { netns } = lab.nodes[0];
  netns.addRoute({ dst: prefix("10.8.0.0/16"), type: "blackhole" }, lab.now);
  netns.addRoute({ dst: prefix("10.7.0.0/16"), type: "unreachable" }, lab.now);
  netns.addRoute({ dst: prefix("10.6.0.0/16"), type: "prohibit" }, lab.now);
  const { stdout } = traceroute(args);
  expect(stdout.slice(stdout.indexOf("\n") + 1)).toBe(hops);
});

test("-F with packets that do not fit the tunnel", () => {
  const [{ cni0, hostPort, podPort }] = lab.nodes;
  for (const dev of [cni0, hostPort, podPort]) dev.setMtu(1500, lab.now);
  expect(
    traceroute("-n -F -q 2 10.244.2.2 1500").stdout,
  ).toBe(`traceroute to 10.244.2.2 (10.244.2.2), 30 hops max, 1500 byte packets
 1  10.244.1.1  0.000 ms  0.000 ms
 2  10.244.1.1  0.000 ms !F-1450  0.000 ms !F-1450
`);
  // Now the own kernel has learnt it.
  expect(traceroute("-n -F -q 2 10.244.2.2 1500").stdout).toContain(
    "\n 1  10.244.1.2  0.000 ms !F-1450  0.000 ms !F-1450\n",
  );
});

test("a lost probe is given up after three times the time of its hop", () => {
  let sent = 0;
  lab.copies = () => (sent++ === 1 ? 0 : 1);
  const began = lab.now;
  expect(traceroute("-n 10.244.2.2").stdout).toContain("\n 2  10.244.2.0  0.200 ms *  0.200 ms\n");
  expect(lab.now - began).toBeLessThan(10_000);
});

test("thirty hops of silence take half a minute, as with the real one, and not minutes", () => {
  lab.nodes[0].netns.addRoute({ dst: prefix("10.8.0.0/16"), type: "blackhole" }, lab.now);
  const began = lab.now;
  const { stdout, exitCode } = traceroute("-n 10.8.1.1");
  expect(stdout.match(/^ ?\d+ {2}\* \* \*$/gm)).toHaveLength(30);
  expect(exitCode).toBe(0);
  // 90 probes of 5 s each, 16 at once; the second hop waits for a sign of life.
  const tookSec = (lab.now - began) / SEC_US;
  expect(tookSec).toBeGreaterThanOrEqual(30);
  expect(tookSec).toBeLessThan(35);
});

test("somebody who listens and answers ends the way, too", () => {
  const socket = lab.nodes[1].pod.udp.open();
  socket.bind(0, 33434);
  const echo = () => {
    for (let got = socket.recv(); got !== undefined; got = socket.recv()) {
      socket.send(got.bytes, got.src, got.srcPort, {}, lab.now);
    }
  };
  const { stdout } = lab.run(pod, ["traceroute", "-n", "-q", "1", "-f", "3", "10.244.2.2"], echo);
  expect(stdout).toContain("\n 3  10.244.2.2  0.200 ms\n");
  socket.close();
});

test("Ctrl-C ends it at once", () => {
  lab.copies = () => 0;
  const ran = lab.run(pod, ["traceroute", "10.244.2.2"], (command) => command.interrupt(lab.now));
  expect(ran.exitCode).toBe(130);
});

describe("refused before it starts", () => {
  test.each([
    ["unreachable", "No route to host"],
    ["prohibit", "Permission denied"],
    ["blackhole", "Invalid argument"],
  ] as const)("by an own route of type %s", (type, words) => {
    pod.addRoute({ dst: prefix("10.20.0.0/16"), type }, lab.now);
    expect(traceroute("-n 10.20.0.1")).toEqual({
      stdout: "traceroute to 10.20.0.1 (10.20.0.1), 30 hops max, 60 byte packets",
      stderr: `\nconnect: ${words}\n`,
      exitCode: 1,
    });
    expect(traceroute("-I 10.20.0.1")).toEqual({ stdout: "", stderr: `\nconnect: ${words}\n`, exitCode: 1 });
  });

  test.each([
    ["-m 300 1.1.1.1", "max hops cannot be more than 255"],
    ["-q 11 1.1.1.1", "no more than 10 probes per hop"],
    ["-q 0 1.1.1.1", "no more than 10 probes per hop"],
    ["-f 5 -m 3 1.1.1.1", "first hop out of range"],
    ["-w abc 1.1.1.1", "Cannot handle `-w' option with arg `abc' (argc 2)"],
    ["-n -m abc 1.1.1.1", "Cannot handle `-m' option with arg `abc' (argc 3)"],
    ["-n 1.2.3.4 70000", "too big packetlen 70000 specified"],
    ["1.1.1.1 abc", 'Cannot handle "packetlen" cmdline arg `abc\' on position 2 (argc 2)'],
    ["-x", "Bad option `-x' (argc 1)"],
    ["-m", "Option `-m' (argc 1) requires an argument: `-m max_ttl'"],
    ["nosuch", "nosuch: Name or service not known"],
  ])("traceroute %s", (args, line) => {
    const ran = traceroute(args);
    expect(ran.stdout).toBe("");
    expect(ran.stderr.split("\n")[0]).toBe(line);
    expect(ran.exitCode).toBe(2);
  });

  test("without arguments it says what there is", () => {
    expect(traceroute("").stderr).toContain("-m max_ttl");
  });
});
