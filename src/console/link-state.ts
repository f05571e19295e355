// The words that `ip` and `bridge` have for the state of a device.
import type { NetDevice } from "../stack/net-device.ts";
import type { Netns } from "../stack/netns.ts";
import { Veth } from "../stack/veth.ts";
import type { VxlanDevice } from "../tunnel/vxlan.ts";

const KIND_FLAGS: Partial<Record<NetDevice["kind"], readonly string[]>> = {
  loopback: ["LOOPBACK"],
  ipip: [],
};

/** The flags between angle brackets. */
export function adminFlags(netns: Netns, dev: NetDevice): string[] {
  const peer = dev instanceof Veth ? dev.peer : undefined;
  return [
    ...(dev.up && !dev.carrier ? ["NO-CARRIER"] : []),
    ...(KIND_FLAGS[dev.kind] ?? ["BROADCAST", "MULTICAST"]),
    ...(dev.noArp && dev.kind !== "loopback" ? ["NOARP"] : []),
    ...(dev.up ? ["UP"] : []),
    ...(dev.up && dev.carrier ? ["LOWER_UP"] : []),
    ...(peer !== undefined && peer.home === netns && !peer.up ? ["M-DOWN"] : []),
  ];
}

/** RFC 2863's operational state, as Linux keeps it for each kind of device. */
export function operState(dev: NetDevice): string {
  if (!dev.up) return "DOWN";
  if (dev.kind === "loopback" || dev.kind === "vxlan" || dev.kind === "ipip") return "UNKNOWN";
  if (dev.carrier) return "UP";
  return dev.kind === "veth" ? "LOWERLAYERDOWN" : "DOWN";
}

/** A device's name, and behind an @ what it hangs on: by name when that is here, by number when it is elsewhere. */
export function linkName(netns: Netns, dev: NetDevice): string {
  // A tunnel with no device below it says so.
  if (dev.kind === "ipip") return `${dev.name}@NONE`;
  const peer = dev instanceof Veth ? dev.peer : undefined;
  if (peer === undefined) return dev.name;
  return `${dev.name}@${peer.home === netns ? peer.name : `if${peer.ifindex}`}`;
}

/** The device that a tunnel hangs on: the one that has its local address. */
export function lowerDevice(netns: Netns, { local }: VxlanDevice): NetDevice | undefined {
  for (const dev of netns.devices()) {
    if (netns.addresses(dev).some(({ addr }) => addr === local)) return dev;
  }
  return undefined;
}
