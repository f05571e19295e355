// BGPFilters as steps of a policy.
import { parseCidr, prefixOf } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { BGPFilter, BGPFilterRuleV4 } from "../resources.ts";
import { complement, exactly, inside, type NetMatch } from "./net-match.ts";
import type { PolicyStep } from "./policy-step.ts";

/** The rules of a filter for one direction, in order; the first that fits ends the policy. Refused: what is wrong with which rule. */
export function filterSteps(filter: BGPFilter, direction: "export" | "import"): Result<PolicyStep[], string> {
  const { name } = filter.metadata;
  const key = direction === "export" ? "exportV4" : "importV4";
  const steps: PolicyStep[] = [];
  for (const [i, rule] of (filter.spec[key] ?? []).entries()) {
    const step = ruleStep(rule, `BGPFilter ${name} ${key}[${i}]`);
    if (!step.ok) return step;
    steps.push(step.value);
  }
  return ok(steps);
}

function ruleStep(rule: BGPFilterRuleV4, name: string): Result<PolicyStep, string> {
  const nets = netsOf(rule);
  if (!nets.ok) return err(`${name}: ${nets.error}`);
  return ok({
    name,
    ...(nets.value === undefined ? {} : { nets: nets.value }),
    ...(rule.source === "RemotePeers" ? { from: ["internal", "external"] } : {}),
    ...(rule.interface === undefined ? {} : { interface: rule.interface }),
    action: rule.action === "Accept" ? "accept" : "reject",
  });
}

function netsOf({
  cidr,
  matchOperator,
  prefixLength,
}: BGPFilterRuleV4): Result<NetMatch[] | undefined, string> {
  const { min, max = 32 } = prefixLength ?? {};
  if (cidr === undefined) {
    if (matchOperator !== undefined) return err("matchOperator needs a cidr; add one, or take it out");
    if (prefixLength === undefined) return ok(undefined);
    return ok([{ prefix: { addr: 0, len: 0 }, lenMin: min ?? 0, lenMax: max }]);
  }
  const parsed = parseCidr(cidr);
  if (!parsed.ok) return err(`cidr: ${parsed.error}`);
  const prefix = prefixOf(parsed.value.addr, parsed.value.len);
  const within =
    prefixLength === undefined
      ? inside(prefix)
      : { prefix, lenMin: Math.max(min ?? prefix.len, prefix.len), lenMax: max };
  if (within.lenMin > within.lenMax)
    return err(`prefixLength ${min ?? 0}..${max} holds no length; correct it`);
  switch (matchOperator) {
    case "In":
      return ok([within]);
    case "NotIn":
      return ok(complement(within));
    case "Equal":
      return ok([exactly(prefix)]);
    case "NotEqual":
      return ok(complement(exactly(prefix)));
    default:
      return err("cidr needs a matchOperator: In, NotIn, Equal or NotEqual");
  }
}
