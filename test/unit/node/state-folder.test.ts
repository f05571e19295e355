import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StateFolder } from "../../../src/node/state-folder.ts";

let base: string;
let root: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "pl-state-"));
  root = join(base, "node1");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const ENV = "run/flannel/subnet.env";

test("what was put is there for the next process; what was deleted is not", () => {
  const first = new StateFolder(root);
  first.put(ENV, "FLANNEL_MTU=1450\n");
  first.put("var/lib/cni/networks/cbr0/10.244.1.2", "web");
  first.put("var/lib/cni/networks/cbr0/10.244.1.3", "db");
  first.del("var/lib/cni/networks/cbr0/10.244.1.3");
  first.del("never/was");
  const again = new StateFolder(root);
  expect(again.files).toEqual(
    new Map([
      [ENV, "FLANNEL_MTU=1450\n"],
      ["var/lib/cni/networks/cbr0/10.244.1.2", "web"],
    ]),
  );
  expect(again.files).toEqual(first.files);
  expect(statSync(root).mode & 0o777).toBe(0o700);
});

test("a file is replaced whole; what a killed writer left is cleared away", () => {
  const folder = new StateFolder(root);
  folder.put(ENV, "old");
  folder.put(ENV, "new");
  expect(readdirSync(join(root, "run/flannel"))).toEqual(["subnet.env"]);
  writeFileSync(join(root, `${ENV}.tmp`), "half a li");
  expect([...new StateFolder(root).files]).toEqual([[ENV, "new"]]);
  expect(existsSync(join(root, `${ENV}.tmp`))).toBe(false);
});

describe("nothing leads out of the folder", () => {
  test.each(["../escape", "/etc/escape", "run/../../escape", ".", ""])("%j", (path) => {
    const folder = new StateFolder(root);
    expect(() => folder.put(path, "x")).toThrow(expect.objectContaining({ code: "PL_STATE_ESCAPE" }));
    expect(() => folder.del(path)).toThrow(expect.objectContaining({ code: "PL_STATE_ESCAPE" }));
    expect(readdirSync(base)).toEqual(["node1"]);
  });

  test("not even a link that lies in it", () => {
    mkdirSync(root);
    mkdirSync(join(base, "elsewhere"));
    writeFileSync(join(base, "elsewhere", "secret"), "s");
    symlinkSync(join(base, "elsewhere"), join(root, "run"));
    const folder = new StateFolder(root);
    expect(folder.files.size).toBe(0);
    expect(() => folder.put("run/x", "x")).toThrow(expect.objectContaining({ code: "PL_STATE_ESCAPE" }));
    expect(readFileSync(join(base, "elsewhere", "secret"), "utf8")).toBe("s");
    expect(existsSync(join(base, "elsewhere", "x"))).toBe(false);
  });
});

test("a folder that cannot be used is named, with the remedy", () => {
  writeFileSync(root, "a file");
  expect(() => new StateFolder(join(root, "sub"))).toThrow(
    expect.objectContaining({
      code: "PL_STATE_UNUSABLE",
      message: expect.stringContaining(root),
      remedy: expect.stringContaining("--state"),
    }),
  );
});

test.skipIf(process.getuid?.() === 0)(
  "a folder that may not be written costs an error, and the old text stays",
  () => {
    const folder = new StateFolder(root);
    folder.put("x", "old");
    chmodSync(root, 0o500);
    expect(() => folder.put("x", "new")).toThrow(expect.objectContaining({ code: "PL_STATE_UNUSABLE" }));
    chmodSync(root, 0o700);
    expect(folder.files.get("x")).toBe("old");
  },
);
