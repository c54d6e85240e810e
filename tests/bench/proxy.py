# SPDX-License-Identifier: BSD-2-Clause
"""requests and bytes through a proxy on one core: floodwalld, nginx, HAProxy, Pingora

The load (wrk, h2load) and the origin (nginx) share the second core. The subject "direct" is the load on
the origin itself: the ceiling that they set for everybody. Nothing is taken on trust: a run counts only
if every response was the expected one, every request reached the origin (no cache), and did so over
connections that were kept alive. Configurations are in proxy/, Pingora's is its program in pingora/.

Over TLS nobody resumes a session, and all have the same library (this host's OpenSSL), certificate (ECDSA,
P-256), cipher (AES-128-GCM) and group (X25519). A handshake costs the client more than the server, and the
load is one thread: look at cpu_us, not at per_s.

keepalive_2core has both cores for everybody: two threads of a proxy, two of wrk, and the origin.
"""
import os
import pathlib
import re
import socket
import ssl
import statistics
import typing
import urllib.request

import load
from machine import Watch
from place import CGROUP, WORK, furnish, make_certificate
from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "tests/bench/proxy"
FLOODWALLD = ROOT / "build/floodwalld"
PINGORA = ROOT / "build/pingora/release/bench-pingora"

BODY = b"0123456789abcdef" * 3 + b"0123456789abcde\n"
BULK = b"".join(b"%015d\n" % number for number in range(1 << 16))  # 1 MiB
CONNECTIONS = 64
ROUNDS, SECONDS = 10, 1  # many short turns: a slow spell of the machine hits all alike
QUICK_ROUNDS, QUICK_SECONDS = 1, 1
# A subject's ports: those of its group, and these.
PORTS = {"floodwall": 1, "nginx": 2, "haproxy": 3, "pingora": 4, "direct": 0}
ONE, ROAMING, TWO = 8000, 8100, 8200  # one thread on a core of its own, one on both cores, two on both
TLS, TCP = 10, 20  # from the port of HTTP to the one with TLS, and to the one where bytes are relayed
STATUS_PORT = 8009
SATURATED = 0.95  # share of its core that a proxy must use for per_s to be about it
QUIET = 0.05  # share of both cores that other work may have


class Case(typing.NamedTuple):
    offset: int = 0  # to PORTS
    headers: list = []  # besides the request line and Host
    path: str = "/"
    body: bytes = BODY
    connections: int = CONNECTIONS
    h2load: list = []  # its options, where the load is not wrk's
    both_cores: bool = False


CASES = {
    "keepalive": Case(),
    "connect": Case(headers=["Connection: close"]),
    "tls_handshake": Case(TLS, ["Connection: close"]),
    "tls_keepalive": Case(TLS),
    "h2": Case(TLS, connections=8, h2load=["-m8", "--npn-list=h2"]),
    "body_1m": Case(path="/1m", body=BULK, connections=16),
    "tcp": Case(TCP, path="/1m", body=BULK, connections=16),
    "paced": Case(h2load=["--h1", "--rps=250"]),
    "keepalive_2core": Case(both_cores=True),
}


# --- subjects --------------------------------------------------------------------------------------------

