import { CeaseError, ErrorCode } from "../../../wire/bgp/errors.ts";
import type { BgpPeerRow } from "./inspect.ts";

/** Has the prefix limit shut it down, until somebody starts it again? */
function limited({ state, backOffSec, fault }: BgpPeerRow): boolean {
  return (
    state === "Idle" &&
    backOffSec === undefined &&
    fault?.by === "us" &&
    fault.code === ErrorCode.CEASE &&
    fault.subcode === CeaseError.MAX_PREFIXES
  );
}

/** As BIRD sees a protocol as a whole. */
export function protocolState(peer: BgpPeerRow): "up" | "start" | "down" {
  if (!peer.enabled || limited(peer)) return "down";
  return peer.state === "Established" ? "up" : "start";
}

/** BIRD's name for the state of the session: one that only waits to be called is Passive. */
export function stateWord(peer: BgpPeerRow): string {
  if (protocolState(peer) === "down") return "Down";
  return peer.passive && peer.state === "Active" ? "Passive" : peer.state;
}
