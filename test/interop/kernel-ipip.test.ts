import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { RawIp } from "../../src/io/raw-ip.ts";
import { UdpUnderlay } from "../../src/io/udp-underlay.ts";
import { FOU_PORT, Fou } from "../../src/tunnel/fou.ts";
import { FOU_OVERHEAD_BYTES, IPIP_OVERHEAD_BYTES, IpipDevice } from "../../src/tunnel/ipip.ts";
import type { IpipCarrier } from "../../src/tunnel/ipip-carrier.ts";
import { must } from "../support/host-router-host.ts";
import { FAR, HOME, kernelLacks, POD, TunnelLab, userlandLacks } from "../support/tunnel-lab.ts";

// IPIP between an emulated node and a Linux kernel, as protocol 4 and in UDP (FOU), with a pod behind either:
//
//   pod 10.244.1.2 ── emulated: tunl0 10.244.1.0 ══ 10.99.7.2 ~~ 10.99.7.3 ══ kernel: tunl9 10.244.2.0 ── pod 10.244.2.2

const UNDERLAY_MTU = 1500;
const ECHO = join(import.meta.dirname, "../support/udp-echo-client.py");

const ends = `local ${FAR} remote ${HOME} ttl inherit nopmtudisc`;
const fou = `type ipip ${ends} encap fou encap-sport auto encap-dport ${FOU_PORT}`;
const peers: [
  name: string,
  carrier: "proto4" | "fou",
  device: string | undefined,
  why: string | undefined,
][] = [
  ["the kernel's ipip device", "proto4", `type ipip ${ends}`, kernelLacks(`type ipip ${ends}`)],
  ["the kernel's ipip device over FOU", "fou", fou, kernelLacks(fou)],
  ["protocol 4 and the kernel's stack behind a TUN device", "proto4", undefined, userlandLacks()],
  ["FOU and the kernel's stack behind a TUN device", "fou", undefined, userlandLacks()],
];

