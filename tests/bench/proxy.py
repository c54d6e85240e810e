# SPDX-License-Identifier: BSD-2-Clause
"""requests and bytes through a proxy on one core: floodwalld, nginx, HAProxy

wrk and the origin (nginx) share the second core. The subject "direct" is wrk on the origin itself:
the ceiling that the load generator sets for everybody. Nothing is taken on trust: a run counts only
if every response was the expected one, every request reached the origin (no cache), and did so over
connections that were kept alive. Configurations are in proxy/.

tls_keepalive, tls_handshake: the same over TLS 1.3, on connections that stay and on a new one for each
request. Nobody resumes a session, and all have the same certificate (ECDSA, P-256), cipher (AES-128-GCM)
and group (X25519). A handshake costs the client more than the server, and wrk is one thread: look at
cpu_us, not at per_s.
"""
import json
import os
import pathlib
import re
import socket
import ssl
import statistics
import subprocess
import typing
import urllib.request

from machine import Watch
from place import CGROUP, WORK, furnish, make_certificate
from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "tests/bench/proxy"
FLOODWALLD = ROOT / "build/floodwalld"

BODY = b"0123456789abcdef" * 3 + b"0123456789abcde\n"
CONNECTIONS = 64
ROUNDS, SECONDS = 15, 1  # many short turns: a slow spell of the machine hits all alike
QUICK_ROUNDS, QUICK_SECONDS = 1, 1
PORTS = {"floodwall": 8001, "nginx": 8002, "haproxy": 8003, "direct": 8000}
TLS, TCP = 10, 20  # from a port of HTTP to the one with TLS, and to the one where bytes are relayed
STATUS_PORT = 8009
SATURATED = 0.95  # share of its core that a proxy must use for per_s to be about it
QUIET = 0.05  # share of both cores that other work may have
BULK = b"".join(b"%015d\n" % number for number in range(1 << 16))  # 1 MiB


class Case(typing.NamedTuple):
    offset: int = 0  # to PORTS
    headers: list = []  # besides the request line and Host
    path: str = "/"
    body: bytes = BODY
    connections: int = CONNECTIONS


CASES = {"keepalive": Case(), "connections": Case(headers=["Connection: close"]),
         "tls_keepalive": Case(TLS), "tls_handshake": Case(TLS, ["Connection: close"]),
         "body_1m": Case(path="/1m", body=BULK, connections=16),
         "tcp": Case(TCP, path="/1m", body=BULK, connections=16)}


def start_servers(proxy_core, load_core, servers):
    """Adds to @servers as it goes, so that the caller can stop what was started."""
    def start(name, words, core, port, cgroup=None):
        servers[name] = Server(name, words, port, core, WORK / f"{name}.log", cgroup)
        servers[name].wait_ready()

    def nginx(name):
        return ["nginx", "-p", WORK, "-e", "stderr", "-c", CONFIGS / f"{name}.conf"]

    start("direct", nginx("origin"), load_core, PORTS["direct"])
    start("nginx", nginx("nginx"), proxy_core, PORTS["nginx"])
    start("haproxy", ["haproxy", "-W", "-db", "-f", CONFIGS / "haproxy.cfg"], proxy_core,
          PORTS["haproxy"])
    if not FLOODWALLD.exists():
        raise RuntimeError(f"{FLOODWALLD} is missing: make")
    start("floodwall", [FLOODWALLD, "-c", CONFIGS / "floodwall.conf"], proxy_core,
          PORTS["floodwall"], CGROUP)


