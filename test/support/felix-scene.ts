// Felix on one node of two, both with a VXLAN tunnel address and a block, before it has done anything.
import { Felix } from "../../src/agent/calico/felix/felix.ts";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import type { Instant } from "../../src/base/time.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { block, blockUpdate, node, pool, update } from "./calico.ts";
import { RecordingUnderlay } from "./frames.ts";
import { TestWire } from "./test-wire.ts";

const SELF = ipv4("10.20.0.5");

export class FelixScene {
  readonly stack = new NetStack({ rng: new SeededRng(1) });
  readonly host: Netns;
  readonly felix: Felix;
  /** `+PORT` asked for, `-PORT` given up. */
  readonly ports: string[] = [];
  readonly logs: string[] = [];

  constructor(now: Instant) {
    const { stack } = this;
    this.host = stack.addNetns("");
    const uplink = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
    this.host.addDevice(uplink);
    this.host.addAddress(uplink, { addr: SELF, len: 24 }, now);
    this.host.setLink(uplink, true, now);
    this.felix = new Felix({
      node: "a",
      version: "3.33",
      stack,
      host: this.host,
      uplink,
      underlay: SELF,
      underlayMtuBytes: 1500,
      log: (level, message) => this.logs.push(`${level}: ${message}`),
      podRoute: () => {},
      listen: (port) => this.ports.push(`+${port}`),
      unlisten: (port) => this.ports.push(`-${port}`),
    });
    for (const resource of [
      pool("p", { cidr: "192.168.0.0/16", vxlanMode: "Always" }),
      node("a", "10.20.0.5/24", { ipv4VXLANTunnelAddr: "192.168.1.0" }),
      node("b", "10.20.0.6/24", { ipv4VXLANTunnelAddr: "192.168.2.0" }),
    ]) {
      this.felix.onUpdate(update(resource));
    }
    this.felix.onUpdate({ t: "affinity", cidr: prefix("192.168.1.0/26"), value: "confirmed" });
    this.felix.onUpdate(blockUpdate(block("192.168.2.0/26", "b")));
  }

  openVxlan(port: number, now: Instant): void {
    this.felix.vxlanOpened(new RecordingUnderlay(this.stack, SELF, port), now);
  }
}
