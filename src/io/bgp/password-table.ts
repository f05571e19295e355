import type { Socket } from "node:net";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { PodloomError } from "../podloom-error.ts";
import type { BgpListener } from "./bgp-listener.ts";
import type { TcpMd5 } from "./tcp-md5.ts";

/** Whose calls must be signed, and whose cannot be checked and are therefore not taken. @rfc 2385#2 */
export class PasswordTable {
  readonly #md5: () => TcpMd5;
  readonly #carry: (addr: Ipv4Addr) => string;
  readonly #passwords = new Map<Ipv4Addr, string>();
  /** Those whose password a listening socket may know. */
  readonly #told = new Set<Ipv4Addr>();
  readonly #unchecked = new Set<Ipv4Addr>();

  /**
   * @param md5 throws PL_BGP_MD5 where there is none
   * @param carry the address on this machine that carries a node's
   */
  constructor(md5: () => TcpMd5, carry: (addr: Ipv4Addr) => string) {
    this.#md5 = md5;
    this.#carry = carry;
  }

  /** Can passwords be used at all, if there are any? @throws PodloomError PL_BGP_MD5 */
  check(): void {
    if (this.#passwords.size > 0) this.#md5();
  }

  /** Tells a new listening socket all passwords. @throws PodloomError PL_BGP_MD5 */
  join(listener: BgpListener): void {
    for (const [remote, password] of this.#passwords) this.#tell(listener, remote, password);
  }

  /**
   * Changes one. When that fails, the neighbour's calls are not taken until another change succeeds.
   *
   * @throws PodloomError PL_BGP_MD5
   */
  set(remote: Ipv4Addr, password: string | undefined, listeners: readonly BgpListener[]): void {
    const before = this.#passwords.get(remote);
    if (password === before && !this.#unchecked.has(remote)) return;
    if (password === undefined) this.#passwords.delete(remote);
    else this.#passwords.set(remote, password);
    this.#unchecked.add(remote);
    if (password !== undefined || this.#told.has(remote)) {
      for (const listener of listeners) this.#tell(listener, remote, password);
    }
    if (password === undefined) this.#told.delete(remote);
    this.#unchecked.delete(remote);
  }

  /**
   * Is this call to be taken? The system has checked the signature of its first segment, if the listening socket knew the password by
   * then; from now on it checks every segment in any case.
   */
  admits(remote: Ipv4Addr, socket: Socket): boolean {
    if (this.#unchecked.has(remote)) return false;
    const password = this.#passwords.get(remote);
    if (password === undefined) return true;
    try {
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      this.#md5().setPassword(fd, this.#carry(remote), password);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof PodloomError)) throw thrown;
      return false;
    }
  }

  #tell(listener: BgpListener, remote: Ipv4Addr, password: string | undefined): void {
    const md5 = this.#md5();
    this.#told.add(remote);
    listener.setPassword(md5, this.#carry(remote), password);
  }
}
