// udp-load: sends UDP from a pod, so many datagrams or so long, at a rate or as fast as the node goes. Bounded by nature: it
// ends by itself, and never sends more in one turn than a socket takes.

import { DropReason, dropReasonName } from "../base/drop-reason.ts";
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { ok } from "../base/result.ts";
import { type Instant, NEVER, SEC_US } from "../base/time.ts";
import type { UdpSocket } from "../stack/udp-socket.ts";
import { parseArguments } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import type { Output } from "./output.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const USAGE =
  "usage: udp-load ADDRESS PORT [--count N | --seconds S] [--rate PACKETS_PER_S (0: as fast as it goes)] [--size BYTES] [--json]";

/** Datagrams in one turn: what a socket of the host takes without loss. */
const BURST = 32;
const SECONDS_MAX = 3600;
const SIZE_MAX = 65_507;

interface LoadOptions {
  readonly dst: Ipv4Addr;
  readonly port: number;
  readonly count: number;
  readonly seconds: number;
  /** Packets a second; 0: no limit. */
  readonly rate: number;
  readonly sizeBytes: number;
  readonly json: boolean;
}

/** Parses `udp-load …`. */
export function parseUdpLoad(args: readonly string[], cx: CommandContext): ParsedCommand {
  const parsed = parseArguments(args, {
    flags: ["json"],
    numbers: ["count", "seconds", "rate", "size"],
  });
  if (!parsed.ok) return usageError(2, `udp-load: ${parsed.error}`, USAGE);
  const { rest, numbers, flags } = parsed.value;
  const dst = parseIpv4(rest[0] ?? "");
  const port = Number(rest[1]);
  if (rest.length !== 2 || dst === undefined || !Number.isInteger(port) || port < 1 || port > 65535) {
    return usageError(2, USAGE);
  }
  const count = numbers.get("count");
  const options: LoadOptions = {
    dst,
    port,
    count: count ?? Number.POSITIVE_INFINITY,
    seconds: Math.min(numbers.get("seconds") ?? (count === undefined ? 10 : SECONDS_MAX), SECONDS_MAX),
    rate: numbers.get("rate") ?? 1000,
    sizeBytes: numbers.get("size") ?? 1400,
    json: flags.has("json"),
  };
  if (options.sizeBytes > SIZE_MAX) {
    return usageError(2, `udp-load: --size is at most ${SIZE_MAX} bytes`);
  }
  return ok(new UdpLoad(cx.netns.udp.open(), options));
}

class UdpLoad implements Command {
  readonly #socket: UdpSocket;
  readonly #options: LoadOptions;
  readonly #payload: Uint8Array;
  #startedAt: Instant = 0;
  #endsAt: Instant = NEVER;
  #sent = 0;
  #refused = 0;
  #lastReason: DropReason = DropReason.NOT_DROPPED;
  #unreachable = 0;
  #output: Output | undefined;
  exitCode: number | undefined = undefined;

  constructor(socket: UdpSocket, options: LoadOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#payload = new Uint8Array(options.sizeBytes);
  }

  start(now: Instant): void {
    this.#startedAt = now;
    this.#endsAt = now + this.#options.seconds * SEC_US;
    this.wake(now);
  }

  wake(now: Instant): void {
    if (this.exitCode !== undefined) return;
    while (this.#socket.recvError() !== undefined) this.#unreachable++;
    const due = this.#due(now);
    for (let i = 0; i < due; i++) {
      const reason = this.#socket.send(this.#payload, this.#options.dst, this.#options.port, {}, now);
      this.#sent++;
      if (reason !== DropReason.NOT_DROPPED) {
        this.#refused++;
        this.#lastReason = reason;
      }
    }
    if (this.#sent >= this.#options.count || now >= this.#endsAt) this.#finish(now);
  }

  interrupt(now: Instant): void {
    if (this.exitCode === undefined) this.#finish(now);
  }

  poll(): Output | undefined {
    const output = this.#output;
    this.#output = undefined;
    return output;
  }

  nextDeadline(): Instant {
    if (this.exitCode !== undefined) return NEVER;
    const { rate } = this.#options;
    if (rate === 0) return 0;
    return Math.min(this.#endsAt, this.#startedAt + Math.ceil(((this.#sent + 1) * SEC_US) / rate));
  }

  close(): void {
    this.#socket.close();
  }

  /** How many to send now: what the rate allows since the start, a burst at most. */
  #due(now: Instant): number {
    const { rate, count } = this.#options;
    const left = count - this.#sent;
    if (rate === 0) return Math.min(BURST, left);
    const allowed = Math.floor(((now - this.#startedAt) * rate) / SEC_US) - this.#sent;
    return Math.max(0, Math.min(BURST, left, allowed));
  }

  #finish(now: Instant): void {
    const { dst, port, sizeBytes, json } = this.#options;
    const spanUs = now - this.#startedAt;
    const rate = spanUs === 0 ? 0 : Math.round((this.#sent * 1e6) / spanUs);
    const counts = {
      sent: this.#sent,
      refused: this.#refused,
      unreachable: this.#unreachable,
      sizeBytes,
      spanUs,
    };
    const refused =
      this.#refused === 0 ? "" : `, ${this.#refused} refused (${dropReasonName(this.#lastReason)})`;
    const unreachable = this.#unreachable === 0 ? "" : `, ${this.#unreachable} ICMP errors came back`;
    this.#output = {
      stream: "stdout",
      text: json
        ? `${JSON.stringify(counts)}\n`
        : `sent ${this.#sent} datagrams of ${sizeBytes} bytes to ${formatIpv4(dst)}:${port} in ${(spanUs / 1e6).toFixed(3)} s, ${rate}/s${refused}${unreachable}\n`,
    };
    this.exitCode = this.#refused === this.#sent && this.#sent > 0 ? 1 : 0;
  }
}
