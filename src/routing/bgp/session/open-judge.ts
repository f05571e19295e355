import { err, ok, type Result } from "../../../base/result.ts";
import { type Capability, emitCapabilities } from "../../../wire/bgp/capabilities.ts";
import { type BgpError, ErrorCode, OpenError, resetError } from "../../../wire/bgp/errors.ts";
import { type Negotiated, negotiate } from "../../../wire/bgp/negotiated.ts";
import { checkOpen, type OpenMessage, parseOpen } from "../../../wire/bgp/open.ts";
import type { PeerConfig } from "./peer-config.ts";

/** An OPEN that was found good. */
export interface AcceptedOpen {
  readonly open: OpenMessage;
  readonly negotiated: Negotiated;
  /** What was ignored in it, in sentences. */
  readonly warnings: readonly string[];
}

/**
 * Reads the neighbour's OPEN, holds it against the configuration and settles the session with our own, `sent` or about to be.
 * @rfc 4271#6.2 @rfc 5492#3
 */
export function judgeOpen(
  config: PeerConfig,
  sent: OpenMessage,
  message: Uint8Array,
): Result<AcceptedOpen, BgpError> {
  const parsed = parseOpen(message);
  if (!parsed.ok) return parsed;
  const { open, warnings } = parsed.value;
  const error = checkOpen(open, {
    localAs: config.localAs,
    peerAs: config.peerAs,
    localBgpId: config.routerId,
    holdTimeMinSec: config.holdTimeMinSec,
    required: config.requiredCapabilities,
  });
  if (error !== undefined) return err(error);
  const negotiated = negotiate(sent, open, config.rules);
  if (negotiated.families.length === 0) return err(nothingInCommon(config));
  return ok({ open, negotiated, warnings });
}

/** A session without a family could carry nothing; the peer is told which ones we speak. @rfc 5492#5 */
function nothingInCommon(config: PeerConfig): BgpError {
  const wanted: Capability[] = config.families.map(({ family }) => ({ t: "multiprotocol", family }));
  return resetError(
    ErrorCode.OPEN,
    OpenError.UNSUPPORTED_CAPABILITY,
    "5492#5",
    "there is no address family that both sides speak",
    emitCapabilities(wanted),
  );
}
