import { expect, test } from "vitest";
import { programName } from "../../../src/cli/up-summary.ts";

test.each([
  [
    "npm start and node bin/podloom.js",
    "/home/me/podloom/bin/podloom.js",
    { npm_command: "start" },
    "npx podloom",
  ],
  ["npx podloom", "/home/me/podloom/node_modules/.bin/podloom", { npm_command: "exec" }, "npx podloom"],
  ["podloom on the PATH", "/usr/local/bin/podloom", {}, "podloom"],
  ["podloom from an npm script", "/usr/local/bin/podloom", { npm_command: "run-script" }, "podloom"],
])("commands to copy are called as this one was: %s", (_, script, env, expected) => {
  expect(programName(script, env)).toBe(expected);
});
