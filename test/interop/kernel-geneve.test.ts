import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { UdpUnderlay } from "../../src/io/udp-underlay.ts";
import { Cable, CablePort, segmentVni } from "../../src/tunnel/cable.ts";
import { Uplink } from "../../src/tunnel/uplink.ts";
import * as geneve from "../../src/wire/geneve.ts";
import { must } from "../support/host-router-host.ts";
import { FAR, HOME, kernelLacks, POD, TunnelLab, userlandLacks } from "../support/tunnel-lab.ts";

// A Linux kernel as the other member of a segment: its Geneve device is plugged into the same cable as the emulated eth0. The
// device lives in a namespace of its own, because it has the very address that its tunnel's outer packets bear.
//
//   pod 10.244.1.2 ── emulated: eth0 10.99.7.2 ══ Geneve over UDP ══ kernel: gnv9 10.99.7.3 ── pod 10.244.2.2

const ECHO = join(import.meta.dirname, "../support/udp-echo-client.py");
const SEGMENT = prefix("10.99.7.0/24");
const VNI = segmentVni(SEGMENT);
const KERNEL_MAC = "02:00:00:00:99:03";

const device = `type geneve id ${VNI} remote ${HOME} dstport ${geneve.PORT}`;
const peers: [name: string, device: string | undefined, why: string | undefined][] = [
  ["the kernel's Geneve device", device, kernelLacks(device)],
  ["Geneve and the kernel's stack behind a TAP device", undefined, userlandLacks()],
];

describe.each(peers)("%s", (_name, words, why) => {
  describe.skipIf(why !== undefined)(why === undefined ? "on the segment" : `(${why})`, () => {
    let folder = "";
    let lab: TunnelLab;
    let member = "";
    let remote = "";
    let eth0: Uplink;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "podloom-geneve-"));
      lab = new TunnelLab();
      member = lab.spaces.add("member");
      remote = lab.spaces.add("remote");
      lab.spaces.link(member, "pod0", "10.244.2.1/24", remote, "eth0", "10.244.2.2/24");
      lab.spaces.exec(remote, "ip route add default via 10.244.2.1");
      if (words === undefined) await lab.userlandPeer("geneve", "gnv9", VNI);
      else lab.spaces.exec(lab.far, `ip link add gnv9 ${words}`);
      lab.spaces.exec(lab.far, `ip link set gnv9 netns ${member}`);
      const at = (line: string) => lab.spaces.exec(member, line);
      at("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0");
      at(`ip link set gnv9 address ${KERNEL_MAC} mtu 1500 up`);
      at(`ip addr add ${FAR}/24 dev gnv9`);
      at(`ip route add 10.244.1.0/24 via ${HOME}`);

      const underlay = await UdpUnderlay.open({ ...lab.edge, port: geneve.PORT });
      lab.closing(() => underlay.close());
      const cable = new Cable(lab.stack, SEGMENT, underlay);
      const port = new CablePort(lab.stack);
      must(port.add(cable));
      underlay.attach(port);
      eth0 = new Uplink(lab.stack, "eth0", mac("02:00:00:00:99:02"), 1500);
      eth0.attachCable(cable);
      lab.host.addDevice(eth0);
      lab.host.setLink(eth0, true, 0);
      must(lab.host.addAddress(eth0, { addr: ipv4(HOME), len: 24 }, 0));
      must(lab.host.addRoute({ dst: prefix("10.244.2.0/24"), via: ipv4(FAR) }, 0));
      lab.echo();
    });

    afterAll(async () => {
      expect(await lab?.close()).toBe(0);
      rmSync(folder, { recursive: true, force: true });
    });

    test("ARP is real: each finds the other's card", async () => {
      expect(await lab.run(member, `ping -c 2 -i 0.2 -W 2 ${HOME}`)).toContain("2 received, 0% packet loss");
      expect(lab.spaces.exec(member, `ip neigh show ${HOME}`)).toContain("lladdr 02:00:00:00:99:02");
      expect(lab.host.neigh.lookup(eth0, ipv4(FAR))?.mac).toBe(mac(KERNEL_MAC));
      expect(eth0.cable?.members).toEqual([ipv4(FAR)]);
    });

    test.each([56, 1472])("un-encapsulated pods' pings of %i bytes, both ways", async (size) => {
      expect(await lab.ping("10.244.2.2", size, { df: true })).toEqual({ from: ipv4("10.244.2.2"), ttl: 62 });
      const back = await lab.run(remote, `ping -c 3 -i 0.2 -W 2 -M do -s ${size} ${POD}`);
      expect(back).toContain("3 received, 0% packet loss");
      expect(back).toMatch(/ttl=62/);
    });

    test("what is larger is fragmented, both ways; UDP up to the MTU is echoed", async () => {
      expect(await lab.ping("10.244.2.2", 4000, { df: false })).toMatchObject({ ttl: 62 });
      expect(await lab.run(remote, `ping -c 2 -i 0.2 -W 2 -s 4000 ${POD}`)).toContain(
        "2 received, 0% packet loss",
      );
      expect(await lab.run(remote, ["python3", ECHO, POD, "7", "0", "1", "1400", "1471", "1472"])).toContain(
        "echoed",
      );
    });

    test("the path is seen from both ends", async () => {
      const out = await lab.run(remote, `traceroute -n -w 1 -q 1 -m 5 ${POD}`);
      expect(out).toMatch(/1 {2}10\.244\.2\.1 .*\n 2 {2}10\.99\.7\.2 .*\n 3 {2}10\.244\.1\.2 /);
      const hops: (number | undefined)[] = [];
      for (const ttl of [1, 2, 3]) hops.push((await lab.ping("10.244.2.2", 8, { ttl }))?.from);
      expect(hops).toEqual(["10.244.1.1", FAR, "10.244.2.2"].map(ipv4));
    });

    test("our frames decode without a warning", async () => {
      const capture = join(folder, "wire.pcap");
      await lab.capture(capture, async () => {
        await lab.ping("10.244.2.2", 1000, { df: true });
        await lab.ping("10.244.2.2", 3000, { df: false });
        await lab.run(remote, ["python3", ECHO, POD, "7", "100", "1400"]);
      });
      const seen = lab.spaces.run("tshark", "-r", capture, "-Y", `ip.src==${HOME} && geneve.vni==${VNI}`);
      expect(seen.trim().split("\n").length).toBeGreaterThanOrEqual(6);
      expect(lab.warnings(capture)).toBe("");
    });

    test("nothing was lost on our side but what had to be", () => {
      const allowed = ["IP_INHDR", "NO_SOCKET", "NEIGH_QUEUEFULL", "UNHANDLED_PROTO", "OTHERHOST"];
      expect(lab.stack.drops.entries().filter(([reason]) => !allowed.includes(reason))).toEqual([]);
      expect(eth0.stats).toMatchObject({ txErrors: 0, rxErrors: 0 });
    });
  });
});
