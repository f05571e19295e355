// Two connections to one neighbour, of which one must go. Read RFC 4271 section 6.8 first, then RFC 6286 section 2.3.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { BgpState } from "./fsm-types.ts";

/** Who the two speakers are. */
export interface Speakers {
  readonly localBgpId: Ipv4Addr;
  readonly localAs: number;
  readonly peerBgpId: Ipv4Addr;
  readonly peerAs: number;
}

/** The other connection, when an acceptable OPEN has come on this one. */
export interface Rival {
  readonly state: BgpState;
  /** Had this connection come up before the other was Established? Then they collide; else it is a second session. */
  readonly contemporary: boolean;
  /** May a call of the neighbour replace it, because the session can be restarted gracefully? @rfc 4724#5 */
  readonly replaceable: boolean;
}

/**
 * What happens: both go on; the other is given up, with a word (`dropOther`) or as if TCP had been lost (`replaceOther`); or this one
 * is (`dropThis`).
 */
export type Verdict = "both" | "dropOther" | "replaceOther" | "dropThis";

/**
 * Decides for a connection, `incoming` or not, whose OPEN has just been found good.
 *
 * Where connections that came up together meet one that is Established already, the dominant speaker's still is the better one. But
 * most speakers hold that whatever is Established stays, and so close this one when our OPEN reaches them; if we gave up the other
 * meanwhile, both would be lost. So both go on until the neighbour closes one, or says by a KEEPALIVE that it keeps this one.
 *
 * Two speakers of this code always keep the same connection, whatever the order in which things reach them: a connection is
 * given up only once OPENs have come on both, which the other side then has sent on both, and who is dominant does not depend on
 * time. A connection that is only being dialled gives way at once: no OPEN was sent on it, so the other side cannot have
 * preferred it. The one exception, the second session, does not speak first (see {@link BgpPeer}), so that it cannot have been preferred
 * either.
 */
export function resolveCollision(incoming: boolean, speakers: Speakers, other: Rival): Verdict {
  switch (other.state) {
    case "Idle":
    case "Connect":
    case "Active":
      return "dropOther";
    case "OpenSent":
      return "both";
    case "OpenConfirm":
      return remoteDominates(speakers) === incoming ? "dropOther" : "dropThis";
    case "Established":
      if (other.contemporary) return remoteDominates(speakers) === incoming ? "both" : "dropThis";
      return incoming && other.replaceable ? "replaceOther" : "dropThis";
  }
}

/** The higher identifier dominates; of equal ones, which only external neighbours have, the higher AS. @rfc 6286#2.3 */
function remoteDominates({ localBgpId, localAs, peerBgpId, peerAs }: Speakers): boolean {
  return peerBgpId > localBgpId || (peerBgpId === localBgpId && peerAs > localAs);
}
