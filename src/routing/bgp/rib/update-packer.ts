import { assert } from "../../../base/assert.ts";
import { emitReachableOnce, emitWithdrawnOnce, type UpdateContext } from "../../../wire/bgp/emit-update.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { OctetWriter } from "../../../wire/bgp/octets.ts";
import { PrefixBuffer } from "../../../wire/bgp/prefix-list.ts";
import type { OutEncoding } from "./adj-rib-out.ts";
import type { OutAttributes } from "./out-attributes.ts";
import type { OutEntry } from "./out-table.ts";

/** Octets after which what has been written is sent off. */
export const CHUNK_BYTES = 60 * 1024;

/** Octets of the shortest prefix that there are many of: /16 of IPv4. */
const SHORT_PREFIX = 3;

/** Writes UPDATEs about entries of one group. @rfc 4271#9.2 */
export class UpdatePacker {
  /** So many prefixes fill any message, as a rule. */
  readonly prefixesPerMessage: number;
  readonly #ctx: UpdateContext;
  readonly #list: PrefixBuffer;
  readonly #ipv4: boolean;

  constructor({ family, addPath, txMaxBytes }: OutEncoding) {
    this.prefixesPerMessage = Math.ceil(txMaxBytes / SHORT_PREFIX);
    this.#ctx = { addPathTx: addPath ? [family] : [], txMaxBytes };
    this.#list = new PrefixBuffer(family, 256);
    this.#ipv4 = family === Family.IPV4_UNICAST;
  }

  /** The entries that messages are about from now on. */
  load(entries: readonly OutEntry[]): void {
    const list = this.#list;
    list.clear();
    for (let i = 0; i < entries.length; i++) {
      const { dest, pathId } = entries[i] as OutEntry;
      if (this.#ipv4) list.addIpv4(dest.a, dest.len, pathId);
      else list.addIpv6(dest, pathId);
    }
  }

  /**
   * Appends one UPDATE, as full as can be, about the loaded entries from `from` on, and returns the index of the first that is
   * not in it.
   *
   * @param attrs undefined: they are withdrawn
   */
  emitOnce(out: OctetWriter, attrs: OutAttributes | undefined, from: number): number {
    const to =
      attrs === undefined
        ? emitWithdrawnOnce(out, this.#ctx, this.#list, from)
        : emitReachableOnce(out, this.#ctx, attrs.block, this.#list, from, attrs.mpNextHop);
    assert(to > from, "what does not fit is not told");
    return to;
  }
}
