// One tunnel device's address, from the wish for it to the device: asks IPAM, tells the others, and holds on to what it has. Decides
// by `tunnelStep`; what it asks for itself is one thing at a time.
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../../base/ipv4-addr.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import type { Pool } from "../../control/calico/calc/pool-table.ts";
import type { IpamBlock } from "../../control/calico/ipam/ipam-block.ts";
import type { IpamAnswer, IpamRequest } from "../../control/calico/ipam/ipam-messages.ts";
import {
  describeTunnelStep,
  holdsTunnel,
  type TunnelKind,
  type TunnelStep,
  tunnelStep,
} from "./felix/tunnel-addresses.ts";

const RETRY_US = 2 * SEC_US;
/** Who releases an address of a living node may be about to delete the node: it is not asked for again before this. */
const LOST_WAIT_US = 5 * SEC_US;

export interface TunnelHolderOptions {
  readonly kind: TunnelKind;
  readonly node: string;
  /** Pools that may be used on this node. */
  readonly pools: () => readonly Pool[];
  readonly blocks: () => Iterable<IpamBlock>;
  /** Answers the number that `onIpam` will name. */
  readonly request: (request: IpamRequest, now: Instant) => number;
  readonly log: (level: "debug" | "info" | "warn", message: string) => void;
  /** The device has this address from now on; undefined: there is no such device. */
  readonly settled: (addr: Ipv4Addr | undefined, now: Instant) => void;
}

export class TunnelHolder {
  readonly #options: TunnelHolderOptions;
  /** What the node's resource is to say; undefined: nothing. */
  #told: string | undefined;
  /** An address that IPAM has given, until its block has been seen to say so. */
  #given: Ipv4Addr | undefined;
  #asked: { readonly request: number; readonly releases: boolean } | undefined;
  #retryAt: Instant = NEVER;
  #isSettled = false;
  #waitsForLost = false;
  #released = false;
  #settledAddr: Ipv4Addr | undefined;

  constructor(options: TunnelHolderOptions) {
    this.#options = options;
  }

  /** What the node's resource is to say. */
  get addr(): Ipv4Addr | undefined {
    return this.#told === undefined ? undefined : parseIpv4(this.#told);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** What the node's resource says at the start: an address of an earlier life. */
  recall(told: string | undefined): void {
    this.#told = told?.split("/")[0];
  }

  /** Goes on as far as it can. */
  work(now: Instant): void {
    while (this.#asked === undefined && (this.#retryAt === NEVER || now >= this.#retryAt)) {
      this.#retryAt = NEVER;
      const { kind, node, pools, blocks, request, log } = this.#options;
      const facts = { node, pools: pools(), told: this.#told, blocks: [...blocks()] };
      // From now on the block says whether the address is still ours.
      if (this.#given === this.addr && this.#given !== undefined && holdsTunnel(kind, facts, this.#given)) {
        this.#given = undefined;
      }
      const step = tunnelStep(kind, facts, this.#given);
      if (step.t === "settled") {
        this.#settle(step.addr, now);
        return;
      }
      if (this.#isLost(step)) {
        this.#waitsForLost = true;
        this.#retryAt = now + LOST_WAIT_US;
        return;
      }
      this.#waitsForLost = false;
      // Given back just now: what is known of the block may lag behind.
      if (this.#released && this.#trustsBlock(step)) {
        this.#released = false;
        this.#retryAt = now + RETRY_US;
        return;
      }
      log("debug", describeTunnelStep(kind, step));
      this.#isSettled = false;
      if (step.t === "tell") this.recall(step.addr === undefined ? undefined : formatIpv4(step.addr));
      else
        this.#asked = { request: request(step.request, now), releases: step.request.t === "releaseByHandle" };
    }
  }

  /** Answers false when the request is somebody else's. */
  onIpam(request: number, { addrs, error }: IpamAnswer, now: Instant): boolean {
    const asked = this.#asked;
    if (request !== asked?.request) return false;
    this.#asked = undefined;
    if (error === undefined) {
      this.#released = asked.releases;
      if (asked.releases) this.#told = undefined;
      // Nothing is given any more where something was given back.
      this.#given = asked.releases ? undefined : addrs[0];
    } else {
      this.#options.log("warn", `no address for the ${this.#options.kind} tunnel: ${error.message}`);
      this.#retryAt = now + RETRY_US;
    }
    return true;
  }

  /** Is the step one that only a block asks for, which says that an address is ours? */
  #trustsBlock(step: TunnelStep): boolean {
    if (step.t === "ipam") return step.request.t === "releaseByHandle";
    return step.t === "tell" && step.addr !== undefined && step.addr !== this.#given;
  }

  /** The address of a device that works has gone from its block, and nobody else has it. */
  #isLost(step: TunnelStep): boolean {
    return this.#isSettled && !this.#waitsForLost && step.t === "ipam" && step.request.t === "assignIp";
  }

  nextDeadline(): Instant {
    return this.#retryAt;
  }

  #settle(addr: Ipv4Addr | undefined, now: Instant): void {
    this.#waitsForLost = false;
    if (this.#isSettled && addr === this.#settledAddr) return;
    this.#isSettled = true;
    this.#settledAddr = addr;
    const { kind, log, settled } = this.#options;
    log("info", describeTunnelStep(kind, { t: "settled", addr }));
    settled(addr, now);
  }
}
