# SPDX-License-Identifier: BSD-2-Clause
"""Sources each of which commits one fault too many, run on the internet by test_conduct.py.

    conduct_return.py ADDRESS PORT SOURCE COUNT AFTER

Each of COUNT sources, from SOURCE on, sends a body that is mostly framing until it is cut off, and connects
again AFTER seconds later. Prints how many of those SYNs were "dropped", and what became of the other connections.
"""
import concurrent.futures
import ipaddress
import json
import socket
import sys
import time

HEAD = b"POST /upload HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"1\r\nx\r\n" * 20_000
PATIENCE = 0.5  # less than what a dropped SYN comes again after


def until_the_end(connection):
    """Returns when the server has ended it, by whatever means."""
    try:
        connection.sendall(HEAD + BODY)
        while connection.recv(65536):
            pass
    except OSError:
        pass


def fate(server, source, after):
    with socket.create_connection(server, 10, (source, 0)) as connection:
        until_the_end(connection)
    time.sleep(after)
    try:
        with socket.create_connection(server, PATIENCE, (source, 0)) as connection:
            return "closed" if connection.recv(1) == b"" else "served"
    except TimeoutError:
        return "dropped"
    except OSError:
        return "reset"


def main(address, port, source, count, after):
    sources = [str(ipaddress.ip_address(source) + i) for i in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        fates = list(pool.map(lambda mine: fate((address, port), mine, after), sources))
    print(json.dumps({fate: fates.count(fate) for fate in ("dropped", "reset", "closed", "served")}))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
