import { describe, expect, test } from "vitest";
import { decodeUtf8, encodeUtf8 } from "../../../../src/base/utf8.ts";
import type { ResourceId } from "../../../../src/control/calico/calico-keys.ts";
import {
  checkResource,
  documentsOf,
  emitResource,
  formatFault,
  readResource,
} from "../../../../src/control/calico/check-resource.ts";
import type { CalicoResource } from "../../../../src/control/calico/resources.ts";

type Json = Readonly<Record<string, unknown>>;

function document(kind: string, name: string, spec: Json, metadata: Json = {}): Json {
  return { apiVersion: "projectcalico.org/v3", kind, metadata: { name, ...metadata }, spec };
}

/** What is said of a document; empty: nothing. */
function said(value: unknown): readonly string[] {
  const checked = checkResource(value);
  return checked.ok ? [] : checked.error.map((fault) => formatFault(value, fault));
}

function accepted(value: unknown): CalicoResource {
  const checked = checkResource(value);
  if (!checked.ok) throw new Error(said(value).join("\n"));
  return checked.value;
}

const pool = (spec: Json) => document("IPPool", "p", { cidr: "10.244.0.0/16", ...spec });
const peer = (spec: Json) => document("BGPPeer", "b", spec);
const config = (spec: Json, name = "default") => document("BGPConfiguration", name, spec);
const node = (spec: Json, metadata: Json = {}) => document("Node", "n1", spec, metadata);
const felix = (spec: Json, name = "default") => document("FelixConfiguration", name, spec);
const filter = (rule: Json) => document("BGPFilter", "f", { exportV4: [{ action: "Accept", ...rule }] });
const wep = (spec: Json, metadata: Json = {}) =>
  document(
    "WorkloadEndpoint",
    "n1-k8s-web-eth0",
    {
      orchestrator: "k8s",
      node: "n1",
      pod: "web",
      endpoint: "eth0",
      interfaceName: "cali12345678901",
      ipNetworks: ["10.244.0.1/32"],
      ...spec,
    },
    { namespace: "shop", ...metadata },
  );
const BGP = { bgp: { ipv4Address: "10.1.0.11/24" } };

describe("documents that Calico takes", () => {
  test.each<readonly [string, Json]>([
    ["pool", pool({})],
    ["pool of one block", pool({ cidr: "10.244.0.0/26" })],
    ["disabled pool smaller than a block", pool({ cidr: "10.244.0.0/30", disabled: true })],
    ["pool of IPv6", pool({ cidr: "fd00::/48", blockSize: 122 })],
    ["pool for services", pool({ allowedUses: ["LoadBalancer"] })],
    ["peer by address and port", peer({ peerIP: "10.1.0.1:1790", asNumber: 64600 })],
    ["peer over IPv6", peer({ peerIP: "[fd00::1]:179", reachableBy: "fd00::2", asNumber: "1.10" })],
    ["peers by selector", peer({ nodeSelector: "all()", peerSelector: "rr == 'true'" })],
    ["mesh off", config({ nodeToNodeMeshEnabled: false, asNumber: 64512 })],
    ["per node", config({ listenPort: 1790, logSeverityScreen: "Debug" }, "node.n1")],
    [
      "communities",
      config({
        communities: [{ name: "blue", value: "64512:100" }],
        prefixAdvertisements: [{ cidr: "10.244.0.0/16", communities: ["blue", "1:2:4294967295"] }],
      }),
    ],
    ["node", node(BGP, { labels: { "projectcalico.org/rr": "true", rack: "" } })],
    ["felix, with fields that we do not read", felix({ bpfEnabled: false, routeRefreshInterval: "90s" })],
    ["filter", filter({ cidr: "10.0.0.0/8", matchOperator: "In", prefixLength: { min: 16 } })],
    ["endpoint", wep({})],
  ])("%s", (_, value) => expect(said(value)).toEqual([]));
});

