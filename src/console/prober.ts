// Many pings at once, for measuring and for waiting until a cluster is whole: figures instead of lines.
import { DropReason } from "../base/drop-reason.ts";
import { formatIpv4 } from "../base/ipv4-addr.ts";
import { type Instant, MS_US, NEVER } from "../base/time.ts";
import type { EchoSocket } from "../stack/echo-socket.ts";
import type { CommandContext } from "./command.ts";
import { icmpWords, sendErrorWords } from "./icmp-words.ts";
import { resolveHost } from "./resolve-host.ts";

/** Requests sent in one go, so that no queue on the way is overrun by the prober itself. */
const BURST = 32;
/** The very first go: whoever is asked for the gateway's address keeps three packets meanwhile. */
const FIRST_BURST = 2;

export interface ProbeOptions {
  readonly targets: readonly string[];
  /** Requests to each target. */
  readonly count: number;
  /** Between two requests to the same target. */
  readonly intervalMs: number;
  /** How long a reply is waited for. */
  readonly timeoutMs: number;
  /** Echo data of each request. Default 56. */
  readonly payloadBytes?: number | undefined;
}

/** What became of one target. */
export interface ProbeResult {
  readonly target: string;
  readonly sent: number;
  readonly received: number;
  /** Round-trip times in microseconds, in order of arrival. */
  readonly rttUs: readonly number[];
  /** Last error of this target, in ping's words. */
  readonly error?: string;
}

interface Target {
  readonly name: string;
  readonly addr: number;
  sent: number;
  received: number;
  readonly rttUs: number[];
  error: string | undefined;
}

interface Outstanding {
  readonly target: Target;
  readonly sentAt: Instant;
}

/**
 * Pings all targets `count` times each, a round every `intervalMs`. An engine like {@link Command}: `start`, then `wake` after
 * every run of the stack and when the deadline is due, until `results` is there; then `close`.
 */
export class Prober {
  readonly #cx: Pick<CommandContext, "netns" | "hostname" | "files" | "rng">;
  readonly #options: ProbeOptions;
  readonly #payload: Uint8Array;
  readonly #targets: Target[] = [];
  /** By sequence number; the Map's order is the order of sending. */
  readonly #outstanding = new Map<number, Outstanding>();
  #socket: EchoSocket | undefined = undefined;
  #seq = 0;
  #round = 0;
  /** Next target of the round that is being sent. */
  #next = 0;
  #roundAt: Instant = 0;
  #results: readonly ProbeResult[] | undefined = undefined;

  constructor(cx: CommandContext, options: ProbeOptions) {
    this.#cx = cx;
    this.#options = options;
    this.#payload = Uint8Array.from({ length: options.payloadBytes ?? 56 }, (_, i) => i);
  }

  /** One row a target, in the order given; undefined while it runs. */
  get results(): readonly ProbeResult[] | undefined {
    return this.#results;
  }

  start(now: Instant): void {
    for (const name of this.#options.targets) {
      const host = resolveHost(name, this.#cx);
      const error = host === undefined ? `${name}: Name or service not known` : undefined;
      this.#targets.push({ name, addr: host?.addr ?? 0, sent: 0, received: 0, rttUs: [], error });
    }
    this.#socket = this.#cx.netns.icmp.openEcho();
    this.#roundAt = now;
    this.wake(now);
  }

  wake(now: Instant): void {
    if (this.#socket === undefined || this.#results !== undefined) return;
    this.#receive();
    this.#expire(now);
    this.#send(now);
    if (this.#round >= this.#options.count && this.#outstanding.size === 0) this.#finish();
  }

  nextDeadline(): Instant {
    if (this.#results !== undefined) return NEVER;
    const send = this.#round < this.#options.count ? this.#roundAt : NEVER;
    for (const { sentAt } of this.#outstanding.values()) {
      return Math.min(send, sentAt + this.#options.timeoutMs * MS_US);
    }
    return send;
  }

  /** Ends it now; `results` has what there is. */
  interrupt(): void {
    if (this.#results !== undefined) return;
    if (this.#socket !== undefined) this.#receive();
    this.#finish();
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#outstanding.clear();
  }

  #send(now: Instant): void {
    const most = this.#seq === 0 ? FIRST_BURST : BURST;
    for (let burst = 0; burst < most; burst++) {
      if (this.#round >= this.#options.count || now < this.#roundAt) return;
      if (this.#next === this.#targets.length) {
        this.#next = 0;
        this.#round++;
        this.#roundAt += this.#options.intervalMs * MS_US;
        continue;
      }
      const target = this.#targets[this.#next++] as Target;
      if (target.addr !== 0) this.#probe(target, now);
    }
  }

  #probe(target: Target, now: Instant): void {
    while (this.#outstanding.has(this.#seq)) this.#seq = (this.#seq + 1) & 0xffff;
    const seq = this.#seq;
    this.#seq = (seq + 1) & 0xffff;
    target.sent++;
    this.#outstanding.set(seq, { target, sentAt: now });
    const reason = (this.#socket as EchoSocket).sendEcho(target.addr, seq, this.#payload, {}, now);
    if (reason === DropReason.NOT_DROPPED) return;
    this.#outstanding.delete(seq);
    target.error = sendErrorWords(reason);
  }

  #receive(): void {
    const socket = this.#socket as EchoSocket;
    for (let error = socket.recvError(); error !== undefined; error = socket.recvError()) {
      const probe = this.#outstanding.get(error.seqOrPort);
      if (probe === undefined) continue;
      this.#outstanding.delete(error.seqOrPort);
      probe.target.error = `From ${formatIpv4(error.from)}: ${icmpWords(error)}`;
    }
    for (let reply = socket.recv(); reply !== undefined; reply = socket.recv()) {
      const probe = this.#outstanding.get(reply.seq);
      if (probe === undefined || probe.target.addr !== reply.src) continue;
      this.#outstanding.delete(reply.seq);
      probe.target.received++;
      probe.target.rttUs.push(Math.max(0, reply.at - probe.sentAt));
    }
  }

  #expire(now: Instant): void {
    const timeoutUs = this.#options.timeoutMs * MS_US;
    for (const [seq, { sentAt }] of this.#outstanding) {
      if (now < sentAt + timeoutUs) return;
      this.#outstanding.delete(seq);
    }
  }

  #finish(): void {
    this.#results = this.#targets.map(({ name, sent, received, rttUs, error }) => {
      const row = { target: name, sent, received, rttUs };
      return error === undefined ? row : { ...row, error };
    });
  }
}
