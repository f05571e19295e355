// What iputils-ping 20221126 printed for the same command lines over the same topology on a Linux kernel; times are the
// virtual clock's.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prefix } from "../../../src/base/ipv4-addr.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as vxlan from "../../../src/wire/vxlan.ts";
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

const ping = (...argv: readonly string[]) =>
  lab.run(pod, ["ping", ...argv.flatMap((word) => word.split(" "))]);

describe("replies", () => {
  test("from a pod of another node", () => {
    expect(ping("-c 3 10.244.2.2")).toEqual({
      stdout: `PING 10.244.2.2 (10.244.2.2) 56(84) bytes of data.
64 bytes from 10.244.2.2: icmp_seq=1 ttl=62 time=0.200 ms
64 bytes from 10.244.2.2: icmp_seq=2 ttl=62 time=0.200 ms
64 bytes from 10.244.2.2: icmp_seq=3 ttl=62 time=0.200 ms

--- 10.244.2.2 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 2000ms
rtt min/avg/max/mdev = 0.200/0.200/0.200/0.000 ms
`,
      stderr: "",
      exitCode: 0,
    });
  });

  test("larger than the path: fragments, as long as nobody forbids it", () => {
    expect(ping("-c 1 -s 3000 10.244.2.2").stdout).toContain(
      "\n3008 bytes from 10.244.2.2: icmp_seq=1 ttl=62 time=",
    );
    expect(ping("-c 1 -s 65507 -M dont 10.244.1.1").stdout).toContain("\n65515 bytes from 10.244.1.1:");
  });

  test.each([
    ["16", "24 bytes from 10.244.1.1: icmp_seq=1 ttl=64 time=0.000 ms\n", "rtt min"],
    ["15", "23 bytes from 10.244.1.1: icmp_seq=1 ttl=64\n", "time 0ms\n\n"],
    ["0", "8 bytes from 10.244.1.1: icmp_seq=1 ttl=64\n", "time 0ms\n\n"],
  ])("with %s bytes of data: a time only where its stamp has room", (size, line, end) => {
    const { stdout } = ping(`-c 1 -s ${size} 10.244.1.1`);
    expect(stdout).toContain(line);
    expect(stdout).toContain(end);
  });

  test("from a name, until -n", () => {
    const line = (args: string) => ping(args).stdout.split("\n")[1];
    expect(line("-c 1 localhost")).toBe(
      "64 bytes from localhost (127.0.0.1): icmp_seq=1 ttl=64 time=0.000 ms",
    );
    expect(line("-n -c 1 localhost")).toBe("64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.000 ms");
    expect(line("-c 1 pod1")).toBe("64 bytes from pod1 (10.244.1.2): icmp_seq=1 ttl=64 time=0.000 ms");
    expect(line("-c 1 127.1")).toBe("64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.000 ms");
  });

  test("from an interface or an address, as the header says", () => {
    const head = (args: string) => ping(args).stdout.split("\n")[0];
    expect(head("-c 1 -I eth0 10.244.2.2")).toBe(
      "PING 10.244.2.2 (10.244.2.2) from 10.244.1.2 eth0: 56(84) bytes of data.",
    );
    expect(head("-c 1 -I 10.244.1.2 10.244.2.2")).toBe(
      "PING 10.244.2.2 (10.244.2.2) from 10.244.1.2 : 56(84) bytes of data.",
    );
  });

  test("-I with a device goes out by it, whatever the routes say", () => {
    const [{ netns, vxlan }] = lab.nodes;
    netns.addRoute({ dst: prefix("10.244.1.2/32"), dev: vxlan }, lab.now);
    expect(lab.run(netns, ["ping", "-c", "1", "10.244.1.2"]).exitCode).toBe(1);
    expect(lab.run(netns, ["ping", "-c", "1", "-I", "cni0", "10.244.1.2"]).exitCode).toBe(0);
  });

  test("that are lost: a percentage, and patience for the last one", () => {
    lab.copies = (n) => (n === 2 || n === 4 ? 0 : 1);
    const began = lab.now;
    const { stdout, exitCode } = ping("-c 3 10.244.2.2");
    expect(stdout).toContain("icmp_seq=1 ttl=62");
    expect(stdout).toContain("\n3 packets transmitted, 1 received, 66.6667% packet loss, time 2000ms\n");
    expect(exitCode).toBe(0);
    expect(lab.now - began).toBe(3_000_000);
  });

  test("that come twice", () => {
    lab.copies = (n) => (n === 1 ? 2 : 1);
    const { stdout } = ping("-c 2 10.244.2.2");
    expect(stdout).toContain("64 bytes from 10.244.2.2: icmp_seq=1 ttl=62 time=0.200 ms (DUP!)\n");
    expect(stdout).toContain(
      "2 packets transmitted, 2 received, +1 duplicates, 0% packet loss, time 1000ms\n",
    );
  });

  test("whose data changed under a right checksum", () => {
    let seen = 0;
    lab.tamper = (pkt) => {
      if (++seen !== 2) return;
      const message = pkt.head + vxlan.HEADER_LEN + ethernet.HEADER_LEN + 20;
      const { view } = pkt;
      view.setUint8(message + 8 + 20, 0x41);
      icmp.emit(view, message, pkt.tail, icmp.type(view, message), 0, icmp.rest(view, message));
    };
    const { stdout } = ping("-c 1 -s 24 10.244.2.2");
    expect(stdout).toContain(
      "time=0.200 ms\nwrong data byte #20 should be 0x14 but was 0x41\n#16\t10 11 12 13 41 15 16 17 \n",
    );
  });
});

