// Command lines for a namespace with e0 and p0 (a pair of veth), br0 (a bridge) and vx (a VTEP), each list on its own in a fresh one.
// They are given to a Linux with iproute2, net-tools and procps, and to ours; every answer and every exit code must agree.
export interface Transcript {
  readonly name: string;
  readonly lines: readonly string[];
}

function transcript(name: string, text: string): Transcript {
  return { name, lines: text.trim().split("\n") };
}

export const TRANSCRIPTS: readonly Transcript[] = [
  transcript(
    "ip route: what the words may be",
    `
ip route add
ip route del
ip route add default
ip route add 10.2.0.0/16
ip route add 10.2.0.0/16 via
ip route add 10.2.0.0/16 via foo
ip route del default via foo
ip route add 10.2.0.0/16 foo bar
ip route add foo via 10.0.0.2
ip -4 route add foo dev e0
ip route add 10.2.0.0/33 via 10.0.0.2
ip route add 1.2.3.4.5 dev e0
ip route add 300.1.1.1 dev e0
ip route add 10.2.0.0/16 via 10.0.0.2 metric abc
ip route add 10.2.0.0/16 via 10.0.0.2 proto abc
ip route add 10.2.0.0/16 via 10.0.0.2 scope abc
ip route add 10.2.0.0/16 via 10.0.0.2 table abc
ip route add 10.2.0.0/16 via 10.0.0.2 src abc
ip route add 10.2.0.0/16 via fe80::1 dev e0
ip route add 10.2.0.0/16 via 10.0.0.2 via 10.0.0.3
ip route add 10.2.0.0/16 10.3.0.0/16 dev e0
ip route add 10.2.0.0/16 via 10.0.0.2 dev nope
ip route foo
ip rout add 10.2.0.0/16 dev e0
ip r a 10.3.0.0/16 dev e0
ip r d 10.3.0.0/16
ip route`,
  ),
  transcript(
    "ip route add, change, append, replace, del",
    `
ip route add 10.1.0.0/16 via 10.0.0.2
ip route add 10.1.0.0/16 via 10.0.0.2
ip route add 10.1.0.0/16 via 10.0.0.3
ip route add 10.1.0.1/16 via 10.0.0.2
ip route add 10.2.0.0/16 via 11.0.0.2
ip route add 10.2.0.0/16 via 10.0.0.2 src 9.9.9.9
ip route add 10.2.0.0/16 dev e0 dev e0
ip route add to 10.2.0.0/16 dev e0
ip route del 10.2.0.0/16
ip route del 10.2.0.0/16
ip route del 10.1.0.0/16 via 10.0.0.3
ip route del 10.1.0.0/16 dev vx
ip route del 10.1.0.1/16
ip route del 10.1.0.0/16 table 77
ip route del 10.1.0.0/16
ip route add blackhole 10.1.0.0/16
ip route add blackhole 10.2.0.0/16 via 10.0.0.2
ip route add unreachable 10.3.0.0/16 metric 5
ip route add prohibit 10.3.0.0/16 proto static
ip route show
ip route change 10.5.0.0/16 via 10.0.0.2
ip route change 10.1.0.0/16 via 11.0.0.2
ip route change 10.1.0.0/16 via 10.0.0.2
ip route append 10.1.0.0/16 via 10.0.0.2
ip route append 10.1.0.0/16 via 10.0.0.3
ip route prepend 10.1.0.0/16 via 10.0.0.4
ip route prepend 10.1.0.0/16 via 10.0.0.3
ip route show
ip route replace 10.1.0.0/16 via 10.0.0.9
ip route replace 10.1.0.0/16 via 10.0.0.2
ip route replace 10.8.0.0/16 via 10.0.0.2 metric 7
ip route show
ip route del blackhole 10.1.0.0/16
ip route del unreachable 10.3.0.0/16
ip route del 10.3.0.0/16 proto boot
ip route del 10.3.0.0/16 proto static
ip route del 10.8.0.0/16 metric 8
ip route del 10.8.0.0/16 metric 7
ip route show`,
  ),
  transcript(
    "ip route: every attribute",
    `
ip route add 10.9.0.0/16 via 10.0.0.2 onlink
ip route add 10.9.0.0/16 via 10.9.0.0 dev vx onlink
ip route add 10.9.0.0/17 via 10.0.0.1 dev vx onlink
ip route add 10.0.0.0/24 dev e0
ip route add 10.9.2.0/24 dev e0 scope link proto kernel src 10.0.0.1
ip route add 10.9.3/24 dev e0
ip route add 10/8 dev e0
ip route add 10.9.4.1/32 dev e0 metric 0x10
ip route add 10.9.4.2/255.255.255.254 dev e0
ip route add local 10.9.5.5 dev e0
ip route add broadcast 10.9.5.6 dev e0
ip route add unicast 10.9.5.7 dev e0
ip route add 10.9.5.8 dev e0 proto 80
ip route add 10.9.5.9 dev e0 proto bird
ip route add 10.9.5.10 dev e0 proto 12 preference 3
ip route add 10.9.5.12 dev e0 preference 10
ip route add 10.9.5.13 dev e0 scope host
ip route add 10.9.5.14 via 10.0.0.2 scope link
ip route add 10.9.5.15 via 10.0.0.2 scope host
ip route add table main 10.9.5.17 dev e0
ip route add 10.9.5.18 dev e0 table 255
ip route add 10.9.5.19 dev e0 pro static
ip route add default via 10.0.0.2 dev e0
ip route add 0.0.0.0/0 via 10.0.0.3 metric 5
ip route show
ip route show table local
ip -d route show
ip route get 10.9.3.7
ip route del local 10.9.5.5
ip route del default
ip route del default
ip route del default
ip link set e0 down
ip route show
ip route add 10.3.0.0/16 dev e0
ip route add 10.3.0.0/16 via 10.0.0.2
ip route add 10.3.0.0/16 via 10.0.0.2 dev e0 onlink
ip link set e0 up
ip route show
ip route show table local`,
  ),
  transcript(
    "ip route flush",
    `
ip route flush
ip route flush foo
ip route flush dev nope
ip route flush proto foo
ip route flush type foo
ip route flush scope foo
ip route flush via foo
ip route flush cache
ip route flush table 77
ip route add 10.1.0.0/16 via 10.0.0.2
ip route add 10.1.1.0/24 via 10.0.0.2
ip route add 10.1.1.1 via 10.0.0.3 proto static
ip route add blackhole 10.4.0.0/16
ip route add default via 10.0.0.2
ip -s route flush 10.1.1.0/24
ip -s route flush 10.1.1.0/24
ip route flush via 10.0.0.3
ip route show
ip route add 10.1.1.0/24 via 10.0.0.2
ip -s route flush root 10.1.0.0/16
ip route show
ip route add 10.1.0.0/16 via 10.0.0.2
ip route add 10.1.1.0/24 via 10.0.0.2
ip -s route flush match 10.1.1.0/24
ip route show
ip route add 10.1.0.0/16 via 10.0.0.2 proto bird
ip route flush proto bird
ip route flush type blackhole
ip route show
ip route add default via 10.0.0.2
ip route flush default
ip route show
ip route add 10.1.0.0/16 via 10.0.0.2
ip -s route flush all
ip route show
ip -s route flush table local dev vx
ip -s route flush table all
ip route show table all dev e0`,
  ),
  transcript(
    "ip addr",
    `
ip addr add 10.0.0.1/24 dev e0
ip addr add 10.0.0.7 dev e0
ip addr add 10.0.0.8/24 dev e0
ip addr add 10.0.1.1/24
ip addr add 10.0.1.1/24 dev nope
ip addr add foo dev e0
ip -4 addr add fe80::1/64 dev e0
ip addr add
ip addr add 10.0.1.1/24 dev
ip addr add 10.0.1.1/33 dev e0
ip addr add 10.0.1.1/24 brd + dev e0
ip addr add 10.0.8.1/30 broadcast - dev e0
ip addr add 10.0.8.9/31 brd + dev e0
ip addr add 10.0.2.1/24 broadcast 10.0.2.255 dev e0 scope link
ip addr add 10.0.3.1/24 brd foo dev e0
ip addr add 10.0.3.1/24 dev e0 scope foo
ip addr add 10.0.3.1/24 dev e0 foo
ip addr add 10.0.4.1/24 dev e0 noprefixroute
ip addr add 10.0.4.1/24 dev e0 10.0.4.2/24
ip addr add local 10.0.9.1/255.255.255.0 dev e0 label e0
ip addr add 127.0.0.5/8 dev e0
ip addr add 10.77.0.1/24 dev lo
ip addr add dev e0
ip -4 addr show dev e0
ip -4 addr show dev lo
ip route show
ip route show table local
ip addr del 10.0.0.7 dev e0
ip addr del 10.0.0.7 dev e0
ip addr del 10.0.1.1 dev e0
ip addr del 10.0.2.1/24
ip addr del 10.0.2.1/24 dev nope
ip addr del 10.0.2.1/25 dev e0
ip addr del 10.0.2.1/24 dev e0
ip addr del dev e0
ip addr replace 10.0.6.1/24 dev e0
ip addr change 10.0.6.1/24 dev e0
ip addr change 10.0.7.1/24 dev e0
ip addr del 10.0.0.1/24 dev e0
ip -4 addr show dev e0
ip addr foo
ip addr flush
ip addr flush dev nope
ip addr flush dev e0 scope foo
ip addr flush dev e0 to 10.0.6.0/24
ip -s addr flush dev e0 scope global
ip -s addr flush dev e0
ip -s addr flush dev e0
ip -4 addr show dev e0
ip route show
ip route show table local`,
  ),
  transcript(
    "ip link set",
    `
ip link set nope up
ip link set
ip link set e0
ip link set up
ip link set e0 foo
ip link set e0 up down
ip link show e0
ip link set e0 up
ip link set e0 mtu
ip link set e0 mtu abc
ip link set e0 mtu 60
ip link set e0 mtu 70000
ip link set e0 mtu 65535
ip link set br0 mtu 67
ip link set br0 mtu 65536
ip link set vx mtu 67
ip link set vx mtu 1450
ip link set vx mtu 1451
ip link set e0 mtu 1400
ip link set vx mtu 9999
ip link set e0 address abc
ip link set e0 address 02:00:00:00:00:01
ip link set e0 address 2:0:0:0:0:2
ip link set e0 address 01:00:00:00:00:01
ip link set e0 address 00:00:00:00:00:00
ip link set e0 address 02:00:00:00:00
ip link set e0 master nope
ip link set e0 master br0
ip link set e0 master br0
ip link show e0
ip link set e0 master p0
ip link show e0
ip link set lo master br0
ip link set e0 nomaster
ip link set e0 nomaster
ip link set e0 arp off
ip link show e0
ip link set e0 arp foo
ip link set e0 arp on
ip link set dev e0 down mtu 1300 address 02:00:00:00:00:07
ip link show e0
ip link foo
ip link set lo down
ip route show table local
ip link set lo up
ip route show table local`,
  ),
  transcript(
    "ip link add and del",
    `
ip link add
ip link add foo
ip link add foo type
ip link add foo type nope
ip link add br0 type bridge
ip link add b1 b2 type bridge
ip link add thisnameistoolongforlinux type bridge
ip link add a/b type bridge
ip link add name br9 mtu 1400 address 02:00:00:00:00:99 type bridge
ip link add br8 address 02:00:00:00:00:88 up type bridge
ip link show br9
ip link show br8
ip link add v1 address 02:00:00:00:00:11 type veth peer name v2 address 02:00:00:00:00:12 mtu 1300
ip link set v1 up
ip link show v1
ip link show v2
ip link add vy type vxlan
ip link add vy type vxlan id foo
ip link add vy type vxlan id 99999999
ip link add vy type vxlan vni 1
ip link add vy type vxlan id 3 dev nope
ip link add br0 type vxlan id 3
ip link add vy address 02:00:00:00:00:33 type vxlan id 3 dstport 0 remote 10.0.0.5 nolearning
ip link show vy
bridge fdb show dev vy
ip link add vz address 02:00:00:00:00:34 type vxlan vni 4
ip link show vz
ip link del nope
ip link del
ip link del lo
ip link del v2
ip link show v1
ip link del dev vy type vxlan
ip link delete br9
ip link show br9
ip link add vw address 02:00:00:00:00:35 type vxlan vni 5 dstport 8472 dev e0
ip link show vw
ip link add br0 type veth peer v3
ip link add v3 type veth peer name v3
ip link add v3 type veth peer name br0
ip link add v4 mtu 10 type veth peer name v5
ip link add v4 type veth peer name v5 mtu 70000
ip link add b4 mtu 10 type bridge
ip link add x4 mtu 10 type vxlan id 9 dstport 8472`,
  ),
  transcript(
    "ip neigh",
    `
ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev e0
ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev e0
ip neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev nope
ip neigh add 10.0.0.3 lladdr 02:00:00:00:00:03
ip neigh add 10.0.0.3 dev e0
ip neigh add 10.0.0.2 dev e0 nud permanent
ip neigh add 10.0.0.3 lladdr foo dev e0
ip neigh add lladdr 02:00:00:00:00:03 dev e0
ip neigh add
ip neigh add foo lladdr 02:00:00:00:00:03 dev e0
ip neigh add 10.0.0.0/24 lladdr 02:00:00:00:00:03 dev e0
ip neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev e0 nud foo
ip neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev e0 foo
ip neigh add 10.0.0.5 10.0.0.6 dev e0
ip neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev e0 nud reachable
ip neigh add to 10.0.0.6 lladdr 02:00:00:00:00:06 nud stale dev e0
ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 nud noarp dev e0
ip neigh change 10.0.0.99 lladdr 02:00:00:00:00:03 dev e0
ip neigh change 10.0.0.99 dev e0
ip neigh replace 10.0.0.99 dev e0
ip neigh change 10.0.0.2 lladdr 02:00:00:00:00:22 dev e0
ip neigh replace 10.0.0.6 lladdr 02:00:00:00:00:23 dev e0 nud stale
ip neigh replace 10.0.0.98 lladdr 02:00:00:00:00:98 dev vx
ip neigh show 10.0.0.2
ip neigh show 10.0.0.6
ip neigh show dev vx
ip neigh del 10.0.0.2 dev e0
ip neigh del 10.0.0.2 dev e0
ip neigh del 10.0.0.3
ip neigh del dev e0
ip neigh foo
ip neigh flush
ip neigh flush dev nope
ip neigh flush dev e0
ip neigh show
ip -s neigh flush all
ip neigh flush dev e0 nud permanent
ip neigh flush 10.0.0.98
ip neigh show
ip -s neigh flush 10.0.0.98 nud permanent
ip neigh show
ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev e0
ip link set e0 down
ip neigh show`,
  ),
  transcript(
    "bridge fdb",
    `
bridge fdb add 02:00:00:00:00:02 dev vx dst 10.0.0.2
bridge fdb add 02:00:00:00:00:02 dev vx dst 10.0.0.2
bridge fdb add 02:00:00:00:00:02 dev vx dst 10.0.0.3
bridge fdb append 02:00:00:00:00:02 dev vx dst 10.0.0.3
bridge fdb show dev vx
bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2
bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.3
bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.3
bridge fdb replace 00:00:00:00:00:00 dev vx dst 10.0.0.4
bridge fdb replace 02:00:00:00:00:02 dev vx dst 10.0.0.4 port 4789 vni 7
bridge fdb add 02:00:00:00:00:03 dev vx
bridge fdb add 02:00:00:00:00:03 dev nope dst 10.0.0.2
bridge fdb add 02:00:00:00:00:03 dst 10.0.0.2
bridge fdb add dev vx dst 10.0.0.2
bridge fdb add
bridge fdb add foo dev vx dst 10.0.0.2
bridge fdb add 02:00:00:00:00:03 dev vx dst foo
bridge fdb add 02:00:00:00:00:03 dev vx dst 10.0.0.2 port foo
bridge fdb add 02:00:00:00:00:03 dev vx dst 10.0.0.2 vni foo
bridge fdb add 02:00:00:00:00:03 dev vx dst 10.0.0.2 foo
bridge fdb add 02:00:00:00:00:02 dev vx dst 10.0.0.2 dst 10.0.0.3
bridge fdb add 02:00:00:00:00:02 02:00:00:00:00:03 dev vx dst 10.0.0.2
bridge fdb del 02:00:00:00:00:02 dev vx
bridge fdb show dev vx
bridge fdb del 02:00:00:00:00:02 dev vx
bridge fdb del 00:00:00:00:00:00 dev vx dst 10.0.0.3
bridge fdb del 00:00:00:00:00:00 dev vx dst 10.0.0.3
bridge fdb show dev vx
bridge fdb del 00:00:00:00:00:00 dev vx
bridge fdb add to 02:00:00:00:00:12 dev vx dst 10.0.0.2 self static
bridge fdb show dev vx
bridge fdb add 02:00:00:00:00:09 dev e0 master
ip link set e0 master br0
bridge fdb add 02:00:00:00:00:09 dev e0 master
bridge fdb add 02:00:00:00:00:09 dev e0 master
bridge fdb del 02:00:00:00:00:09 dev e0 master
bridge fdb del 02:00:00:00:00:09 dev e0 master
bridge fdb append 02:00:00:00:00:0c dev e0 master static
bridge fdb append 02:00:00:00:00:0c dev e0 master static
bridge fdb del 02:00:00:00:00:0c dev br0
bridge fdb del 02:00:00:00:00:0c dev e0 master
bridge fdb add 02:00:00:00:00:0f dev br0
bridge fdb del 02:00:00:00:00:0f dev br0 self
bridge fdb foo
bridge foo`,
  ),
  transcript(
    "arp -s and arp -d",
    `
arp -s 10.0.0.2 02:00:00:00:00:02
arp -s 10.0.0.2 02:00:00:00:00:03
arp -n
arp -s 10.0.0.2
arp -s
arp -s foo 02:00:00:00:00:02
arp -s 10.0.0.3 foo
arp -s 10.0.0.5 02:00:00:00:00:05 foo
arp -s 11.0.0.5 02:00:00:00:00:05
arp -s 10.0.0.1 02:00:00:00:00:07
arp -i nope -s 10.0.0.6 02:00:00:00:00:06
arp -s 10.0.0.6 02:00:00:00:00:06 netmask 255.255.255.0
arp -d 10.0.0.2
arp -n
arp -s 10.0.0.3 02:00:00:00:00:03 temp
arp -n
arp -d 10.0.0.3
arp -i e0 -s 10.0.0.6 02:00:00:00:00:06
arp -d 10.0.0.6 -i e0
arp -s 10.0.0.7 02:00:00:00:00:07 dev e0
arp -n 10.0.0.7
arp -d 10.0.0.7 dev e0
arp -d 10.0.0.2
arp -d
arp -d foo
arp -d 10.0.0.3 foo
arp -d 11.0.0.1
arp -d 10.0.0.1
arp -i e0 -s 12.0.0.6 02:00:00:00:00:06
ip neigh show`,
  ),
  transcript(
    "route add and route del",
    `
route add -net 10.1.0.0/16 gw 10.0.0.2
route add -net 10.1.0.0/16 gw 10.0.0.2
route add -net 10.1.0.0 netmask 255.255.0.0 gw 10.0.0.3
route add -net 10.2.0.1 netmask 255.255.0.0 gw 10.0.0.3
route add -net 10.2.0.0 netmask 255.255.0.0 dev e0
route add -host 10.3.0.1 dev e0
route add 10.3.0.2 dev e0
route add 10.3.0.3 gw 10.0.0.2 metric 5
route add 10.3.0.0 e0
route add default gw 10.0.0.2
route add default gw 10.0.0.2 e0
route add default gw 11.0.0.2
route add default
route add
route del
route add foo gw 10.0.0.2
route add -net 10.4.0.0/16 gw foo
route add -net 10.4.0.0/16 gw 10.0.0.2 foo bar
route add -net 10.4.0.0/16 dev nope
route add -net 10.4.0.0/33 dev e0
route add -net 10.4.0.0/16
route add -net 10.4.0.0/16 reject
route add -host 10.4.0.0/16 dev e0
route add -host 10.4.0.1 netmask 255.255.0.0 dev e0
route add -net 10.4.0.0/16 gw
route add -net 10.5.0.0/16 gw 10.0.0.2 metric abc
route add -net 10.5.0.0/16 netmask abc dev e0
route add -net 10.5.0.0 netmask 255.0.255.0 dev e0
route -n
ip route
route del -net 10.1.0.0/16
route del -net 10.1.0.0/16
route del -net 10.1.0.0/16
route del -net 10.2.0.0 netmask 255.255.0.0 dev e0
route del 10.3.0.1
route del 10.3.0.2 gw 10.0.0.9
route del default
route del default
route del -net 10.4.0.0/16 reject
route del 10.3.0.3 metric 7
route flush
route foo
route -n add -net 10.6.0.0/16 gw 10.0.0.2
route add -net default gw 10.0.0.2
route del -net 0.0.0.0
route add -net 0.0.0.0 gw 10.0.0.2
route add -net 172.16.0.0 gw 10.0.0.2
route -n`,
  ),
  transcript(
    "sysctl",
    `
sysctl net.ipv4.ip_forward
sysctl -n net.ipv4.ip_forward
sysctl net.ipv4.nope
sysctl nope
sysctl -w net.ipv4.ip_forward=1
sysctl net.ipv4.conf.all.forwarding net.ipv4.conf.e0.forwarding
sysctl -w net.ipv4.ip_forward
sysctl net.ipv4.ip_forward=0
sysctl -w net.ipv4.ip_forward=foo
sysctl -w net.ipv4.ip_forward=
sysctl -w net.ipv4.ip_default_ttl=0
sysctl -w net.ipv4.ip_default_ttl=300
sysctl -w net.ipv4.ip_default_ttl=65
sysctl -w net.ipv4.nope=1
sysctl -w =1
sysctl -w net.ipv4.conf.e0.proxy_arp=1 net.ipv4.conf.all.rp_filter=2
sysctl net.ipv4.conf.e0.proxy_arp net.ipv4.conf.all.rp_filter
sysctl net/ipv4/conf/e0/proxy_arp
sysctl -q -w net.ipv4.ip_forward=1
sysctl -e net.ipv4.nope
sysctl -N net.ipv4.ip_forward
sysctl -b net.ipv4.ip_forward
sysctl -x
sysctl -w
sysctl
sysctl -a -r e0.rp_filter
sysctl -a --pattern conf.e0.proxy_arp$
sysctl net.ipv4.ip_local_port_range
sysctl -w net.ipv4.neigh.e0.gc_stale_time=100
sysctl net.ipv4.neigh.e0.gc_stale_time
sysctl --version
sysctl -nw net.ipv4.ip_forward=1
sysctl -w net.ipv4.conf.nope.rp_filter=1
cat /proc/sys/net/ipv4/ip_forward`,
  ),
];
