/** Address family identifiers that are named here. @rfc 4760#3 */
export const Afi = { IPV4: 1, IPV6: 2, L2VPN: 25 } as const;

/** Subsequent address family identifiers that are named here. @rfc 4760#6 */
export const Safi = { UNICAST: 1, MULTICAST: 2, EVPN: 70 } as const;

/** An address family with its subsequent one, as one number: AFI shifted left by 8, SAFI in the low octet. A Map key. */
export type Family = number;

/** The families that are named here. */
export const Family = { IPV4_UNICAST: 0x0101, IPV6_UNICAST: 0x0201, L2VPN_EVPN: 0x1946 } as const;

/** @param afi 0..65535 @param safi 0..255 */
export function familyOf(afi: number, safi: number): Family {
  return (afi << 8) | safi;
}

/** The address family identifier. */
export function afiOf(family: Family): number {
  return family >>> 8;
}

/** The subsequent address family identifier. */
export function safiOf(family: Family): number {
  return family & 0xff;
}

/** Bits of an address in the families whose prefixes this codec reads: 32, 128, or 0 for all others. */
export function addressBits(family: Family): 0 | 32 | 128 {
  if (family === Family.IPV4_UNICAST) return 32;
  return family === Family.IPV6_UNICAST ? 128 : 0;
}

/** For people: "IPv4 unicast". */
export function formatFamily(family: Family): string {
  const afi = afiOf(family);
  const safi = safiOf(family);
  const afis: Record<number, string> = { [Afi.IPV4]: "IPv4", [Afi.IPV6]: "IPv6", [Afi.L2VPN]: "L2VPN" };
  const safis: Record<number, string> = {
    [Safi.UNICAST]: "unicast",
    [Safi.MULTICAST]: "multicast",
    [Safi.EVPN]: "EVPN",
  };
  return `${afis[afi] ?? `AFI ${afi}`} ${safis[safi] ?? `SAFI ${safi}`}`;
}