// One row for each rule.
describe("documents that it refuses", () => {
  test.each<readonly [unknown, string]>([
    ["text", "must be a mapping with kind"],
    [{}, "kind: must be set"],
    [{ ...pool({}), kind: "IPPol" }, "kind: Unknown resource type (IPPol)"],
    [{ ...pool({}), kind: "Profile" }, "podloom does not read it"],
    [document("ClusterInformation", "default", {}), "resource is readonly"],
    [{ ...pool({}), apiVersion: "v1" }, 'IPPool p: apiVersion: "v1" is none of projectcalico.org/v3'],
    [{ ...pool({}), apiVersion: undefined }, "IPPool p: apiVersion: must be set"],
    [{ ...pool({}), sepc: {} }, 'IPPool p: sepc: unknown field "sepc": did you mean spec?'],
    [document("IPPool", "", { cidr: "10.0.0.0/8" }), "IPPool: metadata.name: must be set"],
    [document("IPPool", "a/b", { cidr: "10.0.0.0/8" }), "metadata.name: name must consist of lower case"],
    [node(BGP, { labels: { "a b": "c" } }), "metadata.labels.a b: name part must consist"],
    [node(BGP, { labels: { a: "b c" } }), "metadata.labels.a: a valid label must be"],
    [node(BGP, { labels: { a: true } }), "metadata.labels.a: must be a text, not true; put it in quotes"],
    [node(BGP, { annotations: { "/": "" } }), "metadata.annotations./"],
    [document("IPPool", "p", {}), "IPPool p: spec.cidr: must be set"],
    [pool({ cidr: "10.244.0.0" }), "spec.cidr: must be a valid subnet"],
    [pool({ cidr: "10.244.1.0/16" }), "spec.cidr: IPPool CIDR is not strictly masked"],
    [pool({ cidr: "169.254.0.0/17" }), "overlaps with IPv4 Link Local range 169.254.0.0/16"],
    [pool({ cidr: "fe80::/64" }), "overlaps with IPv6 Link Local range fe80::/10"],
    [pool({ cidr: "10.244.0.0/27" }), "IP pool size is too small for use with Calico IPAM"],
    [pool({ blockSize: 19 }), "IPPool p: spec.blockSize: IPv4 block size must be between 20 and 32"],
    [
      pool({ cidr: "fd00::/48", blockSize: 26 }),
      "spec.blockSize: IPv6 block size must be between 116 and 128",
    ],
    [pool({ blockSize: "26" }), 'spec.blockSize: must be a whole number, not "26"'],
    [pool({ blocksize: 26 }), 'spec.blocksize: unknown field "blocksize": did you mean blockSize?'],
    [pool({ ipipMode: "always" }), 'spec.ipipMode: "always" is none of Never, Always, CrossSubnet: did you'],
    [pool({ ipipMode: "Always", vxlanMode: "CrossSubnet" }), "Cannot enable both VXLAN and IPIP"],
    [pool({ cidr: "fd00::/48", ipipMode: "Always" }), "spec.ipipMode: IPIP is not supported on an IPv6"],
    [pool({ allowedUses: ["LoadBalancer", "Tunnel"] }), "spec.allowedUses: LoadBalancer cannot be combined"],
    [pool({ allowedUses: ["Pods"] }), 'spec.allowedUses[0]: "Pods" is none of'],
    [
      pool({ nodeSelector: "rack = 'r1'" }),
      "spec.nodeSelector: invalid selector \"rack = 'r1'\": expected == at character 6",
    ],
    [pool({ natOutgoing: "yes" }), 'spec.natOutgoing: must be true or false, not "yes"'],
    [peer({ node: "n1", nodeSelector: "all()" }), "spec.node: Node field must be empty when NodeSelector"],
    [
      peer({ peerIP: "10.1.0.1", peerSelector: "all()" }),
      "spec.peerIP: PeerIP field must be empty when PeerS",
    ],
    [
      peer({ peerIP: "10.1.0.1", localWorkloadSelector: "all()", asNumber: 1 }),
      "empty when LocalWorkloadSel",
    ],
    [peer({ peerSelector: "a", localWorkloadSelector: "all()" }), "spec.peerSelector: invalid selector"],
    [peer({ peerSelector: "all()", asNumber: 1 }), "spec.asNumber: ASNumber field must be empty"],
    [peer({ localWorkloadSelector: "all()" }), "spec.asNumber: ASNumber field must be specified"],
    [peer({ peerIP: "10.1.0.1" }), "spec.asNumber: ASNumber field must be specified when PeerIP is"],
    [peer({ reachableBy: "10.1.0.254" }), "spec.reachableBy: ReachableBy field requires PeerIP"],
    [
      peer({ peerIP: "10.1.0.1", asNumber: 64600, reachableBy: "fd00::1" }),
      "ReachableBy and PeerIP address family mismatched",
    ],
    [peer({ keepOriginalNextHop: true, nextHopMode: "Self" }), "spec.nextHopMode: must be empty"],
    [peer({ peerIP: "10.1.0.1:70000" }), "spec.peerIP: must be the peer's address"],
    [peer({ peerIP: "[10.1.0.1]:179" }), "spec.peerIP: must be the peer's address"],
    [peer({ asNumber: 2 ** 32 }), "spec.asNumber: must be an AS number, 1 to 4294967295"],
    [peer({ asNumber: 1.1 }), 'spec.asNumber: must be an AS number, 1 to 4294967295 or "HIGH.LOW", not 1.1'],
    [peer({ asNumber: "65536.1" }), "spec.asNumber: must be an AS number"],
    [peer({ maxRestartTime: "120" }), 'spec.maxRestartTime: must be a duration such as "90s"'],
    [peer({ maxRestartTime: "-1s" }), "spec.maxRestartTime: must not be negative"],
    [peer({ ttlSecurity: 256 }), "spec.ttlSecurity: must be 0 to 255, not 256"],
    [peer({ password: { secretKeyRef: { name: "s" } } }), "spec.password.secretKeyRef.key: must be set"],
    [config({}, "defalt"), 'metadata.name: must be "default" or "node.NAME"'],
    [config({ nodeToNodeMeshEnabled: true }, "node.n1"), "Cannot set nodeToNodeMeshEnabled on a non default"],
    [config({ asNumber: 64512 }, "node.n1"), "Cannot set asNumber on a non default BGP Configuration."],
    [
      config({ nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: "2m" }),
      "requires that nodeToNodeMeshEnabled",
    ],
    [config({ listenPort: 65536 }), "spec.listenPort: must be 1 to 65535"],
    [
      config({ serviceClusterIPs: [{ cidr: "10.96.0.0/33" }] }),
      "spec.serviceClusterIPs[0].cidr: must be a CIDR",
    ],
    [config({ communities: [{ name: "blue", value: "1:2" }] }), "communities are defined but not used"],
    [
      config({ prefixAdvertisements: [{ cidr: "10.0.0.0/8", communities: ["blue"] }] }),
      "spec.prefixAdvertisements[0].communities[0]: community used is invalid or not defined",
    ],
    [
      config({ prefixAdvertisements: [{ cidr: "10.0.0.0/8", communities: ["65536:1"] }] }),
      "invalid community value, expected 16 bit value",
    ],
    [
      config({
        communities: [{ name: "blue", value: "blue" }],
        prefixAdvertisements: [{ cidr: "10.0.0.0/8", communities: ["blue"] }],
      }),
      "spec.communities[0].value: invalid community value or format used",
    ],
    [node({}), "Node n1: spec.bgp: Spec.BGP should not be empty"],
    [node({ bgp: {} }), "Node n1: spec.bgp: Spec.BGP should not be empty"],
    [node({ bgp: { ipv4Address: "10.1.0/24" } }), "Node n1: spec.bgp.ipv4Address: must be an IPv4 CIDR"],
    [node({ bgp: { ...BGP.bgp, routeReflectorClusterID: "1" } }), "routeReflectorClusterID: must be an IPv4"],
    [node({ ...BGP, vxlanTunnelMACAddr: "66:.." }), "spec.vxlanTunnelMACAddr: must be a MAC address"],
    [felix({}, "n1"), 'metadata.name: must be "default" or "node.NAME"'],
    [felix({ vxlanEnable: true }), 'unknown field "vxlanEnable": did you mean vxlanEnabled?'],
    [felix({ vxlanVNI: 2 ** 24 }), "spec.vxlanVNI: must be 1 to 16777215"],
    [
      filter({ cidr: "10.0.0.0/8" }),
      "spec.exportV4[0].matchOperator: cidr and matchOperator must both be set",
    ],
    [filter({ prefixLength: { max: 24 } }), "spec.exportV4[0].prefixLength: cidr is required"],
    [filter({ prefixLength: { max: 33 } }), "spec.exportV4[0].prefixLength.max: must be 0 to 32"],
    [filter({ action: "Drop" }), 'spec.exportV4[0].action: "Drop" is none of Accept, Reject'],
    [filter({ action: "Reject", operations: [{}] }), "operations may only be used with action Accept"],
    [filter({ action: undefined }), "spec.exportV4[0].action: must be set"],
    [wep({}, { namespace: undefined }), "metadata.namespace: namespace is not specified"],
    [wep({ pod: "other" }), "expected name n1-k8s-other-eth0"],
    [wep({ pod: "" }), "spec.pod: field should be assigned"],
    [wep({ interfaceName: "cali/1" }), "spec.interfaceName: must be the name of an interface"],
  ])("%j", (value, message) => {
    const faults = said(value);
    expect(faults.join("\n")).toContain(message);
    expect(faults).toHaveLength(1);
  });

  test("a peer is found in one way", () => {
    expect(said(peer({ peerSelector: "all()", localWorkloadSelector: "all()" }))).toEqual([
      "BGPPeer b: spec.peerSelector: PeerSelector field must be empty when LocalWorkloadSelector is specified",
      "BGPPeer b: spec.asNumber: ASNumber field must be specified when LocalWorkloadSelector is",
    ]);
  });

  test("every fault is told, with the way to it", () => {
    const checked = checkResource(pool({ cidr: "x", blockSize: 1.5, extra: 1 }));
    expect(checked.ok ? [] : checked.error.map((fault) => fault.path)).toEqual([
      ["spec", "extra"],
      ["spec", "cidr"],
      ["spec", "blockSize"],
    ]);
  });
});

