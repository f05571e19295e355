// An emulated node in this process, and a Linux kernel that it shares a tunnel with:
//
//     emulated: pod 10.244.1.2 ── host ══ sockets in "home", 10.99.7.2 ══ veth ══ "far", 10.99.7.3 ══ its device ── …
//
// With a router in between, that is a Linux kernel as well, with a link of a smaller MTU behind it:
//
//     "home", 10.99.7.2 ══ veth ══ "mid", 10.99.9.1 ══ narrow veth ══ "far", 10.99.7.3
//
// The far end of the tunnel is the kernel's own device; where the kernel was built without it, a program on a TUN or TAP device.
import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { MonotonicClock } from "../../src/io/clock.ts";
import { CarrierMap } from "../../src/io/host-address.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import { vethPair } from "../../src/stack/veth.ts";
import { enterNamespace } from "./enter-namespace.ts";
import { must } from "./host-router-host.ts";
import { Namespaces, namespacesUnavailable } from "./network-namespace.ts";

export const HOME = "10.99.7.2";
export const FAR = "10.99.7.3";
export const POD = "10.244.1.2";
export const ROUTER = "10.99.9.1";

/** Why a kernel device of this type cannot be made here, or undefined. @param words what `ip link add NAME` is told */
export function kernelLacks(words: string): string | undefined {
  const missing = namespacesUnavailable();
  if (missing !== undefined) return missing;
  const probe = `pl-kernel-${process.pid}`;
  const run = (line: string) => execFileSync("ip", line.split(" "), { stdio: "pipe" });
  run(`netns add ${probe}`);
  try {
    run(`-n ${probe} link add probe0 ${words}`);
    return undefined;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    return `this kernel has no such device: ip link add ${words}: ${said}`;
  } finally {
    run(`netns del ${probe}`);
  }
}

/** Why a program may not take the kernel's part, or undefined. */
export function userlandLacks(): string | undefined {
  const missing = namespacesUnavailable();
  if (missing !== undefined) return missing;
  try {
    execFileSync("python3", ["-c", "open('/dev/net/tun')"], { stdio: "pipe" });
    return undefined;
  } catch {
    return "needs python3 and /dev/net/tun";
  }
}

