// What ping says about ICMP errors and about packets that could not be sent.
import { DropReason } from "../base/drop-reason.ts";
import type { SocketError } from "../stack/socket-owner.ts";
import * as icmp from "../wire/icmp.ts";

const UNREACHABLE: Readonly<Record<number, string>> = {
  [icmp.Unreach.NET]: "Destination Net Unreachable",
  [icmp.Unreach.HOST]: "Destination Host Unreachable",
  [icmp.Unreach.PROTOCOL]: "Destination Protocol Unreachable",
  [icmp.Unreach.PORT]: "Destination Port Unreachable",
  [icmp.Unreach.SOURCE_ROUTE_FAILED]: "Source Route Failed",
  [icmp.Unreach.NET_UNKNOWN]: "Destination Net Unknown",
  [icmp.Unreach.HOST_UNKNOWN]: "Destination Host Unknown",
  8: "Source Host Isolated",
  [icmp.Unreach.NET_ANO]: "Destination Net Prohibited",
  [icmp.Unreach.HOST_ANO]: "Destination Host Prohibited",
  11: "Destination Net Unreachable for Type of Service",
  12: "Destination Host Unreachable for Type of Service",
  [icmp.Unreach.PKT_FILTERED]: "Packet filtered",
  14: "Precedence Violation",
  15: "Precedence Cutoff",
};

/** An ICMP error in ping's words, without who sent it. */
export function icmpWords(error: Pick<SocketError, "type" | "code" | "mtu">): string {
  const { type, code, mtu } = error;
  switch (type) {
    case icmp.Type.DEST_UNREACH:
      if (code === icmp.Unreach.FRAG_NEEDED) return `Frag needed and DF set (mtu = ${mtu})`;
      return UNREACHABLE[code] ?? `Dest Unreachable, Bad Code: ${code}`;
    case icmp.Type.SOURCE_QUENCH:
      return "Source Quench";
    case icmp.Type.TIME_EXCEEDED:
      if (code === icmp.Exceeded.TTL) return "Time to live exceeded";
      return code === icmp.Exceeded.FRAGMENT_REASSEMBLY
        ? "Frag reassembly time exceeded"
        : `Time exceeded, Bad Code: ${code}`;
    case icmp.Type.PARAMETER_PROBLEM:
      return "Parameter problem";
    default:
      return `Bad ICMP type: ${type}`;
  }
}

/** Why a packet could not be sent, as `strerror` says it for the errno that Linux would give. */
export function sendErrorWords(reason: DropReason): string {
  switch (reason) {
    case DropReason.ROUTE_UNREACHABLE:
      return "No route to host";
    case DropReason.ROUTE_PROHIBIT:
      return "Permission denied";
    case DropReason.ROUTE_BLACKHOLE:
      return "Invalid argument";
    case DropReason.PKT_TOO_BIG:
      return "Message too long";
    case DropReason.NOMEM:
      return "No buffer space available";
    default:
      return "Network is unreachable";
  }
}