describe("what is stored of a document", () => {
  test("a pool has Calico's defaults and its order of fields", () => {
    const value = pool({ blockSize: 0, natOutgoing: true, nodeSelector: "" });
    expect(decodeUtf8(emitResource(accepted(value)))).toBe(
      '{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"p"},"spec":{"cidr":"10.244.0.0/16","vxlanMode":"Never","ipipMode":"Never","natOutgoing":true,"blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"}}',
    );
  });

  test("numbers and durations are normalised, maps sorted, &, < and > escaped", () => {
    const value = {
      ...peer({ maxRestartTime: "120s", asNumber: "1.10", nodeSelector: "a == '<&>'", peerIP: "10.1.0.1" }),
      metadata: { name: "b", labels: { b: "2", "10": "x", "2": "y" }, resourceVersion: "7" },
    };
    expect(decodeUtf8(emitResource(accepted(value)))).toBe(
      '{"kind":"BGPPeer","apiVersion":"projectcalico.org/v3","metadata":{"name":"b","labels":{"10":"x","2":"y","b":"2"}},"spec":{"nodeSelector":"a == \'\\u003c\\u0026\\u003e\'","peerIP":"10.1.0.1","asNumber":65546,"maxRestartTime":"2m0s"}}',
    );
  });

  test("a node's bare address is a segment of its own", () => {
    expect(accepted(node({ bgp: { ipv4Address: "10.1.0.11" } })).spec).toEqual({
      bgp: { ipv4Address: "10.1.0.11/32" },
    });
  });

  test("the documents of a list", () => {
    expect(documentsOf({ kind: "IPPoolList", items: [1, 2] })).toEqual([
      { path: ["items", 0], document: 1 },
      { path: ["items", 1], document: 2 },
    ]);
    expect(documentsOf(pool({}))).toHaveLength(1);
  });
});

