import { describe, expect, test } from "vitest";
import { formatIpv4, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { Carriers } from "../../../../src/node/speaker/carriers.ts";
import { SPEAKER_HEAD as HEAD, planOf } from "../../../support/speaker-text.ts";

const TEXT = `${HEAD}neighbors:
  - { address: 192.168.5.9, as: any }
ranges:
  - { name: wide, prefix: 172.16.0.0/12, as: any }
  - { name: narrow, prefix: 198.16.9.0/24, as: any }
`;

describe("whose socket address it is", () => {
  const owners: readonly (readonly [host: string, node: string | undefined, why: string])[] = [
    ["127.0.1.1", "10.0.1.1", "our own"],
    ["127.168.5.9", "192.168.5.9", "the neighbor's, whatever its first octet"],
    ["127.16.9.7", "198.16.9.7", "of the longest range that it could be of"],
    ["127.17.0.4", "172.17.0.4", "of the other range"],
    ["127.99.0.4", "10.99.0.4", "of our own network, when it could be of none"],
    ["10.0.0.2", undefined, "not carried on the loopback interface"],
    ["::1", undefined, "no IPv4 address"],
    ["", undefined, "nothing"],
  ];
  test.each(owners)("%s is %s: %s", async (host, node) => {
    const owner = new Carriers(await planOf(TEXT)).uncarry(host);
    expect(owner === undefined ? undefined : formatIpv4(owner)).toBe(node);
  });

  test("on the host's own addresses nothing is translated", async () => {
    const carriers = new Carriers(await planOf(TEXT.replace("loopback", "host")));
    expect(carriers.carry(ipv4("192.168.5.9"))).toBe("192.168.5.9");
    expect(carriers.uncarry("127.168.5.9")).toBe(ipv4("127.168.5.9"));
  });
});
