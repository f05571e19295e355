// Reassembly of fragments that are for this host: the table of datagrams under way, its limits and its clock. The rules
// for one datagram are in frag-queue.ts.
import { DropReason } from "../../base/drop-reason.ts";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { type Instant, SEC_US } from "../../base/time.ts";
import { Timer } from "../../base/timer-queue.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { Netns } from "../netns.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import { FragQueue, type FragSource, Insert } from "./frag-queue.ts";
import type { IpStats } from "./ip-stats.ts";

const BUCKETS = 256;
/** ECN codepoints as bits of {@link FragQueue.ecnSeen}. */
const NOT_ECT = 1;
const CE = 8;

/**
 * All datagrams of a namespace that are still in pieces. Bounded by the sysctls `ipfrag_high_thresh` (bytes of buffers),
 * `ipfrag_time` and `ipfrag_max_dist`.
 */
export class Reassembly {
  readonly #netns: Netns;
  readonly #stats: IpStats;
  readonly #buckets: (FragQueue | undefined)[] = Array.from({ length: BUCKETS });
  readonly #sources = new Map<number, FragSource>();
  readonly #timer: Timer;
  #oldest: FragQueue | undefined = undefined;
  #newest: FragQueue | undefined = undefined;
  /** Bytes of buffers held now. */
  memBytes = 0;
  /** Datagrams under way. */
  queues = 0;

  constructor(netns: Netns, stats: IpStats) {
    this.#netns = netns;
    this.#stats = stats;
    this.#timer = new Timer((now) => this.#expire(now));
  }

  /** Senders with a datagram under way. */
  get sources(): number {
    return this.#sources.size;
  }

  /**
   * Takes a fragment (`l3` and `head` at its IP header, checked). The whole packet, `l3` and `head` at its header, when
   * this was the missing piece; the caller owns it.
   *
   * @drops FRAG_LIMIT, DUP_FRAG, FRAG_TOO_FAR, PKT_TOO_BIG, NOMEM, IP_INHDR (overlap, contradiction), FRAG_REASM_TIMEOUT
   * @rfc 791#3.2
   */
  input(pkt: PacketBuffer, now: Instant): PacketBuffer | undefined {
    const ctx = this.#netns.ctx;
    this.#stats.reasmReqds++;
    if (this.memBytes + pkt.capacity > this.#netns.sysctl.ipfragHighThreshBytes) {
      this.#stats.reasmFails++;
      ctx.drop(pkt, DropReason.FRAG_LIMIT, now);
      return undefined;
    }
    const queue = this.#find(pkt, now);
    this.#checkDistance(queue, now);
    pkt.head = pkt.l3 + ipv4.headerLen(pkt.view, pkt.l3);
    const outcome = queue.insert(pkt);
    if (outcome === Insert.KEPT) {
      this.memBytes += pkt.capacity;
      return queue.complete ? this.#assemble(queue, now) : undefined;
    }
    if (outcome === Insert.DUPLICATE) ctx.drop(pkt, DropReason.DUP_FRAG, now);
    else {
      const reason = outcome === Insert.OVERSIZE ? DropReason.PKT_TOO_BIG : DropReason.IP_INHDR;
      this.#stats.reasmFails++;
      ctx.drop(pkt, reason, now);
      this.#remove(queue);
      this.#dropFrags(queue, reason, now);
    }
    return undefined;
  }

  /** Releases everything and stops the clock: the namespace goes away. */
  close(): void {
    for (let queue = this.#oldest; queue !== undefined; queue = queue.newer) {
      for (const pkt of queue.frags) this.#netns.ctx.consume(pkt);
      queue.reset();
    }
    this.#buckets.fill(undefined);
    this.#sources.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    this.memBytes = 0;
    this.queues = 0;
    this.#netns.ctx.timers.cancel(this.#timer);
  }

  /** The queue that the fragment belongs to, made if need be. */
  #find(pkt: PacketBuffer, now: Instant): FragQueue {
    const view = pkt.view;
    const src = ipv4.src(view, pkt.l3);
    const dst = ipv4.dst(view, pkt.l3);
    const id = ipv4.id(view, pkt.l3);
    const protocol = ipv4.protocol(view, pkt.l3);
    const slot = bucketOf(src, dst, id, protocol);
    for (let queue = this.#buckets[slot]; queue !== undefined; queue = queue.chained) {
      if (queue.id === id && queue.src === src && queue.dst === dst && queue.protocol === protocol)
        return queue;
    }
    const queue = new FragQueue(src, dst, id, protocol, this.#source(src));
    queue.lastSeen = queue.source.seen;
    queue.chained = this.#buckets[slot];
    this.#buckets[slot] = queue;
    this.queues++;
    this.#append(queue, now);
    return queue;
  }

