// Commands that change a namespace: what they say, and what is different afterwards.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mac } from "../../../src/base/mac-addr.ts";
import { Uplink } from "../../../src/tunnel/uplink.ts";
import { ConsoleScene, transcripts } from "../../support/console-scene.ts";

let scene: ConsoleScene;
beforeEach(() => {
  scene = new ConsoleScene();
});
afterEach(() => scene.close());

/** What a line says; it must end with this exit code. */
function says(line: string, exitCode = 0): string {
  const ran = scene.run(line);
  expect({ line, ...ran }).toMatchObject({ exitCode });
  return ran.text;
}

describe("as a Linux said and did", () => {
  test.each(transcripts())("$name", ({ lines, text }) => {
    expect(scene.transcript(lines)).toBe(text);
  });
});

describe("what the emulated kernel has not, it names", () => {
  test.each([
    ["ip route add 10.9.0.0/16 dev e0 mtu 1400", 2, '"mtu" of a route'],
    ["ip route add throw 10.9.0.0/16", 2, "a route of type throw"],
    ["ip route add 10.9.0.0/16 dev e0 table 77", 2, "a routing table other than main and local"],
    ["ip route add 10.9.0.0/16 dev e0 proto zebra", 2, "protocol zebra of a route"],
    ["ip route add 10.9.0.0/16 dev e0 proto 200", 2, "protocol 200 of a route"],
    ["ip route add 10.9.0.0/16 dev e0 scope site", 2, "scope site of a route"],
    ["ip addr add 10.9.0.1 peer 10.9.0.2 dev e0", 2, '"peer" of an address'],
    ["ip addr add 10.9.0.1/24 dev e0 label e0:1", 2, '"label" of an address'],
    ["ip link set e0 name e9", 2, '"name" of a link'],
    ["ip link set e0 promisc on", 2, '"promisc" of a link'],
    ["ip link add d0 type dummy", 2, "a device of type dummy"],
    ["ip link add b0 type bridge stp_state 1", 2, '"stp_state" of a bridge'],
    ["ip link add x0 type vxlan id 5 dstport 0 group 239.1.1.1", 2, '"group" of a vxlan device'],
    ["ip neigh add proxy 10.0.0.9 dev e0", 2, '"proxy" of a neighbour'],
    ["ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev e0 nud probe", 2, '"nud probe" of a neighbour'],
    ["bridge fdb add 02:00:00:00:00:09 dev e0", 255, 'the list of addresses that e0 hears ("self")'],
    [
      "bridge fdb add 02:00:00:00:00:09 dev vx dst 10.0.0.2 via e0",
      255,
      `"via" of a forwarding database's entry`,
    ],
    ["arp -s 10.0.0.9 02:00:00:00:00:09 pub", 255, '"pub" of an ARP entry'],
    ["route add -net 10.9.0.0/16 dev e0 mss 500", 7, '"mss" of a route'],
  ])("%s", (line, exitCode, what) => {
    expect(says(line, exitCode)).toBe(`Error: ${what} is not emulated.\n`);
  });
});

test("names of hosts are those of /etc/hosts alone", () => {
  expect(says("arp -s foo 02:00:00:00:00:02", 255)).toBe("foo: Host name lookup failure\n");
  expect(says("arp -d foo", 255)).toBe("foo: Host name lookup failure\n");
  expect(says("route add foo gw 10.0.0.2", 6)).toBe("foo: Host name lookup failure\n");
  expect(says("route add -net 10.4.0.0/16 gw foo", 6)).toBe("foo: Unknown host\n");
});

test("verbs and objects may be shortened as iproute2 has it", () => {
  says("ip ro a 10.9.0.0/16 dev e0");
  says("ip r rep 10.9.0.0/16 via 10.0.0.2");
  says("ip r c 10.9.0.0/16 via 10.0.0.3");
  says("ip route ap 10.9.0.0/16 via 10.0.0.4 m 0");
  expect(says("ip r")).toContain("10.9.0.0/16 via 10.0.0.3 dev e0 \n10.9.0.0/16 via 10.0.0.4 dev e0 \n");
  says("ip a a 10.9.1.1/24 broad + dev e0 sco link");
  expect(says("ip a s e0")).toContain("inet 10.9.1.1/24 brd 10.9.1.255 scope link e0");
  says("ip l s e0 add 02:00:00:00:00:55 mtu 1400");
  expect(says("ip -br l sh e0")).toContain("02:00:00:00:00:55");
  says("ip n r 10.0.0.9 lladdr 02:00:00:00:00:09 dev e0");
  expect(says("ip n l")).toBe("10.0.0.9 dev e0 lladdr 02:00:00:00:00:09 PERMANENT \n");
  says("bridge fdb a 02:00:00:00:00:09 dev vx dst 10.0.0.2");
  says("bridge fdb d 02:00:00:00:00:09 dev vx");
  says("route delete -net 10.9.0.0/16");
});