export class TunnelLab {
  readonly spaces = new Namespaces();
  readonly home: string;
  readonly far: string;
  readonly stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(4096, true) });
  readonly host: Netns;
  readonly pod: Netns;
  readonly clock = new MonotonicClock();
  readonly carriers = new CarrierMap(ipv4(HOME), "host");
  readonly #leave: () => void;
  readonly #tick: NodeJS.Timeout;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #woken = false;
  /** Called after the stack ran. */
  afterRun: () => void = () => {};

  /** @param narrowMtuBytes there is a router in between, with a link of this MTU behind it */
  constructor(narrowMtuBytes?: number) {
    this.home = this.spaces.add("home");
    this.far = this.spaces.add("far");
    if (narrowMtuBytes === undefined)
      this.spaces.link(this.home, "eth1", `${HOME}/24`, this.far, "eth1", `${FAR}/24`);
    else this.#joinByRouter(narrowMtuBytes);
    for (const name of [this.home, this.far]) {
      // Otherwise the host leaves outer checksums to a network card that is not there, and tshark complains of them.
      this.spaces.exec(name, "ethtool -K eth1 tx-checksum-ip-generic off");
      this.spaces.exec(name, `ip link set eth1 mtu ${name === this.home ? 1600 : (narrowMtuBytes ?? 1600)}`);
    }
    this.spaces.exec(this.far, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0");
    this.#leave = enterNamespace(this.home);
    this.host = this.stack.addNetns("");
    this.host.sysctl.ipForward = true;
    this.pod = this.stack.addNetns("pod");
    const macs = [mac("02:00:00:00:03:01"), mac("ee:ee:ee:ee:ee:ee")] as const;
    const [eth0, cali] = vethPair(this.stack, "eth0", "cali0", ...macs, 1500);
    this.pod.addDevice(eth0);
    this.host.addDevice(cali);
    this.pod.setLink(eth0, true, 0);
    this.host.setLink(cali, true, 0);
    must(this.host.addAddress(cali, { addr: ipv4("10.244.1.1"), len: 24 }, 0));
    must(this.pod.addAddress(eth0, { addr: ipv4(POD), len: 24 }, 0));
    must(this.pod.addRoute({ dst: prefix("0.0.0.0/0"), via: ipv4("10.244.1.1"), dev: eth0 }, 0));
    this.#tick = setInterval(() => this.#run(), 5);
  }

  #joinByRouter(mtuBytes: number): void {
    const { spaces, home, far } = this;
    const mid = spaces.add("mid");
    spaces.link(home, "eth1", `${HOME}/32`, mid, "wide", `${ROUTER}/32`);
    spaces.link(mid, "narrow", `${ROUTER}/32`, far, "eth1", `${FAR}/32`);
    for (const [name, dev, peer] of [
      [mid, "wide", HOME],
      [mid, "narrow", FAR],
      [home, "eth1", ROUTER],
      [far, "eth1", ROUTER],
    ] as const)
      spaces.exec(name, `ip route add ${peer} dev ${dev}`);
    spaces.exec(home, `ip route add ${FAR} via ${ROUTER}`);
    spaces.exec(far, `ip route add ${HOME} via ${ROUTER}`);
    spaces.exec(mid, "ip link set wide mtu 1600");
    spaces.exec(mid, `ip link set narrow mtu ${mtuBytes}`);
    spaces.exec(mid, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0");
  }

  readonly wake = (): void => {
    if (this.#woken) return;
    this.#woken = true;
    setImmediate(() => {
      this.#woken = false;
      this.#run();
    });
  };

  #run(): void {
    while (this.stack.run(this.clock.now()));
    this.afterRun();
    while (this.stack.run(this.clock.now()));
  }

  /** What io's edges are told. */
  get edge() {
    const { carriers, stack: ctx, clock, wake } = this;
    return { local: ipv4(HOME), carriers, ctx, clock, wake };
  }

  /** Closed with the lab, before its namespaces are. */
  closing(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** Runs a program in a namespace while the emulated node goes on. @returns all that it said, whatever its exit code */
  async run(name: string, line: string | readonly string[]): Promise<string> {
    const [command = "", ...args] = typeof line === "string" ? line.split(" ") : line;
    const child = this.spaces.spawn(name, command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    child.stdout?.on("data", (data) => {
      said += String(data);
    });
    child.stderr?.on("data", (data) => {
      said += String(data);
    });
    await new Promise((resolve) => child.once("close", resolve));
    return said;
  }

  /** A program that goes on until the lab ends (or is told to); resolves once it has said something. */
  async start(name: string, command: string, args: readonly string[]): Promise<ChildProcess> {
    const child = this.spaces.spawn(name, command, args, { stdio: ["ignore", "pipe", "pipe"] });
    await new Promise((resolve, reject) => {
      child.stdout?.once("data", resolve);
      child.stderr?.once("data", command === "tcpdump" ? resolve : (data) => reject(new Error(String(data))));
    });
    return child;
  }

  /** The program that takes the kernel device's part. */
  async userlandPeer(mode: "ipip" | "fou" | "geneve", device: string, vni = 0): Promise<void> {
    const script = join(import.meta.dirname, "tunnel-peer.py");
    await this.start(this.far, "python3", [script, mode, device, FAR, HOME, String(vni)]);
  }

  /** Pings from the emulated pod. @returns the answer's TTL, or the error's MTU, or undefined after a second */
  async ping(
    dst: string,
    bytes: number,
    opts: { ttl?: number; df?: boolean } = {},
  ): Promise<{ from: number; ttl?: number; mtu?: number } | undefined> {
    const socket = this.pod.icmp.openEcho();
    try {
      socket.sendEcho(ipv4(dst), 1, new Uint8Array(bytes), opts, this.clock.now());
      this.wake();
      for (const end = performance.now() + 1000; performance.now() < end; ) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        const reply = socket.recv();
        if (reply !== undefined) return { from: reply.src, ttl: reply.ttl };
        const error = socket.recvError();
        if (error !== undefined) return { from: error.from, mtu: error.mtu };
      }
      return undefined;
    } finally {
      socket.close();
    }
  }

  /** Echoes UDP on port 7 of the emulated pod. */
  echo(): void {
    const socket = this.pod.udp.open();
    must(socket.bind(0, 7));
    this.afterRun = () => {
      for (let got = socket.recv(); got !== undefined; got = socket.recv()) {
        socket.send(got.bytes, got.src, got.srcPort, {}, this.clock.now());
      }
    };
  }

  /** What tshark finds wrong with the frames of a capture that we sent. Empty: nothing. */
  warnings(capture: string, decodeAs: readonly string[] = []): string {
    const checks = ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "ip.defragment:TRUE"];
    const bad =
      "_ws.malformed || ip.checksum.status==0 || udp.checksum.status==0 || icmp.checksum.status==0 || _ws.expert.severity >= 0x600000";
    const options = [...decodeAs.flatMap((rule) => ["-d", rule]), ...checks.flatMap((one) => ["-o", one])];
    return this.spaces.run("tshark", "-r", capture, ...options, "-Y", `ip.src==${HOME} && (${bad})`).trim();
  }

  /** Captures on the far end's wire while `work` goes on. */
  async capture(file: string, work: () => Promise<void>): Promise<void> {
    const child = await this.start(this.far, "tcpdump", [
      ..."-i eth1 -U --immediate-mode -Z root -w".split(" "),
      file,
      "ip",
    ]);
    await work();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGINT");
    await ended;
  }

  /** Ends everything. @returns packets that nobody released: must be 0 */
  async close(): Promise<number> {
    clearInterval(this.#tick);
    for (const close of this.#closers) await close();
    for (const name of ["pod", ""]) this.stack.delNetns(name, this.clock.now());
    this.#leave();
    await this.spaces.close();
    return this.stack.pool.outstanding;
  }
}
