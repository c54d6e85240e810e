# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of clients when servers, names, disks and processes fail: every request of a load is accounted for.

Under load something breaks, and comes back. Each story says what clients see meanwhile (every outcome, by kind and
number), within which time, and what the counters and the access log say of it. A body that is not whole is never taken
for whole: a story in which that happened even once has failed.

What a single odd answer comes to is in test_proxy.py and test_hostile_origins.py; killed proxies and supervisors are
in test_reload.py.
"""
import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import threading
import time

import pytest

from edge import Edge
from lab import BODY, Lab, wait_until
from origin import Client, Origin, inside

FARM, MIXED = 80, 81
NGINX = (8101, 8102, 8103)
GOOD, ODD = (8111, 8112), 8113
DEADLINE = 1  # seconds: first_byte and connect
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
host {{ overload_latency = "60s" }}
""" + "".join(f"""
listener {name} {{{{ bind = "127.0.0.1:{port}" upstream = "{name}"
	timeouts {{{{ first_byte = "{DEADLINE}s" connect = "{DEADLINE}s" }}}}
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}} }}}}
upstream {name} {{{{ {" ".join(f'server {{{{ address = "{server}" }}}}' for server in servers)} }}}}
""" for name, port, servers in (("farm", FARM, [f"127.0.0.1:{port}" for port in NGINX]),
                                ("mixed", MIXED, [f"127.0.0.1:{port}" for port in (*GOOD, ODD)]))) + """
proxy {{ threads = 2 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Edge(made, text=CONFIG, ports=(FARM, MIXED))


class Load:
    """People who ask for a page again and again, and how each of their requests went:

    "ok", or the status (an int), or "cut" (a response that visibly broke off), "dropped" (the connection ended without
    a byte of one), "wrong" (whole, and not what was asked for) or "late" (nothing for ten seconds).
    """

    def __init__(self, port, people=8, method="GET", pause=0.002):
        self.port, self.method, self.pause = port, method, pause
        self.lock, self.over = threading.Lock(), threading.Event()
        self.outcomes, self.slowest = collections.Counter(), collections.Counter()
        self.people = [threading.Thread(target=self._live) for _ in range(people)]

    def __enter__(self):
        for person in self.people:
            person.start()
        self.wait(100)
        return self

    def __exit__(self, *_):
        self.over.set()
        for person in self.people:
            person.join()

    def _live(self):
        client = None
        while not self.over.is_set():
            begun = time.monotonic()
            outcome, client = self._ask(client)
            took = time.monotonic() - begun
            with self.lock:
                self.outcomes[outcome] += 1
                self.slowest[outcome] = max(self.slowest[outcome], took)
            time.sleep(self.pause)
        if client:
            client.socket.close()

    def _ask(self, client):
        """The outcome, and the connection if it can be used again."""
        try:
            client = client or Client(self.port)
            client.get(method=self.method, extra="Content-Length: 0\r\n" if self.method == "POST" else "")
            status, fields, body = client.response()
        except TimeoutError:
            return "late", None
        except (EOFError, OSError):
            return ("cut" if client and client.buffer else "dropped"), None
        if fields.get("connection") == "close":
            client.socket.close()
            client = None
        if status != 200:
            return status, client
        return ("ok" if body == BODY.encode() else "wrong"), client

    def count(self, *outcomes):
        with self.lock:
            return sum(self.outcomes[outcome] for outcome in outcomes)

    def wait(self, count, outcome="ok"):
        """Until so many more went so."""
        enough = self.count(outcome) + count
        wait_until(lambda: self.count(outcome) >= enough, f"{count} more requests were {outcome}: {self.outcomes}")

    def failed(self):
        """How many of each kind were not ok."""
        with self.lock:
            return {outcome: count for outcome, count in self.outcomes.items() if outcome != "ok"}


class Told:
    """What metrics and access log say of a listener since this was made."""

    def __init__(self, edge, service):
        self.edge, self.service = edge, service
        self.skip, self.before = len(edge.log()), {}

    def lines(self, **wanted):
        return [line for line in self.edge.log()[self.skip:]
                if line["listener"] == self.service and wanted.items() <= line.items()]

    def wait_served_by(self, port):
        """From now on."""
        wanted = {"upstream": f"127.0.0.1:{port}", "status": 200}
        before = len(self.lines(**wanted))
        wait_until(lambda: len(self.lines(**wanted)) > before + 5, f"the server at {port} serves again")

    def reasons(self):
        """How many requests the log has by reason (None: nothing was wrong); of many of one kind it only says how many."""
        counts = collections.Counter()
        for line in self.lines():
            counts[line.get("reason")] += line.get("suppressed", 1)
        return counts

    def agrees(self, load, **reasons):
        """Every request of the load is in the log, and no other; those that failed with these reasons, and so often."""
        ok = load.count("ok")

        def agreed():
            counts = self.reasons()
            return (counts[None] == ok and set(counts) - {None} <= set(reasons) and
                    sum(counts.values()) == sum(load.outcomes.values()) and
                    all(counts[reason] >= least for reason, least in reasons.items()))

        wait_until(agreed, f"the log ({self.reasons()}) agrees with {load.outcomes}")
        return self.reasons()


def nginx(edge, port):
    return edge.lab.nginx([f"127.0.0.1:{port}"], extra="keepalive_requests 100000;")


def send(process, number):
    """To the program and all it has started."""
    os.killpg(process.pid, number)
    if number == signal.SIGKILL:
        process.popen.wait(10)


@pytest.fixture
def farm(edge):
    """Three nginx; those that stories ended are started again."""
    running = {port: nginx(edge, port) for port in NGINX}
    yield running
    for process in running.values():
        if process.running():
            send(process, signal.SIGCONT)
            send(process, signal.SIGKILL)


def ask(port):
    with Client(port) as client:
        client.get()
        return client.response()[0]


def answer_page(peer):
    while True:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + BODY.encode())


@contextlib.contextmanager
def mixed(odd):
    """Two servers that answer, and one of which `odd(peer)` has every connection."""
    with contextlib.ExitStack() as stack:
        for port in GOOD:
            stack.enter_context(Origin(port, answer_page))
        yield stack.enter_context(Origin(ODD, odd))


# --- a server goes --------------------------------------------------------------------------------

def test_a_server_is_killed_and_comes_back(edge, farm):
    """Nobody sees it: what it was working on is asked of another."""
    told = Told(edge, "farm")
    with Load(FARM) as load:
        send(farm[8102], signal.SIGKILL)
        load.wait(500)
        farm[8102] = nginx(edge, 8102)
        told.wait_served_by(8102)
    assert load.failed() == {}
    told.agrees(load)


def test_a_server_freezes_and_thaws(edge, farm):
    """Its kernel goes on accepting: only deadlines tell. They hit few, and those in time."""
    told = Told(edge, "farm")
    with Load(FARM) as load:
        send(farm[8102], signal.SIGSTOP)
        load.wait(1, outcome=504)
        load.wait(1000)
        send(farm[8102], signal.SIGCONT)
        told.wait_served_by(8102)
    assert set(load.failed()) == {504}
    assert load.slowest[504] < DEADLINE + 1
    assert load.count(504) < 40
    told.agrees(load, first_byte_timeout=load.count(504))


def test_all_servers_go_and_come_back(edge, farm):
    """Clients are told at once, and served again as soon as anybody is there."""
    told, before = Told(edge, "farm"), edge.count("upstream_unreachable", "farm")
    with Load(FARM) as load:
        for process in farm.values():
            send(process, signal.SIGKILL)
        load.wait(100, outcome=502)
        farm[8103] = nginx(edge, 8103)
        load.wait(500)
    assert set(load.failed()) == {502}
    assert load.slowest[502] < 0.5
    refused = told.agrees(load, upstream_unreachable=90, upstream_bad_response=0)["upstream_unreachable"]
    wait_until(lambda: edge.count("upstream_unreachable", "farm") - before == refused, "each one is counted")


# --- names go -------------------------------------------------------------------------------------

class Names:
    """A name server that knows where everything is, for a tenth of a second at a time; with no address it is silent."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.thread = threading.Thread(target=self._answer)

    def _answer(self):
        while query_and_peer := self.socket.recvfrom(512):
            query, peer = query_and_peer
            if not query:
                return
            end = query.index(b"\0", 12) + 5
            records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
                               for address in self.addresses)
            if self.addresses:
                self.socket.sendto(query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, len(self.addresses), 0, 0) +
                                   query[12:end] + records, peer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", ("127.0.0.1", 53))
        self.thread.join()
        self.socket.close()


