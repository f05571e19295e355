import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HostLocal } from "../../../src/agent/pods/host-local.ts";
import { formatIpv4, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";

const SUBNET = prefix("10.244.1.0/24");
const FOLDER = "var/lib/cni/networks/cbr0/";

/** A state folder that keeps what the plugin writes. */
class Files extends Map<string, string> {
  apply(changes: readonly { path: string; text: string | undefined }[]): void {
    for (const { path, text } of changes) {
      if (text === undefined) this.delete(path);
      else this.set(path, text);
    }
  }
}

describe("host-local", () => {
  test("gives .2 first, since .1 is the bridge's, and writes the plugin's own files", () => {
    const ipam = new HostLocal(SUBNET, new Map());
    const added = ipam.add("web", undefined);
    expect(added).toEqual({
      ok: true,
      value: {
        addr: ipv4("10.244.1.2"),
        changes: [
          { path: `${FOLDER}10.244.1.2`, text: "web\r\neth0" },
          { path: `${FOLDER}last_reserved_ip.0`, text: "10.244.1.2" },
        ],
      },
    });
  });

  test("a restarted node gives each pod its address again, and new pods go on after the last", () => {
    const files = new Files();
    const before = new HostLocal(SUBNET, files);
    for (const name of ["a", "b", "c"]) {
      const added = before.add(name, undefined);
      if (added.ok) files.apply(added.value.changes);
    }
    files.apply(before.del("b"));
    const after = new HostLocal(SUBNET, files);
    const addrOf = (name: string): string => {
      const added = after.add(name, undefined);
      return added.ok ? formatIpv4(added.value.addr) : added.error;
    };
    expect(addrOf("c")).toBe("10.244.1.4");
    expect(addrOf("a")).toBe("10.244.1.2");
    expect(addrOf("new")).toBe("10.244.1.5");
  });

  test("an exhausted range says so in the plugin's words, and a released address serves again", () => {
    const ipam = new HostLocal(prefix("10.0.0.0/29"), new Map());
    for (let i = 0; i < 5; i++) expect(ipam.add(`p${i}`, undefined).ok).toBe(true);
    expect(ipam.add("more", undefined)).toEqual({
      ok: false,
      error: "no IP addresses available in range set: 10.0.0.1-10.0.0.6",
    });
    ipam.del("p3");
    expect(ipam.add("more", undefined)).toMatchObject({ value: { addr: ipv4("10.0.0.5") } });
  });

  test.each([
    ["10.9.9.9", "requested IP address 10.9.9.9 is not available in range set 10.244.1.1-10.244.1.254"],
    ["10.244.1.1", "requested IP address 10.244.1.1 is not available in range set 10.244.1.1-10.244.1.254"],
    [
      "10.244.1.255",
      "requested IP address 10.244.1.255 is not available in range set 10.244.1.1-10.244.1.254",
    ],
    ["10.244.1.7", 'requested IP address 10.244.1.7 is held by pod "owner"'],
  ])("refuses the wish %s with its reason", (wish, error) => {
    const ipam = new HostLocal(SUBNET, new Map());
    ipam.add("owner", ipv4("10.244.1.7"));
    expect(ipam.add("other", ipv4(wish))).toEqual({ ok: false, error });
  });

  test("reservations of another subnet, and garbage, are stale and never given out", () => {
    const files = new Map([
      [`${FOLDER}10.244.9.2`, "old\r\neth0"],
      [`${FOLDER}10.244.1.1`, "thief\r\neth0"],
      [`${FOLDER}not-an-address`, "x"],
      [`${FOLDER}10.244.1.9`, ""],
      [`${FOLDER}last_reserved_ip.0`, "10.244.9.2"],
    ]);
    const ipam = new HostLocal(SUBNET, files);
    expect([...ipam.stale].sort()).toEqual([
      `${FOLDER}10.244.1.1`,
      `${FOLDER}10.244.1.9`,
      `${FOLDER}10.244.9.2`,
      `${FOLDER}not-an-address`,
    ]);
    expect(ipam.add("fresh", undefined)).toMatchObject({ value: { addr: ipv4("10.244.1.2") } });
  });

  test("no two pods ever share an address, whatever comes and goes, across restarts", () => {
    const step = fc.record({
      name: fc.integer({ min: 0, max: 8 }),
      del: fc.boolean(),
      restart: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const files = new Files();
        let ipam = new HostLocal(prefix("10.0.0.0/29"), files);
        const held = new Map<string, number>();
        for (const { name, del, restart } of steps) {
          const owner = `p${name}`;
          if (restart) ipam = new HostLocal(prefix("10.0.0.0/29"), files);
          if (del) {
            files.apply(ipam.del(owner));
            held.delete(owner);
            continue;
          }
          const added = ipam.add(owner, undefined);
          if (!added.ok) {
            expect(held.size).toBe(5);
            continue;
          }
          files.apply(added.value.changes);
          if (held.has(owner)) expect(added.value.addr).toBe(held.get(owner));
          held.set(owner, added.value.addr);
          expect(new Set(held.values()).size).toBe(held.size);
        }
      }),
    );
  });
});
