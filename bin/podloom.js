#!/usr/bin/env node
// The one entry: a node, a router, a BGP speaker, the embedded store, or the command line. They are separate programs, so that a node
// process loads nothing of the command line.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const programs = {
  node: "../dist/bundle/node.js",
  bgp: "../dist/bundle/speaker.js",
  router: "../dist/bundle/router.js",
  store: "../dist/bundle/store.js",
};
const program = process.argv[2] ?? "";
const entry = new URL(
  Object.hasOwn(programs, program) ? programs[program] : "../dist/bundle/cli.js",
  import.meta.url,
);

if (existsSync(fileURLToPath(entry))) {
  await import(entry.href);
} else {
  process.stderr.write("podloom: it is not built yet. Run: npm run build\n");
  process.exitCode = 5;
}
