import type { TcpMd5 } from "./tcp-md5.ts";
import type { TcpTtl } from "./tcp-ttl.ts";

/** What a call needs that Node's sockets cannot do, and who does it. */
export interface DialNeeds {
  /** The address on this machine of whom is called. */
  readonly remoteHost: string;
  readonly password: string | undefined;
  readonly ttlSecurityHops: number | undefined;
  readonly md5: () => TcpMd5;
  readonly ttl: () => TcpTtl;
}

/**
 * A socket for such a call, neither bound nor connected; undefined: any will do. The descriptor is the caller's to close.
 *
 * @throws PodloomError PL_BGP_MD5 or PL_BGP_TTL
 */
export function openDialSocket(needs: DialNeeds): number | undefined {
  const { remoteHost, password, ttlSecurityHops } = needs;
  const md5 = password === undefined ? undefined : needs.md5();
  const ttl = ttlSecurityHops === undefined ? undefined : needs.ttl();
  const tcp = (md5 ?? ttl)?.tcp;
  if (tcp === undefined) return undefined;
  const fd = tcp.open();
  try {
    md5?.setPassword(fd, remoteHost, password);
    ttl?.secure(fd, ttlSecurityHops as number);
    return fd;
  } catch (thrown) {
    tcp.close(fd);
    throw thrown;
  }
}
