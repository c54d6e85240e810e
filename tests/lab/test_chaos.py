# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of clients when servers and disks fail: every request of a load is accounted for.

Under load something breaks, and comes back. Each story says what clients see meanwhile (every outcome, by kind and
number), within which time, and what the counters and the access log say of it. A body that is not whole is never taken
for whole: a story in which that happened even once has failed.

What a single odd answer comes to is in test_proxy.py and test_hostile_origins.py, names and name servers that go are in
test_health.py, killed proxies and supervisors in test_reload.py.
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

NGINX = (8101, 8102, 8103)
GOOD, ODD = (8111, 8112), 8113
DEADLINE = 1  # seconds: to connect, to the first byte, and without any

# An upstream for each story: what servers are ejected for in one does not tell in another.
STORIES = {"killed": NGINX, "frozen": NGINX, "hedged": NGINX, "gone": NGINX, "spared": NGINX, "cuts": (*GOOD, ODD),
           "stalls": (*GOOD, ODD), "garbage": (*GOOD, ODD), "resets": (*GOOD, ODD),
           "halves": (*GOOD, ODD), "posts": (*GOOD, ODD)}
PORTS = {name: 80 + number for number, name in enumerate(STORIES)}


def configuration(stories):
    """A listener and its upstream for each; @stories has their servers."""
    return 'filter {{ cgroup = "@CGROUP@" }}\nhost {{ overload_latency = "60s" }}\n' + "".join(f"""
listener {name} {{{{ bind = "127.0.0.1:{PORTS[name]}" upstream = "{name}"
	timeouts {{{{ first_byte = "{DEADLINE}s" connect = "{DEADLINE}s" idle = "{DEADLINE}s" }}}}
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}} }}}}
upstream {name} {{{{ {" ".join(f'server {{{{ address = "{server}" }}}}' for server in servers)} }}}}
""" for name, servers in stories.items()) + """
proxy {{ threads = 2 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


def local(ports):
    return [f"127.0.0.1:{port}" for port in ports]


def with_options(text):
    """The last server of "spared" is a backup; "hedged" is."""
    before, after = text.split("upstream spared")
    text = before + "upstream spared" + after.replace('8103"', '8103" backup = on', 1)
    return text.replace("upstream hedged {{", 'upstream hedged {{ retry {{ hedge_after = "100ms" budget = 100 }}')


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        text = with_options(configuration({name: local(ports) for name, ports in STORIES.items()}))
        yield Edge(made, text=text, ports=PORTS.values())


class Load:
    """People who ask for a page again and again, and how each of their requests went:

    "ok", or the status (an int), or "cut" (a response that visibly broke off), "dropped" (the connection ended without
    a byte of one), "wrong" (whole, and not what was asked for) or "late" (nothing for ten seconds).
    """

    def __init__(self, story, people=8, method="GET", pause=0.002):
        self.port, self.method, self.pause = PORTS[story], method, pause
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
            heard = client.heard
            client.get(method=self.method, extra="Content-Length: 0\r\n" if self.method == "POST" else "")
            status, fields, body = client.response()
        except TimeoutError:
            return "late", None
        except (EOFError, OSError):
            return ("cut" if client and client.heard > heard else "dropped"), None
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
    """What the access log says of a story's listener."""

    def __init__(self, edge, story):
        self.edge, self.story = edge, story

    def lines(self, **wanted):
        return [line for line in self.edge.log()
                if line["listener"] == self.story and wanted.items() <= line.items()]

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

        wait_until(agreed, f"the log agrees with {load.outcomes}")
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
    told = Told(edge, "killed")
    with Load("killed") as load:
        send(farm[8102], signal.SIGKILL)
        load.wait(500)
        farm[8102] = nginx(edge, 8102)
        told.wait_served_by(8102)
    assert load.failed() == {}
    told.agrees(load)


def test_a_server_freezes_and_thaws(edge, farm):
    """Its kernel goes on accepting: only deadlines tell. They hit few, and those in time."""
    told = Told(edge, "frozen")
    with Load("frozen") as load:
        send(farm[8102], signal.SIGSTOP)
        load.wait(1, outcome=504)
        load.wait(1000)
        send(farm[8102], signal.SIGCONT)
        told.wait_served_by(8102)
    assert set(load.failed()) == {504}
    assert load.slowest[504] < DEADLINE + 1
    assert load.count(504) < 3 * len(load.people), "it is asked until it is found out, and then tried now and then"
    told.agrees(load, first_byte_timeout=load.count(504))


def test_a_frozen_server_keeps_nobody_waiting_whose_requests_are_hedged(edge, farm):
    """Nobody sees it: what it does not answer is asked of another, long before the deadline."""
    told = Told(edge, "hedged")
    with Load("hedged") as load:
        send(farm[8102], signal.SIGSTOP)
        load.wait(300)
        send(farm[8102], signal.SIGCONT)
        told.wait_served_by(8102)
    assert load.failed() == {}
    told.agrees(load)
    assert edge.metric("proxy_upstream_hedges_won_total", "hedged") >= len(load.people)


