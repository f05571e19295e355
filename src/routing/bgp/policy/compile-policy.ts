import { err, ok, type Result } from "../../../base/result.ts";
import type { RibPeer, RibPeerConfig } from "../rib/rib-peer.ts";
import type { RouteAttributes } from "../rib/route.ts";
import { type CompiledMatch, compileMatch, MATCH_ALL } from "./match.ts";
import type { CompiledPolicy, Policy, PolicyInput, PolicyRule, PolicyVerdict } from "./policy.ts";
import { PrefixIndex, type RuleList } from "./prefix-index.ts";
import { inRange } from "./prefix-match.ts";
import { compileRewrite, type Rewriter } from "./rewrite.ts";

/** How large a policy may be. */
export interface PolicyLimits {
  readonly rules: number;
  /** Prefixes of all its rules. */
  readonly prefixes: number;
  /** Characters of an AS path expression. */
  readonly expressionLength: number;
}

export const DEFAULT_POLICY_LIMITS: PolicyLimits = {
  rules: 10_000,
  prefixes: 500_000,
  expressionLength: 1000,
};

/**
 * Makes a policy ready to be asked. Refused: a sentence that names the policy, the rule and what is wrong with it.
 *
 * @rfc 4271#9.1.1 @rfc 4271#9.1.3
 */
export function compilePolicy(
  policy: Policy,
  direction: "import" | "export",
  limits = DEFAULT_POLICY_LIMITS,
): Result<CompiledPolicy, string> {
  const place = `policy "${policy.name}"`;
  const { rules } = policy;
  if (rules.length > limits.rules) {
    return err(`${place}: it has ${rules.length} rules, ${limits.rules} are allowed`);
  }
  const prefixes = rules.reduce((sum, { match }) => sum + (match?.prefixes?.length ?? 0), 0);
  if (prefixes > limits.prefixes) {
    return err(`${place}: it names ${prefixes} prefixes, ${limits.prefixes} are allowed`);
  }
  const compiled: CompiledRule[] = [];
  for (const [i, rule] of rules.entries()) {
    const one = compileRule(rule, `rule ${i + 1}`, direction, limits);
    if (!one.ok) return err(`${place}, ${nameAt(rule, i)}: ${one.error}`);
    compiled.push(one.value);
  }
  return ok(new RulePolicy(policy, direction, compiled));
}

/** For errors: the name and, as names need not be unique, the place. */
function nameAt(rule: PolicyRule, i: number): string {
  return rule.name === undefined ? `rule ${i + 1}` : `rule ${i + 1} ("${rule.name}")`;
}

interface CompiledRule {
  readonly name: string;
  readonly match: CompiledMatch;
  readonly rewriter: Rewriter | undefined;
  readonly action: PolicyRule["action"];
}

function compileRule(
  rule: PolicyRule,
  fallbackName: string,
  direction: "import" | "export",
  limits: PolicyLimits,
): Result<CompiledRule, string> {
  const match = rule.match === undefined ? ok(MATCH_ALL) : compileMatch(rule.match, limits.expressionLength);
  if (!match.ok) return match;
  const rewriter = rule.set === undefined ? ok(undefined) : compileRewrite(rule.set, direction);
  if (!rewriter.ok) return rewriter;
  const { name = fallbackName, action } = rule;
  return ok({ name, match: match.value, rewriter: rewriter.value, action });
}

class RulePolicy implements CompiledPolicy {
  readonly policy: Policy;
  readonly direction: "import" | "export";
  readonly #rules: readonly CompiledRule[];
  readonly #index: PrefixIndex;
  /** The last answer and what it was given to: the routes of an UPDATE come one after the other, and share it. */
  #lastRoute: RouteAttributes | undefined;
  #lastSource: RibPeer | undefined;
  #lastConfig: RibPeerConfig | undefined;
  #lastRules: RuleList | undefined;
  #lastFamily = 0;
  #lastAnswer: RouteAttributes | undefined;

  constructor(policy: Policy, direction: "import" | "export", rules: readonly CompiledRule[]) {
    this.policy = policy;
    this.direction = direction;
    this.#rules = rules;
    this.#index = new PrefixIndex(rules.map((rule) => rule.match.prefixes));
  }

  evaluate({ prefix, route, source }: PolicyInput): RouteAttributes | undefined {
    const rules = this.#index.lookup(prefix);
    if (
      route === this.#lastRoute &&
      rules === this.#lastRules &&
      source === this.#lastSource &&
      source.config === this.#lastConfig &&
      prefix.family === this.#lastFamily
    ) {
      return this.#lastAnswer;
    }
    const answer = this.#decide(rules, prefix.family, route, source);
    this.#lastRoute = route;
    this.#lastRules = rules;
    this.#lastSource = source;
    this.#lastConfig = source.config;
    this.#lastFamily = prefix.family;
    this.#lastAnswer = answer;
    return answer;
  }

  explain({ prefix, route, source }: PolicyInput): PolicyVerdict {
    let now = route;
    for (const rule of this.#rules) {
      const { prefixes } = rule.match;
      if (prefixes !== undefined && !prefixes.some((range) => inRange(range, prefix))) continue;
      if (!holds(rule, now, source)) continue;
      if (rule.action !== "next") return { action: rule.action, rule: rule.name };
      now = rule.rewriter?.apply(now, prefix.family, source.local) ?? now;
    }
    return { action: this.policy.default, rule: undefined };
  }

  /** @param rules those that the prefix does not rule out */
  #decide(
    rules: RuleList,
    family: number,
    route: RouteAttributes,
    source: RibPeer,
  ): RouteAttributes | undefined {
    for (let i = 0; i < rules.length; i++) {
      const rule = this.#rules[rules[i] as number] as CompiledRule;
      if (!holds(rule, route, source)) continue;
      if (rule.action === "reject") return undefined;
      if (rule.rewriter !== undefined) route = rule.rewriter.apply(route, family, source.local);
      if (rule.action === "accept") return route;
    }
    return this.policy.default === "accept" ? route : undefined;
  }
}

/** Does everything but the prefix fit? */
function holds(rule: CompiledRule, route: RouteAttributes, source: RibPeer): boolean {
  const { tests } = rule.match;
  for (let i = 0; i < tests.length; i++)
    if (!(tests[i] as CompiledMatch["tests"][number])(route, source)) return false;
  return true;
}
