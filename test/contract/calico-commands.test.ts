// The commands about Calico's resources and addresses, against a real store.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { prefix } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { Terminal, type TextSink } from "../../src/cli/terminal.ts";
import { IpamEngine } from "../../src/control/calico/ipam/ipam-engine.ts";
import type { IpamAnswer, IpamRequest } from "../../src/control/calico/ipam/ipam-messages.ts";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import { OpIds } from "../../src/control/datastore/pending-ops.ts";
import { MonotonicClock } from "../../src/io/clock.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { StoreDriver } from "../../src/io/etcd/store-driver.ts";
import { type StoreProcess, startStore } from "../support/etcd-process.ts";

let store: StoreProcess;
let folder: string;
let out = "";
let err = "";

beforeAll(async () => {
  store = await startStore("embedded");
  folder = mkdtempSync(join(tmpdir(), "pl-calico-"));
});
afterAll(async () => {
  await store.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  const etcd = new Etcd3Transport({ endpoints: [store.url] });
  await etcd.delete({ key: "/calico/", rangeEnd: "/calico0" });
  await etcd.close();
});

/** Runs a command line. Answers its exit code. */
function podloom(...argv: string[]): Promise<number> {
  out = "";
  err = "";
  const sink = (add: (text: string) => void): TextSink => ({ write: add });
  const terminal = new Terminal(
    sink((text) => (out += text)),
    sink((text) => (err += text)),
    {},
  );
  return runCommandLine([...argv, "--etcd", store.url], { terminal, env: { HOME: folder }, cwd: folder });
}

function file(text: string): string {
  writeFileSync(join(folder, "f.yaml"), text);
  return "f.yaml";
}

/** What a node would do: gives `count` addresses of the pool to a handle. */
async function assign(request: IpamRequest): Promise<IpamAnswer> {
  const clock = new MonotonicClock();
  const pool = {
    cidr: prefix("192.168.0.0/16"),
    blockSize: 26,
    disabled: false,
    automatic: true,
    allowedUses: ["Workload", "Tunnel"] as const,
    selectsNode: true,
    selectsNamespace: true,
  };
  const engine = new IpamEngine({
    ids: new OpIds(),
    rng: new SeededRng(1),
    wallClockNs: () => 1_700_000_000_000_000_000n,
    pools: () => [pool],
  });
  return new Promise((resolve) => {
    const driver = new StoreDriver(new Etcd3Transport({ endpoints: [store.url] }), (event) => {
      engine.handle(event, clock.now());
      drain();
    });
    const drain = (): void => {
      for (let output = engine.poll(); output !== undefined; output = engine.poll()) {
        if (output.t === "op") driver.perform(output.op);
        else if (output.t === "done") {
          const { answer } = output;
          void driver.close().then(() => resolve(answer));
        }
      }
    };
    engine.request(request, clock.now());
    drain();
  });
}

const POOL = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: p1
spec:
  cidr: 192.168.0.0/16
  ipipMode: Always
  natOutgoing: true
