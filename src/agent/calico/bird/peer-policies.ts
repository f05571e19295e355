import type { BgpPolicies, PeerClass } from "../../../control/calico/calc/bgp-policy.ts";
import type { PolicyDescription } from "../../../control/calico/calc/policy-step.ts";
import type { Policy } from "../../../routing/bgp/policy/policy.ts";
import { speakerPolicy } from "./speaker-policy.ts";

interface Made {
  readonly policy: Policy;
  /** The description that it was made of, to tell whether another one says something else. */
  readonly text: string;
}

/** Import and export policies by class of peers: one object for all that say the same, as long as they say it. */
export class PeerPolicies {
  readonly #policies: BgpPolicies;
  readonly #nic: string;
  readonly #made = new Map<string, Made>();
  /** Made since the last {@link refresh}. */
  readonly #fresh = new Set<string>();

  constructor(policies: BgpPolicies, nic: string) {
    this.#policies = policies;
    this.#nic = nic;
  }

  /** What policies are made of has changed. */
  refresh(): void {
    this.#fresh.clear();
  }

  exportPolicy(peers: PeerClass): Policy {
    return this.#policy(`export ${classText(peers)}`, () => this.#policies.exportPolicy(peers));
  }

  importPolicy(peers: PeerClass): Policy {
    return this.#policy(`import ${classText(peers)}`, () => this.#policies.importPolicy(peers));
  }

  #policy(key: string, describe: () => PolicyDescription): Policy {
    const known = this.#made.get(key);
    if (known !== undefined && this.#fresh.has(key)) return known.policy;
    this.#fresh.add(key);
    const description = describe();
    const text = JSON.stringify(description);
    if (known?.text === text) return known.policy;
    const policy = speakerPolicy(description, this.#nic);
    this.#made.set(key, { policy, text });
    return policy;
  }
}

function classText({ internal, filters }: PeerClass): string {
  return `${internal ? "internal" : "external"} ${filters.join(",")}`;
}