def test_all_servers_go_and_come_back(edge, farm):
    """Clients are told at once, and served again as soon as anybody is there."""
    told = Told(edge, "gone")
    with Load("gone") as load:
        for process in farm.values():
            send(process, signal.SIGKILL)
        load.wait(100, outcome=502)
        farm[8103] = nginx(edge, 8103)
        load.wait(500)
    assert set(load.failed()) == {502}
    assert load.slowest[502] < 0.5
    refused = told.agrees(load, upstream_unreachable=90, upstream_bad_response=0)["upstream_unreachable"]
    wait_until(lambda: edge.count("upstream_unreachable", "gone") == refused, "each one is counted")


def test_a_backup_stands_in_for_all_others(edge, farm):
    """Nobody sees it, however many ask; and it has nothing to do once they are back."""
    told = Told(edge, "spared")
    with Load("spared") as load:
        send(farm[8101], signal.SIGKILL)
        send(farm[8102], signal.SIGKILL)
        told.wait_served_by(8103)
        load.wait(2000)
        farm[8101] = nginx(edge, 8101)
        told.wait_served_by(8101)
        load.wait(300)  # with those that were on their way to the backup, and in the log's buffer
        served = len(told.lines(upstream="127.0.0.1:8103"))
        load.wait(200)
    assert load.failed() == {}
    told.agrees(load)
    assert len(told.lines(upstream="127.0.0.1:8103")) - served < 20


# --- a server misbehaves --------------------------------------------------------------------------

def begin_page(peer):
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + BODY.encode()[:32])


def cut(peer):
    begin_page(peer)
    time.sleep(0.05)  # the client has it by then


def cut_at_once(peer):
    """The beginning of the page and the end of the connection are one packet."""
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    begin_page(peer)


def stall(peer):
    begin_page(peer)
    peer.rest()


def speak_garbage(peer):
    peer.head()
    peer.send(b"\x16\x03\x01\x00garbage\r\n\r\n" + BODY.encode())


def reset(peer):
    peer.head()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("story, odd, seen, reason", [
    ("cuts", cut, "cut", "upstream_bad_response"), ("stalls", stall, "cut", "idle_timeout"),
    ("garbage", speak_garbage, 502, "upstream_bad_response")], ids=["cuts", "stalls", "garbage"])
def test_a_server_breaks_what_it_says(edge, story, odd, seen, reason):
    """Whoever is hit can tell. They are few: it is found out, where its share would be a third."""
    told = Told(edge, story)
    with mixed(odd), Load(story) as load:
        load.wait(1000)
    assert set(load.failed()) == {seen}
    assert load.count(seen) < 3 * len(load.people) and load.slowest[seen] < DEADLINE + 1
    told.agrees(load, **{reason: load.count(seen)})
    assert {line["upstream"] for line in told.lines(reason=reason) if "upstream" in line} == {f"127.0.0.1:{ODD}"}
    wait_until(lambda: edge.count(reason, story) == load.count(seen), "each one is counted")
    assert edge._metric("upstream_server_ejected_total", upstream=story, server=f"127.0.0.1:{ODD}") >= 1


@pytest.mark.parametrize("story, odd", [("resets", reset), ("halves", cut_at_once)], ids=["resets", "halves"])
def test_a_server_answers_nothing_that_could_be_passed_on(edge, story, odd):
    """What can be repeated is asked of another, and nobody sees it."""
    told = Told(edge, story)
    with mixed(odd), Load(story) as load:
        load.wait(500)
    assert load.failed() == {}
    told.agrees(load)
    assert edge.metric("proxy_upstream_retries_total", story) >= 5


def test_a_server_resets_what_can_not_be_repeated(edge):
    """That is refused; it could have been done already."""
    told = Told(edge, "posts")
    with mixed(reset), Load("posts", method="POST") as load:
        load.wait(500)
    assert set(load.failed()) == {502}
    assert load.count(502) < 3 * len(load.people)
    told.agrees(load, upstream_bad_response=load.count(502))


# --- what is ours goes ----------------------------------------------------------------------------

def test_the_disk_of_the_log_is_full():
    """Clients don't notice; what could not be written is counted; and with room again lines are whole again."""
    with Lab() as lab, inside(lab.edge):
        small = lab.home / "small"
        small.mkdir()
        lab.edge("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small)
        lab.nginx([f"127.0.0.1:{port}" for port in NGINX])
        there = pathlib.Path(f"/proc/{lab.edge.holder.pid}/root{small}")
        text = configuration({"killed": local(NGINX)}).replace("{log}", str(small / "access.log"))
        edge = Edge(lab, text=text, ports=[PORTS["killed"]])
        edge.log_path = there / "access.log"
        with Load("killed") as load:
            wait_until(lambda: edge._metric("proxy_access_log_dropped_total", service="killed") > 100, "lines are lost")
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
