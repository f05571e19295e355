// A speaker that leaves behind what V8 has compiled of it. See record-speaker-cache.js, and run-speaker.js for the same without.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";

const bundle = process.env.PODLOOM_RECORD_BUNDLE ?? "";
const filename = join(bundle, "speaker.cjs");
const script = new Script(readFileSync(filename, "utf8"), { filename });
process.once("exit", () => writeFileSync(join(bundle, "speaker.cache"), script.createCachedData()));
const { href } = pathToFileURL(join(bundle, "speaker.js"));
script.runInThisContext()(href, createRequire(href), {}, {});
