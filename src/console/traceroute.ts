// traceroute, as Debian's (Dmitry Butskoy's 2.1.2) has it: up to 16 probes at once, printed in order as their fate is known.
// Read traceroute(8) first.
import { DropReason } from "../base/drop-reason.ts";
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import { type Instant, MS_US, NEVER } from "../base/time.ts";
import type { EchoSocket } from "../stack/echo-socket.ts";
import { routeReason } from "../stack/ip/output.ts";
import type { SocketError } from "../stack/socket-owner.ts";
import type { UdpSocket } from "../stack/udp-socket.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import type { Command, CommandContext } from "./command.ts";
import { sendErrorWords } from "./icmp-words.ts";
import { type Output, OutputQueue } from "./output.ts";
import { formatHost } from "./resolve-host.ts";
import type { TracerouteOptions } from "./traceroute-options.ts";

/** Where UDP probes start; each takes the next port. */
const FIRST_PORT = 33434;
/**
 * The next hop's probes follow this long after a hop's; those of the second hop, as long as nothing was answered, only after
 * a silence in which a dead neighbour shows. A cold neighbour entry, here or on the way, keeps only three packets: sent all
 * at once, the first probes would be lost to our own haste. Later hops do not wait: a way on which nobody answers takes its
 * half a minute, as with the real one, and not minutes.
 */
const HOP_GAP_US = MS_US;
const FIRST_ANSWER_US = 3_500 * MS_US;
/** Added to a reply's time before it is multiplied into a patience. */
const WAIT_MIN_US = MS_US;
/** What a shell reports for a command that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

interface Probe {
  /** Undefined until it is sent. */
  sentAt: Instant | undefined;
  /** Its fate is known: answered, or given up. */
  done: boolean;
  /** No hop lies behind the one that answered. */
  final: boolean;
  /** Who answered; undefined for "*". */
  from: Ipv4Addr | undefined;
  rttUs: number;
  /** `!H` and the like. */
  mark: string;
}

/** One traceroute that runs. */
export class Traceroute implements Command {
  readonly #cx: CommandContext;
  readonly #options: TracerouteOptions;
  readonly #out = new OutputQueue();
  readonly #probes: Probe[];
  readonly #payload: Uint8Array;
  #echo: EchoSocket | undefined = undefined;
  #udp: UdpSocket | undefined = undefined;
  #exitCode: number | undefined = undefined;
  /** First probe that is not printed yet, and the end of those that matter. */
  #next: number;
  #end: number;
  #deadline: Instant = NEVER;
  /** When the next hop's probes may go. */
  #nextHopAt: Instant = 0;
  #answered = false;

