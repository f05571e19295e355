import * as ethernet from "../../src/wire/ethernet.ts";
import { ReferenceLab } from "../support/reference-lab.ts";
import { type FuzzTarget, type Reader, TAIL_BYTES } from "./harness.ts";
import { frames, repairAt, repairPacket } from "./seeds.ts";

/** Time between two inputs: long enough that fragments, neighbours and rate limits live and die. */
const STEP_US = 20_000;

/**
 * A whole lab that takes inputs in at one door. Every packet has to end somewhere: what is out at the end of a round may only
 * be waiting (fragments, ARP), and both labs must have counted the same.
 */
function lab(enter: (lab: ReferenceLab, bytes: Uint8Array, end: number) => void): () => Reader {
  return () => {
    const world = new ReferenceLab();
    const [{ netns, vxlan, e0 }] = world.nodes;
    return (bytes, end) => {
      enter(world, bytes, end);
      world.advance(STEP_US);
      if (world.pool.outstanding > 2000) throw new Error(`${world.pool.outstanding} buffers are out`);
      const { inReceives, inHdrErrors, inDelivers, forwDatagrams, reasmReqds, reasmOks } = netns.ip.stats;
      const ip = `${inReceives} ${inHdrErrors} ${inDelivers} ${forwDatagrams} ${reasmReqds} ${reasmOks}`;
      const counts = `${e0.stats.rxErrors} ${vxlan.stats.rxErrors} ${vxlan.stats.rxPackets} ${vxlan.stats.txPackets}`;
      return `${ip} ${counts} ${world.stack.drops.total} ${world.pool.outstanding}`;
    };
  };
}

/** A packet with the input in it, and the harness's bytes behind its tail. */
function packetOf(world: ReferenceLab, bytes: Uint8Array, end: number, headroom = 0) {
  const pkt = world.pool.acquire(headroom + end + TAIL_BYTES);
  if (pkt === undefined) throw new Error("the pool is exhausted");
  const at = pkt.put(headroom + end);
  pkt.bytes.set(bytes.subarray(0, end + TAIL_BYTES), at + headroom);
  return pkt;
}

const packets = frames.filter((f) => f[12] === 8 && f[13] === 0).map((f) => f.subarray(14));
const vxlans = packets
  .filter((p) => p[9] === 17 && p[22] === 0x21 && p[23] === 0x18)
  .map((p) => p.subarray(28));

export const stackTargets: readonly FuzzTarget[] = [
  {
    name: "frame from the wire",
    seeds: frames,
    share: 0.25,
    repair: (bytes, end) => repairAt(bytes, 14, end),
    create: lab((world, bytes, end) => {
      const [{ e0 }] = world.nodes;
      world.stack.netifRx(packetOf(world, bytes, end), e0, world.now);
    }),
  },
  {
    name: "ip input",
    seeds: packets,
    repair: repairPacket,
    create: lab((world, bytes, end) => {
      const [{ e0 }] = world.nodes;
      const pkt = packetOf(world, bytes, end, ethernet.HEADER_LEN);
      ethernet.emit(pkt.view, pkt.head, e0.mac, 0x02aa00000002, ethernet.EtherType.IPV4);
      world.stack.netifRx(pkt, e0, world.now);
    }),
  },
  {
    name: "vxlan receive",
    seeds: vxlans,
    repair: (bytes, end) => repairAt(bytes, 22, end),
    create: lab((world, bytes, end) => {
      const pkt = packetOf(world, bytes, end);
      world.receiver(1).receive(pkt, 0xc0a80502, 8472, world.now);
    }),
  },
];
