// dist/bundle/speaker.cjs: runs speaker-code.cjs beside it, and packages when they are first asked for, each with the code that was
// compiled when it was built. Where there is none of this Node and machine, everything is compiled as it is needed. V8 believes what it
// finds in such a file, so that a package that goes to other machines has none.
const { readFileSync } = require("node:fs");
const path = require("node:path");
const { Script } = require("node:vm");

/** @type {Map<string, unknown>} */
const loaded = new Map();

/** @param {string} name @returns {Buffer | undefined} */
function read(name) {
  try {
    return readFileSync(path.join(__dirname, name));
  } catch {
    return undefined;
  }
}

/** @param {string} name of a file here, without its suffix */
function load(name) {
  const filename = path.join(__dirname, `${name}.cjs`);
  // The bundler writes ASCII alone, and this is how such a text is read fastest.
  const script = new Script(readFileSync(filename, "latin1"), {
    filename,
    cachedData: read(`${name}-${process.version}-${process.arch}.cache`),
  });
  const module = { exports: {} };
  script.runInThisContext()(requireFrom, module.exports, module, filename);
  loaded.set(name, module.exports);
  // Only in a speaker that is recorded.
  globalThis.podloomRecord?.(name, script);
  return module.exports;
}

/** @param {string} name */
function requireFrom(name) {
  if (!name.startsWith("./speaker-")) return require(name);
  const part = name.slice(2);
  return loaded.get(part) ?? load(part);
}

load("speaker-code");