describe("errors", () => {
  test("a neighbour that does not answer: three at once, after three seconds", () => {
    expect(ping("-c 3 -i 0.5 10.244.1.77")).toEqual({
      stdout: `PING 10.244.1.77 (10.244.1.77) 56(84) bytes of data.
From 10.244.1.2 icmp_seq=1 Destination Host Unreachable
From 10.244.1.2 icmp_seq=2 Destination Host Unreachable
From 10.244.1.2 icmp_seq=3 Destination Host Unreachable

--- 10.244.1.77 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 1000ms
pipe 3
`,
      stderr: "",
      exitCode: 1,
    });
  });

  test.each([
    ["-t 1 10.244.2.2", "From 10.244.1.1 icmp_seq=1 Time to live exceeded\n"],
    ["-t 2 10.244.2.2", "From 10.244.2.0 icmp_seq=1 Time to live exceeded\n"],
    ["10.9.9.9", "From 10.244.1.1 icmp_seq=1 Destination Net Unreachable\n"],
    ["10.7.1.1", "From 10.244.1.1 icmp_seq=1 Destination Host Unreachable\n"],
    ["10.6.1.1", "From 10.244.1.1 icmp_seq=1 Packet filtered\n"],
  ])("ping -c 1 %s", (args, line) => {
    const { netns } = lab.nodes[0];
    netns.addRoute({ dst: prefix("10.7.0.0/16"), type: "unreachable" }, lab.now);
    netns.addRoute({ dst: prefix("10.6.0.0/16"), type: "prohibit" }, lab.now);
    const { stdout, exitCode } = ping(`-c 1 -W 1 ${args}`);
    expect(stdout).toContain(`bytes of data.\n${line}\n---`);
    expect(stdout).toContain("1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n\n");
    expect(exitCode).toBe(1);
  });

  test("too long for the own link", () => {
    expect(ping("-c 2 -i 0.2 -M do -s 1472 10.244.1.1")).toEqual({
      stdout: `PING 10.244.1.1 (10.244.1.1) 1472(1500) bytes of data.

--- 10.244.1.1 ping statistics ---
2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 200ms

`,
      stderr: "ping: local error: message too long, mtu=1450\n".repeat(2),
      exitCode: 1,
    });
    const quiet = ping("-q -c 2 -i 0.2 -M do -s 1472 10.244.1.1");
    expect(quiet.stdout).toContain("\n2 packets transmitted, 0 received, 100% packet loss, time 200ms\n");
    expect(quiet.stderr).toBe("");
  });

  test("too long for the tunnel: the router says so once, then the own kernel knows", () => {
    const [{ netns, cni0, hostPort, podPort }] = lab.nodes;
    for (const dev of [cni0, hostPort, podPort]) dev.setMtu(1500, lab.now);
    expect(netns.device("cni0")?.mtuBytes).toBe(1500);
    const { stdout, stderr } = ping("-c 2 -W 1 -i 0.3 -M do -s 1472 10.244.2.2");
    expect(stdout).toContain("\nFrom 10.244.1.1 icmp_seq=1 Frag needed and DF set (mtu = 1450)\n\n---");
    expect(stdout).toContain("2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 300ms\n");
    expect(stderr).toBe("ping: local error: message too long, mtu=1450\n");
  });

  test.each([
    [65_508, "10.244.1.1", "local error: message too long, mtu=1450", "+1 errors, "],
    [65_527, "10.244.1.1", "local error: message too long, mtu=1450", "+1 errors, "],
    [65_508, "127.0.0.1", "local error: message too long, mtu=65535", "+1 errors, "],
    [65_528, "10.244.1.1", "sendmsg: Message too long", ""],
    [200_000, "127.0.0.1", "sendmsg: Message too long", ""],
  ])("larger than IP: %i bytes to %s", (bytes, host, line, errors) => {
    const { stdout, stderr, exitCode } = ping(`-c 1 -W 0.2 -s ${bytes} ${host}`);
    expect(stderr).toBe(`ping: ${line}\n`);
    expect(stdout).toContain(`\n1 packets transmitted, 0 received, ${errors}100% packet loss, time 0ms\n`);
    expect(exitCode).toBe(1);
  });

  test.each([
    ["unreachable", "connect: No route to host"],
    ["blackhole", "connect: Invalid argument"],
    ["prohibit", "Do you want to ping broadcast? Then -b. If not, check your local firewall rules"],
  ] as const)("an own route of type %s", (type, line) => {
    pod.addRoute({ dst: prefix("10.20.0.0/16"), type }, lab.now);
    expect(ping("-c 1 10.20.0.1")).toEqual({ stdout: "", stderr: `ping: ${line}\n`, exitCode: 2 });
  });

  test("no route at all, before and after the start", () => {
    pod.delRoute({ dst: prefix("0.0.0.0/0") }, lab.now);
    expect(ping("-c 1 8.8.8.8")).toEqual({
      stdout: "",
      stderr: "ping: connect: Network is unreachable\n",
      exitCode: 2,
    });
    let jumps = 0;
    const { stdout, stderr } = lab.run(pod, ["ping", "-c", "2", "-W", "1", "10.244.2.2"], () => {
      if (++jumps === 3) pod.delRoute({ dst: prefix("10.244.0.0/16") }, lab.now);
    });
    expect(stdout).toContain("2 packets transmitted, 1 received, 50% packet loss");
    expect(stderr).toBe("ping: sendmsg: Network is unreachable\n");
  });
});

