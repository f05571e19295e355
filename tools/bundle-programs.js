// Writes dist/bundle/node.js, speaker.js, router.js, store.js and cli.js: each of podloom's programs in few files. A lab starts
// hundreds of them, and loading a thousand small modules costs each four times what its own work costs: on Node 20, 194 ms of CPU
// to `podloom node --help` from dist/node/main.js, 86 ms from the bundle (bare node: 50 ms); the etcd client, loaded after that,
// costs 100 ms less too. Shorter names were measured and change nothing. `podloom version` took 600 ms from dist/cli/main.js on a busy
// machine, and 150 from the bundle.
// V8's compile cache was measured for the node process, on Node 24, and saves 4 ms of 60: not worth files in a temporary folder. A
// speaker's whole life is compiled ahead, see record-speaker-cache.js.
import { cpSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { recordSpeakerCache } from "./record-speaker-cache.js";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const modules = join(root, "node_modules");

// What CommonJS packages inside the bundle expect of their surroundings.
const COMMON_JS = [
  'import{createRequire as $require}from"node:module"',
  'import{fileURLToPath as $path}from"node:url"',
  'import{dirname as $dirname}from"node:path"',
  "const require=$require(import.meta.url),__filename=$path(import.meta.url),__dirname=$dirname(__filename)",
].join(";");

/** @type {import("esbuild").Plugin} */
const lateParts = {
  name: "late-parts",
  setup: (bundle) =>
    bundle.onResolve({ filter: /\/late-\w+\.ts$/ }, ({ path }) => ({
      path: join(root, "tools", basename(path).replace(/\.ts$/, ".cjs")),
    })),
};

/** What all have in common. */
const common = {
  bundle: true,
  outdir: join(dist, "bundle"),
  platform: "node",
  target: "node20.19",
  // Names stay as they are, so that a stack trace can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "linked",
  // Its JavaScript alone: the native decoder is optional, and searching for it costs more than it saves here.
  plugins: [lateParts],
  alias: { msgpackr: join(modules, "msgpackr/index.js") },
  logLevel: "warning",
};

rmSync(join(dist, "bundle"), { recursive: true, force: true });
// Not together: each would load the other's parts.
for (const [name, main] of [
  ["node", "src/node/main.ts"],
  ["router", "src/node/router/main.ts"],
  ["store", "src/io/embedded/main.ts"],
  ["cli", "src/cli/main.ts"],
]) {
  await build({
    ...common,
    entryPoints: { [name]: join(root, main) },
    // What is imported late stays a file of its own.
    splitting: true,
    chunkNames: `${name}-[name]-[hash]`,
    format: "esm",
    banner: { js: `${COMMON_JS};` },
  });
}
/** Packages that a speaker may never need. Each is a file of its own: to read them with the rest costs each start 4 ms of CPU. */
const LATE = ["msgpackr", "pino", "prom-client", "yaml"];
/** @type {import("esbuild").Plugin} */
const latePackages = {
  name: "late-packages",
  setup: (bundle) =>
    bundle.onResolve({ filter: new RegExp(`^(${LATE.join("|")})$`) }, ({ path, kind }) =>
      kind === "entry-point" ? undefined : { path: `./speaker-${path}`, external: true },
    ),
};
/** Each is one function, which run-speaker.cjs calls: V8 keeps compiled code of scripts, and of modules not without a flag. */
const script = {
  ...common,
  outExtension: { ".js": ".cjs" },
  format: "cjs",
  define: { "import.meta.url": "$meta.url" },
  banner: {
    js: "(function(require,exports,module,__filename){const $meta={get url(){return require('node:url').pathToFileURL(__filename).href}};",
  },
  footer: { js: "})" },
};
await build({
  ...script,
  entryPoints: { "speaker-code": join(root, "src/node/speaker/main.ts") },
  alias: {},
  plugins: [lateParts, latePackages],
});
for (const name of LATE)
  await build({ ...script, entryPoints: { [`speaker-${name}`]: common.alias[name] ?? name } });
cpSync(join(root, "tools/run-speaker.cjs"), join(dist, "bundle/speaker.cjs"));
await recordSpeakerCache(join(dist, "bundle"));
// etcd3 reads its .proto files from ../proto, seen from where its code is.
cpSync(join(modules, "etcd3/proto"), join(dist, "proto"), { recursive: true });
