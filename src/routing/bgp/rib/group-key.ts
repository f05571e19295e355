import { formatPrefix } from "../../../base/ipv4-addr.ts";
import { Family } from "../../../wire/bgp/family.ts";
import { formatIpv6 } from "../../../wire/bgp/ipv6-addr.ts";
import type { CompiledPolicy } from "../policy/policy.ts";
import type { ExportTarget } from "./export-route.ts";
import type { OutSession } from "./out-session.ts";

/** Says which members are told the same, octet for octet, apart from their own routes: those with equal keys. */
export class GroupKeys {
  readonly #policies = new WeakMap<CompiledPolicy, number>();
  #lastPolicy = 0;

  keyOf({ member, config }: OutSession, to: ExportTarget, family: Family): string {
    const { negotiated } = member;
    const { checkPeerAs, localAs, localAddr6, sharedSubnet } = config;
    const role = to.internal
      ? `internal ${to.rrClient ? "client" : "peer"} of ${to.clusterId}`
      : `external ${checkPeerAs ? to.peerAs : "any"} from ${localAs}`;
    const addPath = negotiated.addPathTx.includes(family);
    const wide = family === Family.IPV6_UNICAST;
    return [
      family,
      role,
      this.#policyOf(config.policy),
      config.nextHop,
      config.localAddr,
      wide && localAddr6 !== undefined ? formatIpv6(localAddr6) : "",
      sharedSubnet === undefined ? "" : formatPrefix(sharedSubnet),
      config.mraiSec,
      negotiated.as4,
      negotiated.txMaxBytes,
      addPath ? config.addPathMax : "",
      negotiated.extNextHop.includes(family),
    ].join("|");
  }

  #policyOf(policy: CompiledPolicy): number {
    let id = this.#policies.get(policy);
    if (id === undefined) this.#policies.set(policy, (id = ++this.#lastPolicy));
    return id;
  }
}
