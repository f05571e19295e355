/** Counters of one namespace's IPv4, named as the MIB (RFC 4293) and `/proc/net/snmp` name them. */
export interface IpStats {
  /** Packets received, before any check. */
  inReceives: number;
  /** Dropped for an error in the header, the TTL included. */
  inHdrErrors: number;
  /** Dropped because the destination is not ours and not to be forwarded, or an address is a martian. */
  inAddrErrors: number;
  /** No route to forward by. */
  inNoRoutes: number;
  /** For us, but of a protocol that nobody registered. */
  inUnknownProtos: number;
  /** Shorter than their header says. */
  inTruncatedPkts: number;
  /** Handed to a transport protocol. */
  inDelivers: number;
  /** Passed on to the next hop. */
  forwDatagrams: number;
  /** Sent by this host. */
  outRequests: number;
  /** Of our own, too long to be sent whole and not to be fragmented. */
  outDiscards: number;
  outNoRoutes: number;
  /** Fragments received that needed reassembly. */
  reasmReqds: number;
  reasmOks: number;
  reasmFails: number;
  reasmTimeout: number;
  /** Packets fragmented. */
  fragOks: number;
  /** Packets too big that could not be fragmented. */
  fragFails: number;
  /** Fragments made. */
  fragCreates: number;
}

/** All zero. */
export function newIpStats(): IpStats {
  return {
    inReceives: 0,
    inHdrErrors: 0,
    inAddrErrors: 0,
    inNoRoutes: 0,
    inUnknownProtos: 0,
    inTruncatedPkts: 0,
    inDelivers: 0,
    forwDatagrams: 0,
    outRequests: 0,
    outDiscards: 0,
    outNoRoutes: 0,
    reasmReqds: 0,
    reasmOks: 0,
    reasmFails: 0,
    reasmTimeout: 0,
    fragOks: 0,
    fragFails: 0,
    fragCreates: 0,
  };
}
