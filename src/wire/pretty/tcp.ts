import { formatIpv4 } from "../../base/ipv4-addr.ts";
import * as ipv4 from "../ipv4.ts";
import * as tcp from "../tcp.ts";

/** Connections remembered; beyond it all are forgotten, which only makes numbers absolute again. */
const FLOWS_MAX = 4096;

interface Flow {
  /** Who sent the first segment seen, and the numbers that are subtracted. */
  readonly from: string;
  readonly seq: number;
  readonly ack: number;
}

interface Origin {
  readonly seq: number;
  readonly ack: number;
  /** For the blocks of a SACK option, which count in the other direction's numbers. */
  readonly sack: number;
}

const ABSOLUTE: Origin = { seq: 0, ack: 0, sack: 0 };

/** Where the sequence numbers of each TCP connection start. */
export class TcpFlows {
  readonly #flows = new Map<string, Flow>();

  /** What to subtract from the numbers of a segment with ACK; the first of a connection prints absolute. */
  origin(from: string, to: string, seq: number, ack: number, syn: boolean): Origin {
    const key = from < to ? `${from} ${to}` : `${to} ${from}`;
    const flow = this.#flows.get(key);
    if (flow === undefined || syn) {
      if (this.#flows.size >= FLOWS_MAX) this.#flows.clear();
      this.#flows.set(key, { from, seq, ack: ack - 1 });
      return { seq: 0, ack: 0, sack: ack - 1 };
    }
    if (flow.from === from) return { seq: flow.seq, ack: flow.ack, sack: flow.ack };
    return { seq: flow.ack, ack: flow.seq, sack: flow.seq };
  }
}

/**
 * The TCP segment at `off`..`end` as tcpdump writes it; never throws.
 *
 * @param ip where its IP header starts, which has been checked
 * @param claimed where IP says that it ends
 */
export function formatTcp(
  view: DataView,
  ip: number,
  off: number,
  end: number,
  claimed: number,
  flows: TcpFlows | undefined,
): string {
  const from = formatIpv4(ipv4.src(view, ip));
  const to = formatIpv4(ipv4.dst(view, ip));
  if (end - off < 4) return `${from} > ${to}: [|tcp]`;
  const sender = `${from}.${tcp.srcPort(view, off)}`;
  const receiver = `${to}.${tcp.dstPort(view, off)}`;
  const ports = `${sender} > ${receiver}: `;
  if (end - off < tcp.HEADER_LEN) return `${ports} [|tcp]`;
  const headerBytes = tcp.headerLen(view, off);
  const segmentBytes = claimed - off;
  if (headerBytes < tcp.HEADER_LEN) {
    return `${ports} tcp ${segmentBytes - headerBytes} [bad hdr length ${headerBytes} - too short, < 20]`;
  }
  const flags = tcp.flags(view, off);
  if (headerBytes > segmentBytes) {
    return `${ports}Flags [${flagLetters(flags)}] [bad hdr length ${headerBytes} - too long, > ${segmentBytes}]`;
  }
  const bytes = segmentBytes - headerBytes;
  let origin = ABSOLUTE;
  if (flows !== undefined && (flags & tcp.Flag.ACK) !== 0) {
    const syn = (flags & tcp.Flag.SYN) !== 0;
    origin = flows.origin(sender, receiver, tcp.seq(view, off), tcp.ack(view, off), syn);
  }
  const seq = (tcp.seq(view, off) - origin.seq) >>> 0;
  let text = `${ports}Flags [${flagLetters(flags)}]`;
  if (bytes > 0 || (flags & (tcp.Flag.SYN | tcp.Flag.FIN | tcp.Flag.RST)) !== 0) {
    text += `, seq ${seq}${bytes > 0 ? `:${(seq + bytes) >>> 0}` : ""}`;
  }
  if ((flags & tcp.Flag.ACK) !== 0) text += `, ack ${(tcp.ack(view, off) - origin.ack) >>> 0}`;
  text += `, win ${tcp.window(view, off)}`;
  if ((flags & tcp.Flag.URG) !== 0) text += `, urg ${tcp.urgent(view, off)}`;
  if (headerBytes > tcp.HEADER_LEN) {
    const options = tcp.parseOptions(view, off, end);
    const words = options.map((option) => formatOption(option, origin.sack));
    text += `, options [${words.join(",")}`;
    const last = options.at(-1)?.t;
    if (last === "truncated") return text;
    text += "]";
    if (last === "bad") return text;
  }
  return `${text}, length ${bytes}`;
}

function flagLetters(flags: number): string {
  let letters = "";
  if ((flags & tcp.Flag.FIN) !== 0) letters += "F";
  if ((flags & tcp.Flag.SYN) !== 0) letters += "S";
  if ((flags & tcp.Flag.RST) !== 0) letters += "R";
  if ((flags & tcp.Flag.PSH) !== 0) letters += "P";
  if ((flags & tcp.Flag.ACK) !== 0) letters += ".";
  if ((flags & tcp.Flag.URG) !== 0) letters += "U";
  if ((flags & tcp.Flag.ECE) !== 0) letters += "E";
  if ((flags & tcp.Flag.CWR) !== 0) letters += "W";
  return letters === "" ? "none" : letters;
}

function formatOption(option: tcp.TcpOption, sackOrigin: number): string {
  switch (option.t) {
    case "mss":
      return `mss ${option.mssBytes}`;
    case "wscale":
      return `wscale ${option.shift}`;
    case "TS":
      return `TS val ${option.val} ecr ${option.ecr}`;
    case "sack": {
      const blocks = option.blocks.map(
        (b) => `{${(b.left - sackOrigin) >>> 0}:${(b.right - sackOrigin) >>> 0}}`,
      );
      return `sack ${blocks.length} ${blocks.join("")}`;
    }
    case "unknown":
      return `unknown-${option.kind}${option.hex === "" ? "" : ` 0x${option.hex}`}`;
    case "bad":
      return "[bad opt]";
    case "truncated":
      return " [|tcp]";
    default:
      return option.t;
  }
}
