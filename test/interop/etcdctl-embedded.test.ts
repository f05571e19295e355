// Debian's etcdctl (API 3) against the embedded server, unchanged: what a person types. Where a real etcd is installed, the
// same commands run against it too, so that the expectations are etcd's and not ours.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeStores } from "../support/each-store.ts";
import {
  EtcdctlProcess,
  type EtcdctlResult,
  etcdctl,
  hasEtcdctl,
  type StoreProcess,
  startStore,
} from "../support/etcd-process.ts";

describeStores("etcdctl against", !hasEtcdctl(), (kind) => {
  let store: StoreProcess;
  const open: EtcdctlProcess[] = [];
  /** Keys of one test do not meet those of another. */
  let n = 0;

  beforeAll(async () => {
    store = await startStore(kind);
  });

  afterAll(async () => {
    for (const child of open) await child.stop("SIGKILL");
    await store.stop();
  });

  async function ctl(...args: readonly string[]): Promise<EtcdctlResult> {
    return await etcdctl(store.endpoint, args);
  }

  /** The output of a command that must succeed. */
  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await ctl(...args);
    expect(`${code} ${stderr}`).toBe("0 ");
    return stdout;
  }

  function start(...args: readonly string[]): EtcdctlProcess {
    const child = new EtcdctlProcess(store.endpoint, args);
    open.push(child);
    return child;
  }

  async function revision(): Promise<number> {
    const json = await ok("get", "nothing", "-w", "json");
    return (JSON.parse(json) as { header: { revision: number } }).header.revision;
  }

  function fresh(): string {
    return `/t${n++}`;
  }

  test("put and get, with a prefix, in order, limited, keys only, of an older revision", async () => {
    const p = fresh();
    for (const [key, value] of [
      ["b", "2"],
      ["a", "1"],
      ["c", "3"],
    ]) {
      expect(await ok("put", `${p}/${key}`, value as string)).toBe("OK\n");
    }
    expect(await ok("get", `${p}/a`)).toBe(`${p}/a\n1\n`);
    expect(await ok("get", "--prefix", p, "--print-value-only")).toBe("1\n2\n3\n");
    expect(await ok("get", "--prefix", p, "--order=DESCEND", "--limit=2", "--keys-only")).toBe(
      `${p}/c\n\n${p}/b\n\n`,
    );
    expect(await ok("get", "--prefix", p, "--sort-by=MODIFY", "--order=ASCEND", "--print-value-only")).toBe(
      "2\n1\n3\n",
    );
    expect(await ok("get", `${p}/b`, "--from-key", "--limit=2", "--print-value-only")).toBe("2\n3\n");
    const before = await revision();
    await ok("put", `${p}/a`, "new");
    expect(await ok("get", `${p}/a`, "--rev", String(before), "--print-value-only")).toBe("1\n");
    expect(await ok("put", `${p}/a`, "newer", "--prev-kv")).toBe(`OK\n${p}/a\nnew\n`);
  });

  test("del, of a prefix, with prev-kv", async () => {
    const p = fresh();
    for (const key of ["a", "b"]) await ok("put", `${p}/${key}`, key);
    expect(await ok("del", `${p}/a`, "--prev-kv")).toBe(`1\n${p}/a\na\n`);
    expect(await ok("del", "--prefix", p)).toBe("1\n");
    expect(await ok("del", "--prefix", p)).toBe("0\n");
  });

  test("a future revision and a compacted one fail in etcd's words", async () => {
    const p = fresh();
    await ok("put", p, "1");
    const at = await revision();
    await ok("put", p, "2");
    expect((await ctl("get", p, "--rev", "999999")).stderr).toContain(
      "etcdserver: mvcc: required revision is a future revision",
    );
    expect(await ok("compaction", String(at + 1), "--physical")).toBe(`compacted revision ${at + 1}\n`);
    expect((await ctl("get", p, "--rev", String(at))).stderr).toContain(
      "etcdserver: mvcc: required revision has been compacted",
    );
    expect((await ctl("compaction", String(at))).stderr).toContain(
      "etcdserver: mvcc: required revision has been compacted",
    );
  });

  test("txn -i takes both branches", async () => {
    const p = fresh();
    await ok("put", p, "1");
    const txn = `value("${p}") = "1"\nversion("${p}") = "1"\n\nput ${p} 2\nget ${p}\n\nput ${p} other\nget ${p}\n\n`;
    const run = async (): Promise<string> => (await etcdctl(store.endpoint, ["txn", "-i"], txn)).stdout;
    expect(await run()).toContain(`SUCCESS\n\nOK\n\n${p}\n2\n`);
    expect(await run()).toContain(`FAILURE\n\nOK\n\n${p}\nother\n`);
    const twice = `\n\nput ${p} a\nput ${p} b\n\n\n`;
    expect((await etcdctl(store.endpoint, ["txn"], twice)).stderr).toContain(
      "etcdserver: duplicate key given in txn request",
    );
  });

  test("watch: from now, from a revision, with prev-kv, of a prefix; several on one stream", async () => {
    const p = fresh();
    await ok("put", `${p}/a`, "1");
    const from = (await revision()) + 1;
    const live = start("watch", "--prefix", p, "--prev-kv");
    const several = start("watch", "-i");
    several.input(`watch ${p}/a\nwatch ${p}/b\n`, false);
    // A watch says nothing when it is created; an event of its own shows that it is there.
    for (const child of [live, several]) {
      for (let i = 0; !child.stdout.includes("/b"); i++) {
        if (i === 50) throw new Error(`no event: ${child.stderr}`);
        await ok("put", `${p}/b`, "x");
      }
    }
    await ok("put", `${p}/a`, "2");
    await ok("del", `${p}/a`);
    expect(await live.until(/DELETE\n/)).toContain(
      `PUT\n${p}/a\n1\n${p}/a\n2\nDELETE\n${p}/a\n2\n${p}/a\n\n`,
    );
    await several.until(new RegExp(`PUT\n${p}/a\n2\nDELETE\n${p}/a\n\n`));
    const past = start("watch", `${p}/a`, "--rev", String(from));
    expect(await past.until(/DELETE\n.*\n/)).toBe(`PUT\n${p}/a\n2\nDELETE\n${p}/a\n\n`);
  });

  test("watch: of a compacted revision ends with the reason", async () => {
    const p = fresh();
    for (const value of ["1", "2", "3"]) await ok("put", p, value);
    const at = await revision();
    await ok("compaction", String(at));
    const watch = start("watch", p, "--rev", String(at - 1));
    const { stderr } = await watch.exit();
    expect(stderr).toContain("required revision has been compacted");
  });

  test("lease grant, timetolive, list, keep-alive, revoke", async () => {
    const p = fresh();
    const granted = await ok("lease", "grant", "60");
    const id = /^lease ([0-9a-f]+) granted with TTL\(60s\)\n$/.exec(granted)?.[1] as string;
    await ok("put", p, "1", "--lease", id);
    expect(await ok("lease", "timetolive", id, "--keys")).toMatch(
      new RegExp(
        `^lease ${id} granted with TTL\\(60s\\), remaining\\((59|60)s\\), attached keys\\(\\[${p}\\]\\)\n$`,
      ),
    );
    expect(await ok("lease", "list")).toContain(id);
    expect(await ok("lease", "keep-alive", "--once", id)).toBe(`lease ${id} keepalived with TTL(60)\n`);
    expect(await ok("lease", "revoke", id)).toBe(`lease ${id} revoked\n`);
    expect(await ok("get", p)).toBe("");
    expect(await ok("lease", "timetolive", id)).toBe(`lease ${id} already expired\n`);
    expect((await ctl("lease", "revoke", id)).stderr).toContain("etcdserver: requested lease not found");
    expect((await ctl("put", p, "1", "--lease", id)).stderr).toContain(
      "etcdserver: requested lease not found",
    );
    expect((await ctl("lease", "keep-alive", "--once", id)).stderr).toContain(
      "etcdserver: requested lease not found",
    );
  });

  test("a lease that nobody keeps alive takes its keys with it; one that is kept stays", async () => {
    const p = fresh();
    const grant = async (): Promise<string> =>
      /lease (\w+)/.exec(await ok("lease", "grant", "2"))?.[1] as string;
    const from = (await revision()) + 1;
    const [lost, kept] = [await grant(), await grant()];
    const keeper = start("lease", "keep-alive", kept);
    await keeper.until(/keepalived/);
    await ok("put", `${p}/lost`, "1", "--lease", lost);
    await ok("put", `${p}/kept`, "1", "--lease", kept);
    const watch = start("watch", "--prefix", p, "--rev", String(from));
    expect(await watch.until(/DELETE/)).toContain(`DELETE\n${p}/lost\n`);
    expect(await ok("get", "--prefix", p, "--keys-only")).toBe(`${p}/kept\n\n`);
    // Killed, not asked: an interrupted keep-alive would revoke nothing either, but it should not get the chance.
    await keeper.stop("SIGKILL");
    await watch.until(new RegExp(`DELETE\n${p}/kept\n`));
  });

  test("member list, endpoint status and health, alarm list, defrag", async () => {
    expect(await ok("member", "list")).toMatch(
      /^[0-9a-f]+, started, \w+, \S*, http:\/\/127\.0\.0\.1:\d+, false\n$/,
    );
    const version = kind === "embedded" ? "3\\.4" : "3\\.\\d+";
    expect(await ok("endpoint", "status")).toMatch(
      new RegExp(`^${store.endpoint}, [0-9a-f]+, ${version}\\.\\d+, .*B, true, false, 2, \\d+, \\d+, \n$`),
    );
    // It writes its verdict to stderr when it is a terminal's, else to stdout.
    const { code, stdout, stderr } = await ctl("endpoint", "health");
    expect(code).toBe(0);
    expect(stdout + stderr).toContain(`${store.endpoint} is healthy`);
    expect(await ok("alarm", "list")).toBe("");
    expect(await ok("defrag")).toContain("Finished defragmenting");
  });

  test("lock: the second waits for the first", async () => {
    const name = `lock${n++}`;
    const first = start("lock", name);
    await first.until(new RegExp(`^${name}/[0-9a-f]+\n`));
    const second = start("lock", name);
    await ok("put", "time-passes", "1");
    await ok("get", "--prefix", name);
    expect(second.stdout).toBe("");
    await first.stop("SIGINT");
    await second.until(new RegExp(`^${name}/[0-9a-f]+\n`));
    await second.stop("SIGINT");
    expect(await ok("get", "--prefix", name)).toBe("");
  });

  test("elect: one leads, a listener sees it, the other takes over", async () => {
    const name = `elect${n++}`;
    const first = start("elect", name, "alice");
    await first.until(new RegExp(`^${name}/[0-9a-f]+\nalice\n`));
    const listener = start("elect", "-l", name);
    await listener.until(/alice\n/);
    const second = start("elect", name, "bob");
    await first.stop("SIGINT");
    await second.until(/bob\n/);
    await listener.until(/bob\n/);
    await second.stop("SIGINT");
    await listener.stop("SIGKILL");
  });

  test("make-mirror copies a prefix to another store, and follows it", async () => {
    const p = fresh();
    const other = await startStore("embedded", { args: ["--ephemeral"] });
    try {
      await ok("put", `${p}/a`, "1");
      const mirror = start("make-mirror", other.endpoint, "--prefix", p);
      const there = async (): Promise<string> =>
        (await etcdctl(other.endpoint, ["get", "--prefix", p])).stdout;
      await expect.poll(there, { timeout: 10_000 }).toBe(`${p}/a\n1\n`);
      await ok("put", `${p}/b`, "2");
      await ok("del", `${p}/a`);
      await expect.poll(there, { timeout: 10_000 }).toBe(`${p}/b\n2\n`);
      await mirror.stop("SIGKILL");
    } finally {
      await other.stop();
    }
  });

  test("a full store refuses writes, says so, and takes them again after compaction and disarm", async () => {
    const quota = kind === "embedded" ? "200000" : String(16 * 1024 * 1024);
    const value = "x".repeat(kind === "embedded" ? 10_000 : 120_000);
    const full = await startStore(kind, { args: ["--quota-backend-bytes", quota] });
    const on = (...args: readonly string[]): Promise<EtcdctlResult> => etcdctl(full.endpoint, args);
    try {
      let refused = "";
      for (let i = 0; i < 300 && refused === ""; i++) refused = (await on("put", "k", value)).stderr;
      expect(refused).toContain("etcdserver: mvcc: database space exceeded");
      const { stdout: alarms } = await on("alarm", "list");
      expect(alarms).toMatch(/^memberID:\d+ alarm:NOSPACE \n$/);
      expect((await on("endpoint", "status")).stdout).toContain("alarm:NOSPACE");
      // Whatever takes no room is served.
      expect((await on("get", "k", "--keys-only")).stdout).toBe("k\n\n");
      const json = (await on("get", "k", "-w", "json")).stdout;
      const { header } = JSON.parse(json) as { header: { revision: number } };
      expect((await on("compaction", String(header.revision), "--physical")).code).toBe(0);
      expect((await on("defrag")).code).toBe(0);
      // Room alone does not end the alarm: a person does.
      expect((await on("put", "k", "1")).stderr).toContain("database space exceeded");
      expect((await on("alarm", "disarm")).stdout).toBe(alarms);
      expect((await on("alarm", "list")).stdout).toBe("");
      expect((await on("put", "k", "1")).stdout).toBe("OK\n");
    } finally {
      await full.stop();
    }
  });

  test.runIf(kind === "embedded")("what it does not serve says so", async () => {
    expect((await ctl("user", "list")).stderr).toContain("code = Unimplemented");
    expect((await ctl("member", "add", "x", "--peer-urls=http://127.0.0.1:1")).stderr).toContain(
      "Unimplemented",
    );
    expect((await ctl("endpoint", "hashkv")).stderr).toContain("Unimplemented");
  });
});