describe("what stands in the store", () => {
  const P: ResourceId = { kind: "IPPool", name: "p" };
  const read = (text: string, id = P) => readResource(id, encodeUtf8(text));
  const stored = (spec: string, rest = "") =>
    `{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"p","uid":"u","creationTimestamp":"2026-06-01T00:00:00Z"},"spec":${spec}${rest}}`;

  test("is written back whole: unknown fields, their order, and the text of their numbers", () => {
    const text = stored(
      '{"cidr":"10.244.0.0/16","disabled":false,"future":{"z":9007199254740993,"a":1.0,"__proto__":[1e400,-0]}}',
      ',"status":{"conditions":[]},"more":12345678901234567890}',
    ).slice(0, -1);
    const resource = read(text);
    expect(resource).toMatchObject({ ok: true });
    if (resource.ok) expect(decodeUtf8(emitResource(resource.value))).toBe(text);
  });

  test("Go finds fields whatever their case, and takes the last of several", () => {
    const text = stored('{"CIDR":"10.9.0.0/16","cidr":"10.244.0.0/16"}')
      .replace('"kind"', '"Kind"')
      .replace('"spec"', '"SPEC"');
    expect(read(text)).toMatchObject({
      ok: true,
      value: { kind: "IPPool", spec: { cidr: "10.244.0.0/16" } },
    });
  });

  test("may leave its spec out where nothing is required", () => {
    const text = '{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"n"}}';
    expect(read(text, { kind: "Node", name: "n" })).toMatchObject({ ok: true, value: { spec: {} } });
    expect(read(text.replace("}}", '},"spec":null}'), { kind: "Node", name: "n" })).toMatchObject({
      ok: true,
    });
  });

  test("is usable although Calico would not write it now", () => {
    expect(read(stored('{"cidr":"10.244.0.0/16","ipipMode":"Always","vxlanMode":"Always"}')).ok).toBe(true);
  });

  test.each([
    ["", "unexpected end of JSON input"],
    ["null", "not a JSON object"],
    ["[]", "not a JSON object"],
    [stored('{"cidr":7}'), "spec.cidr: must be a text, not 7"],
    [stored('{"cidr":"10.244.0.0/16","blockSize":64}'), "spec.blockSize: IPv4 block size must be between"],
    [stored('{"cidr":"10.244.0.0/16","blockSize":1e1}'), "spec.blockSize: must be a whole number, not 1e1"],
    [stored("{}").replace('"name":"p"', '"name":"q"'), "spec.cidr: must be set"],
    [stored('{"cidr":"10.0.0.0/8"}').replace('"name":"p"', '"name":"q"'), 'is "q", the key says "p"'],
    [stored('{"cidr":"10.0.0.0/8"}').replace("IPPool", "Node"), 'kind: "Node" is none of IPPool'],
    [stored("[]"), "spec: must be a mapping of fields, not a list"],
    [`{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`, "nested more than 100 levels deep"],
    [stored('{"cidr":1,"ipipMode":1,"vxlanMode":1,"blockSize":"","disabled":1}'), "; and 2 more"],
  ])("%s is not used", (text, message) => {
    expect(read(text)).toMatchObject({ ok: false, error: expect.stringContaining(message) });
  });

  test("bytes that are not text", () => {
    expect(readResource(P, Uint8Array.of(0xff))).toEqual({ ok: false, error: "not UTF-8" });
  });
});
