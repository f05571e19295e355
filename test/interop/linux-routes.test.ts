// The same `ip` commands, drawn at random, to a Linux kernel and to a namespace of ours: every answer, both routing tables,
// the addresses and `ip route get` must agree.
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { mac } from "../../src/base/mac-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import { IpScript } from "../support/ip-script.ts";
import { namespacesUnavailable } from "../support/network-namespace.ts";
import { TestWire } from "../support/test-wire.ts";

const SEQUENCES = 40;
const DEVICES = ["e0", "e1", "e2"];
const ADDRS = "10.0.0.1 10.0.0.2 10.0.0.3 10.0.1.1 10.0.0.0 10.0.0.129 10.1.0.1 192.168.1.1".split(" ");
const LENS = [24, 24, 24, 16, 25, 31, 32, 8];
/** None of them may be one of ADDRS: Linux takes an own address for a gateway, and we do not. */
const GATEWAYS = "10.0.0.9 10.0.0.255 10.0.1.9 10.1.0.9 192.168.1.9 11.0.0.1 10.0.0.127".split(" ");
const DESTINATIONS =
  "0.0.0.0/0 10.0.0.0/24 10.0.0.0/16 10.5.0.0/16 10.5.5.0/24 10.5.5.5/32 11.0.0.0/24 10.0.0.0/8".split(" ");
const QUESTIONS =
  "10.0.0.1 10.0.0.9 10.0.0.255 10.5.5.5 10.5.6.1 10.0.1.77 8.8.8.8 11.0.0.3 192.168.1.2".split(" ");

/** A sequence of commands, the first of which give the others something to work on. */
function commands(seed: number): string[] {
  const rng = new SeededRng(seed);
  const pick = <T>(from: readonly T[]): T => from[below(rng, from.length)] as T;
  const chance = (percent: number) => below(rng, 100) < percent;
  const command = (): string => {
    const dev = pick(DEVICES);
    const kind = below(rng, 100);
    if (kind < 14) return `link set ${dev} ${chance(65) ? "up" : "down"}`;
    const cidr = `${pick(ADDRS)}/${pick(LENS)}`;
    if (kind < 45) return `addr add ${cidr}${chance(30) ? " brd +" : ""} dev ${dev}`;
    if (kind < 58) return `addr del ${cidr} dev ${dev}`;
    const words = ["route", kind < 80 ? "add" : kind < 90 ? "replace" : "del"];
    const typed = chance(10);
    if (typed) words.push(pick(["blackhole", "unreachable", "prohibit"]));
    words.push(pick(DESTINATIONS));
    const via = !typed && chance(70);
    if (via) words.push("via", pick(GATEWAYS));
    if (!typed && (!via || chance(70))) words.push("dev", dev);
    if (via && chance(20)) words.push("onlink");
    if (!typed && chance(25)) words.push("src", pick(ADDRS));
    if (chance(25)) words.push("metric", pick(["5", "7", "100"]));
    return words.join(" ");
  };
  const start = ["link set e0 up", "addr add 10.0.0.1/24 dev e0", "link set e1 up"];
  return [...start, ...Array.from({ length: 5 + below(rng, 25) }, command)];
}

interface Outcome {
  readonly answers: readonly string[];
  readonly main: readonly string[];
  readonly local: readonly string[];
  readonly addresses: readonly string[];
  readonly gets: readonly string[];
}

function ours(lines: readonly string[]): Outcome {
  const netns = new NetStack({ rng: new SeededRng(1) }).addNetns("n");
  for (const name of DEVICES) netns.addDevice(new TestWire(netns.ctx, name, mac("02:00:00:00:00:01"), 1500));
  const ip = new IpScript(netns);
  return {
    answers: lines.map((line) => `${line}: ${ip.run(line)}`),
    main: ip.routes("main"),
    local: ip.routes("local"),
    addresses: DEVICES.flatMap((dev) => ip.addresses(dev).map((line) => `${dev} ${line}`)).sort(),
    gets: QUESTIONS.map((dst) => ip.get(dst)),
  };
}

function linux(lines: readonly string[]): Outcome {
  const script = [
    "ip link set lo up",
    ...DEVICES.flatMap((dev) => [`ip link add ${dev} type veth peer name p${dev}`, `ip link set p${dev} up`]),
    ...lines.map((line) => `echo "answer $(ip ${line} 2>&1 | tr '\\n' ' ')"`),
    "ip -4 route show table main | sed 's/^/main /'",
    "ip -4 route show table local | sed 's/^/local /'",
    "ip -4 -o addr | sed 's/^/addr /'",
    ...QUESTIONS.map((dst) => `echo "get $(ip route get ${dst} 2>&1 | head -1)"`),
  ];
  const output = execFileSync("unshare", ["-n", "bash"], { input: script.join("\n"), encoding: "utf8" });
  const rows = (tag: string) =>
    output
      .split("\n")
      .filter((row) => row.startsWith(`${tag} `))
      .map((row) => clean(row.slice(tag.length + 1)));
  return {
    answers: rows("answer").map((answer, i) => `${lines[i]}: ${complaint(answer)}`),
    main: rows("main"),
    local: rows("local").filter((row) => !row.includes("dev lo ")),
    addresses: rows("addr")
      .filter((row) => !row.includes(" lo "))
      .map((row) => row.replace(/^\d+: (\S+) inet (.*?) \S+\\.*$/, "$1 $2"))
      .sort(),
    gets: rows("get").map((row) => complaint(row.replace(/ uid \d+.*$/, ""))),
  };
}

/** iproute2's blanks, and what depends on carrier, which our test wires do not model. */
function clean(row: string): string {
  return row
    .replace(/ linkdown/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

function complaint(text: string): string {
  return text.replace(/^(Error: (ipv4: )?|RTNETLINK answers: )/, "").replace(/\.$/, "");
}

const reason = namespacesUnavailable();

describe.skipIf(reason !== undefined)("a Linux kernel and ours answer alike", () => {
  for (let seed = 1; seed <= SEQUENCES; seed++) {
    test(`sequence ${seed}`, () => {
      const lines = commands(seed);
      expect(ours(lines)).toEqual(linux(lines));
    });
  }
});
