# Sends datagrams of the sizes given and demands each back, byte for byte: udp-echo-client.py ADDRESS PORT SIZE…
import os
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(2)
sock.connect((sys.argv[1], int(sys.argv[2])))
for size in map(int, sys.argv[3:]):
    data = os.urandom(size)
    sock.send(data)
    assert sock.recv(65535) == data, size
print("echoed")
