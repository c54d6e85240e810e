# SPDX-License-Identifier: BSD-2-Clause
"""private memory of an idle keep-alive connection: floodwalld, nginx, HAProxy

Each connection has made one request, whose answer is checked, and then says nothing. What is counted is
what the kernel says of the processes (smaps_rollup: private pages), so allocators, pools and libraries
are in it; divided by the connections that were added. Connections stay open to the end: what a round
adds is new memory. Every subject is one process with one thread.
"""
import pathlib
import resource
import socket
import ssl

from place import CGROUP, WORK, furnish, make_certificate
from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "tests/bench/memory"
FLOODWALLD = ROOT / "build/floodwalld"
ORIGIN = ROOT / "tests/bench/proxy/origin.conf"

BODY = b"0123456789abcdef" * 3 + b"0123456789abcde\n"
PORTS = {"floodwall": 1, "nginx": 2, "haproxy": 3}
CASES = {"idle_plain": (8000, None), "idle_tls": (8010, ssl.TLSVersion.TLSv1_3),
         "idle_tls12": (8010, ssl.TLSVersion.TLSv1_2)}
ROUNDS, CONNECTIONS, QUICK_ROUNDS, QUICK_CONNECTIONS = 5, 600, 2, 50


def start_servers(servers):
    def start(name, words, port, cgroup=None):
        servers[name] = Server(name, words, port, "0-1023", WORK / f"{name}.log", cgroup)
        servers[name].wait_ready()

    if not FLOODWALLD.exists():
        raise RuntimeError(f"{FLOODWALLD} is missing: make")
    start("origin", ["nginx", "-p", WORK, "-e", "stderr", "-c", ORIGIN], 8000)
    start("nginx", ["nginx", "-p", WORK, "-e", "stderr", "-c", CONFIGS / "nginx.conf"], 8002)
    start("haproxy", ["haproxy", "-db", "-f", CONFIGS / "haproxy.cfg"], 8003)
    start("floodwall", [FLOODWALLD, "-c", CONFIGS / "floodwall.conf"], 8001, CGROUP)


def private_bytes(server):
    """Of the process and its descendants: pages that nobody else has."""
    total = 0
    for pid in server.family():
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) << 10
    return total


def connect(port, context):
    """A connection that has been answered, and is idle."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    if context:
        connection = context.wrap_socket(connection, server_hostname="web.test")
    connection.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
    answer = b""
    while not answer.endswith(BODY):
        piece = connection.recv(65536)
        if not piece:
            raise RuntimeError(f"port {port} answered {answer[:200]!r}")
        answer += piece
    return connection


def client_context(version):
    if not version:
        return None
    context = ssl.create_default_context(cafile=WORK / "web.pem")
    context.minimum_version = context.maximum_version = version
    return context


def measure(record, case, rounds, count):
    """Every case has servers of its own: what one has freed, the next would find."""
    base, version = CASES[case]
    context, servers, kept = client_context(version), {}, []
    try:
        start_servers(servers)
        for turn in range(rounds + 1):
            for subject, offset in PORTS.items():
                before = private_bytes(servers[subject])
                kept += [connect(base + offset, context) for _ in range(count)]
                grown = private_bytes(servers[subject]) - before
                if turn:  # the first one fills what every process keeps for itself
                    record(case, subject, "bytes", grown / count, "bytes")
    finally:
        for connection in kept:
            connection.close()
        for server in servers.values():
            server.stop()


def run(record, quick):
    rounds, count = (QUICK_ROUNDS, QUICK_CONNECTIONS) if quick else (ROUNDS, CONNECTIONS)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    furnish()
    make_certificate()
    for case in CASES:
        measure(record, case, rounds, count)
