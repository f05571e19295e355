// Somebody with a shell on a Calico node, and no idea of what belongs to whom.
import { formatPrefix } from "../../src/base/ipv4-addr.ts";
import { formatMac } from "../../src/base/mac-addr.ts";
import { below, type SeededRng } from "../../src/base/rng.ts";
import type { Instant } from "../../src/base/time.ts";
import { parseCommand } from "../../src/console/command.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { VxlanDevice } from "../../src/tunnel/vxlan.ts";

/** One command line or two, drawn for what there is in the namespace now. */
function drawLines(host: Netns, rng: SeededRng): readonly string[] {
  const pick = <T>(from: readonly T[]): T | undefined => from[below(rng, Math.max(1, from.length))];
  const routes = host.fib
    .dump("main")
    .filter(({ proto, dev }) => proto !== "kernel" && dev?.kind !== "uplink");
  const route = pick(routes);
  const dst = route === undefined ? "192.168.0.0/26" : formatPrefix(route.dst);
  const tunnel = pick(["tunl0", "vxlan.calico"]);
  const devices = [...host.devices()];
  const pod = pick(devices.filter(({ name }) => name.startsWith("cali")))?.name ?? "lo";
  const vtep = devices.find((dev): dev is VxlanDevice => dev instanceof VxlanDevice);
  const row = pick(vtep?.fdb.dump() ?? []);
  return (
    pick<readonly string[]>([
      [`ip route del ${dst}`],
      [`ip route del ${dst}`],
      [`ip route replace blackhole ${dst} metric ${route?.metric ?? 0}`],
      [`ip route change ${dst} dev eth0`],
      ["ip route flush proto bird"],
      ["ip route flush proto 80"],
      ["ip route add 192.168.250.0/26 dev eth0 proto bird"],
      ["ip route add 192.168.251.0/26 dev eth0 proto 80"],
      [`ip route add 10.99.0.0/16 dev ${pod}`],
      [`ip link set ${pod} down`, `ip link set ${pod} up`],
      [`ip link set ${tunnel} down`],
      [`ip link set ${tunnel} down`, `ip link set ${tunnel} up`],
      [`ip link set ${tunnel} down mtu 1280`],
      [`ip addr flush dev ${tunnel}`],
      [`ip addr add 192.168.252.1/32 dev ${tunnel}`],
      ["ip neigh flush all nud permanent"],
      ["ip neigh flush all"],
      [`bridge fdb del ${formatMac(row?.mac ?? 0)} dev vxlan.calico`],
      [`bridge fdb replace ${formatMac(row?.mac ?? 0)} dev vxlan.calico dst 10.20.0.99`],
    ]) ?? []
  );
}

/** Does something that hurts, through the console. @returns what was typed */
export function vandalize(host: Netns, rng: SeededRng, now: Instant): readonly string[] {
  const lines = drawLines(host, rng);
  const cx = { netns: host, hostname: "node", files: () => undefined, rng };
  for (const line of lines) {
    const command = parseCommand(line.split(" "), cx);
    // A refusal is an answer too.
    if (command.ok) command.value.start(now);
  }
  return lines;
}
