import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { parseCommand } from "../../../src/console/command.ts";
import { getopt } from "../../../src/console/getopt.ts";
import { IpipDevice } from "../../../src/tunnel/ipip.ts";
import { Uplink } from "../../../src/tunnel/uplink.ts";
import { ReferenceLab } from "../../support/reference-lab.ts";

const lab = new ReferenceLab();
const [node] = lab.nodes;
const run = (line: string) => lab.run(node.netns, line.split(" "));

describe("what is not there says what is", () => {
  test.each([
    ["tcpdump -i eth0", 127, "tcpdump: command not found (there are: arp, bridge, calicoctl, cat, ip, ping,"],
    ["ip foo", 1, 'Object "foo" is unknown, try "ip help".\nObjects here: address, link, route, neighbour.'],
    [
      "ip route save",
      255,
      'Command "save" is unknown, try "ip route help".\nCommands of ip route here: list, show, lst, get, add, delete,',
    ],
    [
      "ip neigh proxy",
      255,
      'Command "proxy" is unknown, try "ip neigh help".\nCommands of ip neigh here: add, change,',
    ],
    ["ip -x", 255, 'Option "-x" is unknown, try "ip -help".'],
    ["ip", 255, "Usage: ip [ OPTIONS ] OBJECT"],
    ["ip route help", 255, "Usage: ip [ OPTIONS ] OBJECT"],
    ["ip link show dev", 255, "Command line is not complete."],
    ["ip route get", 1, "need at least a destination address"],
    ["ip route show table 77", 2, "Error: ipv4: FIB table does not exist.\nDump terminated"],
    ["bridge foo", 255, 'Object "foo" is unknown, try "bridge help".\nObjects here: link, fdb.'],
    [
      "bridge fdb flush",
      255,
      'Command "flush" is unknown, try "bridge fdb help".\nCommands of bridge fdb here: add, append, replace, delete, show, list.',
    ],
    ["arp -x", 3, "arp: invalid option -- 'x'\nUsage:"],
    ["route nonsense", 3, "Usage: route"],
    ["cat", 1, "cat: name a file"],
    ["cat /etc/nothing", 1, "cat: /etc/nothing: No such file or directory"],
    ["cat /proc/sys/net/ipv4/nothing", 1, "cat: /proc/sys/net/ipv4/nothing: No such file or directory"],
  ])("%s", (line, exitCode, message) => {
    const ran = run(line);
    expect(ran.stdout).toBe("");
    expect(ran.stderr).toContain(message);
    expect(ran.stderr.endsWith("\n")).toBe(true);
    expect(ran.exitCode).toBe(exitCode);
  });
});

test("a command may be called by its path, and objects by their beginnings", () => {
  expect(run("/sbin/ip r s")).toEqual(run("ip route show"));
  expect(run("ip neigh")).toEqual(run("ip neighbor list"));
  expect(run("ip -details r")).toEqual(run("ip -d route"));
});

test("cat reads the namespace's files and its sysctls", () => {
  const cx = lab.context(node.netns, { "/run/flannel/subnet.env": "FLANNEL_MTU=1450\n" });
  const cat = (path: string) => {
    const command = parseCommand(["cat", path], cx);
    return command.ok ? lab.drive(command.value).stdout : command.error.message;
  };
  expect(cat("/run/flannel/subnet.env")).toBe("FLANNEL_MTU=1450\n");
  expect(cat("/proc/sys/net/ipv4/conf/flannel.1/proxy_arp")).toBe("0\n");
  node.netns.sysctl.set("net.ipv4.conf.flannel.1.proxy_arp", "1");
  expect(cat("/proc/sys/net/ipv4/conf/flannel.1/proxy_arp")).toBe("1\n");
});

test("ip -d link tells Flannel's device as the kernel does", () => {
  expect(run("ip -d link show flannel.1").stdout).toBe(
    `3: flannel.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535 
    vxlan id 1 local 192.168.5.1 dev e0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 
`,
  );
  expect(run("ip -d link show lo").stdout).toContain(
    "00:00:00:00:00:00 promiscuity 0  allmulti 0 minmtu 0 maxmtu 0 addrgenmode eui64 numtxqueues",
  );
  expect(run("ip -d addr show cni0").stdout).toMatch(
    /\n {4}bridge ageing_time 30000 stp_state 0 .* bridge_id 8000\.a:58:a:f4:1:1 .* numtxqueues 1 .*\n {4}inet /,
  );
  expect(run("ip -d link show vethpod1").stdout).toMatch(
    /promiscuity 1 {2}allmulti 1 .*\n {4}veth \n {4}bridge_slave state forwarding .* hairpin on /,
  );
});

test("ip -s link: columns as wide as their numbers, and the reasons of what was dropped", () => {
  const other = new ReferenceLab();
  const { netns, e0 } = other.nodes[0];
  Object.assign(e0.stats, {
    rxBytes: 486,
    rxPackets: 4,
    txBytes: 12_345_678_901,
    txPackets: 12_345_678,
    txDropped: 3,
  });
  e0.drops.set(DropReason.DEV_READY, 3);
  expect(other.run(netns, ["ip", "-s", "link", "show", "e0"]).stdout.split("\n").slice(2)).toEqual([
    "    RX:   bytes  packets errors dropped  missed   mcast           ",
    "            486        4      0       0       0       0 ",
    "    TX:   bytes  packets errors dropped carrier collsns           ",
    "    12345678901 12345678      0       3       0       0 ",
    "    dropped: DEV_READY 3",
    "",
  ]);
  other.close();
});

