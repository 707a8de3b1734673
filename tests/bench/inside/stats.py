"""Runs in the guest: prints what the daemon answers to GET /v1/stats on its UNIX socket."""

import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b"GET /v1/stats HTTP/1.0\r\n\r\n")
answer = b""
while data := connection.recv(1 << 16):
    answer += data
head, _, body = answer.partition(b"\r\n\r\n")
if b" 200 " not in head.split(b"\r\n")[0]:
    raise SystemExit(head.decode())
print(body.decode())
