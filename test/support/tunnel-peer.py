# A tunnel endpoint for kernels that were built without the tunnel: a TUN or TAP device on the one side, which makes the inner
# packets the kernel's own, and a raw or UDP socket on the other. Encapsulates as Linux's ipip, FOU and Geneve devices do.
#
#   tunnel-peer.py ipip|fou|geneve DEVICE LOCAL REMOTE [VNI]
import fcntl
import os
import select
import socket
import struct
import sys

mode, device, local, remote = sys.argv[1:5]
vni = int(sys.argv[5]) if len(sys.argv) > 5 else 0
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000

tun = os.open("/dev/net/tun", os.O_RDWR)
kind = IFF_TAP if mode == "geneve" else IFF_TUN
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", device.encode(), kind | IFF_NO_PI))

if mode == "ipip":
    wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
    wire.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    wire.bind((local, 0))
else:
    port = 5555 if mode == "fou" else 6081
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((local, port))
print("ready", flush=True)

while True:
    for ready in select.select([tun, wire], [], [])[0]:
        if ready is tun:
            inner = os.read(tun, 65535)
            if mode == "geneve":
                wire.sendto(struct.pack("!HHI", 0, 0x6558, vni << 8) + inner, (remote, port))
                continue
            if inner[0] >> 4 != 4:
                continue
            if mode == "fou":
                wire.sendto(inner, (remote, port))
                continue
            df = struct.unpack("!H", inner[6:8])[0] & 0x4000
            ends = socket.inet_aton(local) + socket.inet_aton(remote)
            total = 20 + len(inner)
            outer = struct.pack("!BBHHHBBH", 0x45, inner[1] & 3, total, 0, df, inner[8], 4, 0) + ends
            wire.sendto(outer + inner, (remote, 0))
            continue
        payload, source = wire.recvfrom(65535)
        if source[0] != remote:
            continue
        if mode == "ipip":
            payload = payload[(payload[0] & 15) * 4 :]
        elif mode == "geneve":
            first, protocol, word = struct.unpack("!HHI", payload[:8])
            if first >> 14 != 0 or protocol != 0x6558 or word >> 8 != vni:
                continue
            payload = payload[8 + ((first >> 8) & 0x3F) * 4 :]
        os.write(tun, payload)
