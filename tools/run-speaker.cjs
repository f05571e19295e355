// dist/bundle/speaker.cjs: runs speaker-code.cjs beside it, with the code that was compiled when it was built. Where that is not this
// V8's, or not there, everything is compiled as it is needed.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

/** @param {string} name @returns {Buffer | undefined} */
function read(name) {
  try {
    return readFileSync(join(__dirname, name));
  } catch {
    return undefined;
  }
}

const filename = join(__dirname, "speaker-code.cjs");
// The bundler writes ASCII alone, and this is how such a text is read fastest.
const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData: read("speaker.cache") });
script.runInThisContext()(require, {}, {}, filename);
