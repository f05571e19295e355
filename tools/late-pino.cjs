// In bundles, instead of src/io/late-pino.ts: the package is there, and runs when it is first asked for.
exports.loadPino = () => require("pino");
