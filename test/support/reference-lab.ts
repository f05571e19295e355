// Two nodes with a pod each, joined by Flannel's VXLAN: the emulated twin of the lab whose real outputs are in
// test/vectors/console. Same names, addresses and order of creation; a virtual clock; 100 µs from node to node.
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import { Timer } from "../../src/base/timer-queue.ts";
import type { Command, CommandContext } from "../../src/console/command.ts";
import { parseCommand } from "../../src/console/command.ts";
import { Bridge } from "../../src/stack/bridge.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import type { PacketBuffer } from "../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import { type Veth, vethPair } from "../../src/stack/veth.ts";
import type { DatagramReceiver, Underlay } from "../../src/tunnel/underlay.ts";
import { VxlanDevice } from "../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../src/tunnel/vxlan-port.ts";

const PORT = 8472;
const WIRE_US = 100;

/** What a command said and how it ended. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** One node of the lab. */
export interface LabNode {
  readonly netns: Netns;
  readonly pod: Netns;
  readonly e0: Veth;
  readonly vxlan: VxlanDevice;
  readonly cni0: Bridge;
  readonly hostPort: Veth;
  readonly podPort: Veth;
}

export class ReferenceLab {
  readonly pool = new PacketPool(4096, true);
  readonly stack: NetStack;
  readonly nodes: readonly [LabNode, LabNode];
  now: Instant = 5_000_000;
  /** How often the n-th datagram arrives: 0 loses it, 2 doubles it. */
  copies: (n: number) => number = () => 1;
  /** Sees every datagram before it goes, and may change it. */
  tamper: (pkt: PacketBuffer) => void = () => {};
  readonly #receivers: (DatagramReceiver | undefined)[] = [undefined, undefined];
  #datagrams = 0;

  constructor(seed = 1) {
    this.stack = new NetStack({ rng: new SeededRng(seed), pool: this.pool });
    const stack = this.stack;
    const e0 = vethPair(stack, "e0", "e0", mac("02:aa:00:00:00:01"), mac("02:aa:00:00:00:02"), 1500);
    const first = this.#addNode(1, e0[0]);
    const second = this.#addNode(2, e0[1]);
    this.nodes = [first, second];
    for (const [i, node] of this.nodes.entries()) this.#up(i + 1, node);
    for (const [i, node] of this.nodes.entries()) this.#configure(i + 1, node);
  }

