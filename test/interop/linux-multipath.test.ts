// The same `ip` commands about routes with several next hops, drawn at random, to a Linux kernel and to a namespace of ours: every
// answer and the text of `ip route` must agree to the byte, and each path that Linux chooses must be one that we could choose.
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { mac } from "../../src/base/mac-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { parseIp } from "../../src/console/ip-command.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { IpScript } from "../support/ip-script.ts";
import { namespacesUnavailable } from "../support/network-namespace.ts";
import { TestWire } from "../support/test-wire.ts";

const SEQUENCES = 30;
const DEVICES = ["e0", "e1", "e2"];
const ADDRS = ["10.1.0.2/24", "10.2.0.2/24", "10.3.0.2/24", "10.1.0.3/24"];
const GATEWAYS = ["10.1.0.1", "10.1.0.9", "10.2.0.1", "10.3.0.1", "10.9.0.1"];
const DESTINATIONS = ["10.20.1.0/26", "10.20.2.0/26", "default"];
const TARGETS = ["10.20.1.5", "10.20.1.6", "10.20.2.7", "8.8.8.8"];
const START = [
  ...DEVICES.map((dev) => `link set ${dev} up`),
  ...DEVICES.map((dev, i) => `addr add ${ADDRS[i]} dev ${dev}`),
];

function commands(seed: number): string[] {
  const rng = new SeededRng(seed);
  const pick = <T>(from: readonly T[]): T => from[below(rng, from.length)] as T;
  const chance = (percent: number) => below(rng, 100) < percent;
  const hop = (): string => {
    const via = chance(85);
    const words = via ? ["nexthop", "via", pick(GATEWAYS)] : ["nexthop"];
    if (!via || chance(50)) words.push("dev", pick(DEVICES));
    if (chance(40)) words.push("weight", pick(["1", "2", "7", "256"]));
    if (chance(25)) words.push("onlink");
    return words.join(" ");
  };
  const command = (): string => {
    const kind = below(rng, 100);
    if (kind < 20) return `link set ${pick(DEVICES)} ${chance(55) ? "up" : "down"}`;
    if (kind < 28) return `addr del ${pick(ADDRS)} dev ${pick(DEVICES)}`;
    if (kind < 38) return `addr add ${pick(ADDRS)} dev ${pick(DEVICES)}`;
    const verb = kind < 65 ? "add" : kind < 88 ? "replace" : "del";
    const metric = chance(20) ? ` metric ${pick(["5", "7"])}` : "";
    const src = verb !== "del" && chance(10) ? ` src ${pick(ADDRS).slice(0, -3)}` : "";
    const proto = verb !== "del" && chance(40) ? " proto bird" : "";
    const head = `route ${verb} ${pick(DESTINATIONS)}${metric}${src}${proto}`;
    if (chance(10)) return `${head} via ${pick(GATEWAYS)}`;
    return [head, ...Array.from({ length: 1 + below(rng, 3) }, hop)].join(" ");
  };
  return [...START, ...Array.from({ length: 10 + below(rng, 25) }, command)];
}

interface Outcome {
  readonly answers: readonly string[];
  readonly routes: readonly string[];
  readonly oneLine: readonly string[];
}

/** What `ip` prints in a namespace of ours. */
function ip(netns: Netns, ...args: readonly string[]): string {
  const cx = { netns, hostname: "n", files: () => undefined, rng: new SeededRng(1) };
  const parsed = parseIp(args, cx);
  if (!parsed.ok) return parsed.error.message;
  parsed.value.start(0);
  let text = "";
  for (let out = parsed.value.poll(); out !== undefined; out = parsed.value.poll()) text += out.text;
  return text;
}

function ours(lines: readonly string[]): { readonly outcome: Outcome; readonly netns: Netns } {
  const netns = new NetStack({ rng: new SeededRng(1) }).addNetns("n");
  for (const name of DEVICES) netns.addDevice(new TestWire(netns.ctx, name, mac("02:00:00:00:00:01"), 1500));
  const script = new IpScript(netns);
  const outcome = {
    answers: lines.map((line) => `${line}: ${complaint(script.run(line))}`),
    routes: ip(netns, "route").split("\n").slice(0, -1),
    oneLine: ip(netns, "-o", "route").split("\n").slice(0, -1),
  };
  return { outcome, netns };
}

function linux(lines: readonly string[]): { readonly outcome: Outcome; readonly gets: readonly string[] } {
  const script = [
    "ip link set lo up",
    ...DEVICES.flatMap((dev) => [`ip link add ${dev} type veth peer name p${dev}`, `ip link set p${dev} up`]),
    ...lines.map((line) => `echo "answer $(ip ${line} 2>&1 | tr '\\n' ' ')"`),
    // A veth's carrier comes a moment after its end is up; what is compared is the settled state.
    "for i in $(seq 300); do ip route | grep -v dead | grep -q linkdown || break; sleep 0.05; done",
    "ip route | sed 's/^/route /'",
    "ip -o route | sed 's/^/line /'",
    ...TARGETS.map((dst) => `echo "get $(ip route get ${dst} 2>&1 | head -1)"`),
  ];
  const output = execFileSync("unshare", ["-n", "bash"], { input: script.join("\n"), encoding: "utf8" });
  const rows = (tag: string) =>
    output
      .split("\n")
      .filter((row) => row.startsWith(`${tag} `))
      .map((row) => row.slice(tag.length + 1));
  const answers = rows("answer").map((answer, i) => `${lines[i]}: ${complaint(answer)}`);
  return { outcome: { answers, routes: rows("route"), oneLine: rows("line") }, gets: rows("get") };
}

function complaint(text: string): string {
  return text
    .trim()
    .replace(/^(Error: (ipv4: )?|RTNETLINK answers: )/, "")
    .replace(/\.$/, "");
}

/** Every answer that `ip route get` may give, the flow's hash left open. */
function answers(netns: Netns, dst: string): Set<string> {
  const may = new Set<string>();
  netns.sysctl.fibMultipathHashPolicy = 1;
  for (let port = 1; port <= 4000; port++) {
    const text = ip(netns, "route", "get", dst, "ipproto", "udp", "sport", String(port));
    may.add((text.split("\n")[0] as string).trim());
  }
  return may;
}

const reason = namespacesUnavailable();

test.skipIf(reason !== undefined).each(Array.from({ length: SEQUENCES }, (_, i) => i + 1))(
  "a Linux kernel and ours agree about several next hops: sequence %i",
  (seed) => {
    const lines = commands(seed);
    const theirs = linux(lines);
    const mine = ours(lines);
    expect(mine.outcome).toEqual(theirs.outcome);
    for (const [i, dst] of TARGETS.entries()) {
      expect(answers(mine.netns, dst), `ip route get ${dst}`).toContain((theirs.gets[i] as string).trim());
    }
  },
);
