import { DropReason } from "../../base/drop-reason.ts";
import { formatIpv4 } from "../../base/ipv4-addr.ts";
import { formatMac, MAC_ZERO } from "../../base/mac-addr.ts";
import * as arp from "../arp.ts";

/** The ARP packet at `off`..`end` as tcpdump writes it; never throws. @param claimed where it says that it ends */
export function formatArp(view: DataView, off: number, end: number, claimed: number): string {
  if (arp.check(view, off, end) !== DropReason.NOT_DROPPED) return " [|arp]";
  const length = `, length ${claimed - off}`;
  const senderIp = formatIpv4(arp.senderIp(view, off));
  const targetIp = formatIpv4(arp.targetIp(view, off));
  switch (arp.operation(view, off)) {
    case arp.Operation.REQUEST: {
      const mac = arp.targetMac(view, off);
      const asked = mac === MAC_ZERO ? "" : ` (${formatMac(mac)})`;
      return `Request who-has ${targetIp}${asked} tell ${senderIp}${length}`;
    }
    case arp.Operation.REPLY:
      return `Reply ${senderIp} is-at ${formatMac(arp.senderMac(view, off))}${length}`;
    default:
      return `Unknown (${arp.operation(view, off)})${length}`;
  }
}
