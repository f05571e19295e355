#!/usr/bin/env node
// The one entry: a node, a router, a BGP speaker, the embedded store, or the command line. They are separate programs, so that a node
// process loads nothing of the command line. A CommonJS script, and so is the speaker: Node's loader of modules alone takes 10 ms of CPU.
const { existsSync } = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const programs = {
  node: "node.js",
  bgp: "speaker.cjs",
  router: "router.js",
  store: "store.js",
};
const program = process.argv[2] ?? "";
const bundle = path.join(__dirname, "..", "dist", "bundle");
const entry = path.join(bundle, Object.hasOwn(programs, program) ? programs[program] : "cli.js");

/** @param {string} what */
function notBuilt(what) {
  process.stderr.write(`podloom: ${what}. Run: npm run build\n`);
  process.exitCode = 5;
}

/** A part that is not there is the build's fault; anything else is a fault of ours. @param {any} thrown */
function failed(thrown) {
  const missing = thrown?.code === "ERR_MODULE_NOT_FOUND" || thrown?.code === "ENOENT";
  if (!missing || !String(thrown.message).includes(bundle)) throw thrown;
  notBuilt(`it is built only in part: ${thrown.message}`);
}

if (!existsSync(entry)) {
  notBuilt("it is not built yet");
} else if (entry.endsWith(".cjs")) {
  try {
    require(entry);
  } catch (thrown) {
    failed(thrown);
  }
} else {
  import(pathToFileURL(entry).href).catch(failed);
}