describe("when to stop", () => {
  test("-w: so many seconds, at the first error, or when -c replies are there", () => {
    expect(ping("-w 2 -i 0.5 10.244.2.2").stdout).toContain(
      "\n4 packets transmitted, 4 received, 0% packet loss, time 1500ms\n",
    );
    expect(ping("-w 60 10.9.9.9").stdout).toContain("\n1 packets transmitted, 0 received, +1 errors,");
    expect(ping("-c 2 -w 60 10.244.2.2").stdout).toContain("\n2 packets transmitted, 2 received");
    lab.copies = () => 0;
    const silent = ping("-c 5 -w 1 -i 0.3 10.244.2.2");
    expect(silent.stdout).toContain("\n4 packets transmitted, 0 received, 100% packet loss, time 900ms\n\n");
    expect(silent.exitCode).toBe(1);
  });

  test("-W: how long a reply is waited for when none ever came; ten seconds without it", () => {
    lab.copies = () => 0;
    const took = (args: string) => {
      const began = lab.now;
      ping(args);
      return lab.now - began;
    };
    expect(took("-c 1 -W 0.5 10.244.2.2")).toBe(500_000);
    expect(took("-c 1 10.244.2.2")).toBe(10_000_000);
  });

  test("-i 0: as fast as replies come, and a hundred a second when none does", () => {
    expect(ping("-c 3 -i 0 10.244.2.2").stdout).toContain(", ipg/ewma 0.200/0.200 ms\n");
    lab.copies = () => 0;
    expect(ping("-c 3 -i 0 -W 1 10.244.2.2").stdout).toContain(
      "3 packets transmitted, 0 received, 100% packet loss, time 20ms\n",
    );
  });

  test("Ctrl-C: the statistics so far", () => {
    let jumps = 0;
    const { stdout, exitCode } = lab.run(pod, ["ping", "10.244.2.2"], (command) => {
      if (++jumps === 4) command.interrupt(lab.now);
    });
    expect(stdout).toMatch(
      /\n--- 10\.244\.2\.2 ping statistics ---\n[12] packets transmitted, [12] received/,
    );
    expect(exitCode).toBe(0);
  });

  test("-q, -O", () => {
    expect(ping("-q -c 2 10.244.2.2").stdout).toBe(`PING 10.244.2.2 (10.244.2.2) 56(84) bytes of data.

--- 10.244.2.2 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 1000ms
rtt min/avg/max/mdev = 0.200/0.200/0.200/0.000 ms
`);
    let sent = 0;
    lab.copies = () => (sent++ === 0 ? 0 : 1);
    expect(ping("-O -c 2 10.244.2.2").stdout).toContain("data.\nno answer yet for icmp_seq=1\n64 bytes");
  });

  test("its sockets are given back", () => {
    for (let i = 0; i < 3; i++) ping("-c 1 10.244.2.2");
    // A reply that comes after the end finds nobody.
    const before = lab.stack.drops.total;
    lab.copies = () => 1;
    ping("-c 1 -w 1 -i 0.2 10.244.2.2");
    lab.advance(1_000_000);
    expect(lab.stack.drops.total).toBe(before);
  });
});