test("the node's uplink, and a pod seen from inside: its peer is in the node's nameless namespace", () => {
  const other = new ReferenceLab();
  const { stack } = other;
  const host = stack.addNetns("");
  const uplink = new Uplink(stack, "eth0", mac("02:11:22:33:44:55"), 1500);
  host.addDevice(uplink);
  host.addAddress(
    uplink,
    { addr: ipv4("192.168.56.2"), len: 24, broadcast: ipv4("192.168.56.255") },
    other.now,
  );
  host.setLink(uplink, true, other.now);
  expect(other.run(host, ["ip", "addr", "show", "eth0"]).stdout).toBe(
    `2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 02:11:22:33:44:55 brd ff:ff:ff:ff:ff:ff
    inet 192.168.56.2/24 brd 192.168.56.255 scope global eth0
       valid_lft forever preferred_lft forever
`,
  );
  const [{ netns, hostPort, pod }] = other.nodes;
  netns.moveDevice(hostPort, host, other.now);
  expect(other.run(pod, ["ip", "link", "show", "eth0"]).stdout).toContain(
    "2: eth0@if3: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1450 qdisc noqueue state LOWERLAYERDOWN mode DEFAULT group default qlen 1000\n    link/ether 0a:58:0a:f4:01:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0\n",
  );
  other.close();
});

test("tunl0, as on a Calico node", () => {
  const other = new ReferenceLab();
  const host = other.stack.addNetns("");
  const tunl0 = new IpipDevice(other.stack, "tunl0", 1480, { underlayMtuBytes: 1500 }, () => undefined);
  host.addDevice(tunl0);
  host.setLink(tunl0, true, other.now);
  host.addAddress(tunl0, { addr: ipv4("10.244.7.1"), len: 32 }, other.now);
  expect(other.run(host, ["ip", "addr", "show", "tunl0"]).stdout).toBe(
    `2: tunl0@NONE: <NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN group default qlen 1000
    link/ipip 0.0.0.0 brd 0.0.0.0
    inet 10.244.7.1/32 scope global tunl0
       valid_lft forever preferred_lft forever
`,
  );
  expect(other.run(host, ["ip", "-d", "link", "show", "type", "ipip"]).stdout).toContain(
    "    ipip any remote any local any ttl inherit nopmtudisc addrgenmode",
  );
  const route = { dst: prefix("10.244.9.0/26"), via: ipv4("192.168.56.3"), dev: tunl0, onlink: true };
  host.addRoute({ ...route, proto: "bird" }, other.now);
  expect(other.run(host, ["ip", "route"]).stdout).toContain(
    "10.244.9.0/26 via 192.168.56.3 dev tunl0 proto bird onlink",
  );
  other.close();
});

test("neighbours in every state, for ip and for arp", () => {
  const other = new ReferenceLab();
  const { pod } = other.nodes[0];
  const said: string[] = [];
  const look = () => {
    said.push(
      other.run(pod, ["ip", "neigh"]).stdout,
      other.run(pod, ["arp", "-n"]).stdout.split("\n")[1] ?? "",
    );
  };
  let jumps = 0;
  other.run(pod, ["ping", "-c", "1", "-W", "5", "10.244.1.77"], () => {
    if (jumps++ === 0) look();
  });
  look();
  const arp = "10.244.1.77                      (incomplete)                              eth0";
  expect(said).toEqual(["10.244.1.77 dev eth0 INCOMPLETE \n", arp, "10.244.1.77 dev eth0 FAILED \n", arp]);
  other.close();
});

test("bridge fdb: who is learned, who is a port's, who is behind the tunnel", () => {
  const other = new ReferenceLab();
  const { netns, vxlan, pod } = other.nodes[0];
  other.run(pod, ["ping", "-c", "1", "10.244.2.2"]);
  vxlan.fdb.append(0, ipv4("9.9.9.9"), "permanent", other.now, { port: 4789, vni: 5 });
  vxlan.fdb.add(mac("02:00:00:00:00:77"), ipv4("9.9.9.9"), "static", other.now);
  const sorted = (text: string) => text.trimEnd().split("\n").sort();
  expect(sorted(other.run(netns, ["bridge", "fdb"]).stdout)).toEqual([
    "00:00:00:00:00:00 dev flannel.1 dst 9.9.9.9 port 4789 vni 5 self permanent",
    "02:00:00:00:00:02 dev flannel.1 dst 192.168.5.2 self permanent",
    "02:00:00:00:00:77 dev flannel.1 dst 9.9.9.9 self static",
    "0a:00:00:00:01:fe dev vethpod1 master cni0 permanent",
    "0a:58:0a:f4:01:01 dev cni0 master cni0 permanent",
    "0a:58:0a:f4:01:02 dev vethpod1 master cni0",
  ]);
  expect(other.run(netns, ["bridge", "fdb", "show", "br", "cni0", "dynamic"]).stdout).toBe(
    "0a:58:0a:f4:01:02 dev vethpod1 master cni0 \n",
  );
  other.close();
});

test("getopt: bundles, attached values, operands anywhere, and an end of options", () => {
  const parsed = getopt(["-nc3", "host", "-s", "8", "--", "-n"], "nc:s:");
  expect(
    parsed.ok && parsed.value.options.map(({ letter, value, position }) => [letter, value, position]),
  ).toEqual([
    ["n", "", 1],
    ["c", "3", 1],
    ["s", "8", 4],
  ]);
  expect(parsed.ok && parsed.value.operands.map(({ text }) => text)).toEqual(["host", "-n"]);
  expect(getopt(["--count=3"], "c:")).toEqual({
    ok: false,
    error: { t: "unknown", option: "--count=3", position: 1 },
  });
  expect(getopt(["-:"], "c:").ok).toBe(false);
});
