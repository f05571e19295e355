#!/usr/bin/env node
// The one entry: a node, a router, a BGP speaker, the embedded store, or the command line. They are separate programs, so that a node
// process loads nothing of the command line. A CommonJS script, and so is the speaker: Node's loader of modules alone takes 10 ms of CPU.
const { existsSync } = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const programs = {
  node: "dist/bundle/node.js",
  bgp: "dist/bundle/speaker.cjs",
  router: "dist/bundle/router.js",
  store: "dist/bundle/store.js",
};
const program = process.argv[2] ?? "";
const named = Object.hasOwn(programs, program) ? programs[program] : "dist/bundle/cli.js";
const entry = path.join(__dirname, "..", named);

if (!existsSync(entry)) {
  process.stderr.write("podloom: it is not built yet. Run: npm run build\n");
  process.exitCode = 5;
} else if (entry.endsWith(".cjs")) {
  require(entry);
} else {
  void import(pathToFileURL(entry).href);
}
