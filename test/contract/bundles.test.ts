// What podloom's programs load: hundreds of nodes run on one machine, and commands are typed by the dozen, so that each package that is not
// needed counts.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";

const BUNDLE = fileURLToPath(new URL("../../dist/bundle/", import.meta.url));

/** The files that come with `file` when it is loaded, itself among them: what it imports late is not. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, "utf8");
  for (const [, path] of text.matchAll(
    /(?:^|[;}\n])(?:import|export)\s*(?:[\w*{}$,\s]+?from\s*)?"(\.[^"]+)"/g,
  )) {
    loadedWith(join(dirname(file), path as string), seen);
  }
  return seen;
}

function lateImports(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/import\("(\.[^"]+)"\)/g)].map(([, path]) =>
    join(BUNDLE, path as string),
  );
}

test("the node process and its store client have nothing of etcd3, grpc-js or protobufjs in them", () => {
  const node = join(BUNDLE, "node.js");
  const slim = lateImports(node).filter((path) => path.includes("slim-transport"));
  expect(slim).toHaveLength(1);
  const loaded = [...loadedWith(node), ...loadedWith(slim[0] as string)];
  for (const file of loaded) {
    expect([
      file,
      /protobufjs|grpc-js|cockatiel|castGrpcError/.exec(readFileSync(file, "utf8"))?.[0],
    ]).toEqual([file, undefined]);
  }
  // The other client is there, in a file of its own.
  expect(lateImports(node).filter((path) => path.includes("etcd3-transport"))).toHaveLength(1);
});

test("a command loads what it needs when it runs: not the clients of the store, not YAML, not tables", () => {
  const cli = join(BUNDLE, "cli.js");
  for (const file of loadedWith(cli)) {
    const found = /protobufjs|grpc-js|cockatiel|cli-table3|node_modules\/yaml|node_modules\/pino/.exec(
      readFileSync(file, "utf8"),
    );
    expect([file, found?.[0]]).toEqual([file, undefined]);
  }
  expect(lateImports(cli).filter((path) => /cli-(?:up|get|apply)-/.test(path)).length).toBeGreaterThan(2);
});

test("the slim client needs Node and podloom's own files, no package at all", async () => {
  const main = fileURLToPath(new URL("../../src/io/etcd/slim/slim-transport.ts", import.meta.url));
  const { metafile } = await build({
    entryPoints: [main],
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    format: "esm",
  });
  expect(Object.keys(metafile.inputs).filter((path) => path.includes("node_modules"))).toEqual([]);
});

test("a client that the node does not know is refused by its name", () => {
  const argv = [
    "--name",
    "n",
    "--address",
    "192.168.1.2",
    "--segment",
    "192.168.1.0/24",
    "--etcd",
    "http://127.0.0.1:1",
  ];
  const child = spawnSync(process.execPath, [join(BUNDLE, "node.js"), ...argv, "--store-client", "fat"], {
    encoding: "utf8",
  });
  expect(child.status).toBe(2);
  expect(child.stderr).toContain('--store-client "fat" will not do; give one of slim, etcd3');
});
