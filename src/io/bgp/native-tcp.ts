// TCP sockets of the C library's, for options that Node cannot set, through the optional package koffi.
import { constants } from "node:os";
import { errnoName, findKoffi, type Koffi, type NativeFunction, type NativeNeed } from "../native-library.ts";
import { PodloomError } from "../podloom-error.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;

export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;

export class NativeTcp {
  readonly #need: NativeNeed;
  readonly #koffi: Koffi;
  readonly #socket: NativeFunction;
  readonly #setsockopt: NativeFunction;
  readonly #close: NativeFunction;

  /** @throws PodloomError with the code of `need` where there is no such library */
  constructor(need: NativeNeed) {
    this.#need = need;
    this.#koffi = findKoffi(need);
    const libc = this.#koffi.load(null);
    this.#socket = libc.func("int socket(int domain, int type, int protocol)");
    this.#setsockopt = libc.func(
      "int setsockopt(int fd, int level, int name, const void *value, unsigned int length)",
    );
    this.#close = libc.func("int close(int fd)");
  }

  /** A socket that is neither bound nor connected. The descriptor is the caller's to close. @throws PodloomError with the code of the need */
  open(): number {
    const fd = this.#socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd >= 0) return fd;
    const errno = this.#koffi.errno();
    const remedy =
      errno === constants.errno.EMFILE
        ? "The process has too many files open: raise its limit (ulimit -n)."
        : `Free memory or files of this machine, or ${this.#need.without}.`;
    throw new PodloomError(this.#need.code, `there is no socket to be had for BGP: ${errnoName(errno)}`, {
      remedy,
    });
  }

  /** `setsockopt`. @returns the errno; 0 when it is done */
  set(fd: number, level: number, name: number, value: Uint8Array | Int32Array): number {
    return this.#setsockopt(fd, level, name, value, value.byteLength) === 0 ? 0 : this.#koffi.errno();
  }

  /** Closes a descriptor that nobody else owns. */
  close(fd: number): void {
    this.#close(fd);
  }
}
