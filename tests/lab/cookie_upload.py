# SPDX-License-Identifier: BSD-2-Clause
"""Clients that send as soon as they are connected, run on the internet by test_handshakes.py.

    cookie_upload.py ADDRESS PORT SOURCE COUNT SIZE

Each comes from another source (the ones after SOURCE), sends SIZE bytes in one call and waits until
they come back. Prints as JSON how many got all of theirs.
"""
import ipaddress
import json
import socket
import sys


def upload(address, port, source, size):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as connection:
        connection.settimeout(10)
        connection.bind((str(source), 0))
        connection.connect((address, port))
        connection.sendall(bytes(size))
        connection.shutdown(socket.SHUT_WR)
        back = 0
        while data := connection.recv(65536):
            back += len(data)
        return back == size


def main(address, port, source, count, size):
    step = 1 << 64 if ":" in source else 1  # a whole /64 is one source
    first = ipaddress.ip_address(source)
    print(json.dumps({"whole": sum(upload(address, port, first + number * step, size)
                                   for number in range(1, count + 1))}))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
