// A speaker that leaves behind what V8 has compiled of it. See record-speaker-cache.js, and run-speaker.cjs for the same without.
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");
const { Script } = require("node:vm");

const bundle = process.env.PODLOOM_RECORD_BUNDLE ?? "";
const filename = join(bundle, "speaker-code.cjs");
const script = new Script(readFileSync(filename, "latin1"), { filename });
process.once("exit", () => writeFileSync(join(bundle, "speaker.cache"), script.createCachedData()));
script.runInThisContext()(createRequire(filename), {}, {}, filename);
