// `npm run fuzz`. A room that parses what strangers send adds its targets to the list below.
import { describe, expect, test } from "vitest";
import { controlTargets } from "./control-targets.ts";
import { fuzz, optionsFrom } from "./harness.ts";
import { stackTargets } from "./stack-targets.ts";
import { tunnelTargets } from "./tunnel-targets.ts";
import { wireTargets } from "./wire-targets.ts";

const options = optionsFrom(process.env);

describe(`seed ${options.seed}`, () => {
  test.each([...wireTargets, ...controlTargets, ...stackTargets, ...tunnelTargets])("$name", (target) => {
    expect(fuzz(target, options)).toBeGreaterThan(0);
  });
});