`;

describe("apply", () => {
  test("one kind, several kinds, a list: calicoctl's words; again: nothing changes", async () => {
    expect(
      await podloom(
        "apply",
        "-f",
        file(`${POOL}---\n${POOL.replace("p1", "p2").replace("192.168", "10.9")}`),
      ),
    ).toBe(0);
    expect(out).toBe("Successfully applied 2 'IPPool' resource(s)\n");
    const peer =
      "kind: BGPPeer\napiVersion: projectcalico.org/v3\nmetadata: { name: tor }\nspec: { peerIP: 10.1.0.1, asNumber: 64600 }\n";
    expect(await podloom("apply", "-f", file(`# first\n${POOL}---\n${peer}...\n`))).toBe(0);
    expect(out).toBe("Successfully applied 2 resource(s)\n");
    expect(await podloom("get", "ippool", "-o", "yaml")).toBe(0);
    expect(await podloom("apply", "-f", file(out))).toBe(0);
    expect(out).toBe("Successfully applied 2 'IPPool' resource(s)\n");
  });

  test("a file with faults changes nothing, and each fault has its line in the whole file", async () => {
    const text = `${POOL}---\n${POOL.replace("p1", "p2").replace("192.168.0.0/16", "10.9.0.0/16").replace("Always", "Sometimes")}---\nkind: Ippool\napiVersion: projectcalico.org/v3\nmetadata: { name: x }\n`;
    expect(await podloom("apply", "-f", file(text))).toBe(2);
    expect(err).toMatch(
      /^f\.yaml:16:3: spec\.ipipMode: "Sometimes" is none of .*\n {2}It is in IPPool "p2"; nothing was applied/,
    );
    expect(err).toMatch(/^f\.yaml:19:1: kind: .*did you mean IPPool/m);
    expect(await podloom("get", "ippools", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ kind: "IPPoolList", items: [] });
  });

  test("partial success says how far it came", async () => {
    const text = `${POOL}---\n${POOL.replace("p1", "p2")}---\n${POOL.replace("p1", "p3").replace("192.168", "10.9")}`;
    expect(await podloom("apply", "-f", file(text))).toBe(1);
    expect(err).toMatch(
      /^error: Partial success: applied the first 1 out of 3 'IPPool' resources: Hit error: .*overlap/,
    );
  });

  test("bad YAML, no file, nothing in it", async () => {
    expect(await podloom("apply", "-f", file("kind: [\n"))).toBe(2);
    expect(err).toMatch(/^f\.yaml:\d+:\d+: /);
    expect(await podloom("apply", "-f", "none.yaml")).toBe(2);
    expect(err).toMatch(/none\.yaml: there is no such file/);
    expect(await podloom("apply", "-f", file("# nothing\n---\n"))).toBe(0);
    expect(out).toBe("No resources specified\n");
  });

  test("create and replace are strict about what there is", async () => {
    expect(await podloom("calicoctl", "replace", "-f", file(POOL))).toBe(1);
    expect(err).toMatch(/Failed to replace 'IPPool' resource: resource does not exist: IPPool\(p1\)/);
    expect(await podloom("calicoctl", "create", "-f", file(POOL))).toBe(0);
    expect(out).toBe("Successfully created 1 'IPPool' resource(s)\n");
    expect(await podloom("calicoctl", "create", "-f", file(POOL))).toBe(1);
    expect(await podloom("calicoctl", "create", "--skip-exists", "-f", file(POOL))).toBe(0);
  });
});

describe("get", () => {
  beforeEach(async () => {
    const node =
      "kind: Node\napiVersion: projectcalico.org/v3\nmetadata: { name: n1 }\nspec: { bgp: { ipv4Address: 10.1.0.11/24 } }\n";
    await podloom("apply", "-f", file(`${POOL}---\n${node}`));
  });

  test("calicoctl's columns, by any of its names", async () => {
    expect(await podloom("get", "ipp", "-o", "wide")).toBe(0);
    expect(out.split("\n")[0]?.split(/\s+/)).toEqual(
      "NAME CIDR NAT IPIPMODE VXLANMODE DISABLED DISABLEBGPEXPORT SELECTOR ASSIGNMENTMODE".split(" "),
    );
    expect(out.split("\n")[1]).toMatch(
      /^p1 +192\.168\.0\.0\/16 +true +Always +Never +false +false +all\(\) +Automatic$/,
    );
    expect(await podloom("calicoctl", "get", "nodes", "-o", "wide")).toBe(0);
    expect(out).toMatch(/^NAME +ASN +IPV4 +IPV6\nn1 +\(64512\) +10\.1\.0\.11\/24\n$/);
  });

  test("columns of one's own, and a reservation", async () => {
    expect(await podloom("get", "ippool", "-o", "custom-columns=CIDR,NAME")).toBe(0);
    expect(out).toMatch(/^CIDR +NAME\n192\.168\.0\.0\/16 +p1\n$/);
    expect(await podloom("get", "ippool", "-o", "custom-columns=COLOUR")).toBe(2);
    expect(err).toMatch(/Unknown heading COLOUR, valid values are: NAME, CIDR, /);
    expect(await podloom("get", "ippool", "-o", "custom-columns")).toBe(2);
    expect(err).toMatch(/need to specify at least one column/);
    const reservation = `kind: IPReservation\napiVersion: projectcalico.org/v3\nmetadata: { name: r }\n`;
    const wrong = `${reservation}spec: { reservedCIDRs: [192.168.0.300] }\n`;
    expect(await podloom("apply", "-f", file(wrong))).toBe(2);
    expect(err).toMatch(/reservedCIDRs.*must be a CIDR/s);
    const right = `${reservation}spec: { reservedCIDRs: [192.168.0.0/28, 192.168.1.7] }\n`;
    expect(await podloom("apply", "-f", file(right))).toBe(0);
    expect(await podloom("get", "reservations", "-o", "wide")).toBe(0);
    expect(out).toMatch(/^NAME +CIDRS\nr +192\.168\.0\.0\/28,192\.168\.1\.7\n$/);
  });

  test("one by name as YAML, without what is of the store when exported", async () => {
    expect(await podloom("get", "ippool", "p1", "-o", "yaml")).toBe(0);
    expect(out).toMatch(
      /^apiVersion: projectcalico.org\/v3\nkind: IPPool\nmetadata:\n {2}creationTimestamp: .*\n {2}name: p1\n {2}resourceVersion: "\d+"\n {2}uid: /,
    );
    expect(await podloom("get", "ippool", "p1", "-o", "yaml", "--export")).toBe(0);
    expect(out).toMatch(/metadata:\n {2}name: p1\nspec:/);
  });

  test("what is not there, what is no kind, what does not go together", async () => {
    expect(await podloom("get", "ippool", "nope")).toBe(1);
    expect(err).toMatch(/resource does not exist: IPPool\(nope\)/);
    expect(await podloom("get", "ipool")).toBe(2);
    expect(err).toMatch(/does not know "ipool".*\n {2}Did you mean "ippool"/);
    expect(await podloom("get", "ippool", "-w")).toBe(2);
    expect(err).toMatch(/-w does not go with IPPool/);
    expect(await podloom("get", "ippool", "-o", "xml")).toBe(2);
    expect(await podloom("get", "nodes")).toBe(2);
    expect(err).toMatch(/`get nodes` takes no --etcd/);
  });
});

