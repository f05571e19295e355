// ping, as iputils 20221126 has it: the same lines, the same statistics, the same reasons to stop. Read ping(8) first.
import { DropReason } from "../base/drop-reason.ts";
import { formatIpv4, isMulticast } from "../base/ipv4-addr.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../base/time.ts";
import type { EchoReply, EchoSocket } from "../stack/echo-socket.ts";
import { routeReason } from "../stack/ip/output.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { SocketError } from "../stack/socket-owner.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Command, CommandContext } from "./command.ts";
import { icmpWords, sendErrorWords } from "./icmp-words.ts";
import { type Output, OutputQueue } from "./output.ts";
import type { PingOptions } from "./ping-options.ts";
import { PingStats } from "./ping-stats.ts";
import { formatHost } from "./resolve-host.ts";

/** Most echo data that fits into an IP packet. */
const DATA_BYTES_MAX = ipv4.PACKET_LEN_MAX - ipv4.HEADER_LEN - icmp.HEADER_LEN;
/** Most that a raw socket takes at all, without the IP header; between the two its owner hears of the MTU. */
const SOCKET_DATA_BYTES_MAX = 0xffff - icmp.HEADER_LEN;
/** Bytes of the time stamp in front of the echo data (a struct timeval). Less data than that carries none. */
const STAMP_BYTES = 16;
/** With an interval of 0, the next request follows the reply, or this silence. */
const FLOOD_GAP_US = 10 * MS_US;

/** One ping that runs. */
export class Ping implements Command {
  readonly #cx: CommandContext;
  readonly #options: PingOptions;
  readonly #warnings: readonly string[];
  readonly #out = new OutputQueue();
  readonly #payload: Uint8Array;
  readonly #stats = new PingStats();
  #socket: EchoSocket | undefined = undefined;
  #dev: NetDevice | undefined = undefined;
  #exitCode: number | undefined = undefined;
  #startedAt: Instant = 0;
  #lastSentAt: Instant = 0;
  #nextSendAt: Instant = NEVER;
  /** When -w, or the wait for the last reply, ends it. */
  #stopAt: Instant = NEVER;
  #lingering = false;

