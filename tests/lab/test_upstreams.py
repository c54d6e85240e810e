# SPDX-License-Identifier: BSD-2-Clause
"""Connections to servers: shared by threads, capped, waited for, opened ahead, replaced, and used
again; and which requests are sent again when one of them fails."""
import contextlib
import random
import shutil
import threading
import time

import pytest

from edge import Counted, Edge, answer_simply
from lab import Lab, wait_until
from origin import Client, Origin, inside

(STEADY, CAPPED, EACH, FAIR, SHORT, AGAIN, THRIFTY, WARM, AGING, FEW, RELAYED, BUSY, SHARED) = range(80, 93)
LISTENER = """
listener {name} {{{{ bind = "127.0.0.1:{port}" protocol = "{protocol}" upstream = "{name}"
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}} }}}}
upstream {name} {{{{ {options} }}}}
"""


def servers(*ports, more=""):
    return " ".join(f'server {{{{ address = "127.0.0.1:{port}" {more} }}}}' for port in ports)


NGINX, ONE, OTHER = 8001, 8010, 8011
CONFIG = 'filter {{ cgroup = "@CGROUP@" }}\n' + "".join(
    LISTENER.format(name=name, port=port, protocol=protocol, options=options)
    for name, port, protocol, options in (
        ("steady", STEADY, "http", servers(NGINX)),
        ("capped", CAPPED, "http", servers(ONE) + " max_connections = 2 queue = 0"),
        ("each", EACH, "http", servers(ONE, OTHER, more="max_connections = 1")
         + " queue = 0 ejection {{ max_ejected = 0 }}"),
        ("fair", FAIR, "http", servers(ONE) + " max_connections = 1"),
        ("short", SHORT, "http", servers(ONE) + " max_connections = 1 queue = 2"),
        ("again", AGAIN, "http", servers(ONE, OTHER)
         + ' retry {{ on = {{"broken", "503"}} attempts = 2 }} ejection {{ max_ejected = 0 }}'),
        ("thrifty", THRIFTY, "http", servers(ONE, OTHER)
         + ' retry {{ on = {{"503"}} budget = 0 minimum = 0 }} ejection {{ max_ejected = 0 }}'),
        ("warm", WARM, "http", servers(8012) + " prewarm = 6 keepalive_time = \"1m\""),
        ("aging", AGING, "http", servers(ONE) + ' max_age = "500ms"'),
        ("few", FEW, "http", servers(ONE) + " max_requests = 3"),
        ("relayed", RELAYED, "tcp", servers(ONE) + " max_connections = 1"),
        ("busy", BUSY, "http", servers(ONE) + " max_active = 1"),
        ("shared", SHARED, "http", servers(ONE) + " max_connections = 16"),
    )) + """
proxy {{ threads = 4 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Edge(made, text=CONFIG, ports=range(STEADY, SHARED + 1))


class Figures:
    """By how much figures of a service have grown."""

    def __init__(self, edge, service):
        self.edge, self.service, self.before = edge, service, {}
        for name in ("connects", "reuses", "resends", "retries", "retries_denied", "waited"):
            self.before[name] = self._now(name)

    def _now(self, name):
        return self.edge.metric(f"proxy_upstream_{name}_total", self.service)

    def __getattr__(self, name):
        return self._now(name) - self.before[name]


def ask(port, target="/", method="GET", source=None, extra=""):
    with Client(port, source=source) as client:
        client.get(target, method=method, extra=extra)
        status, fields, body = client.response()
        return status, fields, body


class Holder(Origin):
    """Notes the target of each request, and answers when it is told to."""

    def __init__(self, port):
        self.asked, self.go = [], threading.Semaphore(0)
        super().__init__(port, self._answer)

    def _answer(self, peer):
        while True:
            line, fields = peer.head()
            self.asked.append(line.split()[1])
            peer.body(fields)
            self.go.acquire()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def __exit__(self, *arguments):
        self.go.release(1000)
        super().__exit__(*arguments)


def waiting(edge):
    return edge.metric("proxy_upstream_waiting", "host")


def wait_waiting(edge, count):
    wait_until(lambda: waiting(edge) == count, f"{count} requests wait (now {waiting(edge)})")


# --- opened ahead, used again, by whichever thread -----------------------------------------------

def test_connections_are_kept_ready(edge):
    """Without a request, once there is a server; and nobody knocks all the time before that."""
    before = edge.metric("proxy_upstream_connects_total", "host")
    time.sleep(1)
    assert edge.metric("proxy_upstream_connects_total", "host") - before <= 2 * 6
    with Origin(8012, answer_simply) as origin:
        wait_until(lambda: len(origin.open) == 6, "six connections are ready", seconds=20)
        figures = Figures(edge, "warm")
        assert ask(WARM, "/x")[::2] == (200, b"/x ")
        assert (figures.connects, figures.reuses) == (0, 1)
        assert origin.connections == 6


def test_one_connection_serves_the_clients_of_all_threads(edge):
    figures, steals = Figures(edge, "steady"), edge.metric("proxy_upstream_steals_total", "host")
    for _ in range(100):
        assert ask(STEADY)[0] == 200
    # A client may be back before the connection is.
    assert figures.connects <= 3
    assert figures.reuses + figures.connects == 100
    wait_until(lambda: edge.metric("proxy_upstream_steals_total", "host") > steals + 20,
               "threads took it over from one another")


def test_under_steady_load_connections_are_used_again(edge):
    if not shutil.which("wrk"):
        pytest.skip("wrk is not installed")

    def load(seconds):
        text = edge.lab.edge("wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{STEADY}/").stdout
        assert "Non-2xx" not in text and "Socket errors" not in text, text

    load(1)
    figures = Figures(edge, "steady")
    load(2)
    assert figures.reuses / (figures.reuses + figures.connects) >= 0.999, (figures.reuses, figures.connects)


def test_servers_close_connections_at_any_time_and_no_client_notices(edge):
    """Right behind an answer, a moment later, or when the next request is already on its way."""
    def answer(peer):
        generator = random.Random(id(peer))
        for _ in range(generator.randrange(1, 6)):
            line, fields = peer.head()
            peer.body(fields)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        end = generator.randrange(3)
        if end == 1:
            time.sleep(0.002)
        elif end == 2:
            peer.more()

    def work(statuses):
        with Client(AGING) as client:
            for _ in range(150):
                client.get()
                statuses.append(client.response()[0])

    figures = Figures(edge, "aging")
    results = [[] for _ in range(8)]
    with Origin(ONE, answer):
        workers = [threading.Thread(target=work, args=(each,)) for each in results]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert [set(each) for each in results] == [{200}] * 8
    assert [len(each) for each in results] == [150] * 8
    assert figures.resends > 0


# --- caps, and waiting ----------------------------------------------------------------------------

def test_caps_hold_for_all_threads(edge):
    counted = Counted(edge)
    counted.expect("upstream_busy", service="capped")
    with Holder(ONE) as origin, contextlib.ExitStack() as stack:
        held = [stack.enter_context(Client(CAPPED)) for _ in range(2)]
        for client in held:
            client.get("/held")
        wait_until(lambda: len(origin.asked) == 2, "two requests are with the server")
        for _ in range(8):
            status, fields, _ = ask(CAPPED)
            assert (status, fields["retry-after"]) == (503, "5")
        assert origin.connections == 2
        origin.go.release(2)
        for client in held:
            assert client.response()[0] == 200
    counted("upstream_busy", 8, service="capped")


def test_a_server_has_a_cap_of_its_own(edge):
    with Holder(ONE) as one, Holder(OTHER) as other, Client(EACH) as first, Client(EACH) as second:
        for client in (first, second):
            client.get("/held")
        wait_until(lambda: len(one.asked) == len(other.asked) == 1, "each server has one request")
        assert ask(EACH)[0] == 503
        # One that is left with a server that goes would be asked of the next story's.
        for server in (one, other):
            server.go.release()
        assert first.response()[0] == second.response()[0] == 200


def test_requests_at_once_have_a_cap_too(edge):
    with Holder(ONE) as origin, Client(BUSY) as first, Client(BUSY) as second:
        first.get("/1")
        wait_until(lambda: origin.asked == ["/1"], "the first is with the server")
        second.get("/2")
        wait_waiting(edge, 1)
        origin.go.release(2)
        assert first.response()[0] == second.response()[0] == 200
    assert origin.asked == ["/1", "/2"]


def test_sources_that_wait_take_turns(edge):
    """One source has six requests waiting, another one comes later with one."""
    figures = Figures(edge, "fair")
    with Holder(ONE) as origin, contextlib.ExitStack() as stack:
        def send(target, source):
            clients.append(stack.enter_context(Client(FAIR, source=source)))
            clients[-1].get(target)
            wait_until(lambda: origin.asked, "the first one is with the server")
            wait_until(lambda: figures.waited == len(clients) - 1, f"{target} waits")

        clients = []
        for i in range(7):
            send(f"/many/{i}", "127.0.0.2")
        send("/single", "127.0.0.3")
        wait_waiting(edge, 7)
        origin.go.release(8)
        for client in clients:
            assert client.response()[0] == 200
    assert origin.asked.index("/single") == 2
    assert [each for each in origin.asked if each != "/single"] == [f"/many/{i}" for i in range(7)]
    assert origin.connections == 1
    assert figures.waited == 7
    wait_waiting(edge, 0)


def test_something_is_left_for_who_comes_with_nothing(edge):
    """Five sources want eight each of sixteen connections: whoever has as many as are left waits."""
    figures = Figures(edge, "shared")
    with Holder(ONE) as origin, contextlib.ExitStack() as stack:
        def send(source):
            clients.append(stack.enter_context(Client(SHARED, source=source)))
            clients[-1].get("/many")
            wait_until(lambda: len(origin.asked) + figures.waited == len(clients), "it is there, or waits")

        clients = []
        for _ in range(8):
            for last in range(10, 15):
                send(f"127.0.0.{last}")
        taken = len(origin.asked)
        assert 10 <= taken < 16 and origin.connections == taken
        with Client(SHARED, source="127.0.0.20") as newcomer:
            newcomer.get("/new")
            wait_until(lambda: "/new" in origin.asked, "the newcomer is with the server")
        assert figures.waited == 40 - taken
        origin.go.release(100)
        assert [client.response()[0] for client in clients] == [200] * 40
    assert len(origin.asked) == 41
    wait_waiting(edge, 0)


def test_a_source_that_is_alone_has_all(edge):
    with Holder(ONE) as origin, contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(Client(SHARED, source="127.0.0.10")).get("/")
        wait_until(lambda: len(origin.asked) == 16, "all are with the server")


def test_the_queue_ends(edge):
    """Two may wait, for so long; whoever they belong to, the rest is told to come back."""
    counted = Counted(edge)
    counted.expect("upstream_queue_full", "upstream_queue_timeout", service="short")
    edge.lab.floodwall("set", "short.timeouts.queue", "1s")
    time.sleep(0.6)
    with Holder(ONE) as origin, contextlib.ExitStack() as stack:
        held = stack.enter_context(Client(SHORT))
        held.get("/held")
        wait_until(lambda: origin.asked, "a request is with the server")
        waiting = [stack.enter_context(Client(SHORT, source="127.0.0.4")) for _ in range(2)]
        for client in waiting:
            client.get("/waits")
        wait_waiting(edge, 2)
        status, fields, body = ask(SHORT, source="127.0.0.4")
        assert (status, fields["retry-after"], body.split(b":")[0]) == (503, "5", b"upstream_queue_full")
        for client in waiting:
            status, fields, body = client.response()
            assert (status, fields["retry-after"], body.split(b":")[0]) == (503, "5", b"upstream_queue_timeout")
        origin.go.release()
        assert held.response()[0] == 200
        assert origin.asked == ["/held"]
    counted("upstream_queue_full", 1, service="short")
    counted("upstream_queue_timeout", 2, service="short")


def test_who_leaves_while_he_waits_leaves_the_queue(edge):
    with Holder(ONE) as origin, Client(FAIR) as held, Client(FAIR) as patient:
        held.get("/held")
        wait_until(lambda: origin.asked, "a request is with the server")
        for leaves in (lambda client: client.socket.close(), lambda client: client.reset()):
            client = Client(FAIR)
            client.get("/left")
            wait_waiting(edge, 1)
            leaves(client)
            wait_waiting(edge, 0)
        patient.get("/patient")
        wait_waiting(edge, 1)
        origin.go.release(2)
        assert held.response()[0] == patient.response()[0] == 200
    assert origin.asked == ["/held", "/patient"]


def test_who_is_slow_makes_room_for_those_who_wait(edge):
    """Nobody was worse than who came when he came; then somebody gets worse."""
    def answer(peer):
        line, _ = peer.head()
        if "POST" in line:
            peer.rest()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    with Origin(ONE, answer) as origin, Client(FAIR, source="127.0.0.5") as slow, \
            Client(FAIR, source="127.0.0.6") as client:
        slow.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx")
        wait_until(lambda: origin.received.endswith(b"x"), "the server waits for the rest")
        client.get()
        assert client.response()[0] == 200
        assert slow.ended() == "reset"


def test_relayed_connections_wait_too(edge):
    """For one that is in use: an idle one would make room."""
    def answer(peer):
        peer.send(b"hello\n")
        peer.rest()

    def is_waiting():
        first.send(b"still here\n")
        return waiting(edge) == 1

    wait_waiting(edge, 0)
    with Origin(ONE, answer) as origin, contextlib.ExitStack() as stack:
        with Client(RELAYED) as first:
            assert first.until(b"\n") == b"hello\n"
            second = stack.enter_context(Client(RELAYED))
            wait_until(is_waiting, "the second waits")
            assert origin.connections == 1
        assert second.until(b"\n") == b"hello\n"


def test_a_queue_moves_on_when_a_server_is_back(edge):
    """Who has been refused by it waits behind others, and finds nothing left to try when it is his
    turn: those behind him must be called all the same, or nobody ever is."""
    statuses, stop = [], threading.Event()

    def work(source):
        while not stop.is_set():
            statuses.append(ask(FAIR, source=source)[0])

    workers = [threading.Thread(target=work, args=(f"127.0.1.{i}",)) for i in range(12)]
    for worker in workers:
        worker.start()
    time.sleep(0.5)
    assert statuses and 200 not in statuses
    with Origin(ONE, answer_simply):
        before = len(statuses)
        wait_until(lambda: statuses[before:].count(200) > 20, "requests are answered again", seconds=3)
        stop.set()
        for worker in workers:
            worker.join()
    wait_waiting(edge, 0)


# --- sent again, or not ---------------------------------------------------------------------------

def break_off(peer):
    """Hangs up on every request, once it has read all of it."""
    _, fields = peer.head()
    peer.body(fields)


def answer_503(peer):
    while True:
        _, fields = peer.head()
        peer.body(fields)
        peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull")


def test_what_can_be_repeated_is_sent_to_another_server(edge):
    figures = Figures(edge, "again")
    with Origin(ONE, break_off) as bad, Origin(OTHER, answer_simply):
        for _ in range(10):
            assert ask(AGAIN, "/x")[::2] == (200, b"/x ")
        assert bad.connections == figures.retries > 0


def test_what_a_server_may_have_done_is_not_sent_again(edge):
    figures = Figures(edge, "again")
    with Origin(ONE, break_off) as bad, Origin(OTHER, break_off) as worse:
        for i in range(4):
            assert ask(AGAIN, f"/{i}", method="POST", extra="Content-Length: 0\r\n")[0] == 502
        for i in range(4):
            assert bad.received.count(b"POST /%d " % i) + worse.received.count(b"POST /%d " % i) == 1
        # What is repeatable ends with the second attempt.
        assert ask(AGAIN, "/end")[0] == 502
        assert bad.received.count(b"GET /end ") + worse.received.count(b"GET /end ") == 2
    assert figures.retries == 1


def test_a_post_over_a_kept_connection_that_is_closed_is_not_sent_twice(edge):
    """The server reads the request, does what it says, and hangs up without a word."""
    def answer(peer):
        while "POST" not in peer.head()[0]:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with Origin(ONE, answer) as origin:
        assert ask(FEW)[0] == 200
        assert ask(FEW, "/once", method="POST", extra="Content-Length: 0\r\n")[0] == 502
        assert origin.received.count(b"POST /once") == 1


def test_a_status_can_be_a_reason_to_ask_another_server(edge):
    figures = Figures(edge, "again")
    with Origin(ONE, answer_503), Origin(OTHER, answer_simply):
        assert {ask(AGAIN, "/x")[::2] for _ in range(12)} == {(200, b"/x ")}
        retries = figures.retries
        assert retries > 0
        statuses = {ask(AGAIN, method="POST", extra="Content-Length: 0\r\n")[0] for _ in range(12)}
        assert statuses == {200, 503}
        assert figures.retries == retries
    with Origin(ONE, answer_503), Origin(OTHER, answer_503):
        assert ask(AGAIN)[::2] == (503, b"full")


def test_a_spent_budget_means_no_retry(edge):
    figures = Figures(edge, "thrifty")
    with Origin(ONE, answer_503), Origin(OTHER, answer_simply):
        statuses = [ask(THRIFTY)[0] for _ in range(12)]
    assert set(statuses) == {200, 503}
    assert (figures.retries, figures.retries_denied) == (0, statuses.count(503))


# --- replaced -------------------------------------------------------------------------------------

def test_an_old_connection_is_replaced(edge):
    with Origin(ONE, answer_simply) as origin, Client(AGING) as client:
        def connections_after_a_request():
            client.get()
            assert client.response()[0] == 200
            return origin.connections

        assert connections_after_a_request() == connections_after_a_request() == 1
        time.sleep(0.5)
        assert connections_after_a_request() == 2


def test_a_connection_carries_so_many_requests(edge):
    with Origin(ONE, answer_simply) as origin:
        for _ in range(7):
            assert ask(FEW)[0] == 200
        assert origin.connections == 3
