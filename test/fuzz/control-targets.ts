import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import { parseAffinityValue } from "../../src/control/calico/affinity-value.ts";
import { parseAffinityKey, parseBlockKey, parseResourceKey } from "../../src/control/calico/calico-keys.ts";
import { checkResource, emitResource, readResource } from "../../src/control/calico/check-resource.ts";
import { parsePlainJson } from "../../src/control/calico/plain-json.ts";
import { CALICO_KINDS } from "../../src/control/calico/resource-kinds.ts";
import { parseSelector, selects } from "../../src/control/calico/selector.ts";
import { parseWorkloadEndpointName } from "../../src/control/calico/workload-endpoint-name.ts";
import { parseLeaseAttrs } from "../../src/control/flannel/lease-attrs.ts";
import { parseNetConf } from "../../src/control/flannel/net-conf.ts";
import { parsePreviousSubnet, parseSubnetEnv } from "../../src/control/flannel/subnet-env.ts";
import { parseSubnetKey } from "../../src/control/flannel/subnet-key.ts";
import type { FuzzTarget, Reader } from "./harness.ts";
import { JSON_WORDS, seedTexts } from "./seeds.ts";

/** A parser of text: what it makes of the input, as one string. Bytes that are not UTF-8 are read one by one. */
function text(parse: (text: string) => unknown): () => Reader {
  return () => (bytes, end) => {
    const input = bytes.subarray(0, end);
    const parsed = parse(decodeUtf8(input) ?? String.fromCharCode(...input));
    return (
      JSON.stringify(parsed, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value)) ??
      "undefined"
    );
  };
}

const CALICO_SEEDS = seedTexts(
  '{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"w","labels":{"rack":"r1"}},"spec":{"bgp":{"ipv4Address":"10.1.0.11/24","asNumber":64513,"routeReflectorClusterID":"244.0.0.1"},"ipv4VXLANTunnelAddr":"10.244.7.0","vxlanTunnelMACAddr":"66:00:00:00:00:01"}}',
  '{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"w"},"spec":{"cidr":"10.244.0.0/16","blockSize":26,"ipipMode":"Always","nodeSelector":"all()","allowedUses":["Workload"]}}',
  '{"kind":"BGPConfiguration","apiVersion":"projectcalico.org/v3","metadata":{"name":"w"},"spec":{"asNumber":"1.10","communities":[{"name":"b","value":"1:2"}],"prefixAdvertisements":[{"cidr":"10.0.0.0/8","communities":["b"]}],"nodeMeshMaxRestartTime":"2m0s"}}',
  '{"kind":"BGPPeer","apiVersion":"projectcalico.org/v3","metadata":{"name":"w"},"spec":{"nodeSelector":"rack == \'r1\'","peerIP":"[fd00::1]:179","asNumber":64600,"reachableBy":"fd00::2","maxRestartTime":"120s"}}',
  '{"kind":"BGPFilter","apiVersion":"projectcalico.org/v3","metadata":{"name":"w"},"spec":{"exportV4":[{"cidr":"10.0.0.0/8","matchOperator":"In","prefixLength":{"min":16},"action":"Accept"}]}}',
  '{"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{"name":"w-k8s-p-e","namespace":"w"},"spec":{"orchestrator":"k8s","node":"w","pod":"p","endpoint":"e","interfaceName":"cali1","mac":"02:42:00:00:00:01","ipNetworks":["10.244.7.3/32"]}}',
);

/** The JSON as a value of each kind of the store, and as a document. What is used must be stable. */
function calicoResource(input: string): unknown {
  const bytes = encodeUtf8(input);
  const stored = CALICO_KINDS.map((kind) => {
    const id =
      kind === "WorkloadEndpoint" ? { kind, name: "w-k8s-p-e", namespace: "w" } : { kind, name: "w" };
    const read = readResource(id, bytes);
    if (!read.ok) return read.error;
    const written = emitResource(read.value);
    if (!readResource(id, written).ok) throw new Error(`${kind} cannot be read any more`);
    return decodeUtf8(written);
  });
  const plain = parsePlainJson(input);
  return [stored, plain.ok ? checkResource(plain.value) : undefined];
}

