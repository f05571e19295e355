// The sessions that units make, and which of several for one address is to be had.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import type { PeerChange } from "./bgp-peers.ts";
import { type DesiredPeer, sameDesiredPeer } from "./desired-peer.ts";

export type UnitReason = "mesh" | "direct" | "reverse";

interface Unit {
  /** Reason, rule and node: what orders units for one address. */
  readonly id: string;
  readonly rule: string;
  readonly node: string;
  readonly rank: number;
  readonly peer: DesiredPeer;
  readonly key: string;
}

export class PeerUnits {
  /** How many sessions have been derived. */
  built = 0;
  readonly #units = new Map<string, Unit>();
  readonly #byRule = new Map<string, Set<Unit>>();
  readonly #byNode = new Map<string, Set<Unit>>();
  readonly #byKey = new Map<string, Set<Unit>>();
  readonly #chosen = new Map<string, DesiredPeer>();
  readonly #touched = new Set<string>();

  /** @param rule "" for the mesh @param node "" where the peer is an address */
  put(reason: UnitReason, rule: string, node: string, peer: DesiredPeer | undefined): void {
    const id = `${reason}/${rule}/${node}`;
    const old = this.#units.get(id);
    if (old !== undefined) this.#drop(old);
    if (peer === undefined) return;
    this.built++;
    const key = `${formatIpv4(peer.addr)}:${peer.port}`;
    const unit: Unit = { id, rule, node, rank: rankOf(reason, peer), peer, key };
    this.#units.set(id, unit);
    addTo(this.#byRule, rule, unit);
    addTo(this.#byNode, node, unit);
    addTo(this.#byKey, key, unit);
    this.#touched.add(key);
  }

  dropRule(rule: string): void {
    for (const unit of this.#byRule.get(rule) ?? []) this.#drop(unit);
  }

  dropNode(node: string): void {
    for (const unit of this.#byNode.get(node) ?? []) this.#drop(unit);
  }

  clear(): void {
    for (const unit of this.#units.values()) this.#drop(unit);
  }

  takeChanges(): PeerChange[] {
    const changes: PeerChange[] = [];
    for (const key of this.#touched) {
      const peer = this.#choose(key);
      if (sameDesiredPeer(peer, this.#chosen.get(key))) continue;
      if (peer === undefined) this.#chosen.delete(key);
      else this.#chosen.set(key, peer);
      changes.push({ key, peer });
    }
    this.#touched.clear();
    return changes;
  }

  dump(): ReadonlyMap<string, DesiredPeer> {
    return this.#chosen;
  }

  #choose(key: string): DesiredPeer | undefined {
    let best: Unit | undefined;
    for (const unit of this.#byKey.get(key) ?? []) {
      if (best === undefined || unit.rank < best.rank || (unit.rank === best.rank && unit.id < best.id)) {
        best = unit;
      }
    }
    return best?.peer;
  }

  #drop(unit: Unit): void {
    this.#units.delete(unit.id);
    delFrom(this.#byRule, unit.rule, unit);
    delFrom(this.#byNode, unit.node, unit);
    delFrom(this.#byKey, unit.key, unit);
    this.#touched.add(unit.key);
  }
}

/**
 * Global ones suppress equal node-specific ones, and what somebody wrote down goes before the mesh: there can be one session with an
 * address.
 */
function rankOf(reason: UnitReason, { type }: DesiredPeer): number {
  if (type === "global") return 0;
  return reason === "direct" ? 1 : reason === "reverse" ? 2 : 3;
}

function addTo(map: Map<string, Set<Unit>>, key: string, unit: Unit): void {
  const units = map.get(key);
  if (units === undefined) map.set(key, new Set([unit]));
  else units.add(unit);
}

function delFrom(map: Map<string, Set<Unit>>, key: string, unit: Unit): void {
  const units = map.get(key);
  units?.delete(unit);
  if (units?.size === 0) map.delete(key);
}