def test_names_go_and_come_back(lab):
    """While nobody answers for a name its servers stay where they were; then they are where it says."""
    text = CONFIG.replace("127.0.0.1:8101", "app.test:8101") + """
resolver {{ servers = {{"127.0.0.1"}} min_ttl = "100ms" timeout = "200ms" family = "ipv4" }}"""
    for port in NGINX[1:]:
        text = text.replace(f'server {{{{ address = "127.0.0.1:{port}" }}}}', "")

    def failed():
        return edge._metric("upstream_server_lookups_failed_total", upstream="farm")

    with inside(lab.edge), Origin(8101, answer_page, address="127.0.0.2") as old, \
            Origin(8101, answer_page, address="127.0.0.3") as new:
        edge = Edge(lab, text=text, ports=(FARM,))
        assert ask(FARM) == 502, "nobody has ever said where it is"
        with Names("127.0.0.2") as names:
            wait_until(lambda: ask(FARM) == 200, "the name is known")
            with Load(FARM) as load:
                names.addresses, before = (), failed()
                wait_until(lambda: failed() >= before + 2, "nobody answers any more, which is counted")
                load.wait(300)
                assert new.connections == 0
                names.addresses = ("127.0.0.3",)
                wait_until(lambda: new.connections, "it is asked where the name is now")
                asked = old.connections
                load.wait(300)
            assert load.failed() == {}
            assert old.connections == asked


# --- what is ours goes ----------------------------------------------------------------------------

def test_the_disk_of_the_log_is_full():
    """Clients don't notice; what could not be written is counted; and with room again lines are whole again."""
    with Lab() as lab, inside(lab.edge):
        small = lab.home / "small"
        small.mkdir()
        lab.edge("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small)
        lab.nginx([f"127.0.0.1:{port}" for port in NGINX])
        there = pathlib.Path(f"/proc/{lab.edge.holder.pid}/root{small}")
        edge = Edge(lab, text=CONFIG.replace("{log}", str(small / "access.log")), ports=(FARM,))
        edge.log_path = there / "access.log"
        with Load(FARM) as load:
            wait_until(lambda: edge._metric("proxy_access_log_dropped_total", service="farm") > 100, "lines are lost")
            load.wait(200)
            os.truncate(edge.log_path, 0)
            wait_until(lambda: edge.log_path.stat().st_size > 20000, "lines are written again")
        assert load.failed() == {}
        # Of a line that was begun as the room ended the rest comes later: one of each thread, at most.
        broken = 0
        for line in edge.log_path.read_text().splitlines()[:-1]:
            try:
                assert json.loads(line)["status"] == 200
            except ValueError:
                broken += 1
        assert broken <= 4, "a rest, and what it ran into, of each of two threads"
