import { decodeUtf8 } from "../../src/base/utf8.ts";
import { emitIpamBlock, parseIpamBlock } from "../../src/control/calico/ipam/ipam-block-json.ts";
import { parseAffinity, parseHandle, parseIpamConfig } from "../../src/control/calico/ipam/ipam-values.ts";
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

/** A block that was accepted is written back, and read once more: it must be the same. */
function ipamBlock(input: string): unknown {
  const block = parseIpamBlock(input);
  if (!block.ok) return block;
  const emitted = emitIpamBlock(block.value);
  const again = parseIpamBlock(emitted);
  if (!again.ok || emitIpamBlock(again.value) !== emitted) throw new Error(`not read back: ${emitted}`);
  return emitted;
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
  {
    name: "ipam block",
    create: text(ipamBlock),
    words: JSON_WORDS,
    seeds: seedTexts(
      '{"cidr":"10.244.7.0/30","affinity":"host:w1","affinity_claim_time":"2026-06-01T00:00:00Z","allocations":[0,null,1,1],"unallocated":[1],"attributes":[{"handle_id":"h","secondary":{"node":"w1"}},{"handle_id":null,"secondary":null}],"sequenceNumber":1717200000000000003,"sequenceNumberForAllocation":{"0":1,"2":1717200000000000001},"deleted":false}',
      '{"cidr":"10.244.7.3/32","affinity":null,"allocations":[null],"unallocated":[0],"attributes":null,"sequenceNumber":18446744073709551615,"sequenceNumberForAllocation":{},"deleted":true}',
    ),
  },
  {
    name: "ipam affinity, handle, configuration",
    create: text((input) => {
      const handle = parseHandle(input);
      return [parseAffinity(input), handle.ok ? [...handle.value] : handle, parseIpamConfig(input)];
    }),
    words: JSON_WORDS,
    seeds: seedTexts(
      '{"state":"pending","deleted":false}',
      '{"block":{"10.244.7.0/26":1,"10.244.10.0/26":3},"deleted":false}',
      '{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4}',
    ),
  },
];
