// A speaker that leaves behind what V8 has compiled of it. See record-speaker-cache.js, and run-speaker.cjs for what is run.
const { writeFileSync } = require("node:fs");
const path = require("node:path");

const bundle = process.env.PODLOOM_RECORD_BUNDLE ?? "";
/** @param {string} name @param {import("node:vm").Script} script */
globalThis.podloomRecord = (name, script) => {
  process.once("exit", () =>
    writeFileSync(
      path.join(bundle, `${name}-${process.version}-${process.arch}.cache`),
      script.createCachedData(),
    ),
  );
};
require(path.join(bundle, "speaker.cjs"));
