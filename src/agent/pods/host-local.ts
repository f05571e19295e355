// The host-local IPAM plugin, as CNI keeps it: one file an address, whose name is the address, and the address that was
// given last. Read `plugins/ipam/host-local` of containernetworking first; the file format is its own, to the byte.
import {
  contains,
  formatIpv4,
  type Ipv4Addr,
  netmask,
  type Prefix,
  parseIpv4,
} from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";

const FOLDER = "var/lib/cni/networks/cbr0/";
const LAST_RESERVED = `${FOLDER}last_reserved_ip.0`;
/** A subnet bigger than this is searched no further: an answer must come in bounded time. */
const SEARCH_MAX = 1 << 16;

/** A file to write (`text`) or to remove (`text` undefined), relative to the node's state folder. */
export interface FileChange {
  readonly path: string;
  readonly text: string | undefined;
}

/** Addresses of one subnet, each reserved for one owner across restarts until it is released. */
export class HostLocal {
  readonly #subnet: Prefix;
  readonly #byOwner = new Map<string, Ipv4Addr>();
  readonly #owners = new Map<Ipv4Addr, string>();
  #last: Ipv4Addr | undefined;
  /** Reservations found outside the subnet (the node got another one): files to remove. */
  readonly stale: readonly string[];

  /** @param files what an earlier run left, by path; hostile content is ignored. */
  constructor(subnet: Prefix, files: ReadonlyMap<string, string>) {
    this.#subnet = subnet;
    const stale: string[] = [];
    for (const [path, text] of files) {
      if (!path.startsWith(FOLDER)) continue;
      if (path === LAST_RESERVED) {
        const last = parseIpv4(text.trim());
        if (last !== undefined && contains(subnet, last)) this.#last = last;
        continue;
      }
      const addr = parseIpv4(path.slice(FOLDER.length));
      const owner = text.split(/\r?\n/)[0] ?? "";
      if (addr === undefined || owner === "" || !this.#inRange(addr) || this.#byOwner.has(owner)) {
        stale.push(path);
        continue;
      }
      this.#byOwner.set(owner, addr);
      this.#owners.set(addr, owner);
    }
    this.stale = stale;
  }

  /** The first address of the subnet: the bridge's. */
  get gateway(): Ipv4Addr {
    return (this.#subnet.addr + 1) >>> 0;
  }

  /** The address reserved for `owner`. */
  lookup(owner: string): Ipv4Addr | undefined {
    return this.#byOwner.get(owner);
  }

  /**
   * Reserves an address for `owner`; the one it already has, if it has one. Goes round the range from the address given
   * last, so that a released address rests as long as possible.
   *
   * @param wish a particular address, or undefined for any
   */
  add(owner: string, wish: Ipv4Addr | undefined): Result<{ addr: Ipv4Addr; changes: FileChange[] }, string> {
    const held = this.#byOwner.get(owner);
    if (held !== undefined) {
      if (wish === undefined || wish === held) return ok({ addr: held, changes: [] });
      return err(
        `pod "${owner}" already has the address ${formatIpv4(held)}; delete it before asking for another`,
      );
    }
    if (wish !== undefined) {
      if (!this.#inRange(wish)) {
        return err(
          `requested IP address ${formatIpv4(wish)} is not available in range set ${this.#rangeText()}`,
        );
      }
      const other = this.#owners.get(wish);
      if (other !== undefined)
        return err(`requested IP address ${formatIpv4(wish)} is held by pod "${other}"`);
      return ok({ addr: wish, changes: this.#reserve(owner, wish) });
    }
    const size = 2 ** (32 - this.#subnet.len);
    const start = this.#last === undefined ? this.gateway : this.#last;
    for (let i = 1; i <= Math.min(size, SEARCH_MAX); i++) {
      const offset = (start - this.#subnet.addr + i) % size;
      const addr = (this.#subnet.addr + offset) >>> 0;
      if (this.#inRange(addr) && !this.#owners.has(addr)) {
        return ok({ addr, changes: this.#reserve(owner, addr) });
      }
    }
    return err(`no IP addresses available in range set: ${this.#rangeText()}`);
  }

  /** Releases the address of `owner`; nothing when it has none, as CNI's DEL demands. */
  del(owner: string): FileChange[] {
    const addr = this.#byOwner.get(owner);
    if (addr === undefined) return [];
    this.#byOwner.delete(owner);
    this.#owners.delete(addr);
    return [{ path: FOLDER + formatIpv4(addr), text: undefined }];
  }

  #reserve(owner: string, addr: Ipv4Addr): FileChange[] {
    this.#byOwner.set(owner, addr);
    this.#owners.set(addr, owner);
    this.#last = addr;
    return [
      { path: FOLDER + formatIpv4(addr), text: `${owner}\r\neth0` },
      { path: LAST_RESERVED, text: formatIpv4(addr) },
    ];
  }

  /** Usable: neither network, broadcast nor gateway address. */
  #inRange(addr: Ipv4Addr): boolean {
    const broadcast = (this.#subnet.addr | ~netmask(this.#subnet.len)) >>> 0;
    return (
      contains(this.#subnet, addr) &&
      addr !== this.#subnet.addr &&
      addr !== broadcast &&
      addr !== this.gateway
    );
  }

  #rangeText(): string {
    const broadcast = (this.#subnet.addr | ~netmask(this.#subnet.len)) >>> 0;
    return `${formatIpv4(this.gateway)}-${formatIpv4(broadcast - 1)}`;
  }
}