test("an address of scope link is no source for what goes further", () => {
  says("ip addr add 10.7.0.1/24 dev e0 scope link");
  says("ip route add 10.8.0.0/16 dev e0 scope link");
  says("ip route add 10.9.0.0/16 via 10.0.0.2");
  expect(says("ip route get 10.8.0.1")).toContain("src 10.7.0.1 ");
  expect(says("ip route get 10.9.0.1")).toContain("src 10.0.0.1 ");
});

test("a VXLAN device on a port that is not open says which one is; its name may not be an agent's", () => {
  expect(says("ip link add x0 type vxlan id 5 dstport 4789", 2)).toBe(
    "Error: a vxlan device on UDP port 4789 (only 8472 is open here) is not emulated.\n",
  );
  for (const name of ["flannel.7", "vxlan.calico", "tunl0", "cni0", "cali0123", "veth01234567"]) {
    const line = `ip link add ${name} type bridge`;
    expect(says(line, 2)).toBe(`Error: ${name} is a name for devices of the node's agent.\n`);
  }
});

test("a pair of veth whose names nobody gives, or one alone", () => {
  const names = (): string[] => ["veth0", "veth1"].filter((name) => scene.netns.device(name) !== undefined);
  expect(scene.run("ip link add veth0 type veth")).toEqual({
    text: "RTNETLINK answers: File exists\n",
    exitCode: 2,
  });
  expect(names()).toEqual([]);
  expect(scene.run("ip link add type veth").exitCode).toBe(0);
  expect(names()).toEqual(["veth0", "veth1"]);
  scene.run("ip link del veth0");
  expect(scene.run("ip link add type veth peer name veth0").exitCode).toBe(0);
  expect(names()).toEqual(["veth0", "veth1"]);
});

test("neighbours are flushed by the number of a state as by its name", () => {
  scene.run("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev e0 nud permanent");
  scene.run("ip neigh flush all nud 128");
  expect(scene.run("ip neigh show 10.0.0.9").text).toBe("");
});

test("a pattern of sysctl that could go on for ever is none", () => {
  expect(scene.run("sysctl -a -r (.+)+(.+)+!").exitCode).not.toBe(0);
});

test("what a command has made it may delete, and nothing else", () => {
  expect(says("ip link del vx", 2)).toMatch(/^Error: deleting vx, .* is not emulated\.\n$/);
  says("ip link add x0 type vxlan id 5 dstport 8472");
  says("ip link set x0 up");
  expect(scene.vx.vnis?.lookup(5)?.name).toBe("x0");
  says("ip link del x0");
  expect(scene.vx.vnis?.lookup(5)).toBeUndefined();
  says("ip link add x0 type vxlan id 5 dstport 8472");
});

test("a node's card carries the host's own sockets: it cannot be set down, nor its MTU changed", () => {
  const uplink = new Uplink(scene.netns.ctx, "eth0", mac("02:00:00:00:00:70"), 1500);
  scene.netns.addDevice(uplink);
  says("ip link set eth0 up");
  expect(says("ip link set eth0 down", 2)).toBe(
    `Error: "down" of eth0, by which the host's own sockets leave, is not emulated.\n`,
  );
  expect(says("ip link set eth0 mtu 1400", 2)).toContain('"mtu" of eth0');
  says("ip link set eth0 address 02:00:00:00:00:71");
  expect(says("ip link show eth0")).toContain("link/ether 02:00:00:00:00:71");
});

test("sysctl reads and writes what the layers go by, and lists all of it", () => {
  says("sysctl -w net.ipv4.conf.vx.proxy_arp=1");
  expect(scene.netns.sysctl.conf(scene.vx).proxyArp).toBe(true);
  const all = says("sysctl -a").trimEnd().split("\n");
  expect(all).toEqual(all.toSorted());
  expect(all).toContain("net.ipv4.conf.vx.proxy_arp = 1");
  for (const line of all) {
    const [name, value] = line.split(" = ") as [string, string];
    if (!value.includes("\t")) expect(says(`sysctl -w ${name}=${value}`)).toBe(`${line}\n`);
  }
  expect(says("sysctl net.ipv4.neigh.e0").split("\n").length).toBeGreaterThan(5);
  scene.run("ip link add br.1 type bridge");
  expect(says("sysctl net.ipv4.conf.br/1.rp_filter")).toBe("net.ipv4.conf.br/1.rp_filter = 0\n");
  expect(says("sysctl net/ipv4/conf/br.1/rp_filter")).toBe("net.ipv4.conf.br/1.rp_filter = 0\n");
  expect(says("sysctl -a -r (", 1)).toContain("sysctl: -r needs a regular expression\n");
  expect(says("sysctl -Z", 1)).toMatch(/^sysctl: invalid option -- 'Z'\n/);
});
