// Attributes as neighbours are told them, each set of octets once: what is told to two groups is encoded once, and two routes are
// told alike exactly if they have the same object.
import { type AttributeContext, emitAttributes } from "../../../wire/bgp/attributes/emit-attributes.ts";
import { attributesKey } from "../../../wire/bgp/attributes/path-attributes.ts";
import { Family } from "../../../wire/bgp/family.ts";
import { HEADER_LEN } from "../../../wire/bgp/header.ts";
import { emitNextHop, type NextHop, nextHopLen } from "../../../wire/bgp/next-hop.ts";
import { OctetWriter } from "../../../wire/bgp/octets.ts";
import type { RouteAttributes } from "./route.ts";

/** Octets of an UPDATE without anything in it. */
const EMPTY_UPDATE = HEADER_LEN + 4;

/** Of MP_REACH_NLRI with one prefix: flags, type and length, AFI and SAFI, the length of the next hop, a reserved octet. */
const MP_REACH_FIXED = 3 + 3 + 1 + 1;

/** What the routes of an UPDATE say, as octets and as values. Immutable. */
export class OutAttributes {
  readonly route: RouteAttributes;
  /** As `emitAttributes` wrote them. */
  readonly block: Uint8Array;
  /** Undefined: the routes travel in the NLRI field, and NEXT_HOP is in the block. */
  readonly mpNextHop: NextHop | undefined;

  constructor(route: RouteAttributes, block: Uint8Array, mpNextHop: NextHop | undefined) {
    this.route = route;
    this.block = block;
    this.mpNextHop = mpNextHop;
  }

  /** Do they leave room for a prefix that takes `octets` in a message of `maxBytes`? @rfc 8654#4 */
  fits(octets: number, maxBytes: number): boolean {
    const room = maxBytes - EMPTY_UPDATE - this.block.length;
    if (this.mpNextHop === undefined) return octets <= room;
    return MP_REACH_FIXED + nextHopLen(this.mpNextHop) + octets <= room;
  }
}

/** With fewer entries than this nobody looks for dead ones. */
const SWEEP_MIN = 1024;

/** Interns {@link OutAttributes} of one encoding. What nobody is told any more is forgotten. */
export class OutAttributesStore {
  readonly #ctx: AttributeContext;
  /** Weak, because who is told what is known in many places, and nobody should have to count them. */
  readonly #byOctets = new Map<string, WeakRef<OutAttributes>>();
  #sweepAt = SWEEP_MIN;

  constructor(ctx: AttributeContext) {
    this.#ctx = ctx;
  }

  intern(route: RouteAttributes, family: Family): OutAttributes {
    const { nextHop } = route;
    const mpNextHop = family === Family.IPV4_UNICAST && typeof nextHop === "number" ? undefined : nextHop;
    const block = emitAttributes(route.attributes, this.#ctx);
    const key = attributesKey(block) + (mpNextHop === undefined ? "" : `|${nextHopKey(mpNextHop)}`);
    const known = this.#byOctets.get(key)?.deref();
    if (known !== undefined) return known;
    const made = new OutAttributes(route, block, mpNextHop);
    this.#byOctets.set(key, new WeakRef(made));
    if (this.#byOctets.size >= this.#sweepAt) this.#sweep();
    return made;
  }

  #sweep(): void {
    for (const [key, ref] of this.#byOctets) if (ref.deref() === undefined) this.#byOctets.delete(key);
    this.#sweepAt = Math.max(SWEEP_MIN, 2 * this.#byOctets.size);
  }
}

function nextHopKey(nextHop: NextHop): string {
  const out = new OctetWriter(32);
  emitNextHop(out, nextHop);
  return attributesKey(out.take());
}
