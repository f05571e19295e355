import { expect, test } from "vitest";
import { bindError } from "../../../src/io/udp-bind-error.ts";

const fault = (code: string) => Object.assign(new Error(`bind ${code}`), { code });

test.each([
  ["EADDRINUSE", "loopback", "PL_PORT_IN_USE", "ip -d link show type vxlan"],
  ["EACCES", "host", "PL_PORT_FORBIDDEN", "CAP_NET_BIND_SERVICE"],
  ["EADDRNOTAVAIL", "host", "PL_ADDRESS_UNAVAILABLE", "--carrier loopback"],
  ["EADDRNOTAVAIL", "loopback", "PL_ADDRESS_UNAVAILABLE", "own 127.0.0.0/8"],
  ["EMFILE", "loopback", "PL_PORT_FAILED", "ulimit -n"],
] as const)("%s with carrier %s is %s, with what to do about it", (errno, carrier, code, remedy) => {
  const cause = fault(errno);
  const error = bindError(cause, "127.168.56.2", 8472, carrier);
  expect(error).toMatchObject({ code, cause });
  expect(error.message).toContain("127.168.56.2");
  expect(error.remedy).toContain(remedy);
});

test("a port that is taken is found by its number", () => {
  const { message, remedy } = bindError(fault("EADDRINUSE"), "127.168.56.3", 4789, "loopback");
  expect(message).toBe("UDP port 127.168.56.3:4789 is in use by another process");
  expect(remedy).toContain("ss -lunp 'sport = :4789'");
});
