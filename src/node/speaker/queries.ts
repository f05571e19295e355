// What can be asked of a running speaker: neighbours by name, rows one after the other, why a route is as it is.
import { formatIpv4, parseIpv4 } from "../../base/ipv4-addr.ts";
import { nearestWord } from "../../base/nearest-word.ts";
import type { Instant } from "../../base/time.ts";
import type { BgpExplanation } from "../../io/ipc/speaker-protocol.ts";
import { PodloomError } from "../../io/podloom-error.ts";
import { parseRibAddress, parseRibPrefix, shortened } from "../../routing/bgp/rib/prefix-text.ts";
import type { Destination, RibPrefix } from "../../routing/bgp/rib/route.ts";
import {
  type BgpPeerRow,
  type BgpRouteRow,
  byPrefix,
  eachRibInRow,
  eachRibOutRow,
  formatRibPrefix,
  peerRows,
  routeRows,
} from "../../routing/bgp/speaker/inspect.ts";
import type { Neighbor } from "../../routing/bgp/speaker/neighbor.ts";
import type { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import { Family } from "../../wire/bgp/family.ts";

const FAMILIES = [Family.IPV4_UNICAST, Family.IPV6_UNICAST] as const;

export class SpeakerQueries {
  readonly #speaker: BgpSpeaker;
  readonly #now: () => Instant;

  constructor(speaker: BgpSpeaker, now: () => Instant) {
    this.#speaker = speaker;
    this.#now = now;
  }

  /** Undefined: there is none of that name or address. */
  lookup(nameOrAddress: string): Neighbor | undefined {
    const addr = parseIpv4(nameOrAddress);
    const byAddress = addr === undefined ? undefined : this.#speaker.neighbors.lookup(addr);
    if (byAddress !== undefined) return byAddress;
    return this.#speaker.neighbors.dump().find(({ neighbor }) => neighbor.name === nameOrAddress)?.neighbor;
  }

  /** @throws PodloomError PL_BGP_NEIGHBOR */
  neighbor(nameOrAddress: string): Neighbor {
    const found = this.lookup(nameOrAddress);
    if (found !== undefined) return found;
    const names = this.#speaker.neighbors.dump().map(({ neighbor }) => neighbor.name);
    const near = nearestWord(nameOrAddress, names);
    const list =
      names.length === 0 ? "There is none at present." : `There are: ${names.slice(0, 20).join(", ")}.`;
    throw new PodloomError("PL_BGP_NEIGHBOR", `there is no neighbor "${nameOrAddress}"`, {
      remedy: near === undefined ? list : `Did you mean "${near}"?`,
    });
  }

  peers(): BgpPeerRow[] {
    return peerRows(this.#speaker, this.#now());
  }

  /** Rows are made as they are asked for, of what is there by then. */
  *routes(only?: RibPrefix, longest = false): Generator<BgpRouteRow, void, void> {
    if (only !== undefined) {
      const dest = longest ? this.#longest(only, true) : only;
      if (dest !== undefined) yield* routeRows(this.#speaker, this.#now(), dest);
      return;
    }
    for (const family of FAMILIES) {
      const destinations = [...this.#speaker.rib.destinations(family)].sort(byPrefix);
      for (const dest of destinations) yield* routeRows(this.#speaker, this.#now(), dest);
    }
  }

  ribIn(neighbor: Neighbor): Iterable<BgpRouteRow> {
    return eachRibInRow(this.#speaker, neighbor, this.#now());
  }

  ribOut(neighbor: Neighbor): Iterable<BgpRouteRow> {
    return eachRibOutRow(this.#speaker, neighbor, this.#now());
  }

  /** @throws PodloomError PL_BGP_ROUTE when there is no route, PL_BGP_NEIGHBOR, PL_IPC_BAD_ARGS */
  explain(text: string, nameOrAddress: string | undefined): BgpExplanation {
    const { rib, out, neighbors } = this.#speaker;
    const only = nameOrAddress === undefined ? undefined : this.neighbor(nameOrAddress);
    const address = parseRibAddress(text);
    const dest =
      address === undefined
        ? rib.lookup(parsePrefixArgument(text))
        : (this.#longest(address, true) ?? this.#longest(address, false));
    if (dest === undefined) {
      throw new PodloomError("PL_BGP_ROUTE", `nobody has told a route to ${text}`, {
        remedy:
          "`podloom get bgp routes` lists what there is; a prefix must be written with its very length.",
      });
    }
    const all = neighbors.dump().map(({ neighbor }) => neighbor);
    const heard = only === undefined ? all.filter((one) => one.negotiated !== undefined) : [only];
    const told = heard.map((neighbor) => ({
      neighbor: neighbor.name,
      addr: formatIpv4(neighbor.addr),
      why:
        neighbor.negotiated === undefined
          ? "there is no session with it"
          : out.explain(neighbor.ribPeer, dest),
    }));
    const paths = routeRows(this.#speaker, this.#now(), dest);
    return { prefix: formatRibPrefix(dest), paths, told };
  }

  /** The longest prefix that contains `asked`. @param chosen one that something was chosen for */
  #longest(asked: RibPrefix, chosen: boolean): Destination | undefined {
    for (let len = asked.len; len >= 0; len--) {
      const dest = this.#speaker.rib.lookup(shortened(asked, len));
      if (dest !== undefined && (!chosen || dest.best !== undefined)) return dest;
    }
    return undefined;
  }
}

/** @throws PodloomError PL_IPC_BAD_ARGS */
export function parsePrefixArgument(text: string): RibPrefix {
  const prefix = parseRibPrefix(text);
  if (prefix.ok) return prefix.value;
  throw new PodloomError("PL_IPC_BAD_ARGS", `"${text}" must ${prefix.error}`, {
    remedy: "Write a prefix like 10.244.1.0/24 or fd00::/64.",
  });
}