def connect(port, case):
    """As every client of a case does; with TLS, what was agreed on must be the same for all."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    if case.offset != TLS:
        return connection
    context = ssl.create_default_context(cafile=WORK / "web.pem")
    connection = context.wrap_socket(connection, server_hostname="web.test")
    if connection.cipher()[0] != "TLS_AES_128_GCM_SHA256":
        raise RuntimeError(f"port {port} speaks {connection.cipher()}")
    return connection


def response_length(port, case):
    """Length of one response, which must be the origin's answer to the byte."""
    request = "\r\n".join([f"GET {case.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *case.headers, "", ""])
    response = b""
    with connect(port, case) as connection:
        connection.sendall(request.encode())
        while not response.endswith(b"\r\n\r\n" + case.body):
            piece = connection.recv(65536)
            if not piece:
                break
            response += piece
    if not response.startswith(b"HTTP/1.1 200 ") or not response.endswith(b"\r\n\r\n" + case.body):
        raise RuntimeError(f"port {port} answered {response[:200]!r}")
    return len(response)


def origin_counts():
    """(connections, requests) that the origin has had so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{STATUS_PORT}/", timeout=5) as response:
        accepts, _, requests = re.search(r"(\d+) (\d+) (\d+)", response.read().decode()).groups()
    return int(accepts), int(requests)


def load(port, case, core, seconds):
    words = ["taskset", "-c", core, "wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s",
             "-s", CONFIGS / "load.lua"]
    for header in case.headers:
        words += ["-H", header]
    url = f"http{'s' if case.offset == TLS else ''}://127.0.0.1:{port}{case.path}"
    out = subprocess.run([*map(str, words), url], check=True, text=True,
                         capture_output=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def measure(name, subject, server, core, seconds):
    """One turn of one subject: {metric: (value, unit)}, and the share of time its core was busy."""
    case = CASES[name]
    port = PORTS[subject] + case.offset
    length = response_length(port, case)
    connections_before, requests_before = origin_counts()
    cpu_before = server.cpu_ns()
    result = load(port, case, core, seconds)
    cpu = server.cpu_ns() - cpu_before
    connections, requests = (after - before for after, before in
                             zip(origin_counts(), (connections_before, requests_before)))
    done = result["requests"]
    complain = lambda what: RuntimeError(f"{name}: {subject}: {what} (wrk: {result})")
    if result["errors"] or not done:
        raise complain("requests failed")
    # Up to one response and one request for each connection may be cut short at the end.
    if abs(result["bytes"] - done * length) > case.connections * length:
        raise complain(f"not every response had the {length} bytes of the right one")
    # … and so may the previous turn's, which the origin sees in this one.
    if not done <= requests <= done + 3 * case.connections:
        raise complain(f"the origin saw {requests} requests")
    if subject != "direct" and connections > 4 * CONNECTIONS:
        raise complain(f"its connections to the origin are not kept alive: it made {connections}")
    amount, unit = (result["bytes"], "B/s") if case.body is BULK else (done, "1/s")
    return {"per_s": (amount * 1e6 / result["duration_us"], unit),
            "p99_ms": (result["p99_us"] / 1e3, "ms"),
            "cpu_us": (cpu / 1e3 / done, "us")}, cpu / 1e3 / result["duration_us"]


def notes(busy, others):
    """What a reader of the table must know: whether the figures are about the proxies at all."""
    if others > QUIET:
        yield f"other work took {others:.0%} of the two cores: measure again on a quiet machine"
    for (case, subject), shares in busy.items():
        share = statistics.median(shares)
        if subject != "direct" and share < SATURATED:
            yield (f"{case}: {subject} was busy for only {share:.0%} of the time, so something "
                   "else set the pace: per_s hides the difference, cpu_us shows it")


def run(record, quick):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("two CPUs are needed: one for the proxy, one for load and origin")
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    servers, busy = {}, {}
    furnish()
    make_certificate()
    (WORK / "1m").write_bytes(BULK)
    try:
        start_servers(cores[0], cores[1], servers)
        watch = Watch(cores[:2], servers)
        for case in CASES:
            for turn in range(rounds + 1):
                for subject in PORTS:
                    warm_up = turn == 0
                    figures, share = measure(case, subject, servers[subject], cores[1], seconds)
                    if not warm_up:
                        busy.setdefault((case, subject), []).append(share)
                        for metric, (value, unit) in figures.items():
                            record(case, subject, metric, value, unit)
        return list(notes(busy, watch.others()))
    finally:
        for server in reversed(servers.values()):
            server.stop()
        CGROUP.rmdir()