  constructor(cx: CommandContext, options: TracerouteOptions) {
    this.#cx = cx;
    this.#options = options;
    this.#end = options.maxHops * options.queries;
    this.#next = (options.firstHop - 1) * options.queries;
    this.#probes = Array.from({ length: this.#end }, () => ({
      sentAt: undefined,
      done: false,
      final: false,
      from: undefined,
      rttUs: 0,
      mark: "",
    }));
    const headers = ipv4.HEADER_LEN + (options.icmp ? icmp.HEADER_LEN : udp.HEADER_LEN);
    this.#payload = Uint8Array.from({ length: options.packetBytes - headers }, (_, i) => 0x40 + (i & 0x3f));
  }

  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  start(now: Instant): void {
    const { host, maxHops, packetBytes, icmp: byIcmp, source } = this.#options;
    const { netns } = this.#cx;
    const header = `traceroute to ${host.name} (${formatIpv4(host.addr)}), ${maxHops} hops max, ${packetBytes} byte packets`;
    const route = netns.ip.routeOutput(source ?? 0, host.addr, undefined);
    const foreign = source !== undefined && !netns.isLocal(source);
    const reason = netns.ip.isGroup(host.addr) ? DropReason.ROUTE_PROHIBIT : routeReason(route);
    if (foreign || reason !== DropReason.NOT_DROPPED) {
      if (!byIcmp) this.#out.stdout(header);
      const fault = foreign ? "bind: Cannot assign requested address" : `connect: ${sendErrorWords(reason)}`;
      this.#fail(fault);
      return;
    }
    this.#out.stdout(header);
    if (byIcmp) this.#echo = netns.icmp.openEcho();
    else {
      this.#udp = netns.udp.open();
      this.#udp.bind(source ?? 0, 0);
    }
    this.#turn(now);
  }

  poll(): Output | undefined {
    return this.#out.poll();
  }

  nextDeadline(): Instant {
    return this.#exitCode === undefined ? this.#deadline : NEVER;
  }

  wake(now: Instant): void {
    if (this.#exitCode === undefined) this.#turn(now);
  }

  interrupt(): void {
    this.#exitCode ??= EXIT_INTERRUPTED;
  }

  close(): void {
    this.#echo?.close();
    this.#udp?.close();
    this.#exitCode ??= EXIT_INTERRUPTED;
  }

  #fail(fault: string): void {
    this.#out.stderr(`\n${fault}\n`);
    this.#exitCode = 1;
  }

  /** Takes in what came, prints what is decided, sends what there is room for, and finds out when to look again. */
  #turn(now: Instant): void {
    this.#receive(now);
    const { queries, simultaneous } = this.#options;
    let pending = 0;
    for (let n = this.#next; n < this.#end; n++) {
      const probe = this.#probes[n] as Probe;
      if (probe.sentAt !== undefined && !probe.done && now >= probe.sentAt + this.#patience(n))
        probe.done = true;
      if (probe.done) {
        if (n === this.#next) {
          this.#print(n);
          this.#next++;
        }
        if (probe.final) this.#end = (Math.floor(n / queries) + 1) * queries;
        continue;
      }
      if (probe.sentAt === undefined) {
        const firstOfHop = n % queries === 0;
        if (firstOfHop && now < this.#nextHopAt) break;
        const cold = n === this.#firstProbe() && !this.#answered;
        if (firstOfHop) this.#nextHopAt = now + (cold ? FIRST_ANSWER_US : HOP_GAP_US);
        if (!this.#send(n, now)) return;
      }
      pending++;
      if (pending >= simultaneous) break;
    }
    if (this.#next >= this.#end) {
      this.#out.stdout("\n");
      this.#exitCode = 0;
      return;
    }
    this.#deadline = this.#earliest(now);
  }

  /** When the first of the probes under way is given up; at once when one can be printed. */
  #earliest(now: Instant): Instant {
    if ((this.#probes[this.#next] as Probe).done) return now;
    let at: Instant = NEVER;
    let pending = 0;
    for (let n = this.#next; n < this.#end; n++) {
      const { sentAt, done } = this.#probes[n] as Probe;
      if (done) continue;
      if (sentAt !== undefined) at = Math.min(at, sentAt + this.#patience(n));
      else if (pending < this.#options.simultaneous) return Math.min(at, this.#nextHopAt);
      pending++;
    }
    return at;
  }

  /** How long probe `n` is waited for. */
  #patience(n: number): number {
    const { queries, waitUs, hereFactor, nearFactor } = this.#options;
    const hop = n - (n % queries);
    for (let i = hop; hereFactor > 0 && i < hop + queries; i++) {
      const { from, rttUs } = this.#probes[i] as Probe;
      if (from !== undefined) return Math.min(waitUs, (rttUs + WAIT_MIN_US) * hereFactor);
    }
    for (let i = n + 1; nearFactor > 0 && i < this.#probes.length; i++) {
      const { from, rttUs, sentAt } = this.#probes[i] as Probe;
      if (sentAt === undefined) break;
      if (from !== undefined) return Math.min(waitUs, (rttUs + WAIT_MIN_US) * nearFactor);
    }
    return waitUs;
  }

  #firstNumber(): number {
    return this.#options.port ?? (this.#options.icmp ? 1 : FIRST_PORT);
  }

  /** Sends probe `n`. False when that is the end. */
  #send(n: number, now: Instant): boolean {
    const { host, queries, dontFragment, tos, source } = this.#options;
    const probe = this.#probes[n] as Probe;
    const ttl = Math.floor(n / queries) + 1;
    const df = dontFragment;
    const number = (this.#firstNumber() + n - this.#firstProbe()) & 0xffff;
    probe.sentAt = now;
    const reason =
      this.#udp !== undefined
        ? this.#udp.send(this.#payload, host.addr, number === 0 ? 1 : number, { ttl, tos, df }, now)
        : (this.#echo as EchoSocket).sendEcho(
            host.addr,
            number,
            this.#payload,
            { ttl, tos, df, src: source },
            now,
          );
    if (reason === DropReason.NOT_DROPPED) return true;
    if (reason !== DropReason.PKT_TOO_BIG) {
      this.#fail(`send: ${sendErrorWords(reason)}`);
      return false;
    }
    // Too long for the way as far as it is known: that is an answer of our own.
    const { ip } = this.#cx.netns;
    const route = ip.routeOutput(source ?? 0, host.addr, undefined);
    const from = source ?? (route === undefined ? 0 : ip.sourceFor(route, host.addr));
    this.#settle(probe, from, now, `!F-${ip.mtuTo(host.addr, now)}`, true);
    return true;
  }

  #firstProbe(): number {
    return (this.#options.firstHop - 1) * this.#options.queries;
  }

  #receive(now: Instant): void {
    const socket = this.#echo ?? this.#udp;
    for (let error = socket?.recvError(); error !== undefined; error = socket?.recvError()) {
      const probe = this.#probeOf(error.seqOrPort);
      if (probe !== undefined) this.#settle(probe, error.from, error.at, markOf(error), isFinal(error));
    }
    for (let reply = this.#echo?.recv(); reply !== undefined; reply = this.#echo?.recv()) {
      const probe = this.#probeOf(reply.seq);
      if (probe !== undefined) this.#settle(probe, reply.src, reply.at, "", true);
    }
    for (let pkt = this.#udp?.recv(); pkt !== undefined; pkt = this.#udp?.recv()) {
      // Somebody listens there, and answers: the destination is reached.
      const probe = this.#probeOf(pkt.srcPort);
      if (probe !== undefined && pkt.src === this.#options.host.addr) {
        this.#settle(probe, pkt.src, now, "", true);
      }
    }
  }

  /** The probe that carried a port or a sequence number, if it is still waited for. */
  #probeOf(number: number): Probe | undefined {
    const n = ((number - this.#firstNumber()) & 0xffff) + this.#firstProbe();
    const probe = this.#probes[n];
    return probe === undefined || probe.sentAt === undefined || probe.done ? undefined : probe;
  }

  #settle(probe: Probe, from: Ipv4Addr, at: Instant, mark: string, final: boolean): void {
    probe.from = from;
    probe.rttUs = Math.max(0, at - (probe.sentAt ?? at));
    probe.mark = mark;
    probe.final = final;
    probe.done = true;
    if (this.#answered) return;
    this.#answered = true;
    this.#nextHopAt = at;
  }

  #print(n: number): void {
    const { queries, numeric, host } = this.#options;
    const probe = this.#probes[n] as Probe;
    let text = n % queries === 0 ? `\n${String(n / queries + 1).padStart(2)} ` : "";
    if (probe.from === undefined) text += " *";
    else {
      const hop = n - (n % queries);
      const before = this.#probes.slice(hop, n).findLast((other) => other.from !== undefined);
      if (before?.from !== probe.from) {
        const addr = formatIpv4(probe.from);
        const named = formatHost({ ...host, numeric: false }, probe.from);
        text += numeric ? ` ${addr}` : ` ${named === addr ? `${addr} (${addr})` : named}`;
      }
      text += `  ${(probe.rttUs / 1000).toFixed(3)} ms`;
      if (probe.mark !== "") text += ` ${probe.mark}`;
    }
    this.#out.stdout(text);
  }
}

/** Is this error the end of the way, or a hop on it? */
function isFinal({ type, code }: SocketError): boolean {
  return !(type === icmp.Type.TIME_EXCEEDED && code === icmp.Exceeded.TTL);
}

const MARKS: Readonly<Record<number, string>> = {
  [icmp.Unreach.NET]: "!N",
  [icmp.Unreach.HOST]: "!H",
  [icmp.Unreach.PROTOCOL]: "!P",
  [icmp.Unreach.PORT]: "",
  [icmp.Unreach.SOURCE_ROUTE_FAILED]: "!S",
  [icmp.Unreach.NET_UNKNOWN]: "!N",
  [icmp.Unreach.HOST_UNKNOWN]: "!H",
  8: "!N",
  [icmp.Unreach.NET_ANO]: "!X",
  [icmp.Unreach.HOST_ANO]: "!X",
  11: "!N",
  12: "!H",
  [icmp.Unreach.PKT_FILTERED]: "!X",
  14: "!V",
  15: "!C",
};

function markOf({ type, code, mtu }: SocketError): string {
  if (type !== icmp.Type.DEST_UNREACH) return "";
  if (code === icmp.Unreach.FRAG_NEEDED) return `!F-${mtu}`;
  return MARKS[code] ?? `!<${code}>`;
}
