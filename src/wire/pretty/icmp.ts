import { formatIpv4 } from "../../base/ipv4-addr.ts";
import * as icmp from "../icmp.ts";
import * as ipv4 from "../ipv4.ts";

const UNREACHABLE: Readonly<Record<number, (dst: string) => string>> = {
  [icmp.Unreach.NET]: (dst) => `net ${dst} unreachable`,
  [icmp.Unreach.HOST]: (dst) => `host ${dst} unreachable`,
  [icmp.Unreach.SOURCE_ROUTE_FAILED]: (dst) => `${dst} unreachable - source route failed`,
  [icmp.Unreach.NET_UNKNOWN]: (dst) => `net ${dst} unreachable - unknown`,
  [icmp.Unreach.HOST_UNKNOWN]: (dst) => `host ${dst} unreachable - unknown`,
  8: (dst) => `${dst} unreachable - source host isolated`,
  [icmp.Unreach.NET_ANO]: (dst) => `net ${dst} unreachable - admin prohibited`,
  [icmp.Unreach.HOST_ANO]: (dst) => `host ${dst} unreachable - admin prohibited`,
  11: (dst) => `net ${dst} unreachable - tos prohibited`,
  12: (dst) => `host ${dst} unreachable - tos prohibited`,
  [icmp.Unreach.PKT_FILTERED]: (dst) => `host ${dst} unreachable - admin prohibited filter`,
  14: (dst) => `host ${dst} unreachable - host precedence violation`,
  15: (dst) => `host ${dst} unreachable - precedence cutoff`,
};

const REDIRECT: readonly ((dst: string, gateway: string) => string)[] = [
  (dst, gateway) => `redirect ${dst} to net ${gateway}`,
  (dst, gateway) => `redirect ${dst} to host ${gateway}`,
  (dst, gateway) => `redirect-tos ${dst} to net ${gateway}`,
  (dst, gateway) => `redirect-tos ${dst} to host ${gateway}`,
];

const NAMES: Readonly<Record<number, string>> = {
  [icmp.Type.SOURCE_QUENCH]: "source quench",
  9: "router advertisement",
  10: "router solicitation",
  [icmp.Type.TIMESTAMP]: "time stamp request",
  [icmp.Type.TIMESTAMP_REPLY]: "time stamp reply",
  15: "information request",
  16: "information reply",
  17: "address mask request",
  18: "address mask reply",
};

/** The ICMP message at `off`..`end` as tcpdump writes it; never throws. @param claimed where IP says that it ends */
export function formatIcmp(view: DataView, off: number, end: number, claimed: number): string {
  if (end - off < icmp.HEADER_LEN) return " [|icmp]";
  const text = describe(view, off, end);
  return text === undefined ? " [|icmp]" : `ICMP ${text}, length ${claimed - off}`;
}

/** Undefined when bytes are missing that the text would name. */
function describe(view: DataView, off: number, end: number): string | undefined {
  const type = icmp.type(view, off);
  const code = icmp.code(view, off);
  switch (type) {
    case icmp.Type.ECHO:
    case icmp.Type.ECHO_REPLY: {
      const what = type === icmp.Type.ECHO ? "request" : "reply";
      return `echo ${what}, id ${icmp.echoId(view, off)}, seq ${icmp.echoSeq(view, off)}`;
    }
    case icmp.Type.DEST_UNREACH:
      return unreachable(view, off, end, code);
    case icmp.Type.REDIRECT: {
      const about = off + icmp.HEADER_LEN;
      if (end - about < ipv4.HEADER_LEN) return undefined;
      const dst = formatIpv4(ipv4.dst(view, about));
      const gateway = formatIpv4(icmp.gateway(view, off));
      return REDIRECT[code]?.(dst, gateway) ?? `redirect-#${code} ${dst} to ${gateway}`;
    }
    case icmp.Type.TIME_EXCEEDED:
      if (code === icmp.Exceeded.TTL) return "time exceeded in-transit";
      return code === icmp.Exceeded.FRAGMENT_REASSEMBLY
        ? "ip reassembly time exceeded"
        : `time exceeded-#${code}`;
    case icmp.Type.PARAMETER_PROBLEM:
      return code === 0
        ? `parameter problem - octet ${icmp.pointer(view, off)}`
        : `parameter problem - code ${code}`;
    default:
      return NAMES[type] ?? `type-#${type}`;
  }
}

function unreachable(view: DataView, off: number, end: number, code: number): string | undefined {
  const about = off + icmp.HEADER_LEN;
  if (end - about < ipv4.HEADER_LEN) return undefined;
  const dst = formatIpv4(ipv4.dst(view, about));
  const protocol = ipv4.protocol(view, about);
  if (code === icmp.Unreach.PROTOCOL) return `${dst} protocol ${protocol} unreachable`;
  if (code === icmp.Unreach.FRAG_NEEDED) {
    const mtu = icmp.mtu(view, off);
    return `${dst} unreachable - need to frag${mtu === 0 ? "" : ` (mtu ${mtu})`}`;
  }
  if (code === icmp.Unreach.PORT) {
    const ports = about + ipv4.headerLen(view, about);
    if (end - ports < 4) return undefined;
    const port = view.getUint16(ports + 2);
    if (protocol === ipv4.Protocol.TCP) return `${dst} tcp port ${port} unreachable`;
    if (protocol === ipv4.Protocol.UDP) return `${dst} udp port ${port} unreachable`;
    return `${dst} protocol ${protocol} port ${port} unreachable`;
  }
  return UNREACHABLE[code]?.(dst) ?? `${dst} unreachable - #${code}`;
}
