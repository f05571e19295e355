// A namespace with e0 and p0 (a pair of veth), br0 (a bridge) and vx (a VTEP), and command lines that are run in it: the twin of the one
// in Linux on which test/vectors/console-changes were recorded.
import { readdirSync, readFileSync } from "node:fs";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { parseCommand } from "../../src/console/command.ts";
import { Bridge } from "../../src/stack/bridge.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { vethPair } from "../../src/stack/veth.ts";
import { VxlanDevice } from "../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../src/tunnel/vxlan-port.ts";

/** What makes the same in a Linux namespace. */
export const LINUX_SCENE = `
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

/** What was typed, and what a Linux with iproute2 6.1, net-tools 2.10 and procps 4.0 said. */
export interface Transcript {
  readonly name: string;
  readonly lines: readonly string[];
  readonly text: string;
}

export function transcripts(): Transcript[] {
  const folder = new URL("../vectors/console-changes/", import.meta.url);
  return readdirSync(folder).map((file) => {
    const text = readFileSync(new URL(file, folder), "utf8");
    const lines = [...text.matchAll(/^\$ (.*)$/gm)].map((match) => match[1] as string);
    return { name: file.replace(/\.txt$/, ""), lines, text };
  });
}

/** One line of a transcript, its answer and its exit code, in the form of the files. */
export function transcribe(line: string, said: string, exitCode: number): string {
  return `$ ${line}\n${withoutLists(said)}exit ${exitCode}\n`;
}

/** What differs rightly is cut: the usage, which tells what there is, and our own lists after an unknown word. */
function withoutLists(text: string): string {
  const usage = text.search(/^Usage:/m);
  return (usage < 0 ? text : text.slice(0, usage)).replace(/^(Commands|Objects) .*here: .*\n/m, "");
}

export class ConsoleScene {
  readonly netns: Netns;
  readonly vx: VxlanDevice;
  readonly #rng = new SeededRng(2);

  constructor() {
    const stack = new NetStack({ rng: new SeededRng(1) });
    this.netns = stack.addNetns("n");
    // As Linux numbers them: the peer is made first.
    const [e0, p0] = vethPair(stack, "e0", "p0", mac("02:aa:00:00:00:01"), mac("02:aa:00:00:00:02"), 1500);
    const br0 = new Bridge(stack, "br0", mac("02:aa:00:00:00:03"));
    const local = ipv4("10.0.0.1");
    const underlay = { local, port: 8472, send: () => undefined };
    const options = { vni: 1, learning: false, gbp: false, ageingSec: 300, local, dstPort: 8472 };
    this.vx = new VxlanDevice(stack, "vx", mac("02:aa:00:00:00:04"), 1450, options, underlay);
    new VxlanPort(stack).add(this.vx);
    for (const dev of [p0, e0, br0, this.vx]) {
      this.netns.addDevice(dev);
      this.netns.setLink(dev, true, 0);
    }
    br0.setMac(br0.mac, 0);
    this.netns.addAddress(e0, { addr: local, len: 24 }, 0);
  }

  /** Runs a line. @returns all that it says, and how it ends */
  run(line: string): { readonly text: string; readonly exitCode: number } {
    const cx = { netns: this.netns, hostname: "n", files: () => undefined, rng: this.#rng };
    const command = parseCommand(line.split(" "), cx);
    if (!command.ok) return { text: command.error.message, exitCode: command.error.exitCode };
    command.value.start(1_000_000);
    let text = "";
    for (let piece = command.value.poll(); piece !== undefined; piece = command.value.poll())
      text += piece.text;
    return { text, exitCode: command.value.exitCode as number };
  }

  /** Runs lines, one after the other, into a transcript. */
  transcript(lines: readonly string[]): string {
    return lines
      .map((line) => {
        const { text, exitCode } = this.run(line);
        return transcribe(line, text, exitCode);
      })
      .join("");
  }

  close(): void {
    this.netns.close(2_000_000);
  }
}
