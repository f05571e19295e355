// Puts the test process itself into a network namespace, so that sockets which it opens are there.
import { closeSync, openSync } from "node:fs";
import { findKoffi } from "../../src/io/native-library.ts";

const CLONE_NEWNET = 0x4000_0000;

/** Enters the namespace `name` of `ip netns`. @returns leaves it again; sockets stay where they were opened */
export function enterNamespace(name: string): () => void {
  const koffi = findKoffi({ code: "PL_TEST", what: "namespaces in tests", without: "skip them" });
  const setns = koffi.load(null).func("int setns(int fd, int nstype)");
  const home = openSync("/proc/thread-self/ns/net", "r");
  const enter = (fd: number): void => {
    if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`setns: error ${koffi.errno()}`);
  };
  const there = openSync(`/var/run/netns/${name}`, "r");
  enter(there);
  closeSync(there);
  return () => {
    enter(home);
    closeSync(home);
  };
}
