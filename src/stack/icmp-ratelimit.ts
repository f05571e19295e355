// How many ICMP errors a host sends. Read RFC 1812 section 4.3.2.8 first; the buckets are those of Linux's net/ipv4/icmp.c
// and inet_peer_xrlim_allow, without the random part that hides the global bucket's level from guessers.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { type Instant, MS_US, SEC_US } from "../base/time.ts";
import type { Sysctl } from "./sysctl.ts";

/** A target may get this many messages at once after a silence. */
const PEER_BURST = 6;
/** Targets remembered; the one that was new longest ago gives way, and starts with a full bucket when it comes back. */
const PEERS = 1024;

/** Tokens are microseconds: a message costs `icmp_ratelimit`. */
interface PeerBucket {
  tokensUs: number;
  last: Instant;
}

/** Token buckets for the ICMP messages of one namespace: one for all, and one for each target. */
export class IcmpRateLimit {
  readonly #sysctl: Sysctl;
  readonly #peers = new Map<number, PeerBucket>();
  #credit: number;
  #stamp: Instant | undefined = undefined;
  /** Messages that the bucket for all, or a target's, held back. */
  heldBackGlobal = 0;
  heldBackPeer = 0;

  constructor(sysctl: Sysctl) {
    this.#sysctl = sysctl;
    this.#credit = sysctl.icmpMsgsBurst;
  }

  /** May a message of this ICMP type go to `peer` now? Takes the tokens. */
  allow(type: number, peer: Ipv4Addr, now: Instant): boolean {
    if (((1 << type) & this.#sysctl.icmpRatemask) === 0) return true;
    if (!this.#allowPeer(peer, now)) {
      this.heldBackPeer++;
      return false;
    }
    if (!this.#allowGlobal(now)) {
      this.heldBackGlobal++;
      return false;
    }
    return true;
  }

  #allowPeer(peer: Ipv4Addr, now: Instant): boolean {
    const costUs = this.#sysctl.icmpRatelimitMs * MS_US;
    if (costUs === 0) return true;
    let bucket = this.#peers.get(peer | 0);
    if (bucket === undefined) {
      if (this.#peers.size >= PEERS) this.#forgetOldest();
      bucket = { tokensUs: PEER_BURST * costUs, last: now };
      this.#peers.set(peer | 0, bucket);
    }
    bucket.tokensUs = Math.min(bucket.tokensUs + now - bucket.last, PEER_BURST * costUs);
    bucket.last = now;
    if (bucket.tokensUs < costUs) return false;
    bucket.tokensUs -= costUs;
    return true;
  }

  #allowGlobal(now: Instant): boolean {
    this.#stamp ??= now;
    const perSec = this.#sysctl.icmpMsgsPerSec;
    const earned = Math.floor((Math.min(now - this.#stamp, SEC_US) * perSec) / SEC_US);
    if (earned > 0) {
      this.#credit = Math.min(this.#credit + earned, this.#sysctl.icmpMsgsBurst);
      this.#stamp = now;
    }
    if (this.#credit <= 0) return false;
    this.#credit--;
    return true;
  }

  #forgetOldest(): void {
    for (const key of this.#peers.keys()) {
      this.#peers.delete(key);
      return;
    }
  }
}
