// Calico's policies, as the speaker asks them.
import type { NetMatch } from "../../../control/calico/calc/net-match.ts";
import type { PolicyDescription, PolicyStep } from "../../../control/calico/calc/policy-step.ts";
import {
  ACCEPT_ALL,
  type Match,
  type Policy,
  type PolicyRule,
  type PrefixMatch,
  type Rewrite,
} from "../../../routing/bgp/policy/policy.ts";
import { Family } from "../../../wire/bgp/family.ts";

/** @param nic where everything that was learnt from peers leaves; own routes leave through none that a filter could name */
export function speakerPolicy({ name, steps, default: fallback }: PolicyDescription, nic: string): Policy {
  if (steps.length === 0 && fallback === "accept") return ACCEPT_ALL;
  return { name, rules: steps.map((step) => ruleOf(step, nic)), default: fallback };
}

function ruleOf(step: PolicyStep, nic: string): PolicyRule {
  const { name, action, set } = step;
  return {
    name,
    match: matchOf(step, nic),
    ...(set === undefined ? {} : { set: rewriteOf(set) }),
    action,
  };
}

function matchOf({ nets, from, localPrefMin, interface: pattern }: PolicyStep, nic: string): Match {
  const source = pattern === undefined ? from : sourcesThrough(pattern, from, nic);
  return {
    ...(nets === undefined ? {} : { prefixes: nets.map(prefixMatch) }),
    ...(source === undefined ? {} : { source }),
    ...(localPrefMin === undefined ? {} : { localPref: { min: localPrefMin } }),
  };
}

/** What leaves through the NIC comes from peers. */
function sourcesThrough(pattern: string, from: PolicyStep["from"], nic: string): PolicyStep["from"] {
  if (!fits(pattern, nic)) return [];
  return (from ?? ["internal", "external"]).filter((one) => one !== "local");
}

function fits(pattern: string, name: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return name === pattern;
  if (!name.startsWith(head)) return false;
  const tail = rest.pop() as string;
  let at = head.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - tail.length >= at && name.endsWith(tail);
}

function prefixMatch({ prefix, lenMin, lenMax }: NetMatch): PrefixMatch {
  return { family: Family.IPV4_UNICAST, prefix, lenMin, lenMax };
}

/** BIRD's preference goes before everything else in the choice, as a weight does. */
function rewriteOf(set: NonNullable<PolicyStep["set"]>): Rewrite {
  const { localPref, preference, communities = [], largeCommunities = [] } = set;
  return {
    ...(localPref === undefined ? {} : { localPref }),
    ...(preference === undefined ? {} : { weight: preference }),
    ...(communities.length === 0 ? {} : { communities: { add: communities } }),
    ...(largeCommunities.length === 0 ? {} : { largeCommunities: { add: largeCommunities } }),
  };
}
