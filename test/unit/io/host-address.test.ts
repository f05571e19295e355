import { describe, expect, test } from "vitest";
import { formatIpv4, ipv4 } from "../../../src/base/ipv4-addr.ts";
import { CarrierMap, hostAddress, hostAddresses } from "../../../src/io/host-address.ts";

describe("hostAddress", () => {
  test.each([
    ["192.168.56.2", "127.168.56.2"],
    ["10.20.0.5", "127.20.0.5"],
    ["203.0.113.255", "127.0.113.255"],
  ])("loopback carries %s on %s", (underlay, host) => {
    expect(formatIpv4(hostAddress(ipv4(underlay), "loopback", "linux"))).toBe(host);
  });

  test("host carries an address on itself, on any system", () => {
    expect(hostAddress(ipv4("192.168.56.2"), "host", "darwin")).toBe(ipv4("192.168.56.2"));
  });

  test.each(["10.0.0.1", "10.0.0.0", "10.255.255.255"])(
    "loopback refuses %s, which would be the machine's own",
    (underlay) => {
      expect(() => hostAddress(ipv4(underlay), "loopback", "linux")).toThrow(
        expect.objectContaining({ code: "PL_UNDERLAY_UNUSABLE", message: expect.stringContaining(underlay) }),
      );
    },
  );

  test("loopback outside Linux is refused with what to do instead", () => {
    expect(() => hostAddress(ipv4("10.1.2.3"), "loopback", "darwin")).toThrow(
      expect.objectContaining({
        code: "PL_CARRIER_UNSUPPORTED",
        remedy: expect.stringContaining("docker-compose"),
      }),
    );
  });
});

describe("CarrierMap", () => {
  test("tells a source that it has learnt, and places a stranger in the node's own network", () => {
    const map = new CarrierMap(ipv4("192.168.56.2"), "loopback");
    map.learn(ipv4("10.9.8.7"));
    expect(map.underlayOf(ipv4("127.9.8.7"))).toBe(ipv4("10.9.8.7"));
    expect(map.underlayOf(ipv4("127.168.56.3"))).toBe(ipv4("192.168.56.3"));
  });

  test("a collision names both addresses", () => {
    expect(() => hostAddresses([ipv4("192.168.56.2"), ipv4("10.168.56.2")], "loopback")).toThrow(
      expect.objectContaining({
        code: "PL_UNDERLAY_COLLISION",
        message: expect.stringMatching(/192\.168\.56\.2 and 10\.168\.56\.2 .* 127\.168\.56\.2/),
      }),
    );
  });

  test("the host carrier maps nothing and never collides", () => {
    const map = new CarrierMap(ipv4("192.168.56.2"), "host");
    map.learn(ipv4("10.168.56.2"));
    expect(map.underlayOf(ipv4("10.168.56.2"))).toBe(ipv4("10.168.56.2"));
  });
});
