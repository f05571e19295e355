// The policies of a file as the engine has them.
import { isDeepStrictEqual } from "node:util";
import type { DocPath, DocumentFaults } from "../../../io/document/problem.ts";
import { compileMatch } from "../../../routing/bgp/policy/match.ts";
import {
  ACCEPT_ALL,
  type Match,
  type Policy,
  type PolicyRule,
  REJECT_ALL,
  type Rewrite,
  type SourceMatch,
} from "../../../routing/bgp/policy/policy.ts";
import { compileRewrite } from "../../../routing/bgp/policy/rewrite.ts";
import {
  EXPRESSION_LENGTH_MAX,
  type MatchText,
  ORIGINS,
  type PolicyText,
  type SetText,
} from "./policy-schema.ts";

/** Policies that need no words. */
export const BUILT_IN: ReadonlyMap<string, Policy> = new Map([
  [ACCEPT_ALL.name, ACCEPT_ALL],
  [REJECT_ALL.name, REJECT_ALL],
]);

/**
 * @param isSource is it the name of a neighbour?
 * @param known policies to be kept where the file says the same
 */
export function resolvePolicies(
  texts: Readonly<Record<string, PolicyText>>,
  isSource: (name: string) => boolean,
  known: ReadonlyMap<string, Policy>,
  faults: DocumentFaults,
): Map<string, Policy> {
  const policies = new Map<string, Policy>();
  for (const [name, text] of Object.entries(texts)) {
    const path: DocPath = ["policies", name];
    if (BUILT_IN.has(name)) {
      faults.add(path, `"${name}" is there already: it is one of podloom's own`, "Give it another name.");
      continue;
    }
    const rules = text.rules.map((rule, i): PolicyRule => {
      const { match, set, action } = rule;
      const at = [...path, "rules", i];
      return {
        ...(rule.name === undefined ? {} : { name: rule.name }),
        ...(match === undefined ? {} : { match: resolveMatch(match, [...at, "match"], isSource, faults) }),
        ...(set === undefined ? {} : { set: resolveSet(set) }),
        action,
      };
    });
    const policy: Policy = { name, rules, default: text.default };
    const before = known.get(name);
    policies.set(name, isDeepStrictEqual(before, policy) ? (before as Policy) : policy);
  }
  return policies;
}

function resolveMatch(
  text: MatchText,
  path: DocPath,
  isSource: (name: string) => boolean,
  faults: DocumentFaults,
): Match {
  const { origin, source, ...same } = text;
  const match: Match = {
    ...same,
    ...(origin === undefined ? {} : { origin: origin.map((word) => ORIGINS.indexOf(word)) }),
    ...(source === undefined ? {} : { source: source.map(sourceOf) }),
  };
  for (const name of source ?? []) {
    if (typeof sourceOf(name) === "string" || isSource(name)) continue;
    faults.add(
      [...path, "source"],
      `there is no neighbor "${name}"`,
      "Write local, internal, external, rr-client, or the name of a neighbor.",
    );
  }
  const { asPath, asPathLength, med, localPref } = match;
  for (const [key, part] of Object.entries({ asPath, asPathLength, med, localPref })) {
    if (part === undefined) continue;
    const compiled = compileMatch({ [key]: part }, EXPRESSION_LENGTH_MAX);
    if (!compiled.ok) faults.add([...path, key], compiled.error, "Correct it.");
  }
  return match;
}

function sourceOf(name: string): SourceMatch {
  switch (name) {
    case "local":
    case "internal":
    case "external":
      return name;
    case "rr-client":
      return "rrClient";
    default:
      return { peer: name };
  }
}

function resolveSet(text: SetText): Rewrite {
  const { origin, ...same } = text;
  return { ...same, ...(origin === undefined ? {} : { origin: ORIGINS.indexOf(origin) }) };
}

/**
 * A policy may be right for one direction and wrong for the other: weight is for import, next hop self for export. Checked for those
 * directions in which somebody uses it.
 */
export function checkDirection(
  policy: Policy,
  direction: "import" | "export",
  usedBy: string,
  faults: DocumentFaults,
): void {
  for (const [i, { set }] of policy.rules.entries()) {
    const compiled = set === undefined ? undefined : compileRewrite(set, direction);
    if (compiled === undefined || compiled.ok) continue;
    faults.add(
      ["policies", policy.name, "rules", i, "set"],
      compiled.error,
      `It is the ${direction} policy of ${usedBy}: give that a policy of its own, or take this out.`,
    );
  }
}
