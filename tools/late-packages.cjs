// In bundles, instead of src/io/late-packages.ts: the packages are there, and each is run when it is first asked for.
exports.loadPino = () => require("pino");
exports.loadPackr = () => require("msgpackr").Packr;