describe.each(peers)("%s", (_name, carrierKind, device, why) => {
  describe.skipIf(why !== undefined)(why === undefined ? "as a peer" : `(${why})`, () => {
    let folder = "";
    const overhead = carrierKind === "fou" ? FOU_OVERHEAD_BYTES : IPIP_OVERHEAD_BYTES;
    const mtu = UNDERLAY_MTU - overhead;
    let lab: TunnelLab;
    let remote = "";
    let tunl0: IpipDevice;

    const openCarrier = async (): Promise<IpipCarrier> => {
      if (carrierKind === "proto4") {
        const raw = RawIp.open(lab.edge);
        raw.attach(tunl0);
        lab.closing(() => raw.close());
        return raw;
      }
      const underlay = await UdpUnderlay.open({ ...lab.edge, port: FOU_PORT });
      const carrier = new Fou(lab.stack, underlay, tunl0);
      underlay.attach(carrier);
      lab.closing(() => underlay.close());
      return carrier;
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "podloom-ipip-"));
      lab = new TunnelLab();
      remote = lab.spaces.add("remote");
      lab.spaces.link(lab.far, "pod0", "10.244.2.1/24", remote, "eth0", "10.244.2.2/24");
      const far = (line: string) => lab.spaces.exec(lab.far, line);
      if (device === undefined) await lab.userlandPeer(carrierKind === "fou" ? "fou" : "ipip", "tunl9");
      else {
        if (carrierKind === "fou") far(`ip fou add port ${FOU_PORT} ipproto 4`);
        far(`ip link add tunl9 ${device}`);
      }
      far("ip addr add 10.244.2.0/32 dev tunl9");
      far(`ip link set tunl9 mtu ${mtu} up`);
      far("ip route add 10.244.1.0/24 dev tunl9");
      lab.spaces.exec(remote, "ip route add default via 10.244.2.1");

      const opts = { underlayMtuBytes: UNDERLAY_MTU };
      const carriers = new Map<number, IpipCarrier>();
      tunl0 = new IpipDevice(lab.stack, "tunl0", mtu, opts, (dst) => carriers.get(dst));
      tunl0.allowSource = (src) => src === ipv4(FAR);
      carriers.set(ipv4(FAR), await openCarrier());
      lab.host.addDevice(tunl0);
      lab.host.setLink(tunl0, true, 0);
      must(lab.host.addAddress(tunl0, { addr: ipv4("10.244.1.0"), len: 32 }, 0));
      const dst = prefix("10.244.2.0/24");
      must(lab.host.addRoute({ dst, via: ipv4(FAR), dev: tunl0, onlink: true, proto: "bird" }, 0));
      lab.echo();
    });

    afterAll(async () => {
      expect(await lab?.close()).toBe(0);
      rmSync(folder, { recursive: true, force: true });
    });

    test.each([56, mtu - 28])("pings of %i bytes, both ways, don't-fragment", async (size) => {
      expect(await lab.ping("10.244.2.2", size, { df: true })).toEqual({ from: ipv4("10.244.2.2"), ttl: 62 });
      const back = await lab.run(remote, `ping -c 3 -i 0.2 -W 2 -M do -s ${size} ${POD}`);
      expect(back).toContain("3 received, 0% packet loss");
      expect(back).toMatch(/ttl=62/);
    });

    test("one byte more is refused at both ends, by name and number", async () => {
      const size = mtu - 28 + 1;
      expect(await lab.ping("10.244.2.2", size, { df: true })).toEqual({ from: ipv4("10.244.1.1"), mtu });
      const back = await lab.run(remote, `ping -c 1 -W 1 -M do -s ${size} ${POD}`);
      expect(back).toMatch(new RegExp(`mtu ?= ?${mtu}`));
    });

    test("what is larger is fragmented and put together, both ways", async () => {
      expect(await lab.ping("10.244.2.2", 4000, { df: false })).toMatchObject({ ttl: 62 });
      expect(await lab.run(remote, `ping -c 2 -i 0.2 -W 2 -s 4000 ${POD}`)).toContain(
        "2 received, 0% packet loss",
      );
    });

    test("UDP up to the MTU is echoed byte for byte", async () => {
      const sizes = ["0", "1", "18", "512", "1400", `${mtu - 29}`, `${mtu - 28}`];
      expect(await lab.run(remote, ["python3", ECHO, POD, "7", ...sizes])).toContain("echoed");
    });

    test("the path is seen from both ends: the tunnel is one hop, and bears the far tunnel's address", async () => {
      const out = await lab.run(remote, `traceroute -n -w 1 -q 1 -m 5 ${POD}`);
      expect(out).toMatch(/1 {2}10\.244\.2\.1 .*\n 2 {2}10\.244\.1\.0 .*\n 3 {2}10\.244\.1\.2 /);
      const hops: (number | undefined)[] = [];
      for (const ttl of [1, 2, 3]) hops.push((await lab.ping("10.244.2.2", 8, { ttl }))?.from);
      expect(hops).toEqual(["10.244.1.1", "10.244.2.0", "10.244.2.2"].map(ipv4));
    });

    test("our packets decode without a warning; the outer header follows the inner one", async () => {
      const capture = join(folder, "wire.pcap");
      await lab.capture(capture, async () => {
        await lab.ping("10.244.2.2", 1000, { df: true });
        await lab.ping("10.244.2.2", 3000, { df: false });
        await lab.ping("10.244.2.2", 8, { ttl: 2 });
        await lab.run(remote, ["python3", ECHO, POD, "7", "100", "1400"]);
      });
      const fouRule = carrierKind === "fou" ? [`udp.port==${FOU_PORT},ip`] : [];
      expect(lab.warnings(capture, fouRule)).toBe("");
      // The host's kernel is content that somebody takes protocol 4: no "protocol unreachable" goes back.
      expect(lab.spaces.run("tshark", "-r", capture, "-Y", "icmp.type==3")).toBe("");
      const fields = "-T fields -e ip.src -e ip.ttl -e ip.flags.df -e ip.proto".split(" ");
      const rules = fouRule.flatMap((rule) => ["-d", rule]);
      const lines = lab.spaces
        .run("tshark", "-r", capture, ...rules, "-Y", `ip.src==${HOME} && icmp.type==8`, ...fields)
        .trim()
        .split("\n");
      if (carrierKind === "fou") {
        expect(lines[0]).toMatch(/^10\.99\.7\.2,10\.244\.1\.2\t64,63\t/);
        return;
      }
      expect(lines[0]).toBe(`${HOME},${POD}\t63,63\t1,1\t4,1`);
      expect(lines.at(-1)).toMatch(new RegExp(`^${HOME},${POD}\t1,1\t`));
    });

    test("nothing was lost on our side but what had to be", () => {
      const allowed = ["PKT_TOO_BIG", "IP_INHDR", "NO_SOCKET", "NEIGH_QUEUEFULL"];
      expect(lab.stack.drops.entries().filter(([reason]) => !allowed.includes(reason))).toEqual([]);
      expect(tunl0.stats).toMatchObject({ txErrors: 0, rxErrors: 0 });
    });
  });
});
