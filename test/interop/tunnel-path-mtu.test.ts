import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DropReason } from "../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { RawIcmp } from "../../src/io/raw-icmp.ts";
import { RawIp } from "../../src/io/raw-ip.ts";
import { UdpUnderlay } from "../../src/io/udp-underlay.ts";
import { FOU_PORT, Fou } from "../../src/tunnel/fou.ts";
import { FOU_OVERHEAD_BYTES, IPIP_OVERHEAD_BYTES, IpipDevice } from "../../src/tunnel/ipip.ts";
import type { IpipCarrier } from "../../src/tunnel/ipip-carrier.ts";
import { must } from "../support/host-router-host.ts";
import { FAR, HOME, ROUTER, TunnelLab, userlandLacks } from "../support/tunnel-lab.ts";

// A Linux router between an emulated node and its peer, whose link to the peer is narrower than the node was told:
//
//   pod 10.244.1.2 ── emulated: tunl0 ══ 10.99.7.2 ~~ router ~~ (1400 bytes) ~~ 10.99.7.3 ══ the kernel's 10.244.2.2

const NARROW = 1400;
const UNDERLAY_MTU = 1500;
const FIRST_HOP = 1300;
const REMOTE = ipv4("10.244.2.2");

const why = userlandLacks();

describe.each(["proto4", "fou"] as const)("%s", (kind) => {
  describe.skipIf(why !== undefined)(why === undefined ? "through a Linux router" : `(${why})`, () => {
    const overhead = kind === "fou" ? FOU_OVERHEAD_BYTES : IPIP_OVERHEAD_BYTES;
    const pathBytes = NARROW - overhead;
    let lab: TunnelLab;
    let tunl0: IpipDevice;
    let icmp: RawIcmp;
    let edge: RawIp | UdpUnderlay;
    let carrier: IpipCarrier;

    const openCarrier = async (): Promise<void> => {
      if (kind === "proto4") {
        const raw = RawIp.open(lab.edge);
        raw.attach(tunl0);
        edge = raw;
        carrier = raw;
      } else {
        const underlay = await UdpUnderlay.open({ ...lab.edge, port: FOU_PORT });
        const fou = new Fou(lab.stack, underlay, tunl0);
        underlay.attach(fou);
        edge = underlay;
        carrier = fou;
      }
      lab.closing(() => edge.close());
      icmp = RawIcmp.open(lab.edge);
      icmp.attach(tunl0);
      lab.closing(() => icmp.close());
    };

    beforeAll(async () => {
      lab = new TunnelLab(NARROW);
      await lab.userlandPeer(kind === "fou" ? "fou" : "ipip", "tunl9");
      const far = (line: string) => lab.spaces.exec(lab.far, line);
      far("ip addr add 10.244.2.2/32 dev tunl9");
      far(`ip link set tunl9 mtu ${pathBytes} up`);
      far("ip route add 10.244.1.0/24 dev tunl9");
      const opts = { underlayMtuBytes: UNDERLAY_MTU };
      tunl0 = new IpipDevice(lab.stack, "tunl0", UNDERLAY_MTU - overhead, opts, (dst) =>
        dst === ipv4(FAR) ? carrier : undefined,
      );
      await openCarrier();
      lab.host.addDevice(tunl0);
      lab.host.setLink(tunl0, true, 0);
      must(lab.host.addAddress(tunl0, { addr: ipv4("10.244.1.0"), len: 32 }, 0));
      const dst = prefix("10.244.2.0/24");
      must(lab.host.addRoute({ dst, via: ipv4(FAR), dev: tunl0, onlink: true, proto: "bird" }, 0));
    });

    afterAll(async () => {
      expect(await lab?.close()).toBe(0);
    });

    const until = async (condition: () => boolean): Promise<void> => {
      const end = performance.now() + 20_000;
      while (!condition()) {
        if (performance.now() > end) throw new Error("it did not happen within 20 s");
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };

    /** Sends an echo request whose IP packet has `bytes`. @returns the answer's TTL or the error, or undefined when `until` came first */
    const ask = async (bytes: number, df: boolean, settled = () => false) => {
      const socket = lab.pod.icmp.openEcho();
      let answer: { ttl?: number; from?: number; mtu?: number } | undefined;
      // What the pod has learnt itself would answer in the node's place.
      lab.pod.ip.pmtu.clear();
      socket.sendEcho(REMOTE, 1, new Uint8Array(bytes - 28), { df }, lab.clock.now());
      lab.wake();
      await until(() => {
        const reply = socket.recv();
        const error = reply === undefined ? socket.recvError() : undefined;
        if (reply !== undefined) answer = { ttl: reply.ttl };
        if (error !== undefined) answer = { from: error.from, mtu: error.mtu };
        return answer !== undefined || settled();
      });
      socket.close();
      return answer;
    };

    test("the router stops the first packet that is too long; the second is answered by the node", async () => {
      expect(await ask(pathBytes, true)).toEqual({ ttl: 63 });
      const first = await ask(UNDERLAY_MTU - overhead, true, () => tunl0.outerErrors.fragNeeded > 0);
      expect(first).toBeUndefined();
      expect(tunl0.outerErrors).toMatchObject({ fragNeeded: 1, timeExceeded: 0, foreign: 0 });
      expect(icmp.stats.rxIgnored).toBe(0);
      expect(lab.host.ip.pmtu.lookup(ipv4(FAR), lab.clock.now())).toBe(NARROW);

      const told = { from: ipv4("10.244.1.1"), mtu: pathBytes };
      expect(await ask(UNDERLAY_MTU - overhead, true)).toEqual(told);
      expect(await ask(pathBytes + 1, true)).toEqual(told);
      expect(await ask(pathBytes, true)).toEqual({ ttl: 63 });
      expect(edge.stats.txErrors).toBe(0);
    });

    test("without don't-fragment what is too long arrives, in fragments", async () => {
      expect(await ask(UNDERLAY_MTU - overhead, false)).toEqual({ ttl: 63 });
      expect(await ask(4000, false)).toEqual({ ttl: 63 });
      expect(tunl0.outerErrors.fragNeeded).toBe(1);
    });

    test(`what the first device's MTU is too small for ${kind === "fou" ? "the kernel fragments" : "comes back"}`, async () => {
      lab.spaces.exec(lab.home, `ip link set eth1 mtu ${FIRST_HOP}`);
      if (kind === "fou") {
        // And the same for answers: a veth drops what is longer than its own MTU.
        lab.spaces.exec(lab.far, `ip route replace ${HOME} via ${ROUTER} mtu ${FIRST_HOP}`);
        expect(await ask(FIRST_HOP, true)).toEqual({ ttl: 63 });
        expect(edge.stats.txErrors).toBe(0);
        return;
      }
      const mtu = FIRST_HOP - overhead;
      const tooBig = () => tunl0.drops.get(DropReason.PKT_TOO_BIG) ?? 0;
      const before = tooBig();
      expect(await ask(mtu + 1, false, () => tooBig() > before)).toBeUndefined();
      expect(edge.stats).toMatchObject({ txErrors: 1, txTooBig: 1 });
      // The very packet that is refused is answered, for the kernel says why.
      expect(await ask(mtu + 1, true)).toEqual({ from: ipv4("10.244.1.1"), mtu });
      expect(edge.stats).toMatchObject({ txErrors: 2, txTooBig: 2 });
      expect(await ask(mtu + 1, true)).toEqual({ from: ipv4("10.244.1.1"), mtu });
      expect(edge.stats).toMatchObject({ txErrors: 2, txTooBig: 2 });
      expect(await ask(mtu, true)).toEqual({ ttl: 63 });
    });
  });
});
