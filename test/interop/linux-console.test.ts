// The same command lines to a Linux with iproute2 6.1, net-tools 2.10 and procps 4.0, and to the console over a namespace of ours: every
// text and every exit code must be the same. What differs rightly is cut: the usage, which tells what there is, and our own list of
// commands after an unknown one.
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { parseCommand } from "../../src/console/command.ts";
import { Bridge } from "../../src/stack/bridge.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import { vethPair } from "../../src/stack/veth.ts";
import { VxlanDevice } from "../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../src/tunnel/vxlan-port.ts";
import { TRANSCRIPTS } from "../support/console-transcripts.ts";
import { namespacesUnavailable } from "../support/network-namespace.ts";

const SETUP = `
ip link set lo up
sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 2>/dev/null
ip link add e0 address 02:aa:00:00:00:01 type veth peer name p0 address 02:aa:00:00:00:02
ip link set p0 up
ip link set e0 up
ip addr add 10.0.0.1/24 dev e0
ip link add br0 address 02:aa:00:00:00:03 type bridge
ip link set br0 up
ip link add vx address 02:aa:00:00:00:04 type vxlan id 1 dev e0 dstport 8472 local 10.0.0.1 nolearning
ip link set vx up
`;

function ours(lines: readonly string[]): string[] {
  const stack = new NetStack({ rng: new SeededRng(1) });
  const netns = stack.addNetns("n");
  // As in Linux: the peer is made first.
  const [e0, p0] = vethPair(stack, "e0", "p0", mac("02:aa:00:00:00:01"), mac("02:aa:00:00:00:02"), 1500);
  const br0 = new Bridge(stack, "br0", mac("02:aa:00:00:00:03"));
  const local = ipv4("10.0.0.1");
  const underlay = { local, port: 8472, send: () => undefined };
  const options = { vni: 1, learning: false, gbp: false, ageingSec: 300, local, dstPort: 8472 };
  const vx = new VxlanDevice(stack, "vx", mac("02:aa:00:00:00:04"), 1450, options, underlay);
  new VxlanPort(stack).add(vx);
  for (const dev of [p0, e0, br0, vx]) {
    netns.addDevice(dev);
    netns.setLink(dev, true, 0);
  }
  br0.setMac(br0.mac, 0);
  netns.addAddress(e0, { addr: local, len: 24 }, 0);
  const cx = { netns, hostname: "n", files: () => undefined, rng: new SeededRng(2) };
  const answers = lines.map((line) => {
    const command = parseCommand(line.split(" "), cx);
    if (!command.ok) return answer(line, command.error.message, command.error.exitCode);
    command.value.start(1_000_000);
    let text = "";
    for (let piece = command.value.poll(); piece !== undefined; piece = command.value.poll())
      text += piece.text;
    return answer(line, text, command.value.exitCode as number);
  });
  netns.close(2_000_000);
  return answers;
}

function linux(lines: readonly string[]): string[] {
  const script = lines.map((line) => `printf '%s\\0%s\\0' "$(${line} 2>&1; echo "x$?")" ""`).join("\n");
  const output = execFileSync("unshare", ["-n", "bash"], { input: SETUP + script, encoding: "utf8" });
  const answers = output.split("\0").filter((_, i) => i % 2 === 0);
  return lines.map((line, i) => {
    const said = answers[i] as string;
    const at = said.lastIndexOf("x");
    return answer(line, said.slice(0, at), Number(said.slice(at + 1)));
  });
}

function answer(line: string, text: string, exitCode: number): string {
  return `$ ${line}\n${clean(text)}exit ${exitCode}\n`;
}

/** Without usage, without our lists of what is there, and without what is random: MAC addresses that nobody gave. */
function clean(text: string): string {
  const usage = text.search(/^Usage:/m);
  return (usage < 0 ? text : text.slice(0, usage))
    .replace(/^(Commands|Objects) .*here: .*\n/m, "")
    .replace(/ \nx/g, "\n");
}

const reason = namespacesUnavailable();

describe.skipIf(reason !== undefined)("Linux's commands and ours say the same", () => {
  test.each(TRANSCRIPTS)("$name", ({ lines }) => {
    expect(ours(lines).join("")).toBe(linux(lines).join(""));
  });
});