  #source(src: Ipv4Addr): FragSource {
    let source = this.#sources.get(src | 0);
    if (source === undefined) {
      source = { seen: 0, queues: 0 };
      this.#sources.set(src | 0, source);
    }
    source.queues++;
    return source;
  }

  /** Starts a datagram anew when too much came from its source since: the identification has probably wrapped. */
  #checkDistance(queue: FragQueue, now: Instant): void {
    const seen = ++queue.source.seen;
    const distance = seen - queue.lastSeen;
    const maxDistance = this.#netns.sysctl.ipfragMaxDist;
    queue.lastSeen = seen;
    if (maxDistance === 0 || distance <= maxDistance || queue.frags.length === 0) return;
    this.#stats.reasmFails++;
    this.#dropFrags(queue, DropReason.FRAG_TOO_FAR, now);
    this.#unlink(queue);
    this.#append(queue, now);
  }

  /** Joins the pieces in a new buffer. */
  #assemble(queue: FragQueue, now: Instant): PacketBuffer | undefined {
    const ctx = this.#netns.ctx;
    this.#remove(queue);
    const first = queue.frags[0] as PacketBuffer;
    const headerBytes = first.head - first.l3;
    const total = headerBytes + queue.len;
    const reason = this.#verdict(queue, total);
    const whole = reason === DropReason.NOT_DROPPED ? ctx.pool.acquire(total) : undefined;
    if (whole === undefined) {
      this.#stats.reasmFails++;
      this.#dropFrags(queue, reason === DropReason.NOT_DROPPED ? DropReason.NOMEM : reason, now);
      return undefined;
    }
    whole.l2 = whole.head;
    whole.l3 = whole.head;
    whole.protocol = first.protocol;
    whole.packetType = first.packetType;
    whole.dev = first.dev;
    whole.iif = first.iif;
    whole.mark = first.mark;
    whole.tunnelRemote = first.tunnelRemote;
    whole.bytes.set(first.bytes.subarray(first.l3, first.head), whole.put(headerBytes));
    for (const pkt of queue.frags) {
      whole.bytes.set(pkt.bytes.subarray(pkt.head, pkt.tail), whole.put(pkt.length));
      this.memBytes -= pkt.capacity;
      ctx.consume(pkt);
    }
    const df = queue.maxDfBytes !== 0 && queue.maxDfBytes === queue.maxBytes;
    ipv4.setTotalLen(whole.view, whole.l3, total);
    ipv4.setFragment(whole.view, whole.l3, 0, false, df);
    if ((queue.ecnSeen & CE) !== 0) {
      ipv4.setTos(whole.view, whole.l3, ipv4.tos(whole.view, whole.l3) | 3);
    }
    ipv4.updateChecksum(whole.view, whole.l3);
    queue.reset();
    this.#stats.reasmOks++;
    return whole;
  }

  /** May the pieces become one: not too long, and not ECN-capable in part only? @rfc 3168#5.3 */
  #verdict(queue: FragQueue, total: number): DropReason {
    if (total > ipv4.PACKET_LEN_MAX) return DropReason.PKT_TOO_BIG;
    const mixed = (queue.ecnSeen & NOT_ECT) !== 0 && queue.ecnSeen !== NOT_ECT;
    return mixed ? DropReason.IP_INHDR : DropReason.NOT_DROPPED;
  }

  /** Time is up for the oldest: as `ip_expire`, with an ICMP message when the first fragment is there. @rfc 792 */
  #expire(now: Instant): void {
    for (let queue = this.#oldest; queue !== undefined && queue.deadline <= now; queue = this.#oldest) {
      this.#remove(queue);
      this.#stats.reasmTimeout++;
      this.#stats.reasmFails++;
      const first = queue.first;
      if (first !== undefined) {
        this.#netns.icmp.send(icmp.Type.TIME_EXCEEDED, icmp.Exceeded.FRAGMENT_REASSEMBLY, first, 0, now);
      }
      this.#dropFrags(queue, DropReason.FRAG_REASM_TIMEOUT, now);
    }
  }

  #dropFrags(queue: FragQueue, reason: DropReason, now: Instant): void {
    for (const pkt of queue.frags) {
      this.memBytes -= pkt.capacity;
      this.#netns.ctx.drop(pkt, reason, now);
    }
    queue.reset();
  }

  /** Takes the queue out of the table; its fragments stay in it. */
  #remove(queue: FragQueue): void {
    const slot = bucketOf(queue.src, queue.dst, queue.id, queue.protocol);
    let at = this.#buckets[slot];
    if (at === queue) this.#buckets[slot] = queue.chained;
    else {
      while (at !== undefined && at.chained !== queue) at = at.chained;
      if (at !== undefined) at.chained = queue.chained;
    }
    queue.source.queues--;
    if (queue.source.queues === 0) this.#sources.delete(queue.src | 0);
    this.queues--;
    this.#unlink(queue);
  }

  /**
   * Every queue lives equally long, so that the newest is due last and one timer serves all. (A queue made after
   * `ipfrag_time` was lowered waits for the older ones, no longer than they do.)
   */
  #append(queue: FragQueue, now: Instant): void {
    queue.deadline = now + this.#netns.sysctl.ipfragTimeSec * SEC_US;
    queue.older = this.#newest;
    queue.newer = undefined;
    if (this.#newest === undefined) this.#oldest = queue;
    else this.#newest.newer = queue;
    this.#newest = queue;
    if (this.#oldest === queue) this.#netns.ctx.timers.set(this.#timer, queue.deadline);
  }

  #unlink(queue: FragQueue): void {
    if (queue.older === undefined) this.#oldest = queue.newer;
    else queue.older.newer = queue.newer;
    if (queue.newer === undefined) this.#newest = queue.older;
    else queue.newer.older = queue.older;
    if (queue.older === undefined) this.#arm();
    queue.older = undefined;
    queue.newer = undefined;
  }

  #arm(): void {
    const timers = this.#netns.ctx.timers;
    if (this.#oldest === undefined) timers.cancel(this.#timer);
    else timers.set(this.#timer, this.#oldest.deadline);
  }
}

function bucketOf(src: Ipv4Addr, dst: Ipv4Addr, id: number, protocol: number): number {
  let hash =
    Math.imul((src ^ protocol) | 0, 0x9e3779b1) ^ Math.imul(dst | 0, 0x85ebca6b) ^ Math.imul(id, 0xc2b2ae35);
  hash ^= hash >>> 15;
  return (hash ^ (hash >>> 8)) & (BUCKETS - 1);
}