/** What the store and the state folder hold: strangers may have written it. */
export const controlTargets: readonly FuzzTarget[] = [
  {
    name: "flannel config",
    create: text(parseNetConf),
    words: JSON_WORDS,
    seeds: seedTexts(
      '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}',
      '{"network":"10.0.0.0/8","SubnetLen":20,"SubnetMin":"10.10.0.0","SubnetMax":"10.99.0.0","Backend":{"Type":"vxlan","VNI":7,"Port":8472,"MTU":1400,"GBP":true,"Learning":false,"DirectRouting":true}}',
      '{"EnableIPv4":true,"EnableIPv6":true,"Network":"10.5.0.0/16","IPv6Network":"fc00::/48","IPv6SubnetLen":64,"Backend":{"Type":"host-gw"}}',
    ),
  },
  {
    name: "lease attributes",
    create: text(parseLeaseAttrs),
    words: JSON_WORDS,
    seeds: seedTexts(
      '{"PublicIP":"1.2.3.4","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}',
      '{"PublicIP":"1.2.3.4","PublicIPv6":null}',
      '{"PublicIP":"1.2.3.4","PublicIPv6":"fe80::1","BackendType":"wireguard","BackendData":{"PublicKey":"aGVsbG8=","Port":51820}}',
    ),
  },
  {
    name: "subnet key",
    create: text(parseSubnetKey),
    words: JSON_WORDS,
    seeds: seedTexts(
      "/coreos.com/network/subnets/10.5.1.0-24",
      "/coreos.com/network/subnets/10.5.1.0-24&fd00:5:1::-64",
      "/coreos.com/network/subnets/10.12.13.300-24",
    ),
  },
  {
    name: "subnet.env",
    create: text((input) => [parseSubnetEnv(input), parsePreviousSubnet(input)]),
    words: JSON_WORDS,
    seeds: seedTexts(
      "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
      "FLANNEL_SUBNET=10.244.1.1/24,10.244.2.1/24\n",
    ),
  },
  { name: "calico resource", create: text(calicoResource), words: JSON_WORDS, seeds: CALICO_SEEDS },
  {
    name: "calico key",
    create: text((input) => [
      parseResourceKey(input),
      parseBlockKey(input),
      parseAffinityKey(input, "w"),
      parseWorkloadEndpointName(input),
    ]),
    words: JSON_WORDS,
    seeds: seedTexts(
      "/calico/resources/v3/projectcalico.org/ippools/default-ipv4-ippool",
      "/calico/resources/v3/projectcalico.org/workloadendpoints/shop/worker--1-k8s-web--0-eth0",
      "/calico/ipam/v2/assignment/ipv4/block/10.244.7.0-26",
      "/calico/ipam/v2/host/w/ipv4/block/10.244.7.0-26",
      "worker--1-k8s-web--0-eth0",
    ),
  },
  {
    name: "calico affinity",
    create: text((input) => parseAffinityValue(encodeUtf8(input))),
    words: JSON_WORDS,
    seeds: seedTexts('{"state":"confirmed","deleted":false}', '{"state":"pendingDeletion"}'),
  },
  {
    name: "calico selector",
    create: text((input) => {
      const parsed = parseSelector(input);
      return parsed.ok ? selects(parsed.value, { a: "b" }) : parsed.error;
    }),
    words: JSON_WORDS,
    seeds: seedTexts(
      "projectcalico.org/orchestrator == 'k8s' && !(app in {'web', \"db\"} || has(x))",
      "a not in {'b'} && c starts with 'd' || e ends with 'f' && all()",
    ),
  },
];
