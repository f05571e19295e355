// `get -w`: all rows once, then what changes and what goes, in every format; and what is said of nodes that do not answer.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { RowChanges } from "../../../src/cli/row-changes.ts";
import { GrowingTable } from "../../../src/cli/table.ts";
import { FakeLab } from "../../support/fake-lab.ts";

const pod = (name: string, ip: string, node = "node1") => ({
  name,
  node,
  ip,
  mac: "",
  hostDevice: "",
  mtu: 1450,
});
type Look = { readonly rows: readonly unknown[]; readonly missing: readonly { node: string; why: string }[] };
const all = (...rows: readonly unknown[]): Look => ({ rows, missing: [] });
const A = pod("a", "10.244.1.2");
const B = pod("b", "10.244.2.2", "node2");

describe("against a lab", () => {
  let lab: FakeLab;
  beforeEach(async () => {
    lab = await FakeLab.start();
  });
  afterEach(() => lab.dispose());

  /** Watches the pods while the lab answers with `looks`, one after the other; then it ends. */
  async function watch(looks: readonly Look[], ...flags: string[]): Promise<number> {
    let next = 0;
    lab.answers = {
      get: () => {
        const look = looks[next++];
        if (look === undefined) lab.hangUp();
        return look;
      },
    };
    return lab.podloom("get", "pods", "-w", ...flags);
  }

  test("a table keeps its columns, marks what goes, and ends with the lab, saying so", async () => {
    const moved = pod("b", "10.244.2.123", "node2");
    expect(await watch([all(A, B), all(A, B), all(A, moved), all(moved)])).toBe(0);
    expect(lab.out.split("\n")).toEqual([
      "NAME   NODE    IP",
      "a      node1   10.244.1.2",
      "b      node2   10.244.2.2",
      "b      node2   10.244.2.123",
      "- a    node1   10.244.1.2",
      "",
    ]);
    expect(lab.err).toBe('lab "fake" has ended\n');
  }, 15_000);

  test("JSON is one object a line, YAML one document a look; what went is `removed`", async () => {
    await watch([all(A, B), all(B)], "-o", "json");
    expect(
      lab.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([A, B, { removed: A }]);
    await watch([all(A, B), all(B)], "-o", "yaml");
    expect(parseAllDocuments(lab.out).map((document) => document.toJS())).toEqual([
      { items: [A, B] },
      { items: [], removed: [A] },
    ]);
  }, 15_000);

  test("a node that does not answer is said once, and again when that changes; its rows have not gone", async () => {
    const hangs: Look = { rows: [A], missing: [{ node: "node2", why: "does not answer (5 s)" }] };
    const dead: Look = { rows: [A], missing: [{ node: "node2", why: "does not run (SIGKILL)" }] };
    await watch([all(A, B), hangs, hangs, dead, all(A, B)], "-o", "json");
    expect(lab.out.trim().split("\n")).toHaveLength(2);
    expect(lab.err.split("\n")).toEqual([
      "node node2 could not be asked: does not answer (5 s)",
      "node node2 could not be asked: does not run (SIGKILL)",
      "node node2 answers again",
      'lab "fake" has ended',
      "",
    ]);
  }, 20_000);

  test("Ctrl-C does not wait for an answer", async () => {
    const asked = new Promise<void>((resolve) => {
      lab.answers = {
        get: () => {
          resolve();
          return undefined;
        },
      };
    });
    const watching = lab.podloom("get", "pods", "-w");
    await asked;
    process.emit("SIGINT", "SIGINT");
    expect(await watching).toBe(0);
    expect([lab.out, lab.err]).toEqual(["", ""]);
  });
});

describe("changes", () => {
  const fdb = (mac: string, port: string) => ({ node: "n1", dev: "cni0", mac, port, state: "dynamic" });

  test("a row is known by its name, not by what it says: a change is no removal", () => {
    const changes = new RowChanges("fdb");
    expect(changes.look([fdb("m1", "veth1"), fdb("m2", "veth1")]).fresh).toHaveLength(2);
    const moved = fdb("m1", "veth2");
    expect(changes.look([moved, fdb("m2", "veth1")])).toEqual({ fresh: [moved], removed: [] });
    expect(changes.look([moved])).toEqual({ fresh: [], removed: [fdb("m2", "veth1")] });
    expect(changes.look([])).toEqual({ fresh: [], removed: [moved] });
  });

  test("rows that share a name are told apart by how many there are", () => {
    const changes = new RowChanges("fdb");
    const two = [fdb("m", "veth1"), fdb("m", "veth2")];
    changes.look(two);
    expect(changes.look(two)).toEqual({ fresh: [], removed: [] });
    expect(changes.look(two.slice(1))).toEqual({ fresh: [], removed: two.slice(0, 1) });
    const twin = fdb("m", "veth2");
    expect(changes.look([...two.slice(1), twin])).toEqual({ fresh: [twin], removed: [] });
  });

  test("rows of a node that could not be asked are kept until it answers", () => {
    const changes = new RowChanges("pods");
    changes.look([A, B]);
    expect(changes.look([A], new Set(["node2"]))).toEqual({ fresh: [], removed: [] });
    expect(changes.look([A])).toEqual({ fresh: [], removed: [B] });
  });
});

describe("a table that grows", () => {
  test("never moves a column back, and moves it only for a cell that does not fit", () => {
    const table = new GrowingTable();
    expect(table.lines(["NAME", "N"], [["ab", "1"]])).toEqual(["NAME   N", "ab     1"]);
    expect(table.lines(undefined, [["a", "2"]])).toEqual(["a      2"]);
    expect(table.lines(undefined, [], [["ab", "1"]])).toEqual(["- ab   1"]);
    expect(table.lines(undefined, [["a-long-name", "3"]])).toEqual(["a-long-name     3"]);
    expect(table.lines(undefined, [["a", "4"]])).toEqual(["a               4"]);
  });
});
