import { ok, type Result } from "../../../base/result.ts";
import { compilePolicy } from "../policy/compile-policy.ts";
import type { CompiledPolicy, Policy } from "../policy/policy.ts";
import type { NeighborPolicies } from "./neighbor.ts";
import type { NeighborRoutes } from "./speaker-config.ts";

/** Compiles each policy once, so that neighbours which share one share its compiled form, and form an update group. */
export class PolicyCache {
  readonly #import = new WeakMap<Policy, CompiledPolicy>();
  readonly #export = new WeakMap<Policy, CompiledPolicy>();

  /** Refused: what is wrong with one of the two. */
  of(routes: NeighborRoutes): Result<NeighborPolicies, string> {
    const importPolicy = compileOnce(this.#import, routes.importPolicy, "import");
    if (!importPolicy.ok) return importPolicy;
    const exportPolicy = compileOnce(this.#export, routes.exportPolicy, "export");
    if (!exportPolicy.ok) return exportPolicy;
    return ok({ importPolicy: importPolicy.value, exportPolicy: exportPolicy.value });
  }
}

function compileOnce(
  cache: WeakMap<Policy, CompiledPolicy>,
  policy: Policy,
  direction: "import" | "export",
): Result<CompiledPolicy, string> {
  const known = cache.get(policy);
  if (known !== undefined) return ok(known);
  const compiled = compilePolicy(policy, direction);
  if (compiled.ok) cache.set(policy, compiled.value);
  return compiled;
}