def configure(name, ports, threads):
    """A file of tests/bench/proxy, with the places of these servers in it."""
    path = WORK / f"{ports}-{name}"
    path.write_text((CONFIGS / name).read_text().replace("@SET@", str(ports // 100))
                    .replace("@THREADS@", str(threads)))
    return path


def floodwall_words(ports, threads):
    """Each has an eBPF file system of its own, for its pins."""
    return ["unshare", "--mount", "sh", "-c", 'mount -t bpf bpf /sys/fs/bpf && exec "$@"', "sh", FLOODWALLD, "-c",
            configure("floodwall.conf", ports, threads)]


def nginx_words(ports, threads):
    return ["nginx", "-p", WORK, "-e", "stderr", "-c", configure("nginx.conf", ports, threads)]


def haproxy_words(ports, threads):
    return ["haproxy", "-W", "-db", "-f", configure("haproxy.cfg", ports, threads)]


def pingora_words(ports, threads):
    return [PINGORA, threads, ports + PORTS["pingora"], "127.0.0.1:8000", WORK / "both.pem"]


PROXIES = {"nginx": nginx_words, "haproxy": haproxy_words, "pingora": pingora_words, "floodwall": floodwall_words}


class Group:
    """One server of each subject, all with the same cores and number of threads."""

    def __init__(self, ports, threads, cores, names):
        self.ports, self.threads, self.cores, self.names = ports, threads, cores, names
        self.servers = {}
        self.cgroup = CGROUP.with_name(f"{CGROUP.name}-{ports // 100}")

    def start(self):
        self.cgroup.mkdir()
        for name in self.names:
            self.add(name, PROXIES[name](self.ports, self.threads), self.cores,
                     self.cgroup if name == "floodwall" else None)

    def add(self, name, words, cores, cgroup=None):
        log = WORK / f"{self.ports}-{name}.log"
        self.servers[name] = Server(name, words, self.ports + PORTS[name], ",".join(map(str, cores)), log, cgroup)
        self.servers[name].wait_ready()

    def stop(self):
        for server in reversed(self.servers.values()):
            server.stop()
        if self.cgroup.exists():
            self.cgroup.rmdir()


# --- one turn --------------------------------------------------------------------------------------------

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


def apply_load(port, case, cores, seconds):
    url = f"http{'s' if case.offset == TLS else ''}://127.0.0.1:{port}{case.path}"
    if case.h2load:
        return load.by_h2load(url, cores, seconds, case.connections, WORK / "h2load.log", case.h2load)
    return load.by_wrk(url, cores, seconds, case.connections, case.headers)


def measure(name, subject, server, port, cores, seconds):
    """One turn of one subject: {metric: (value, unit)}, and the share of time its core was busy."""
    case = CASES[name]
    port += case.offset
    length = response_length(port, case)
    connections_before, requests_before = origin_counts()
    cpu_before = server.cpu_ns()
    result = apply_load(port, case, cores, seconds)
    cpu, resident = server.cpu_ns() - cpu_before, server.resident_bytes()
    connections, requests = (after - before for after, before in
                             zip(origin_counts(), (connections_before, requests_before)))
    done = result.requests
    complain = lambda what: RuntimeError(f"{name}: {subject}: {what} ({result})")
    if result.errors or not done:
        raise complain("requests failed")
    # What is under way may be cut short at the end: of each stream a response and a request.
    under_way = CONNECTIONS
    expected = len(case.body) if case.h2load else length
    if abs(result.bytes - done * expected) > under_way * expected:
        raise complain(f"not every response had the {expected} bytes of the right one")
    # … and so may the previous turn's, which the origin sees in this one.
    if not done <= requests <= done + 3 * under_way:
        raise complain(f"the origin saw {requests} requests")
    if subject != "direct" and connections > 4 * CONNECTIONS:
        raise complain(f"its connections to the origin are not kept alive: it made {connections}")
    amount, unit = (result.bytes, "B/s") if case.body is BULK else (done, "1/s")
    return {"per_s": (amount / result.seconds, unit),
            "p99_ms": (result.p99_ms, "ms"),
            "cpu_us": (cpu / 1e3 / done, "us"),
            "rss_mb": (resident / 1e6, "MB")}, cpu / 1e9 / result.seconds


# --- the suite -------------------------------------------------------------------------------------------

class Suite:
    def __init__(self, record, seconds, groups, cores):
        self.record, self.seconds, self.groups, self.cores = record, seconds, groups, cores
        self.busy = {}  # (case, subject) → [share of its core, …]

    def measure(self, case, subject, group, cores):
        return measure(case, subject, self.groups[group].servers[subject], group + PORTS[subject], cores,
                       self.seconds)

    def turn(self, case, subject, warm_up):
        if CASES[case].both_cores:
            return self.turn_of_two(case, subject, warm_up)
        figures, share = self.measure(case, subject, ONE, self.cores[1:])
        if not warm_up:
            self.busy.setdefault((case, subject), []).append(share)
            self.note(case, subject, figures)

    def turn_of_two(self, case, subject, warm_up):
        """The same load on one thread just before tells what it costs that there are two."""
        if subject == "direct":
            return
        alone, _ = self.measure(case, subject, ROAMING, self.cores)
        figures, _ = self.measure(case, subject, TWO, self.cores)
        figures["scaling"] = (alone["cpu_us"][0] / figures["cpu_us"][0], "share")
        if not warm_up:
            self.note(case, subject, figures)

    def note(self, case, subject, figures):
        for metric, (value, unit) in figures.items():
            self.record(case, subject, metric, value, unit)

    def notes(self, others):
        """What a reader of the table must know: whether the figures are about the proxies at all."""
        if others > QUIET:
            yield f"other work took {others:.0%} of the two cores: measure again on a quiet machine"
        if "pingora" not in self.groups[ONE].servers:
            yield "pingora: NOT MEASURED: its program is not built (see scripts/bench)"
        for case in CASES:
            shares = {subject: statistics.median(shares) for (of, subject), shares in self.busy.items()
                      if of == case and subject != "direct" and case != "paced"}
            idle = [f"{subject} {share:.0%}" for subject, share in shares.items() if share < SATURATED]
            if idle:
                yield (f"{case}: something else set the pace, so per_s hides the difference that cpu_us shows. "
                       f"Busy, of their core: {', '.join(idle)}")


def run(record, quick):
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise RuntimeError("two CPUs are needed: one for the proxy, one for load and origin")
    if not FLOODWALLD.exists():
        raise RuntimeError(f"{FLOODWALLD} is missing: make")
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    names = [name for name in PROXIES if name != "pingora" or PINGORA.exists()]
    groups = {ONE: Group(ONE, 1, cores[:1], names), ROAMING: Group(ROAMING, 1, cores, names),
              TWO: Group(TWO, 2, cores, names)}
    furnish()
    make_certificate()
    (WORK / "1m").write_bytes(BULK)
    try:
        groups[ONE].add("direct", ["nginx", "-p", WORK, "-e", "stderr", "-c", CONFIGS / "origin.conf"], cores[1:])
        for group in groups.values():
            group.start()
        watch = Watch(cores, [server for group in groups.values() for server in group.servers.values()])
        suite = Suite(record, seconds, groups, cores)
        for case in CASES:
            for turn in range(rounds + 1):
                for subject in filter(groups[ONE].servers.get, PORTS):
                    suite.turn(case, subject, warm_up=turn == 0)
        return list(suite.notes(watch.others()))
    finally:
        for group in reversed(groups.values()):
            group.stop()
