// A table as a neighbour sends it: UPDATEs, then End-of-RIB.
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SegmentType } from "../../src/wire/bgp/as-path.ts";
import { emitAttributes } from "../../src/wire/bgp/attributes/emit-attributes.ts";
import { NO_ATTRIBUTES, Origin } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { emitEndOfRib, emitReachable } from "../../src/wire/bgp/emit-update.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { MESSAGE_MAX } from "../../src/wire/bgp/header.ts";
import { OctetWriter } from "../../src/wire/bgp/octets.ts";
import { PrefixBuffer } from "../../src/wire/bgp/prefix-list.ts";
import { FEEDER_AS, TABLE_PREFIXES, type TableShape } from "./table-plan.ts";

const FIRST_PREFIX = ipv4("20.0.0.0");
const PREFIX_LEN = 24;
const PREFIXES_A_SET: Readonly<Record<TableShape, number>> = { alike: TABLE_PREFIXES, varied: 5 };
const CONTEXT = { addPathTx: [], txMaxBytes: MESSAGE_MAX };

/** @param nextHop of all routes */
export function tableBytes(shape: TableShape, nextHop: number): Uint8Array {
  const out = new OctetWriter(4 * 1024 * 1024);
  const size = PREFIXES_A_SET[shape];
  const list = new PrefixBuffer(Family.IPV4_UNICAST, size);
  for (let from = 0; from < TABLE_PREFIXES; from += size) {
    list.clear();
    for (let i = from; i < from + size; i++) list.addIpv4(FIRST_PREFIX + i * 256, PREFIX_LEN);
    emitReachable(out, CONTEXT, attributesOf(from / size, nextHop), list);
  }
  emitEndOfRib(out, Family.IPV4_UNICAST);
  return out.take();
}

/** No two sets are the same. */
function attributesOf(set: number, nextHop: number): Uint8Array {
  const further = Array.from({ length: 1 + (set % 5) }, (_, hop) => 100_000 + set * 7 + hop * 1000);
  return emitAttributes(
    {
      ...NO_ATTRIBUTES,
      origin: Origin.IGP,
      asPath: [{ type: SegmentType.SEQUENCE, asns: [FEEDER_AS, ...further] }],
      nextHop,
      med: set % 100,
      communities: Array.from({ length: set % 4 }, (_, i) => FEEDER_AS * 65_536 + i),
    },
    { as4: true },
  );
}
