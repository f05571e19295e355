import type { AttributeCache } from "../../../wire/bgp/attributes/parse-attributes.ts";
import type { PathAttributes } from "../../../wire/bgp/attributes/path-attributes.ts";

/** Entries of a generation: of a table in bulk, neighbouring messages repeat, distant ones seldom do. */
const GENERATION = 256;

/** Attribute blocks that one session has read of late, in two generations, so that its size is bounded. */
export class RecentAttributes implements AttributeCache {
  #young = new Map<string, PathAttributes>();
  #old = new Map<string, PathAttributes>();

  get(key: string): PathAttributes | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, attributes: PathAttributes): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, attributes);
  }
}
