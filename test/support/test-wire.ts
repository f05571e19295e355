// A network interface whose other end is the test: frames are put in as bytes and come out as bytes.
import type { MacAddr } from "../../src/base/mac-addr.ts";
import type { Instant } from "../../src/base/time.ts";
import { type DeviceKind, NetDevice } from "../../src/stack/net-device.ts";
import type { PacketBuffer } from "../../src/stack/packet-buffer.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";

export class TestWire extends NetDevice {
  override readonly kind: DeviceKind = "uplink";
  /** Frames that were sent, each whole, oldest first. */
  readonly sent: Uint8Array<ArrayBuffer>[] = [];

  protected override xmit(pkt: PacketBuffer, _now: Instant): void {
    this.sent.push(pkt.bytes.slice(pkt.head, pkt.tail));
    this.ctx.consume(pkt);
  }

  /** Receives an Ethernet frame of `payload`, now and not through a backlog. */
  receiveFrame(payload: Uint8Array, now: Instant, dst: MacAddr = this.mac, etherType = 0x0800): void {
    const pkt = this.ctx.pool.acquire(ethernet.HEADER_LEN + payload.length) as PacketBuffer;
    const at = pkt.put(ethernet.HEADER_LEN + payload.length);
    ethernet.emit(pkt.view, at, dst, 0x0200_0000_ffff, etherType);
    pkt.bytes.set(payload, at + ethernet.HEADER_LEN);
    this.deliver(pkt, now);
  }

  /** The IP packets among what was sent, without their Ethernet headers; forgets everything. */
  takeIp(): DataView<ArrayBuffer>[] {
    const packets = this.sent
      .filter((frame) => new DataView(frame.buffer).getUint16(12) === ethernet.EtherType.IPV4)
      .map((frame) => new DataView(frame.buffer, ethernet.HEADER_LEN));
    this.sent.length = 0;
    return packets;
  }
}

export interface IpSpec {
  readonly src: number;
  readonly dst: number;
  readonly protocol?: number;
  readonly ttl?: number;
  readonly id?: number;
  readonly tos?: number;
  readonly df?: boolean;
  /** Fragment offset in bytes, and more to come. */
  readonly offset?: number;
  readonly more?: boolean;
  /** A multiple of 4 bytes. */
  readonly options?: readonly number[];
  readonly payload?: Uint8Array;
}

/** An IPv4 packet as bytes, checksum right. */
export function ipPacket(spec: IpSpec): Uint8Array<ArrayBuffer> {
  const options = spec.options ?? [];
  const payload = spec.payload ?? new Uint8Array(0);
  const headerBytes = ipv4.HEADER_LEN + options.length;
  const bytes = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(bytes.buffer);
  const ttl = spec.ttl ?? 64;
  const protocol = spec.protocol ?? 17;
  ipv4.emit(
    view,
    0,
    bytes.length,
    spec.id ?? 1,
    spec.df ?? false,
    ttl,
    protocol,
    spec.src,
    spec.dst,
    spec.tos ?? 0,
  );
  view.setUint8(0, 0x40 | (headerBytes >>> 2));
  ipv4.setFragment(view, 0, spec.offset ?? 0, spec.more ?? false, spec.df ?? false);
  bytes.set(options, ipv4.HEADER_LEN);
  bytes.set(payload, headerBytes);
  ipv4.updateChecksum(view, 0);
  return bytes;
}

/** An ICMP message as bytes, checksum right: what follows its header is `quoted`. */
export function icmpMessage(
  type: number,
  code: number,
  rest: number,
  quoted: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(icmp.HEADER_LEN + quoted.length);
  bytes.set(quoted, icmp.HEADER_LEN);
  icmp.emit(new DataView(bytes.buffer), 0, bytes.length, type, code, rest);
  return bytes;
}
