// `nexthop via … dev … weight … onlink` and routes with several next hops, in the words of iproute2 6.1.
import { beforeEach, describe, expect, test } from "vitest";
import { formatIpv4 } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { parseIp } from "../../../src/console/ip-command.ts";
import { parseNextHops } from "../../../src/console/ip-nexthop.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { IpScript } from "../../support/ip-script.ts";
import { TestWire } from "../../support/test-wire.ts";

let netns: Netns;
let script: IpScript;
beforeEach(() => {
  netns = new NetStack({ rng: new SeededRng(1) }).addNetns("n");
  script = new IpScript(netns);
  for (const [i, name] of ["eth0", "eth1"].entries()) {
    netns.addDevice(new TestWire(netns.ctx, name, mac("02:00:00:00:00:01"), 1500));
    script.must(`link set ${name} up`, `addr add 10.${i + 1}.0.2/24 dev ${name}`);
  }
});

function ip(line: string): string {
  const cx = { netns, hostname: "n", files: () => undefined, rng: new SeededRng(1) };
  const parsed = parseIp(line.split(" "), cx);
  if (!parsed.ok) return parsed.error.message;
  parsed.value.start(0);
  let text = "";
  for (let out = parsed.value.poll(); out !== undefined; out = parsed.value.poll()) text += out.text;
  return text;
}

describe("reads", () => {
  test("each next hop's words in any order", () => {
    const words =
      "nexthop via 10.1.0.1 weight 3 dev eth0 nexthop onlink dev eth1 via 10.9.0.1 nexthop dev eth1";
    const read = parseNextHops(words.split(" "), { netns });
    const hops = read.ok ? read.value : [];
    expect(
      hops.map(({ via, dev, weight, onlink }) => [via && formatIpv4(via), dev?.name, weight, onlink]),
    ).toEqual([
      ["10.1.0.1", "eth0", 3, undefined],
      ["10.9.0.1", "eth1", undefined, true],
      [undefined, "eth1", undefined, undefined],
    ]);
  });

  test.each([
    ["nexthop", 'Error: unexpected end of line after "nexthop"\n'],
    ["nexthop via 10.1.0.1 foo", 'Error: "nexthop" or end of line is expected instead of "foo"\n'],
    ["nexthop via 10.1.0.1 weight", 'Command line is not complete. Try option "help"\n'],
    ["nexthop via 10.1.0.1 weight 0", 'Error: argument "0" is wrong: "weight" is invalid\n\n'],
    ["nexthop via 10.1.0.1 weight 257", 'Error: argument "257" is wrong: "weight" is invalid\n\n'],
    ["nexthop via 10.1.0.x", 'Error: inet address is expected rather than "10.1.0.x".\n'],
    ["nexthop dev eth7", 'Cannot find device "eth7"\nError: cannot parse nexthop\n'],
  ])("%s", (line, stderr) => {
    const read = parseNextHops(line.split(" "), { netns });
    expect(read.ok ? undefined : read.error.stderr).toBe(stderr);
  });
});

describe("shows", () => {
  beforeEach(() => {
    script.must(
      "route add 10.20.1.0/26 proto bird nexthop via 10.1.0.1 dev eth0 nexthop via 10.2.0.1 dev eth1 weight 3 onlink",
      "route add 10.20.2.0/26 metric 5 src 10.1.0.2 nexthop via 10.1.0.1 nexthop dev eth1",
    );
  });

  test("a line each; with -o one for all; dead ones as such", () => {
    expect(ip("route show 10.20.1.0/26")).toBe(
      "10.20.1.0/26 proto bird \n\tnexthop via 10.1.0.1 dev eth0 weight 1 \n\tnexthop via 10.2.0.1 dev eth1 weight 3 onlink \n",
    );
    expect(ip("-d route show 10.20.1.0/26")).toMatch(
      /^unicast 10.20.1.0\/26 proto bird scope global \n\tnexthop/,
    );
    expect(ip("-o route show 10.20.2.0/26")).toBe(
      "10.20.2.0/26 src 10.1.0.2 metric 5 \\\tnexthop via 10.1.0.1 dev eth0 weight 1 \\\tnexthop dev eth1 weight 1 \n",
    );
    script.must("link set eth1 down");
    expect(ip("route show 10.20.1.0/26")).toContain(
      "\tnexthop via 10.2.0.1 dev eth1 weight 3 dead onlink linkdown \n",
    );
  });

  test("nothing of them where a device or a gateway is asked for", () => {
    expect(ip("route show dev eth0")).toBe("10.1.0.0/24 proto kernel scope link src 10.1.0.2 \n");
    expect(ip("route show via 10.1.0.1")).toBe("");
    expect(ip("route show proto bird")).toMatch(/^10.20.1.0\/26 \n\tnexthop/);
  });

  test("for one destination the next hop of its flow, and with fibmatch the whole route", () => {
    const firsts = Array.from({ length: 40 }, (_, i) => ip(`route get 10.20.1.${i}`).split(" uid")[0]);
    const vias = firsts.map((text) => / (via .*)$/.exec(text as string)?.[1]);
    expect(new Set(vias)).toEqual(
      new Set(["via 10.1.0.1 dev eth0 src 10.1.0.2", "via 10.2.0.1 dev eth1 src 10.2.0.2"]),
    );
    expect(ip("route get 10.20.1.5 from 10.2.0.2")).toBe(
      "10.20.1.5 from 10.2.0.2 via 10.2.0.1 dev eth1 uid 0 \n    cache \n",
    );
    expect(ip("route get 10.20.1.5 oif eth0")).toContain("via 10.1.0.1 dev eth0");
    expect(ip("route get fibmatch 10.20.1.5")).toBe(ip("route show 10.20.1.0/26"));
  });

  test("for one flow, where ports count", () => {
    const by = (rest: string) => ip(`route get 10.20.1.5 ipproto udp ${rest}`).split("\n")[0];
    const ports = Array.from({ length: 40 }, (_, i) => by(`sport ${i} dport 53`));
    expect(new Set(ports).size).toBe(1);
    netns.sysctl.set("net.ipv4.fib_multipath_hash_policy", "1");
    expect(new Set(Array.from({ length: 40 }, (_, i) => by(`sport ${i} dport 53`))).size).toBe(2);
    expect(ip("route get 10.20.1.5 sport 70000")).toBe('Error: argument "70000" is wrong: invalid sport\n\n');
    expect(ip("route get 10.20.1.5 ipproto foo")).toBe(
      'Error: argument "foo" is wrong: Invalid "ipproto" value\n\n',
    );
  });
});
