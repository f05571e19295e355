// TCP MD5 signatures. Read RFC 2385 and tcp(7), TCP_MD5SIG, first. The kernel signs and checks; it is told the password of a
// neighbour by a socket option, which Node cannot set. So the option is set through the optional package koffi: on a
// listening socket any time, on a dialling one before it connects, for which the socket is made here and given to Node.
import { constants, endianness } from "node:os";
import { parseIpv4 } from "../../base/ipv4-addr.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { errnoName, type NativeNeed } from "../native-library.ts";
import { PodloomError } from "../podloom-error.ts";
import { IPPROTO_TCP, NativeTcp } from "./native-tcp.ts";

/** Longest password in octets: TCP_MD5SIG_MAXKEYLEN. */
export const PASSWORD_BYTES_MAX = 80;

const AF_INET = 2;
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
  readonly tcp: NativeTcp;

  /**
   * The one of this process.
   *
   * @throws PodloomError PL_BGP_MD5 where TCP MD5 signatures cannot be had
   */
  static load(this: void): TcpMd5 {
    loaded ??= new TcpMd5(new NativeTcp(NEED));
    return loaded;
  }

  private constructor(tcp: NativeTcp) {
    this.tcp = tcp;
  }

  /**
   * From now on what comes from and goes to `host` by this socket, which is not connected, is signed; without a password, not
   * any more. Calls that a listening socket takes later inherit it.
   *
   * @throws PodloomError PL_BGP_MD5 when the kernel refuses
   */
  setPassword(fd: number, host: string, password: string | undefined): void {
    const errno = this.tcp.set(fd, IPPROTO_TCP, TCP_MD5SIG, md5sig(host, password));
    // There was none to take away.
    if (errno === 0 || (password === undefined && errno === constants.errno.ENOENT)) return;
    throw refusal(host, errno);
  }
}

function refusal(host: string, errno: number): PodloomError {
  const { ENOPROTOOPT, ENOMEM, EPERM } = constants.errno;
  const remedy = new Map([
    [ENOPROTOOPT, "This kernel was built without CONFIG_TCP_MD5SIG: run the sessions without passwords."],
    [ENOMEM, "The passwords of one socket fill net.core.optmem_max: raise it with sysctl."],
    [EPERM, "The kernel forbids MD5 (FIPS mode): run the sessions without passwords."],
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