const attributes = { node: "n1", namespace: "shop", pod: "web" };

describe("ipam", () => {
  beforeEach(async () => {
    await podloom("apply", "-f", file(POOL));
    await assign({ t: "autoAssign", host: "n1", count: 2, handle: "h1", attributes, use: "Workload" });
  });

  test("show", async () => {
    expect(await podloom("ipam", "show", "--show-blocks")).toBe(0);
    const [rule, head, , pool, block] = out.split("\n");
    expect(rule).toMatch(/^\+-+\+-+\+-+\+-+\+-+\+$/);
    expect(head).toMatch(/^\| GROUPING \| +CIDR +\| IPS TOTAL \| IPS IN USE \| +IPS FREE +\|$/);
    expect(pool).toMatch(
      /^\| IP Pool {2}\| 192\.168\.0\.0\/16 +\| +65536 \| 2 \(0%\) +\| 65534 \(100%\) \|$/,
    );
    expect(block).toMatch(/^\| Block {4}\| 192\.168\.\d+\.\d+\/26 +\| +64 \| 2 \(3%\) +\| 62 \(97%\) +\|$/);
    expect(await podloom("ipam", "show", "--show-configuration")).toBe(0);
    expect(out).toMatch(/\| StrictAffinity +\| false \|/);
    expect(await podloom("ipam", "show", "--ip=192.168.999.1")).toBe(2);
    expect(await podloom("ipam", "show", "--ip=10.0.0.1")).toBe(0);
    expect(out).toBe("10.0.0.1 is not assigned\n");
  });

  test("check finds the addresses that nobody uses, reports them, and fails; calicoctl itself does not", async () => {
    expect(await podloom("ipam", "check", "--show-problem-ips", "-o", "report.json")).toBe(1);
    expect(out).toMatch(/^Checking IPAM for inconsistencies\.\.\.\n/);
    expect(out).toMatch(/Found 2 IPs that are allocated in IPAM but not actually in use\./);
    expect(out).toMatch(/Check complete; found 2 problems\.\n$/);
    const report = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as { allocations: object };
    expect(Object.keys(report.allocations)).toHaveLength(2);
    expect(await podloom("calicoctl", "ipam", "check")).toBe(0);
  });

  test("release gives an address back, once", async () => {
    const { addrs } = await assign({
      t: "autoAssign",
      host: "n1",
      count: 1,
      handle: "h2",
      attributes,
      use: "Workload",
    });
    const ip = [24, 16, 8, 0].map((shift) => ((addrs[0] as number) >>> shift) & 255).join(".");
    expect(await podloom("ipam", "release", `--ip=${ip}`)).toBe(0);
    expect(out).toBe(`Successfully released IP address ${ip}\n`);
    expect(await podloom("ipam", "release", `--ip=${ip}`)).toBe(0);
    expect(out).toBe(`IP address ${ip} is not assigned\n`);
  });

  test("release from reports: what all call leaked, of this cluster, while the datastore is locked", async () => {
    const information = {
      kind: "ClusterInformation",
      apiVersion: "projectcalico.org/v3",
      metadata: { name: "default" },
      spec: { clusterGUID: "abc" },
    };
    const etcd = new Etcd3Transport({ endpoints: [store.url] });
    const key = "/calico/resources/v3/projectcalico.org/clusterinformations/default";
    await etcd.put(key, encodeUtf8(JSON.stringify(information)), NO_LEASE);
    await etcd.close();
    await podloom("ipam", "check", "-o", "early.json");
    await assign({ t: "autoAssign", host: "n1", count: 1, handle: "h2", attributes, use: "Workload" });
    await podloom("ipam", "check", "-o", "unlocked.json");
    const release = (...reports: string[]): Promise<number> =>
      podloom("ipam", "release", ...reports.map((report) => `--from-report=${report}`));
    expect(await release("unlocked.json")).toBe(1);
    expect(err).toMatch(/data store is not locked\. Either lock the data store, or re-run with --force/);
    expect([await podloom("calicoctl", "datastore", "migrate", "lock"), err]).toEqual([0, ""]);
    expect(out).toBe("Datastore locked.\n");
    expect(await release("unlocked.json")).toBe(1);
    expect(err).toMatch(/the provided reports are all stale/);
    await podloom("ipam", "check", "-o", "locked.json");
    const other = readFileSync(join(folder, "locked.json"), "utf8").replace('"abc"', '"xyz"');
    writeFileSync(join(folder, "other.json"), other);
    expect(await release("locked.json", "other.json")).toBe(1);
    expect(err).toMatch(
      /cluster does not match the provided report \(other\.json\): mismatched cluster GUID/,
    );
    // The third address was given after the first report.
    expect(await release("early.json", "locked.json")).toBe(0);
    expect(out).toMatch(/^Releasing 2 old IPs\.\.\.\nReleased 2 IPs successfully\n/);
    expect(out).toMatch(/You may now unlock the data store\.\n$/);
    await podloom("ipam", "check");
    expect(out).toMatch(/Found 1 IPs that are allocated in IPAM but not actually in use\./);
    expect(await release("early.json", "locked.json")).toBe(0);
    expect(out).toMatch(
      /Released 0 IPs successfully\n2 addresses marked as leaked in the report had already/,
    );
    expect(await podloom("calicoctl", "datastore", "migrate", "unlock")).toBe(0);
    expect(await podloom("get", "clusterinfo", "-o", "custom-columns=DATASTOREREADY")).toBe(0);
    expect(out).toMatch(/true\n$/);
    expect(await podloom("calicoctl", "version")).toBe(0);
    expect(out).toMatch(
      /^Client Version: {4}podloom \d+\.\d+\.\d+\nCluster Version: {3}unknown\nCluster Type: {6}unknown\n$/,
    );
    expect(await podloom("ipam", "release")).toBe(2);
    expect(await release("nowhere.json")).toBe(1);
    expect(await release("f.yaml")).toBe(1);
    expect(err).toMatch(/f\.yaml: no JSON/);
  });

  test("configure", async () => {
    expect(await podloom("ipam", "configure", "--max-blocks-per-host=3")).toBe(1);
    expect(err).toMatch(/MaxBlocksPerHost requires StrictAffinity=true/);
    expect(await podloom("ipam", "configure", "--strictaffinity=true", "--max-blocks-per-host=3")).toBe(0);
    expect(out).toBe("Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 3\n");
    expect(await podloom("ipam", "show", "--show-configuration")).toBe(0);
    expect(out).toMatch(/\| StrictAffinity +\| true +\|/);
    expect(await podloom("ipam", "configure", "--strictaffinity=yes")).toBe(2);
    expect(await podloom("ipam", "configure")).toBe(2);
  });
});