  /** @param warnings lines for stderr before anything else */
  constructor(cx: CommandContext, options: PingOptions, warnings: readonly string[]) {
    this.#cx = cx;
    this.#options = options;
    this.#warnings = warnings;
    this.#payload = new Uint8Array(Math.min(options.payloadBytes, DATA_BYTES_MAX + 1));
    for (let i = 0; i < this.#payload.length; i++) this.#payload[i] = i;
  }

  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  start(now: Instant): void {
    for (const warning of this.#warnings) this.#out.stderr(`${warning}\n`);
    const fault = this.#setUp();
    if (fault !== undefined) {
      this.#out.stderr(`ping: ${fault}\n`);
      this.#exitCode = 2;
      return;
    }
    this.#socket = this.#cx.netns.icmp.openEcho();
    this.#startedAt = now;
    this.#nextSendAt = now;
    if (this.#options.deadlineSec > 0) this.#stopAt = now + this.#options.deadlineSec * SEC_US;
    const bytes = this.#options.payloadBytes;
    const whole = bytes + icmp.HEADER_LEN + ipv4.HEADER_LEN;
    const { host } = this.#options;
    const to = `PING ${host.name} (${formatIpv4(host.addr)})`;
    this.#out.stdout(`${to} ${this.#from()}${bytes}(${whole}) bytes of data.\n`);
    this.#turn(now);
  }

  poll(): Output | undefined {
    return this.#out.poll();
  }

  nextDeadline(): Instant {
    if (this.#exitCode !== undefined) return NEVER;
    return Math.min(this.#out.full ? NEVER : this.#nextSendAt, this.#stopAt);
  }

  wake(now: Instant): void {
    if (this.#socket !== undefined && this.#exitCode === undefined) this.#turn(now);
  }

  interrupt(): void {
    if (this.#socket === undefined || this.#exitCode !== undefined) return;
    this.#receive();
    this.#finish();
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#exitCode ??= 2;
  }

  /** What connecting a socket would find out. Answers why not. */
  #setUp(): string | undefined {
    const { host, sourceAddr, sourceDev, ttl, broadcast } = this.#options;
    const { netns } = this.#cx;
    if (sourceDev !== undefined) {
      this.#dev = netns.device(sourceDev);
      if (this.#dev === undefined) return `SO_BINDTODEVICE ${sourceDev}: No such device`;
    }
    if (sourceAddr !== undefined && !netns.isLocal(sourceAddr))
      return "bind: Cannot assign requested address";
    const route = netns.ip.routeOutput(sourceAddr ?? 0, host.addr, this.#dev);
    const reason = routeReason(route);
    const forbidden = !broadcast && !isMulticast(host.addr) && netns.ip.isGroup(host.addr);
    if (forbidden || reason === DropReason.ROUTE_PROHIBIT) {
      return "Do you want to ping broadcast? Then -b. If not, check your local firewall rules";
    }
    if (reason !== DropReason.NOT_DROPPED) return `connect: ${sendErrorWords(reason)}`;
    if (ttl === 0) return "cannot set unicast time-to-live: Invalid argument";
    if (broadcast && netns.ip.isGroup(host.addr)) this.#out.stderr("WARNING: pinging broadcast address\n");
    return undefined;
  }

  /** `from ADDRESS DEVICE: `, when -I said so. */
  #from(): string {
    const { sourceAddr, sourceDev, host } = this.#options;
    if (sourceAddr !== undefined) return `from ${formatIpv4(sourceAddr)} : `;
    if (this.#dev === undefined) return "";
    return `from ${formatIpv4(this.#cx.netns.selectAddress(this.#dev, host.addr))} ${sourceDev}: `;
  }

  /** One round of ping's main loop: take in what came, stop if it is enough, send what is due. */
  #turn(now: Instant): void {
    const { count, deadlineSec } = this.#options;
    const stats = this.#stats;
    for (;;) {
      this.#receive();
      const enough = count > 0 && stats.received + stats.errors >= count;
      if (enough || (deadlineSec > 0 && stats.errors > 0) || now >= this.#stopAt) {
        this.#finish();
        return;
      }
      const sentAll = count > 0 && stats.transmitted >= count && deadlineSec === 0;
      if (sentAll) {
        this.#linger(now);
        return;
      }
      this.#paceFlood();
      if (now < this.#nextSendAt || this.#out.full) return;
      this.#send(now);
    }
  }

  /** After the last request: wait for twice the longest round trip, or, when nothing ever came, as long as -W says. */
  #linger(now: Instant): void {
    this.#nextSendAt = NEVER;
    if (this.#lingering) return;
    this.#lingering = true;
    const { lingerMs, intervalMs } = this.#options;
    const patienceUs =
      this.#stats.received > 0
        ? Math.max(2 * this.#stats.rttMaxUs, intervalMs * MS_US, MS_US)
        : lingerMs * MS_US;
    if (patienceUs > 0) this.#stopAt = now + patienceUs;
  }

  #paceFlood(): void {
    if (this.#options.intervalMs > 0 || this.#stats.transmitted === 0) return;
    this.#nextSendAt = this.#lastSentAt + (this.#stats.inFlight > 0 ? FLOOD_GAP_US : 0);
  }

  #send(now: Instant): void {
    const { host, df, ttl, tos, sourceAddr, quiet, outstanding, intervalMs, payloadBytes } = this.#options;
    const stats = this.#stats;
    if (outstanding && stats.transmitted > 0 && !stats.isAnswered(stats.transmitted)) {
      this.#out.stdout(`no answer yet for icmp_seq=${stats.transmitted & 0xffff}\n`);
    }
    this.#lastSentAt = now;
    this.#nextSendAt = now + intervalMs * MS_US;
    this.#stamp(now);
    const seq = stats.transmit();
    const opts = { df, ttl, tos, src: sourceAddr, oif: this.#dev };
    const reason = (this.#socket as EchoSocket).sendEcho(host.addr, seq, this.#payload, opts, now);
    if (reason === DropReason.NOT_DROPPED || quiet) return;
    if (reason === DropReason.PKT_TOO_BIG && payloadBytes <= SOCKET_DATA_BYTES_MAX) {
      stats.errors++;
      const mtu = this.#cx.netns.ip.mtuTo(host.addr, now);
      this.#out.stderr(`ping: local error: message too long, mtu=${mtu}\n`);
    } else {
      this.#out.stderr(`ping: sendmsg: ${sendErrorWords(reason)}\n`);
    }
  }

  #receive(): void {
    const socket = this.#socket as EchoSocket;
    for (let error = socket.recvError(); error !== undefined; error = socket.recvError()) this.#error(error);
    for (let reply = socket.recv(); reply !== undefined; reply = socket.recv()) this.#reply(reply);
  }

  #error(error: SocketError): void {
    this.#stats.acknowledge(error.seqOrPort);
    this.#stats.errors++;
    if (this.#options.quiet) return;
    this.#out.stdout(`From ${formatIpv4(error.from)} icmp_seq=${error.seqOrPort} ${icmpWords(error)}\n`);
  }

  #reply(reply: EchoReply): void {
    const { payloadBytes, quiet, host } = this.#options;
    const rttUs = this.#timed ? this.#roundTrip(reply) : undefined;
    const duplicate = !this.#stats.receive(reply.seq, rttUs);
    if (quiet) return;
    const bytes = reply.bytes.length + icmp.HEADER_LEN;
    let line = `${bytes} bytes from ${formatHost(host, reply.src)}: icmp_seq=${reply.seq} ttl=${reply.ttl}`;
    if (reply.bytes.length < payloadBytes) {
      this.#out.stdout(`${line} (truncated)\n`);
      return;
    }
    if (rttUs !== undefined) line += ` time=${formatRtt(rttUs)} ms`;
    if (duplicate) line += " (DUP!)";
    this.#out.stdout(`${line}${this.#wrongData(reply.bytes)}\n`);
  }

  /** Is there room for a time stamp, so that round trips can be told? */
  get #timed(): boolean {
    return this.#options.payloadBytes >= STAMP_BYTES;
  }

  #stamp(now: Instant): void {
    if (!this.#timed) return;
    const view = new DataView(this.#payload.buffer);
    view.setBigUint64(0, BigInt(Math.floor(now / SEC_US)), true);
    view.setBigUint64(8, BigInt(now % SEC_US), true);
  }

  #roundTrip(reply: EchoReply): number | undefined {
    if (reply.bytes.length < STAMP_BYTES) return undefined;
    const view = new DataView(reply.bytes.buffer, reply.bytes.byteOffset);
    const sentAt = Number(view.getBigUint64(0, true)) * SEC_US + Number(view.getBigUint64(8, true));
    return Math.max(0, reply.at - sentAt);
  }

  /** The complaint about echo data that came back changed. */
  #wrongData(bytes: Uint8Array): string {
    const sent = this.#payload;
    const from = this.#timed ? STAMP_BYTES : 0;
    for (let i = from; i < sent.length; i++) {
      if (bytes[i] === sent[i]) continue;
      const [want, got] = [sent[i] as number, bytes[i] as number];
      let text = `\nwrong data byte #${i} should be 0x${want.toString(16)} but was 0x${got.toString(16)}`;
      for (let at = STAMP_BYTES; at < sent.length; at++) {
        if (at % 32 === STAMP_BYTES) text += `\n#${at}\t`;
        text += `${(bytes[at] as number).toString(16)} `;
      }
      return text;
    }
    return "";
  }

  #finish(): void {
    const { host, count, deadlineSec, intervalMs } = this.#options;
    const stats = this.#stats;
    const elapsedUs = Math.max(0, this.#lastSentAt - this.#startedAt);
    this.#out.stdout(`\n--- ${host.name} ping statistics ---\n${stats.format(elapsedUs, intervalMs)}\n`);
    const failed = stats.received === 0 || (deadlineSec > 0 && stats.received < count);
    this.#exitCode = failed ? 1 : 0;
    this.#nextSendAt = NEVER;
  }
}

/** A round trip in milliseconds, with ping's four figures. */
function formatRtt(us: number): string {
  if (us >= 100_000 - 50) return String(Math.floor((us + 500) / 1000));
  if (us >= 10_000 - 5) return (Math.floor((us + 50) / 100) / 10).toFixed(1);
  if (us >= 1000) return (Math.floor((us + 5) / 10) / 100).toFixed(2);
  return (us / 1000).toFixed(3);
}
