// What a Calico lab writes into its store, over the real embedded store.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prefix } from "../../src/base/ipv4-addr.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import { blockKey } from "../../src/control/calico/ipam/ipam-keys.ts";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { CalicoStore } from "../../src/lab/calico-store.ts";
import type { Lab } from "../../src/lab/resolve-lab.ts";
import { type StoreProcess, startStore } from "../support/etcd-process.ts";
import { HEAD, labOf } from "../support/lab-text.ts";

const ROOT = "/calico/resources/v3/projectcalico.org/";
let process: StoreProcess;
let etcd: Etcd3Transport;

beforeEach(async () => {
  process = await startStore("embedded");
  etcd = new Etcd3Transport({ endpoints: [process.url] });
});
afterEach(async () => {
  await etcd.close();
  await process.stop();
});

function labWith(text: string): Lab {
  return labOf(`${HEAD}cni: calico\nstore: ${process.url}\nunderlay: { subnet: 10.20.0.0/24 }\n${text}`);
}

async function configure(lab: Lab, { force = false, port = 1790 } = {}): Promise<CalicoStore> {
  const store = new CalicoStore(lab, lab.calico as NonNullable<Lab["calico"]>, port, {
    endpoints: [process.url],
    client: "slim",
  });
  await store.configure(etcd, force);
  return store;
}

interface Stored {
  readonly metadata: Record<string, unknown>;
  readonly spec: Record<string, unknown>;
}

/** What stands there, by kind and name. */
async function stored(): Promise<Record<string, Stored>> {
  const { kvs } = await etcd.range({ key: ROOT, rangeEnd: `${ROOT}~` });
  return Object.fromEntries(
    kvs.map((kv) => [kv.key.slice(ROOT.length), JSON.parse(decodeUtf8(kv.value) ?? "") as Stored]),
  );
}

async function put(path: string, resource: object): Promise<void> {
  await etcd.put(`${ROOT}${path}`, encodeUtf8(JSON.stringify(resource)), NO_LEASE);
}

const API = { apiVersion: "projectcalico.org/v3" };

describe("before the nodes start", () => {
  test("the store has what calico-node finds or makes, and what the file says of nodes", async () => {
    await configure(labWith("nodes: [{ name: a, labels: { rack: r1 }, asNumber: 64999 }, { name: b }]\n"));
    const found = await stored();
    expect(Object.keys(found)).toEqual([
      "bgpconfigurations/default",
      "clusterinformations/default",
      "felixconfigurations/default",
      "ippools/default-ipv4-ippool",
      "nodes/a",
    ]);
    expect(found["bgpconfigurations/default"]?.spec).toEqual({
      nodeToNodeMeshEnabled: true,
      asNumber: 64512,
      logSeverityScreen: "Info",
      listenPort: 1790,
    });
    expect(found["clusterinformations/default"]?.spec).toMatchObject({
      clusterGUID: expect.stringMatching(/^[0-9a-f]{32}$/),
      calicoVersion: "v3.32.1",
      datastoreReady: true,
    });
    expect(found["ippools/default-ipv4-ippool"]?.spec).toMatchObject({
      cidr: "192.168.0.0/16",
      ipipMode: "Always",
    });
    expect(found["nodes/a"]).toMatchObject({
      metadata: { labels: { rack: "r1" }, uid: expect.any(String), creationTimestamp: expect.any(String) },
      spec: { bgp: { asNumber: 64999 } },
    });
  });

  test("with port 179 nothing is said of ports; without it, the lab's own documents get it, too", async () => {
    const text = `calico:
  resources:
    - { kind: BGPConfiguration, metadata: { name: default }, spec: { asNumber: 64513 } }
    - { kind: BGPPeer, metadata: { name: tor }, spec: { peerIP: 10.20.0.1, asNumber: 64600 } }
    - { kind: BGPPeer, metadata: { name: far }, spec: { peerIP: 10.99.0.1, asNumber: 64600 } }
routers: [{ name: tor1, interfaces: [10.20.0.1/24], bgp: { as: 64600 } }]
`;
    await configure(labWith(text), { port: 179 });
    expect((await stored())["bgpconfigurations/default"]?.spec).toEqual({ asNumber: 64513 });
    expect((await stored())["bgppeers/tor"]?.spec.peerIP).toBe("10.20.0.1");
    await configure(labWith(text), { port: 1790, force: true });
    expect((await stored())["bgpconfigurations/default"]?.spec).toEqual({
      asNumber: 64513,
      listenPort: 1790,
    });
    expect((await stored())["bgppeers/tor"]?.spec.peerIP).toBe("10.20.0.1:1790");
    expect((await stored())["bgppeers/far"]?.spec.peerIP).toBe("10.99.0.1");
  });

  test("a second lab of the same file finds all as it was; what a node wrote of itself stays", async () => {
    const lab = labWith("nodes: [{ name: a, labels: { rack: r1 } }]\n");
    await configure(lab);
    const before = await stored();
    const node = before["nodes/a"] as Stored;
    const completed = { ...node, spec: { bgp: { ipv4Address: "10.20.0.2/24" } } };
    await put("nodes/a", { kind: "Node", ...API, ...completed });
    await configure(lab);
    expect(await stored()).toEqual({ ...before, "nodes/a": { kind: "Node", ...API, ...completed } });
  });
});

