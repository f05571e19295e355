import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Namespaces, namespacesUnavailable } from "../support/network-namespace.ts";
import { StandaloneNode } from "../support/standalone-node.ts";

// The Linux kernel as the other VTEP. One namespace holds an emulated node (and the store), one a kernel VTEP set up by
// hand, one a pod behind it:
//
//   [ node: 192.168.56.2, pods 172.16.1.0/24 ] --veth-- [ kernel: 192.168.56.3, vxlan.1 ] --veth-- [ 172.16.2.2 ]

const PODLOOM = resolve(import.meta.dirname, "../../bin/podloom.js");
const MAC = "0e:11:22:33:44:55";
const unavailable = namespacesUnavailable();

describe.skipIf(unavailable !== undefined)(
  `a kernel VTEP as a peer${unavailable ? ` (${unavailable})` : ""}`,
  () => {
    const spaces = new Namespaces();
    const folder = mkdtempSync(join(tmpdir(), "podloom-vxlan-"));
    let node: StandaloneNode;
    let home = "";
    let kernel = "";
    let remote = "";
    let store = "";

    const etcdctl = (line: string, ...more: string[]): string =>
      spaces.run(
        "ip",
        "netns",
        "exec",
        home,
        "env",
        "ETCDCTL_API=3",
        "etcdctl",
        `--endpoints=${store.replace("http://", "")}`,
        ...line.split(" "),
        ...more,
      );

    beforeAll(async () => {
      home = spaces.add("home");
      kernel = spaces.add("kernel");
      remote = spaces.add("pod");
      spaces.link(home, "eth1", "192.168.56.2/24", kernel, "eth1", "192.168.56.3/24");
      spaces.link(kernel, "pod0", "172.16.2.1/24", remote, "eth0", "172.16.2.2/24");
      spaces.exec(remote, "ip link set eth0 mtu 1450");
      // Otherwise the host leaves the *outer* checksums to a network card that is not there, and tshark complains of them.
      spaces.exec(home, "ethtool -K eth1 tx-checksum-ip-generic off");
      spaces.exec(remote, "ip route add default via 172.16.2.1");
      // These tests ask for more port unreachables than a host sends in a second.
      spaces.exec(remote, "sysctl -qw net.ipv4.icmp_ratelimit=0");
      // The commands of the walk by hand, the kernel's side.
      spaces.exec(kernel, "sysctl -qw net.ipv4.ip_forward=1");
      spaces.exec(kernel, "sysctl -qw net.ipv4.conf.all.rp_filter=0");
      spaces.exec(
        kernel,
        `ip link add vxlan.1 address ${MAC} type vxlan id 1 dev eth1 local 192.168.56.3 dstport 8472 nolearning`,
      );
      spaces.exec(kernel, "ip link set vxlan.1 up");
      spaces.exec(kernel, "ip addr add 172.16.2.0/32 dev vxlan.1");
      spaces.exec(kernel, "ip route add 172.16.1.0/24 via 172.16.1.0 dev vxlan.1 onlink");

      node = await StandaloneNode.start({
        podloom: PODLOOM,
        folder,
        spawn: (command, args, options) => spaces.spawn(home, command, args, options),
        address: "192.168.56.2",
        carrier: "host",
        network: {
          Network: "172.16.0.0/16",
          SubnetMin: "172.16.1.0",
          SubnetMax: "172.16.1.0",
          Backend: { Type: "vxlan" },
        },
        putConfig: (config, endpoint) => {
          store = endpoint;
          etcdctl("put /coreos.com/network/config", config);
        },
        pods: ["a", "b"],
      });
      const mac = node.state().vtepMac as string;
      spaces.exec(kernel, `ip neigh add 172.16.1.0 lladdr ${mac} dev vxlan.1 nud permanent`);
      spaces.exec(kernel, `bridge fdb add ${mac} dev vxlan.1 dst 192.168.56.2`);
    });

    afterAll(async () => {
      await node?.stop();
      await spaces.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("keys and values in the store are Flannel's", () => {
      const mac = node.state().vtepMac as string;
      const lines = etcdctl("get --prefix /coreos.com/network/subnets").trim().split("\n");
      expect(lines).toEqual([
        "/coreos.com/network/subnets/172.16.1.0-24",
        `{"PublicIP":"192.168.56.2","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`,
      ]);
    });

    test("a lease written by hand is installed within a second", async () => {
      const before = Date.now();
      etcdctl(
        "put /coreos.com/network/subnets/172.16.2.0-24",
        `{"PublicIP":"192.168.56.3","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${MAC}"}}`,
      );
      await node.until((state) => state.leases.includes("172.16.2.0/24"), 5_000);
      expect(Date.now() - before).toBeLessThan(1_000);
      const routes = await node.exec("", ["ip", "route"]);
      expect(routes.stdout).toContain("172.16.2.0/24 via 172.16.2.0 dev flannel.1 onlink");
      const neigh = await node.exec("", ["ip", "neigh"]);
      expect(neigh.stdout).toContain(`172.16.2.0 dev flannel.1 lladdr ${MAC} PERMANENT`);
      const fdb = await node.exec("", ["bridge", "fdb", "show", "dev", "flannel.1"]);
      expect(fdb.stdout).toContain(`${MAC} dst 192.168.56.3 self permanent`);
    });

    test.each(["56", "1422"])("pings of %s bytes, both ways, don't-fragment", async (size) => {
      const out = await node.exec("a", [
        "ping",
        "-c",
        "3",
        "-i",
        "0.2",
        "-W",
        "2",
        "-M",
        "do",
        "-s",
        size,
        "172.16.2.2",
      ]);
      expect(out.stdout).toContain("3 packets transmitted, 3 received, 0% packet loss");
      expect(out.stdout).toMatch(/ttl=62/);
      const back = spaces.exec(remote, `ping -c 3 -i 0.2 -W 2 -M do -s ${size} 172.16.1.2`);
      expect(back).toContain("3 received, 0% packet loss");
      expect(back).toMatch(/ttl=62/);
    });

    test("one byte more than the MTU is refused at both ends, by name", async () => {
      const out = await node.exec("a", [
        "ping",
        "-c",
        "1",
        "-W",
        "1",
        "-M",
        "do",
        "-s",
        "1423",
        "172.16.2.2",
      ]);
      expect(out.stdout + out.stderr).toContain("message too long, mtu=1450");
      const back = spaces.attempt(remote, "ping -c 1 -W 1 -M do -s 1423 172.16.1.2");
      expect(back.output).toContain("message too long, mtu=1450");
    });

    test("datagrams larger than the MTU are fragmented and put together, both ways", async () => {
      const out = await node.exec("a", [
        "ping",
        "-c",
        "2",
        "-i",
        "0.2",
        "-W",
        "2",
        "-s",
        "4000",
        "172.16.2.2",
      ]);
      expect(out.stdout).toContain("2 received, 0% packet loss");
      expect(spaces.exec(remote, "ping -c 2 -i 0.2 -W 2 -s 4000 172.16.1.3")).toContain(
        "2 received, 0% packet loss",
      );
    });

    test("UDP up to the MTU, both ways, echoed byte for byte by a pod", async () => {
      const sink = node.startExec("b", ["udp-sink", "--port", "7", "--echo"]);
      const script = join(folder, "echo.py");
      writeFileSync(
        script,
        [
          "import socket,os,sys",
          "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.connect(('172.16.1.3',7))",
          "for n in (0,1,18,512,1400,1421,1422):",
          "  d=os.urandom(n); s.send(d); r=s.recv(4096)",
          "  assert r==d, n",
          "print('echoed')",
        ].join("\n"),
      );
      expect(spaces.exec(remote, `python3 ${script}`)).toContain("echoed");
      await sink.interrupt();

      // And the other way: the kernel's pod counts what an emulated pod sends.
      const listen = join(folder, "count.py");
      writeFileSync(
        listen,
        [
          "import socket",
          "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('172.16.2.2',9)); s.settimeout(5)",
          "print('ready',flush=True)",
          "n=0",
          "while n<200:",
          "  d,_=s.recvfrom(4096); n+=1; assert len(d)==1422",
          "print('counted',n,flush=True)",
        ].join("\n"),
      );
      const child = spaces.spawn(remote, "python3", [listen], { stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      child.stdout?.on("data", (data) => {
        said += String(data);
      });
      while (!said.includes("ready")) await new Promise((resolve) => child.stdout?.once("data", resolve));
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const load = await node.exec("a", [
        "udp-load",
        "172.16.2.2",
        "9",
        "--count",
        "200",
        "--rate",
        "2000",
        "--size",
        "1422",
      ]);
      expect(load.exitCode).toBe(0);
      await ended;
      expect(said).toContain("counted 200");
    });

    test("a kernel's partial checksums are completed: UDP to a closed port is answered", () => {
      // The checksum of a datagram that a kernel sends over veth with offload on holds only the pseudo-header sum.
      const script = join(folder, "closed.py");
      writeFileSync(
        script,
        [
          "import socket",
          "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.connect(('172.16.1.2',4321))",
          "s.send(b'hello')",
          "try: s.recv(10)",
          "except ConnectionRefusedError: print('refused')",
        ].join("\n"),
      );
      expect(spaces.exec(remote, `python3 ${script}`)).toContain("refused");
    });

    test("our frames decode without a warning", async () => {
      const capture = join(folder, "wire.pcap");
      const child = spaces.spawn(
        kernel,
        "tcpdump",
        ["-i", "eth1", "-U", "--immediate-mode", "-Z", "root", "-w", capture, "udp port 8472"],
        {
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      await new Promise((resolve) => child.stderr?.once("data", resolve));
      await node.exec("a", ["ping", "-c", "3", "-i", "0.2", "-s", "1000", "172.16.2.2"]);
      await node.exec("a", ["ping", "-c", "1", "-s", "3000", "172.16.2.2"]);
      await node.exec("a", ["traceroute", "-n", "-w", "1", "-m", "4", "172.16.2.2"]);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGINT");
      await ended;
      const checks = ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "ip.defragment:TRUE"].flatMap(
        (option) => ["-o", option],
      );
      const shark = (...args: string[]): string =>
        spaces.run("tshark", "-r", capture, "-d", "udp.port==8472,vxlan", ...checks, ...args);
      const own = "ip.src==192.168.56.2";
      expect(shark("-Y", `${own} && vxlan.vni==1`).trim().split("\n").length).toBeGreaterThanOrEqual(10);
      // Nothing malformed, no checksum wrong, no expert warning in what we sent. (An unanswered probe is only a note.)
      const bad = shark(
        "-Y",
        `${own} && (_ws.malformed || ip.checksum.status==0 || udp.checksum.status==0 || icmp.checksum.status==0 || _ws.expert.severity >= 0x600000)`,
      );
      expect(bad.trim()).toBe("");
    });

    test("the path is seen: traceroute, and the TTL of an expired packet", async () => {
      const out = await node.exec("a", ["traceroute", "-n", "-w", "1", "-m", "5", "172.16.2.2"]);
      expect(out.stdout).toMatch(/1 {2}172\.16\.1\.1 /);
      expect(out.stdout).toMatch(/2 {2}172\.16\.2\.0 /);
      expect(out.stdout).toMatch(/3 {2}172\.16\.2\.2 /);
    });

    test("when the lease goes, the peer goes: ARP, FDB and route", async () => {
      etcdctl("del /coreos.com/network/subnets/172.16.2.0-24");
      await node.until((state) => !state.leases.includes("172.16.2.0/24"), 5_000);
      expect((await node.exec("", ["ip", "route"])).stdout).not.toContain("172.16.2.0");
      expect((await node.exec("", ["ip", "neigh"])).stdout).not.toContain(MAC);
      expect((await node.exec("", ["bridge", "fdb", "show", "dev", "flannel.1"])).stdout).not.toContain(MAC);
    });
  },
);
