# SPDX-License-Identifier: BSD-2-Clause
"""Clients of every kind of TCP, run on the internet by test_cookies.py.

    cookie_client.py ADDRESS PORT SOURCE SECONDS

Connects once with every combination of what a client can do, each time from another source (the
ones after SOURCE), as a known one would not be asked for a cookie. Sends and gets back SIZE
bytes on each connection, prints what each was as JSON, and keeps all of them open for a while.
"""
import errno
import ipaddress
import itertools
import json
import pathlib
import socket
import sys
import threading
import time

SIZE = 300_000
SYSCTLS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling", "tcp_ecn")
MPTCP = 262
FASTOPEN_CONNECT = 30


def exchange(connection):
    """Sends SIZE bytes and takes them back, both at once."""
    sent = bytes(range(256)) * (SIZE // 256)
    sender = threading.Thread(target=connection.sendall, args=(sent,))
    sender.start()
    got = bytearray()
    while len(got) < len(sent):
        data = connection.recv(65536)
        if not data:
            break
        got += data
    sender.join()
    return got == sent


def open_connection(address, port, source, mptcp=False, fastopen=False):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, MPTCP if mptcp else 0)
    made.settimeout(10)
    made.bind((str(source), 0))
    if fastopen:
        made.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1)
    made.connect((address, port))
    return made


def main(server, server_port, source, seconds):
    step = 1 << 64 if ":" in source else 1  # a whole /64 is one source
    sources = (ipaddress.ip_address(source) + number * step for number in itertools.count(1))
    held, rows = [], []
    for values in itertools.product((1, 0), repeat=len(SYSCTLS)):
        for name, value in zip(SYSCTLS, values):
            pathlib.Path("/proc/sys/net/ipv4", name).write_text(str(value))
        held.append(open_connection(server, server_port, next(sources)))
        address, port = held[-1].getsockname()[:2]
        rows.append({"client": f"{address} {port}", "same": exchange(held[-1]),
                     **dict(zip(SYSCTLS, values))})
    for name in SYSCTLS:
        pathlib.Path("/proc/sys/net/ipv4", name).write_text("1")
    special = {}
    for name in ("mptcp", "fastopen"):
        try:
            held.append(open_connection(server, server_port, next(sources), **{name: True}))
        except OSError as error:
            if name == "mptcp" and error.errno in (errno.EPROTONOSUPPORT, errno.ENOPROTOOPT):
                continue  # the kernel has no Multipath TCP
            raise
        special[name] = exchange(held[-1])
    print(json.dumps({"options": rows, "special": special}), flush=True)
    time.sleep(seconds)


main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