describe("in a store that was there before", () => {
  const ours = `calico: { resources: [{ kind: IPPool, metadata: { name: p }, spec: { cidr: 192.168.0.0/16, ipipMode: Always } }] }\n`;
  const theirs = {
    kind: "IPPool",
    ...API,
    metadata: { name: "p" },
    spec: { cidr: "192.168.0.0/16", blockSize: 26 },
  };

  test("another document is refused, and replaced by force", async () => {
    await put("ippools/p", theirs);
    await expect(configure(labWith(ours))).rejects.toMatchObject({
      code: "PL_CONFIG_FOREIGN",
      message: `the store holds another IPPool "p" than the lab file, under ${ROOT}ippools/p`,
      remedy: expect.stringContaining("--force-config"),
    });
    expect((await stored())["ippools/p"]).toEqual(theirs);
    await configure(labWith(ours), { force: true });
    expect((await stored())["ippools/p"]?.spec.ipipMode).toBe("Always");
  });

  test("a pool that is there makes the default one unnecessary, and one in the way is named", async () => {
    await put("ippools/q", { ...theirs, metadata: { name: "q" } });
    await configure(labWith(""));
    expect(Object.keys(await stored())).not.toContain("ippools/default-ipv4-ippool");
    await expect(configure(labWith(ours), { force: true })).rejects.toMatchObject({
      code: "PL_CONFIG_FOREIGN",
      message: expect.stringMatching(/IPPool "p": .*overlap.*q/),
    });
  });

  test("documents that were changed since stay so when our own store comes back", async () => {
    const store = await configure(labWith(ours));
    await put("ippools/p", theirs);
    await store.configureAgain();
    expect((await stored())["ippools/p"]).toEqual(theirs);
  });
});

test("blocks that nodes must have a route to, and those that they may", async () => {
  const store = await configure(
    labWith(`calico:
  resources:
    - { kind: IPPool, metadata: { name: p }, spec: { cidr: 192.168.0.0/16 } }
    - { kind: IPPool, metadata: { name: quiet }, spec: { cidr: 10.99.0.0/16, disableBGPExport: true } }
nodes: [{ name: a }, { name: b }]
`),
  );
  const block = async (cidr: string, affinity: string | null, ...allocations: unknown[]): Promise<void> => {
    const value = JSON.stringify({ cidr, affinity, allocations });
    await etcd.put(blockKey(prefix(cidr)), encodeUtf8(value), NO_LEASE);
  };
  await block("192.168.2.0/26", "host:b", null, 0);
  await block("192.168.1.0/26", "host:a", 0);
  await block("192.168.3.0/26", "host:a", null);
  await block("192.168.4.0/26", null, 0);
  await block("192.168.5.0/26", "host:elsewhere", 0);
  await block("10.99.1.0/26", "host:a", 0);
  await etcd.put(blockKey(prefix("192.168.9.0/26")), encodeUtf8("{"), NO_LEASE);
  expect(await store.subnets(etcd)).toEqual({
    storeLeases: ["192.168.1.0/26", "192.168.2.0/26"],
    storeOptional: ["10.99.1.0/26", "192.168.3.0/26", "192.168.5.0/26"],
  });
});
