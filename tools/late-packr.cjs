// In bundles, instead of src/io/late-packr.ts: the package is there, and runs when it is first asked for.
exports.loadPackr = () => require("msgpackr").Packr;