  #addNode(i: number, e0: Veth): LabNode {
    const { stack } = this;
    const netns = stack.addNetns(`node${i}`);
    const pod = stack.addNetns(`pod${i}`);
    netns.addDevice(e0);
    const local = ipv4(`192.168.5.${i}`);
    const underlay = this.#underlay(i);
    const opts = { vni: 1, learning: false, gbp: false, ageingSec: 300, local, dstPort: PORT };
    const vxlan = new VxlanDevice(stack, "flannel.1", mac(`02:00:00:00:00:0${i}`), 1450, opts, underlay);
    const port = new VxlanPort(stack);
    port.add(vxlan);
    this.#receivers[i - 1] = port;
    const cni0 = new Bridge(stack, "cni0", mac(`0a:58:0a:f4:0${i}:01`), 1450);
    const [hostPort, podPort] = vethPair(
      stack,
      "vethpod1",
      "eth0",
      mac(`0a:00:00:00:0${i}:fe`),
      mac(`0a:58:0a:f4:0${i}:02`),
      1450,
    );
    netns.addDevice(vxlan);
    netns.addDevice(cni0);
    netns.addDevice(hostPort);
    pod.addDevice(podPort);
    return { netns, pod, e0, vxlan, cni0, hostPort, podPort };
  }

  #up(i: number, { netns, pod, e0, vxlan, cni0, hostPort, podPort }: LabNode): void {
    const { now } = this;
    netns.sysctl.set("net.ipv4.ip_forward", "1");
    netns.addAddress(e0, { addr: ipv4(`192.168.5.${i}`), len: 24, broadcast: ipv4("192.168.5.255") }, now);
    netns.addAddress(vxlan, { addr: ipv4(`10.244.${i}.0`), len: 32 }, now);
    const broadcast = ipv4(`10.244.${i}.255`);
    netns.addAddress(cni0, { addr: ipv4(`10.244.${i}.1`), len: 24, broadcast }, now);
    cni0.setMac(mac(`0a:58:0a:f4:0${i}:01`), now);
    cni0.addPort(hostPort, now);
    cni0.setHairpin(hostPort, true);
    pod.addAddress(podPort, { addr: ipv4(`10.244.${i}.2`), len: 24, broadcast }, now);
    for (const dev of [e0, vxlan, cni0, hostPort]) netns.setLink(dev, true, now);
    pod.setLink(podPort, true, now);
  }

  #configure(i: number, { netns, pod, vxlan }: LabNode): void {
    const { now } = this;
    const o = 3 - i;
    const peer = mac(`02:00:00:00:00:0${o}`);
    const via = ipv4(`10.244.${o}.0`);
    netns.neigh.replace({ dev: vxlan, ip: via, mac: peer, state: "PERMANENT" }, now);
    vxlan.fdb.replace(peer, ipv4(`192.168.5.${o}`), "permanent", now);
    netns.replaceRoute({ dst: prefix(`10.244.${o}.0/24`), via, dev: vxlan, onlink: true }, now);
    const gateway = ipv4(`10.244.${i}.1`);
    pod.addRoute({ dst: prefix("0.0.0.0/0"), via: gateway }, now);
    pod.addRoute({ dst: prefix("10.244.0.0/16"), via: gateway }, now);
  }

  /** The wire between the nodes: every datagram arrives, in order, after its time. */
  #underlay(i: number): Underlay {
    const local = ipv4(`192.168.5.${i}`);
    const send = (pkt: PacketBuffer, _dst: number, _port: number, _hash: number, now: Instant): void => {
      this.tamper(pkt);
      for (let copies = this.copies(this.#datagrams++); copies > 0; copies--) {
        const copy = this.pool.clone(pkt) as PacketBuffer;
        const arrive = (at: Instant) => this.#receivers[2 - i]?.receive(copy, local, PORT, at);
        this.stack.timers.set(new Timer(arrive), now + WIRE_US);
      }
      this.pool.release(pkt);
    };
    return { local, port: PORT, send };
  }

  /** Where datagrams from the wire come in at a node. @param i 1 or 2 */
  receiver(i: number): DatagramReceiver {
    return this.#receivers[i - 1] as DatagramReceiver;
  }

  context(netns: Netns, files: Readonly<Record<string, string>> = {}): CommandContext {
    return { netns, hostname: netns.name, files: (path) => files[path], rng: this.stack.rng };
  }

  /** Moves packets until nothing is left to do at this moment. */
  settle(): void {
    while (this.stack.run(this.now));
  }

  /** Lets time pass. */
  advance(us: number): void {
    const end = this.now + us;
    for (this.settle(); this.stack.nextDeadline() <= end; this.settle()) {
      this.now = Math.max(this.now, this.stack.nextDeadline());
    }
    this.now = end;
  }

  /** A command line that is understood, not started yet; the caller closes it. */
  start(netns: Netns, argv: readonly string[]): Command {
    const command = parseCommand(argv, this.context(netns));
    if (!command.ok) throw new Error(command.error.message);
    return command.value;
  }

  /** Starts a command line and lets it run to its end; `between` is called before each jump of the clock. */
  run(netns: Netns, argv: readonly string[], between: (command: Command) => void = () => {}): Ran {
    const command = parseCommand(argv, this.context(netns));
    if (!command.ok) return { stdout: "", stderr: command.error.message, exitCode: command.error.exitCode };
    return this.drive(command.value, between);
  }

  /** Runs a parsed command to its end. */
  drive(command: Command, between: (command: Command) => void = () => {}): Ran {
    const said = { stdout: "", stderr: "" };
    const listen = () => {
      for (let piece = command.poll(); piece !== undefined; piece = command.poll())
        said[piece.stream] += piece.text;
    };
    command.start(this.now);
    listen();
    for (let jumps = 0; command.exitCode === undefined; jumps++) {
      if (jumps > 100_000) throw new Error("the command never ends");
      this.settle();
      command.wake(this.now);
      listen();
      if (command.exitCode !== undefined) break;
      let next = Math.min(command.nextDeadline(), this.stack.nextDeadline());
      if (next > this.now) {
        between(command);
        this.settle();
        next = Math.min(command.nextDeadline(), this.stack.nextDeadline());
      }
      if (next === NEVER && command.exitCode === undefined) throw new Error("the command waits for nothing");
      if (next !== NEVER) this.now = Math.max(this.now, next);
    }
    listen();
    command.close();
    return { ...said, exitCode: command.exitCode as number };
  }

  /** Ends everything; afterwards no buffer may be out. */
  close(): void {
    this.advance(60_000_000);
    for (const netns of [...this.stack.namespaces()]) this.stack.delNetns(netns.name, this.now);
  }
}
