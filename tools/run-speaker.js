// dist/bundle/speaker.js: runs speaker.cjs beside it, with the code that was compiled when it was built. Where that is not this V8's, or
// not there, everything is compiled as it is needed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

/** @param {string} name @returns {Buffer | undefined} */
function read(name) {
  try {
    return readFileSync(new URL(name, import.meta.url));
  } catch {
    return undefined;
  }
}

const filename = fileURLToPath(new URL("speaker.cjs", import.meta.url));
const script = new Script(readFileSync(filename, "utf8"), { filename, cachedData: read("speaker.cache") });
script.runInThisContext()(import.meta.url, createRequire(import.meta.url), {}, {});