describe("delete", () => {
  test("of a pool: half a second after nobody gets an address any more, its blocks are nobody's, and it is gone", async () => {
    await podloom("apply", "-f", file(POOL));
    await assign({ t: "autoAssign", host: "n1", count: 1, handle: "h1", attributes, use: "Workload" });
    const before = performance.now();
    expect(await podloom("delete", "ippool", "p1")).toBe(0);
    expect(performance.now() - before).toBeGreaterThan(490);
    expect(out).toBe("Successfully deleted 1 'IPPool' resource(s)\n");
    await podloom("ipam", "check");
    expect(out).toMatch(/IPAM block 192\.168\.\d+\.\d+\/26 affinity=<none>:/);
    expect(await podloom("delete", "ippool", "p1")).toBe(1);
    expect(err).toMatch(/Failed to delete 'IPPool' resource: resource does not exist/);
    expect(await podloom("delete", "ippool", "p1", "-s")).toBe(0);
  });

  test("of a node: addresses of pods and tunnels, endpoints, blocks and its own configuration go with it", async () => {
    const { addrs } = await assign({
      t: "autoAssign",
      host: "n1",
      count: 2,
      handle: "h1",
      attributes,
      use: "Workload",
    });
    const [pod, tunnel] = addrs.map((addr) =>
      [24, 16, 8, 0].map((shift) => (addr >>> shift) & 255).join("."),
    );
    const text = `${POOL}---
kind: Node
apiVersion: projectcalico.org/v3
metadata: { name: n1 }
spec: { bgp: { ipv4Address: 10.1.0.11/24, ipv4IPIPTunnelAddr: ${tunnel} } }
---
kind: WorkloadEndpoint
apiVersion: projectcalico.org/v3
metadata: { name: n1-k8s-web-eth0, namespace: shop }
spec:
  orchestrator: k8s
  node: n1
  pod: web
  endpoint: eth0
  interfaceName: cali0123456789a
  ipNetworks: [${pod}/32]
---
kind: BGPConfiguration
apiVersion: projectcalico.org/v3
metadata: { name: node.n1 }
spec: { listenPort: 1179 }
---
kind: BGPPeer
apiVersion: projectcalico.org/v3
metadata: { name: of-n1 }
spec: { node: n1, peerIP: 10.1.0.1, asNumber: 64600 }
`;
    expect(await podloom("apply", "-f", file(text))).toBe(0);
    expect(await podloom("ipam", "check")).toBe(0);
    expect(await podloom("delete", "quark", "n1")).toBe(2);
    expect(await podloom("delete", "node", "n1")).toBe(0);
    expect(out).toBe("Successfully deleted 1 'Node' resource(s)\n");
    expect(await podloom("get", "wep", "-A", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ items: [] });
    for (const kind of ["bgppeer", "bgpconfig"]) {
      await podloom("get", kind, "-o", "json");
      expect(JSON.parse(out)).toMatchObject({ items: [] });
    }
    expect(await podloom("ipam", "check")).toBe(0);
    expect(out).toMatch(/Found 0 IPAM blocks\./);
  });

  test("of a file; and what cannot be meant", async () => {
    await podloom("apply", "-f", file(POOL));
    expect(await podloom("delete", "-f", "f.yaml")).toBe(0);
    expect(await podloom("delete")).toBe(2);
    expect(await podloom("delete", "ippool", "p1", "-f", "f.yaml")).toBe(2);
    expect(await podloom("delete", "ippool", "../x")).toBe(2);
  });
});

describe("a store that hangs", () => {
  test.each([
    ["get", "ippool"],
    ["get", "ippool", "p1"],
    ["ipam", "check"],
    ["ipam", "release", "--ip=192.168.0.1"],
    ["apply", "-f", "f.yaml"],
  ])(
    "ends `%s %s` in a time that a person waits, with its endpoint and what to do",
    async (...argv) => {
      file(POOL);
      await store.pause();
      const began = performance.now();
      try {
        expect(await podloom(...argv)).toBe(argv[0] === "apply" ? 1 : 5);
      } finally {
        store.resume();
      }
      // 3 s for a call and 5 s for a resource. A node would have waited for 15 s, and 90 s for an address.
      expect(performance.now() - began).toBeLessThan(12_000);
      expect(err).toContain(store.url);
      expect(err).toContain(
        argv[0] === "apply" ? "Nothing was changed." : "`podloom get nodes -o wide` says",
      );
    },
    30_000,
  );
});
