// May a packet with these addresses come in by this device? Martians and reverse-path filtering, as net/ipv4/route.c and
// net/ipv4/fib_frontend.c. Read RFC 1812 section 5.3.7 and RFC 3704 first. Addresses may be signed or unsigned.
import { DropReason } from "../../base/drop-reason.ts";
import { type Ipv4Addr, isLoopback, isMulticast } from "../../base/ipv4-addr.ts";
import type { NetDevice } from "../net-device.ts";
import type { Netns } from "../netns.ts";
import type { DevConf } from "../sysctl.ts";
import { isLimitedBroadcast, isZeronet } from "./address-word.ts";

/**
 * The martians that no table needs to be asked about. `dst` is neither multicast nor the limited broadcast.
 *
 * @returns NOT_DROPPED, IP_INVALID_SOURCE, IP_INVALID_DEST or IP_LOCALNET @rfc 1812#5.3.7
 */
export function checkAddresses(src: Ipv4Addr, dst: Ipv4Addr, conf: DevConf): DropReason {
  if (isMulticast(src) || isLimitedBroadcast(src) || isZeronet(src)) return DropReason.IP_INVALID_SOURCE;
  if (isZeronet(dst)) return DropReason.IP_INVALID_DEST;
  if (isLoopback(dst) || isLoopback(src)) {
    return conf.routeLocalnet ? DropReason.NOT_DROPPED : DropReason.IP_LOCALNET;
  }
  return DropReason.NOT_DROPPED;
}

/** The same for a packet to a group or to everybody, where 0.0.0.0 as source means "I have no address yet". */
export function checkGroupSource(src: Ipv4Addr, conf: DevConf): DropReason {
  if (isMulticast(src) || isLimitedBroadcast(src)) return DropReason.IP_INVALID_SOURCE;
  if (isZeronet(src)) return src === 0 ? DropReason.NOT_DROPPED : DropReason.IP_INVALID_SOURCE;
  return isLoopback(src) && !conf.routeLocalnet ? DropReason.IP_LOCALNET : DropReason.NOT_DROPPED;
}

/**
 * Would we send to `src` by the device that its packet came in by (`fib_validate_source`)? Without a filter only our own
 * addresses, and our subnets' broadcast addresses, are refused.
 *
 * @returns NOT_DROPPED, IP_LOCAL_SOURCE, IP_INVALID_SOURCE or IP_RPFILTER @rfc 3704#2
 */
export function validateSource(netns: Netns, dev: NetDevice, conf: DevConf, src: Ipv4Addr): DropReason {
  if (conf.rpFilter !== 0) return reversePath(netns, dev, conf, src);
  const type = netns.fib.addrType(src);
  if (type === undefined) return DropReason.NOT_DROPPED;
  if (type === "broadcast") return DropReason.IP_INVALID_SOURCE;
  return conf.acceptLocal ? DropReason.NOT_DROPPED : DropReason.IP_LOCAL_SOURCE;
}

function reversePath(netns: Netns, dev: NetDevice, conf: DevConf, src: Ipv4Addr): DropReason {
  const back = netns.fib.lookup(src);
  if (back === undefined) return DropReason.IP_RPFILTER;
  switch (back.type) {
    case "unicast":
      break;
    case "local":
      if (!conf.acceptLocal) return DropReason.IP_LOCAL_SOURCE;
      break;
    case "broadcast":
      return DropReason.IP_INVALID_SOURCE;
    case "blackhole":
    case "unreachable":
    case "prohibit":
      return DropReason.IP_RPFILTER;
  }
  // Of several next hops any will do (`fib_info_nh_uses_dev`), since an answer may take any.
  const matches = back.dev === dev || conf.rpFilter !== 1 || back.multipath?.uses(dev) === true;
  return matches ? DropReason.NOT_DROPPED : DropReason.IP_RPFILTER;
}