describe("bad usage, in ping's words", () => {
  test.each([
    ["", 1, "ping: usage error: Destination address required"],
    ["-c 0 10.244.1.1", 1, "ping: invalid argument: '0': out of range: 1 <= value <= 9223372036854775807"],
    ["-c abc 10.244.1.1", 1, "ping: invalid argument: 'abc'"],
    ["-s -1 10.244.1.1", 1, "ping: invalid argument: '-1': out of range: 0 <= value <= 2147483647"],
    ["-M foo -c 1 10.244.1.1", 2, "ping: invalid -M argument: foo"],
    ["-t 256 -c 1 10.244.1.1", 1, "ping: invalid argument: '256': out of range: 0 <= value <= 255"],
    ["-t 0 -c1 10.244.1.1", 2, "ping: cannot set unicast time-to-live: Invalid argument"],
    ["-w -1 10.244.1.1", 1, "ping: invalid argument: '-1': out of range: 0 <= value <= 2147483647"],
    ["-w abc 10.244.1.1", 1, "ping: invalid argument: 'abc'"],
    ["-I nodev -c1 10.244.1.1", 2, "ping: SO_BINDTODEVICE nodev: No such device"],
    ["-I 1.2.3.4 -c1 10.244.1.1", 2, "ping: bind: Cannot assign requested address"],
    ["-c1 nosuchhost", 2, "ping: nosuchhost: Name or service not known"],
    [
      "-c1 10.244.1.255",
      2,
      "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules",
    ],
    ["-Q 300 10.244.1.1", 2, "ping: the decimal value of TOS bits must be in range 0-255: 300"],
    ["-x", 2, "ping: invalid option -- 'x'"],
    ["-c", 2, "ping: option requires an argument -- 'c'"],
    ["1.2.3.4 5.6.7.8", 2, "ping: one destination, please: source routes are not supported"],
  ])("ping %s", (args, exitCode, line) => {
    const ran = lab.run(pod, ["ping", ...(args === "" ? [] : args.split(" "))]);
    expect(ran.stdout).toBe("");
    expect(ran.stderr.split("\n")[0]).toBe(line);
    expect(ran.exitCode).toBe(exitCode);
  });

  test("garbage after a number of seconds is warned about, and taken", () => {
    const { stdout, stderr, exitCode } = ping("-c 1 -W abc 10.244.1.1");
    expect(stderr).toBe(
      "ping: option argument contains garbage: abc\nping: this will become fatal error in the future\n",
    );
    expect(stdout).toContain("1 received");
    expect(exitCode).toBe(0);
  });
});

test("a reader that falls behind holds a flood back, and nothing is lost", () => {
  const command = lab.start(pod, ["ping", "-i", "0", "10.244.1.2"]);
  command.start(lab.now);
  for (let i = 0; i < 5000; i++) {
    lab.settle();
    command.wake(lab.now);
    lab.now += 1;
  }
  expect(command.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  const said = command.poll()?.text ?? "";
  const lines = said.trimEnd().split("\n");
  expect(said.length).toBeLessThan(70_000);
  expect(lines.at(-1)).toContain(`icmp_seq=${lines.length - 1} `);
  expect(command.nextDeadline()).toBeLessThan(Number.POSITIVE_INFINITY);
  command.close();
});
