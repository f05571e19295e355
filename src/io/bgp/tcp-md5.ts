// TCP MD5 signatures. Read RFC 2385 and tcp(7), TCP_MD5SIG, first. The kernel signs and checks; it is told the password of a
// neighbour by a socket option, which Node cannot set. So the option is set through the optional package koffi: on a
// listening socket any time, on a dialling one before it connects, for which the socket is made here and given to Node.
import { constants, endianness } from "node:os";
import { parseIpv4 } from "../../base/ipv4-addr.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { errnoName, findKoffi, type Koffi, type NativeFunction, type NativeNeed } from "../native-library.ts";
import { PodloomError } from "../podloom-error.ts";

/** Longest password in octets: TCP_MD5SIG_MAXKEYLEN. */
export const PASSWORD_BYTES_MAX = 80;

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const IPPROTO_TCP = 6;
const TCP_MD5SIG = 14;
/** struct tcp_md5sig: a sockaddr_storage, flags, prefix length, key length, interface index, key. */
const MD5SIG_BYTES = 216;
const KEY_LEN_AT = 130;
const KEY_AT = 136;

const NEED: NativeNeed = {
  code: "PL_BGP_MD5",
  what: "BGP passwords (TCP MD5 signatures)",
  without: "run the sessions without passwords",
};

let loaded: TcpMd5 | undefined;

/** Sets passwords on sockets. @rfc 2385#2 */
export class TcpMd5 {
  readonly #koffi: Koffi;
  readonly #socket: NativeFunction;
  readonly #setsockopt: NativeFunction;
  readonly #close: NativeFunction;

  /**
   * The one of this process.
   *
   * @throws PodloomError PL_BGP_MD5 where TCP MD5 signatures cannot be had
   */
  static load(this: void): TcpMd5 {
    loaded ??= new TcpMd5(findKoffi(NEED));
    return loaded;
  }

  private constructor(koffi: Koffi) {
    const libc = koffi.load(null);
    this.#koffi = koffi;
    this.#socket = libc.func("int socket(int domain, int type, int protocol)");
    this.#setsockopt = libc.func(
      "int setsockopt(int fd, int level, int name, const void *value, unsigned int length)",
    );
    this.#close = libc.func("int close(int fd)");
  }

  /**
   * From now on what comes from and goes to `host` by this socket, which is not connected, is signed; without a password, not
   * any more. Calls that a listening socket takes later inherit it.
   *
   * @throws PodloomError PL_BGP_MD5 when the kernel refuses
   */
  setPassword(fd: number, host: string, password: string | undefined): void {
    const option = md5sig(host, password);
    if (this.#setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, option, option.length) === 0) return;
    const errno = this.#koffi.errno();
    // There was none to take away.
    if (password === undefined && errno === constants.errno.ENOENT) return;
    throw refusal(host, errno);
  }

  /**
   * A socket that will sign what it says to `host`, neither bound nor connected. The descriptor is the caller's to close.
   *
   * @throws PodloomError PL_BGP_MD5
   */
  openSocket(host: string, password: string): number {
    const fd = this.#socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) throw refusal(host, this.#koffi.errno());
    try {
      this.setPassword(fd, host, password);
    } catch (thrown) {
      this.closeSocket(fd);
      throw thrown;
    }
    return fd;
  }

  /** Closes a descriptor that nobody else owns. */
  closeSocket(fd: number): void {
    this.#close(fd);
  }
}

function refusal(host: string, errno: number): PodloomError {
  const { ENOPROTOOPT, ENOMEM, EPERM, EMFILE } = constants.errno;
  const remedy = new Map([
    [ENOPROTOOPT, "This kernel was built without CONFIG_TCP_MD5SIG: run the sessions without passwords."],
    [ENOMEM, "The passwords of one socket fill net.core.optmem_max: raise it with sysctl."],
    [EPERM, "The kernel forbids MD5 (FIPS mode): run the sessions without passwords."],
    [EMFILE, "The process has too many files open: raise its limit (ulimit -n)."],
  ]).get(errno);
  return new PodloomError(
    "PL_BGP_MD5",
    `the kernel does not take the BGP password for ${host}: ${errnoName(errno)}`,
    {
      remedy,
    },
  );
}

/** A `struct tcp_md5sig`, in the machine's own byte order but for the address. */
function md5sig(host: string, password = ""): Uint8Array {
  const little = endianness() === "LE";
  const bytes = new Uint8Array(MD5SIG_BYTES);
  const view = new DataView(bytes.buffer);
  const key = encodeUtf8(password);
  const addr = parseIpv4(host);
  if (addr === undefined || key.length > PASSWORD_BYTES_MAX) {
    throw new PodloomError(
      "PL_BGP_MD5",
      addr === undefined
        ? `a BGP password needs the neighbour's IPv4 address, and "${host}" is none`
        : `the BGP password for ${host} has ${key.length} octets, and TCP takes at most ${PASSWORD_BYTES_MAX}`,
      { remedy: addr === undefined ? undefined : "Agree on a shorter one." },
    );
  }
  view.setUint16(0, AF_INET, little);
  view.setUint32(4, addr);
  view.setUint16(KEY_LEN_AT, key.length, little);
  bytes.set(key, KEY_AT);
  return bytes;
}
