// Writes dist/bundle/node.js, speaker.js and router.js: the node process, the BGP speaker and the router, in one file each. A lab starts
// hundreds of them, and loading a thousand small modules costs each four times what its own work costs: on Node 20, 194 ms of CPU
// to `podloom node --help` from dist/node/main.js, 86 ms from the bundle (bare node: 50 ms); the etcd client, loaded after that,
// costs 100 ms less too. A speaker is ready after 96 ms. Shorter names were measured and change nothing.
// V8's compile cache was measured on Node 24 and saves 4 ms of 60: not worth files in a temporary folder.
import { cpSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

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

/** @param {string} name of the file @param {string} main where the process begins */
function bundle(name, main) {
  return build({
    entryPoints: { [name]: join(root, main) },
    outdir: join(dist, "bundle"),
    bundle: true,
    // What is imported late stays a file of its own. Not shared between the two: each would load the other's parts.
    splitting: true,
    chunkNames: `${name}-[name]-[hash]`,
    platform: "node",
    format: "esm",
    target: "node20.19",
    // Names stay as they are, so that a stack trace can be read.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "linked",
    // Its JavaScript alone: the native decoder is optional, and searching for it costs more than it saves here.
    alias: { msgpackr: join(modules, "msgpackr/index.js") },
    banner: { js: `${COMMON_JS};` },
    logLevel: "warning",
  });
}

rmSync(join(dist, "bundle"), { recursive: true, force: true });
await bundle("node", "src/node/main.ts");
await bundle("speaker", "src/node/speaker/main.ts");
await bundle("router", "src/node/router/main.ts");
// etcd3 reads its .proto files from ../proto, seen from where its code is.
cpSync(join(modules, "etcd3/proto"), join(dist, "proto"), { recursive: true });
