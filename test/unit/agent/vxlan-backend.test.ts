// Flannel's vxlan events as the kernel's tables see them: what is installed, in which order, what goes, what stays.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { VxlanBackend } from "../../../src/agent/flannel/vxlan-backend.ts";
import { formatIpv4, formatPrefix, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { formatMac, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import type { PeerLease } from "../../../src/control/flannel/lease-attrs.ts";
import { parseNetConf } from "../../../src/control/flannel/net-conf.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { RecordingUnderlay } from "../../support/frames.ts";

const SELF = ipv4("192.168.56.2");
const OWN_SUBNET = prefix("10.244.1.0/24");
const MAC_A = "c6:d2:32:6f:8f:44";
const MAC_B = "c6:d2:32:6f:8f:55";

/** One node's flannel.1, configured and up, with nobody known yet. */
class Vtep {
  readonly pool = new PacketPool(100, true);
  readonly stack = new NetStack({ rng: new SeededRng(1), pool: this.pool });
  readonly host = this.stack.addNetns("");
  readonly backend: VxlanBackend;
  now = 1_000_000;

  constructor(strict = false, backend: Record<string, unknown> = {}) {
    const config = parseNetConf(
      JSON.stringify({ Network: "10.244.0.0/16", Backend: { Type: "vxlan", ...backend } }),
    );
    if (!config.ok) throw new Error(config.error);
    this.backend = new VxlanBackend(
      { stack: this.stack, host: this.host, config: config.value, underlayMtuBytes: 1500, strict },
      new RecordingUnderlay(this.stack, SELF),
    );
    expect(this.backend.configure(OWN_SUBNET, this.now)).toEqual({ ok: true, value: undefined });
  }

  added(...leases: PeerLease[]): readonly string[] {
    for (const lease of leases) this.backend.onUpdate({ t: "added", lease });
    return this.#work();
  }

  removed(...leases: PeerLease[]): readonly string[] {
    for (const lease of leases) this.backend.onUpdate({ t: "removed", lease });
    return this.#work();
  }

  #work(): readonly string[] {
    const done = this.backend.completeDeferredWork(this.now);
    return done.ok ? [] : done.error;
  }

  routes(): string[] {
    return this.host.fib
      .dump("main")
      .filter((route) => route.dev === this.backend.device)
      .map((route) => {
        expect(route).toMatchObject({ onlink: true, proto: "boot", scope: "global" });
        return `${formatPrefix(route.dst)} via ${formatIpv4(route.via ?? 0)}`;
      });
  }

  neigh(): string[] {
    return this.host.neigh.dump().map((entry) => {
      expect(entry.state).toBe("PERMANENT");
      return `${formatIpv4(entry.ip)} ${formatMac(entry.mac ?? 0)}`;
    });
  }

  fdb(): string[] {
    return this.backend.device.fdb
      .dump(this.now)
      .map((row) => `${formatMac(row.mac)} ${formatIpv4(row.remote)} ${row.state}`);
  }
}

function peer(subnet: string, ip: string, vtepMac: string | undefined, type = "vxlan"): PeerLease {
  const lease = prefix(subnet);
  return {
    key: `/coreos.com/network/subnets/${subnet.replace("/", "-")}`,
    subnet: lease,
    attrs: {
      publicIp: ipv4(ip),
      backendType: type,
      ...(vtepMac === undefined ? {} : { vni: 1, vtepMac: mac(vtepMac) }),
      backendData: undefined,
    },
    modRevision: 7,
    createRevision: 7,
    lease: "1",
  };
}

const NODE_2 = peer("10.244.2.0/24", "192.168.56.3", MAC_A);
const NODE_3 = peer("10.244.3.0/24", "192.168.56.4", MAC_B);

let vtep: Vtep;
beforeEach(() => {
  vtep = new Vtep();
});

describe("the device", () => {
  test("is flannel.<VNI>: the subnet's base as /32, the underlay's MTU less 50, up; its MAC local and unicast", () => {
    const { device } = vtep.backend;
    expect(device).toMatchObject({ name: "flannel.1", mtuBytes: 1450, vni: 1, up: true, learning: false });
    expect(vtep.host.addresses(device)).toMatchObject([{ addr: OWN_SUBNET.addr, len: 32 }]);
    expect(formatMac(device.mac)).toMatch(/^.[26ae]:/);
    // A /32 brings no connected route.
    expect(vtep.routes()).toEqual([]);
  });

  test("takes VNI, MTU, GBP and Learning from the configuration", () => {
    const other = new Vtep(false, { VNI: 77, MTU: 9000, GBP: true, Learning: true }).backend.device;
    expect(other).toMatchObject({ name: "flannel.77", vni: 77, mtuBytes: 8950, gbp: true, learning: true });
  });

  test("a new subnet replaces the old address", () => {
    vtep.backend.configure(prefix("10.244.9.0/24"), vtep.now);
    expect(vtep.host.addresses(vtep.backend.device)).toMatchObject([{ addr: ipv4("10.244.9.0"), len: 32 }]);
  });
});

describe("a peer's lease", () => {
  test("becomes an ARP entry, an FDB entry and a route, in this order", () => {
    const order: string[] = [];
    const { host, backend } = vtep;
    const neigh = host.neigh.replace.bind(host.neigh);
    vi.spyOn(host.neigh, "replace").mockImplementation((...args) => {
      order.push("ARP");
      return neigh(...args);
    });
    const fdb = backend.device.fdb.replace.bind(backend.device.fdb);
    vi.spyOn(backend.device.fdb, "replace").mockImplementation((...args) => {
      order.push("FDB");
      return fdb(...args);
    });
    const route = host.replaceRoute.bind(host);
    vi.spyOn(host, "replaceRoute").mockImplementation((...args) => {
      order.push("route");
      return route(...args);
    });
    expect(vtep.added(NODE_2)).toEqual([]);
    expect(order).toEqual(["ARP", "FDB", "route"]);
    expect(vtep.neigh()).toEqual([`10.244.2.0 ${MAC_A}`]);
    expect(vtep.fdb()).toEqual([`${MAC_A} 192.168.56.3 permanent`]);
    expect(vtep.routes()).toEqual(["10.244.2.0/24 via 10.244.2.0"]);
    expect(backend.peers).toBe(1);
  });

  test("that comes again changes nothing", () => {
    vtep.added(NODE_2, NODE_3);
    const before = [vtep.neigh(), vtep.fdb(), vtep.routes()];
    expect(vtep.added(NODE_2)).toEqual([]);
    expect([vtep.neigh(), vtep.fdb(), vtep.routes()]).toEqual(before);
    expect(vtep.backend.peers).toBe(2);
  });

  test("that goes takes all three along, and nobody else's", () => {
    vtep.added(NODE_2, NODE_3);
    expect(vtep.removed(NODE_2)).toEqual([]);
    expect(vtep.neigh()).toEqual([`10.244.3.0 ${MAC_B}`]);
    expect(vtep.fdb()).toEqual([`${MAC_B} 192.168.56.4 permanent`]);
    expect(vtep.routes()).toEqual(["10.244.3.0/24 via 10.244.3.0"]);
    // Gone already, or never there: no complaint.
    expect(vtep.removed(NODE_2)).toEqual([]);
  });

  test("with another MAC: the old FDB entry goes; the original's quirk leaves it, with strict", () => {
    const moved = peer("10.244.2.0/24", "192.168.56.3", MAC_B);
    vtep.added(NODE_2);
    vtep.added(moved);
    expect(vtep.neigh()).toEqual([`10.244.2.0 ${MAC_B}`]);
    expect(vtep.fdb()).toEqual([`${MAC_B} 192.168.56.3 permanent`]);

    const strict = new Vtep(true);
    strict.added(NODE_2);
    strict.added(moved);
    expect(strict.neigh()).toEqual([`10.244.2.0 ${MAC_B}`]);
    expect(strict.fdb().sort()).toEqual([
      `${MAC_A} 192.168.56.3 permanent`,
      `${MAC_B} 192.168.56.3 permanent`,
    ]);
  });

  test("with another address is sent there", () => {
    vtep.added(NODE_2);
    vtep.added(peer("10.244.2.0/24", "192.168.56.9", MAC_A));
    expect(vtep.fdb()).toEqual([`${MAC_A} 192.168.56.9 permanent`]);
  });

  test("two leases of one MAC share its FDB entry until the last of them goes", () => {
    const second = peer("10.244.4.0/24", "192.168.56.3", MAC_A);
    vtep.added(NODE_2, second);
    vtep.removed(NODE_2);
    expect(vtep.fdb()).toEqual([`${MAC_A} 192.168.56.3 permanent`]);
    vtep.removed(second);
    expect(vtep.fdb()).toEqual([]);
  });

  test("of another backend, or without a MAC, is not installed, and the complaint says which and why", () => {
    const foreign = peer("10.244.5.0/24", "192.168.56.5", undefined, "host-gw");
    const macless = peer("10.244.6.0/24", "192.168.56.6", undefined);
    expect(vtep.added(foreign, NODE_2, macless)).toEqual([
      "ignoring non-vxlan v4Subnet(10.244.5.0/24): type=host-gw",
      "lease /coreos.com/network/subnets/10.244.6.0-24 has no VtepMAC in its BackendData; the peer is not reachable until it writes one",
    ]);
    // The sound one between them is there.
    expect(vtep.routes()).toEqual(["10.244.2.0/24 via 10.244.2.0"]);
    expect(vtep.backend.peers).toBe(1);
  });

  test("whose MAC is a group's is refused whole: nothing of it stays", () => {
    const complaints = vtep.added(peer("10.244.7.0/24", "192.168.56.7", "01:00:5e:00:00:01"));
    expect(complaints).toEqual([expect.stringMatching(/^10\.244\.7\.0\/24 via 192\.168\.56\.7: /)]);
    expect([vtep.neigh(), vtep.fdb(), vtep.routes(), vtep.backend.peers]).toEqual([[], [], [], 0]);
  });
});

describe("a fence", () => {
  test("takes routes and ARP entries away; its end installs every peer anew, those that came meanwhile too", () => {
    vtep.added(NODE_2);
    vtep.backend.fence(vtep.now);
    expect(vtep.backend.device.up).toBe(false);
    expect([vtep.neigh(), vtep.routes()]).toEqual([[], []]);
    expect(vtep.added(NODE_3)).toEqual([]);
    expect(vtep.routes()).toEqual([]);
    vtep.backend.unfence(vtep.now);
    vtep.backend.completeDeferredWork(vtep.now);
    expect(vtep.backend.device.up).toBe(true);
    expect(vtep.routes()).toEqual(["10.244.2.0/24 via 10.244.2.0", "10.244.3.0/24 via 10.244.3.0"]);
    expect(vtep.neigh()).toEqual([`10.244.2.0 ${MAC_A}`, `10.244.3.0 ${MAC_B}`]);
  });

  test("a peer that goes during it does not come back with its end", () => {
    vtep.added(NODE_2, NODE_3);
    vtep.backend.fence(vtep.now);
    expect(vtep.removed(NODE_2)).toEqual([]);
    vtep.backend.unfence(vtep.now);
    vtep.backend.completeDeferredWork(vtep.now);
    expect(vtep.routes()).toEqual(["10.244.3.0/24 via 10.244.3.0"]);
    expect(vtep.fdb()).toEqual([`${MAC_B} 192.168.56.4 permanent`]);
  });

  test("a lease that is acquired again while fenced does not bring the device up", () => {
    vtep.backend.fence(vtep.now);
    vtep.backend.configure(OWN_SUBNET, vtep.now);
    expect(vtep.backend.device.up).toBe(false);
  });
});

test("leases that no VTEP can be made of are known, until they are gone or good", () => {
  const foreign = peer("10.244.2.0/24", "192.168.56.3", undefined, "host-gw");
  const macless = peer("10.244.3.0/24", "192.168.56.4", undefined);
  vtep.added(foreign, macless);
  const unusable = () => vtep.backend.unusableSubnets().map(formatPrefix);
  expect(unusable()).toEqual(["10.244.2.0/24", "10.244.3.0/24"]);
  vtep.added(NODE_3);
  vtep.removed(foreign);
  expect(unusable()).toEqual([]);
  expect(vtep.backend.subnetsBehind(NODE_3.attrs.publicIp)).toEqual([NODE_3.subnet]);
  expect(vtep.backend.subnetsBehind(SELF)).toEqual([]);
});

describe("what somebody has changed by hand", () => {
  test("and a peer that goes takes along what is left", () => {
    vtep.added(NODE_2, NODE_3);
    const { host, backend, now } = vtep;
    host.delRoute({ dst: NODE_2.subnet }, now);
    host.neigh.del(backend.device, NODE_2.subnet.addr, now);
    backend.device.fdb.del(mac(MAC_A));
    expect(vtep.removed(NODE_2)).toEqual(["route to 10.244.2.0/24: No such process"]);
    expect(vtep.routes()).toEqual(["10.244.3.0/24 via 10.244.3.0"]);
    // Nothing of flanneld's looks after routes: what is lost stays so until the lease comes anew.
    host.delRoute({ dst: NODE_3.subnet }, now);
    expect(vtep.added()).toEqual([]);
    expect(vtep.routes()).toEqual([]);
    vtep.added(NODE_3);
    expect(vtep.routes()).toEqual(["10.244.3.0/24 via 10.244.3.0"]);
  });

  test("a device that is down refuses a peer, by name; it takes it once it is up and the lease comes anew", () => {
    vtep.host.setLink(vtep.backend.device, false, vtep.now);
    expect(vtep.added(NODE_2)).toEqual([
      "10.244.2.0/24 via 192.168.56.3: route to 10.244.2.0/24: Nexthop device is not up",
    ]);
    expect(vtep.fdb()).toEqual([]);
    expect(vtep.removed(NODE_2)).toEqual([]);
    vtep.host.setLink(vtep.backend.device, true, vtep.now);
    expect(vtep.added(NODE_2)).toEqual([]);
    expect(vtep.routes()).toEqual(["10.244.2.0/24 via 10.244.2.0"]);
  });

  test("an address that was flushed is back with the next lease", () => {
    const { host, backend, now } = vtep;
    host.delAddress(backend.device, { addr: OWN_SUBNET.addr, len: 32 }, now);
    backend.fence(now);
    expect(backend.configure(OWN_SUBNET, now)).toEqual({ ok: true, value: undefined });
    expect(host.addresses(backend.device)).toMatchObject([{ addr: OWN_SUBNET.addr, len: 32 }]);
  });
});
