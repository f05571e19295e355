// udp-sink: receives UDP in a pod, counts it, and sends it back when told to. The other end of udp-load, and an echo server
// for anything else that speaks UDP.

import { DropReason } from "../base/drop-reason.ts";
import { ok } from "../base/result.ts";
import { type Instant, NEVER } from "../base/time.ts";
import type { UdpSocket } from "../stack/udp-socket.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import { parseArguments } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import type { Output } from "./output.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const USAGE = "usage: udp-sink --port PORT [--echo] [--count N] [--json]";

interface SinkOptions {
  readonly port: number;
  readonly echo: boolean;
  /** End after so many datagrams. */
  readonly count: number;
  readonly json: boolean;
}

/** Parses `udp-sink …` and binds its port. */
export function parseUdpSink(args: readonly string[], cx: CommandContext): ParsedCommand {
  const parsed = parseArguments(args, { flags: ["echo", "json"], numbers: ["port", "count"] });
  if (!parsed.ok) return usageError(2, `udp-sink: ${parsed.error}`, USAGE);
  const port = parsed.value.numbers.get("port");
  if (port === undefined || port < 1 || port > 65535 || parsed.value.rest.length > 0) {
    return usageError(2, USAGE);
  }
  const options: SinkOptions = {
    port,
    echo: parsed.value.flags.has("echo"),
    count: parsed.value.numbers.get("count") ?? Number.POSITIVE_INFINITY,
    json: parsed.value.flags.has("json"),
  };
  const socket = cx.netns.udp.open();
  const bound = socket.bind(0, options.port);
  if (!bound.ok) {
    socket.close();
    return usageError(1, `udp-sink: port ${port}: ${bound.error}`);
  }
  return ok(new UdpSink(cx, socket, options));
}

class UdpSink implements Command {
  readonly #cx: CommandContext;
  readonly #socket: UdpSocket;
  readonly #options: SinkOptions;
  #received = 0;
  #bytes = 0;
  #refused = 0;
  #first: Instant = 0;
  #last: Instant = 0;
  #output: Output | undefined;
  exitCode: number | undefined = undefined;

  constructor(cx: CommandContext, socket: UdpSocket, options: SinkOptions) {
    this.#cx = cx;
    this.#socket = socket;
    this.#options = options;
  }

  start(now: Instant): void {
    this.wake(now);
  }

  wake(now: Instant): void {
    if (this.exitCode !== undefined) return;
    for (let pkt = this.#socket.recvPacket(); pkt !== undefined; pkt = this.#socket.recvPacket()) {
      if (this.#received === 0) this.#first = now;
      this.#last = now;
      this.#received++;
      this.#bytes += pkt.length;
      if (this.#options.echo) {
        const payload = pkt.bytes.subarray(pkt.head, pkt.tail);
        const to = ipv4.src(pkt.view, pkt.l3);
        const sent = this.#socket.send(payload, to, udp.srcPort(pkt.view, pkt.l4), {}, now);
        if (sent !== DropReason.NOT_DROPPED) this.#refused++;
      }
      this.#cx.netns.ctx.consume(pkt);
      if (this.#received >= this.#options.count) {
        this.#finish();
        return;
      }
    }
  }

  interrupt(): void {
    if (this.exitCode === undefined) this.#finish();
  }

  poll(): Output | undefined {
    const output = this.#output;
    this.#output = undefined;
    return output;
  }

  nextDeadline(): Instant {
    return NEVER;
  }

  close(): void {
    this.#socket.close();
  }

  #finish(): void {
    const spanUs = this.#last - this.#first;
    const counts = { received: this.#received, bytes: this.#bytes, spanUs, refused: this.#refused };
    const rate = spanUs === 0 ? "" : `, ${Math.round((this.#received * 1e6) / spanUs)}/s`;
    this.#output = {
      stream: "stdout",
      text: this.#options.json
        ? `${JSON.stringify(counts)}\n`
        : `received ${this.#received} datagrams, ${this.#bytes} bytes in ${(spanUs / 1e6).toFixed(3)} s${rate}\n`,
    };
    this.exitCode = 0;
  }
}
