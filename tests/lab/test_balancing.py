# SPDX-License-Identifier: BSD-2-Clause
"""Which server answers: shares and stickiness as clients and servers see them, over both threads of a proxy.

How the policies choose, to the last request, is in tests/unit/proxy/upstream/balance/test_balance.c.
"""
import collections
import contextlib
import threading
import time

import pytest

from edge import Edge
from lab import Lab, wait_until
from origin import Client, Origin, inside

TURNS, LEAST, LATENCY, COOKIE, HEADER, SOURCE, BACKUP, SLOWLY = range(80, 88)
PORTS = range(8010, 8014)
LISTENER = """
listener {name} {{{{ bind = "127.0.0.1:{port}" protocol = "{protocol}" upstream = "{name}"
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}} }}}}
upstream {name} {{{{ {options} }}}}
"""


def servers(count=3, **options):
    """Blocks of so many servers; w8011="weight = 3" says more of one of them."""
    return " ".join(f'server {{{{ address = "127.0.0.1:{port}" {options.get(f"w{port}", "")} }}}}'
                    for port in PORTS[:count])


# However busy the machine is: connections are kept, so that a story is told on one thread.
CONFIG = 'filter {{ cgroup = "@CGROUP@" }}\nhost {{ overload_latency = "60s" }}\n' + "".join(
    LISTENER.format(name=name, port=port, protocol=protocol, options=options)
    for name, port, protocol, options in (
        ("turns", TURNS, "http", servers(w8010="weight = 3")),
        ("least", LEAST, "http", 'balance = "least_connections" ' + servers(w8011="weight = 2")),
        ("latency", LATENCY, "http", 'balance = "latency" ' + servers()),
        ("cookie", COOKIE, "http", 'balance = "hash" hash = "cookie:session" ' + servers()),
        ("header", HEADER, "http", 'balance = "hash" hash = "header:X-User" ' + servers()),
        ("source", SOURCE, "tcp", 'balance = "hash" ' + servers()),
        ("backup", BACKUP, "http", servers(w8012="backup = on")),
        ("slowly", SLOWLY, "http", 'slow_start = "4s" ' + servers(2)),
    )) + """
proxy {{ threads = 2 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Edge(made, text=CONFIG, ports=range(TURNS, SLOWLY + 1))


class Server(Origin):
    """Answers with its port: after a while, or (to /hold) when it is released. Counts requests.

    May end before its time.
    """

    def __init__(self, port, seconds=0):
        self.port, self.seconds, self.requests, self.held, self.ended = port, seconds, 0, 0, False
        self.released = threading.Event()
        super().__init__(port, self.answer_with_port)

    def __exit__(self, *_):
        if not self.ended:
            super().__exit__()
        self.ended = True

    def answer_with_port(self, peer):
        while True:
            line, _ = peer.head()
            with self.lock:
                self.requests += 1
                self.held += "/hold" in line
            if "/hold" in line:
                self.released.wait(10)
            time.sleep(self.seconds)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%d" % self.port)


@contextlib.contextmanager
def farm(count=3, **seconds):
    """So many servers by port; s8012=0.05: how long that one takes for a request."""
    with contextlib.ExitStack() as stack:
        yield {port: stack.enter_context(Server(port, seconds.get(f"s{port}", 0))) for port in PORTS[:count]}


def ask(client, extra=""):
    """The port of who answered."""
    client.get(extra=extra)
    status, _, body = client.response()
    assert status == 200
    return int(body)


def ask_once(port, extra="", source=None):
    with Client(port, source=source) as client:
        return ask(client, extra)


def test_shares_are_as_the_weights_say(edge):
    """To the request on one thread; and both threads together are off by a round at most."""
    with farm() as running:
        with Client(TURNS) as client:
            answers = [ask(client) for _ in range(100)]
        assert collections.Counter(answers) == {8010: 60, 8011: 20, 8012: 20}
        assert all(set(answers[i:i + 5]) == set(running) for i in range(0, 100, 5))
        before = {port: server.requests for port, server in running.items()}
        for _ in range(50):
            ask_once(TURNS)
        shares = [server.requests - before[port] for port, server in running.items()]
        assert 28 <= shares[0] <= 32 and 8 <= shares[1] <= 12 and sum(shares) == 50
    wait_until(lambda: {port: edge._metric("upstream_server_requests_total", upstream="turns", server=f"127.0.0.1:{port}")
                        for port in running} == {port: server.requests for port, server in running.items()},
               "the metrics know what each server was asked")
    assert edge._metric("proxy_requests_total", service="turns") == 150
    assert edge._metric("proxy_responses_2xx_total", service="turns") == 150


def test_the_least_busy_is_asked(edge):
    """Counted over both threads, and by weight: 8011 has two for each one of the others."""
    with farm() as running, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(LEAST)) for _ in range(12)]
        for number, client in enumerate(clients, 1):
            client.get("/hold")
            wait_until(lambda n=number: sum(s.held for s in running.values()) == n, "the request has arrived")
        assert {port: server.held for port, server in running.items()} == {8010: 3, 8011: 6, 8012: 3}
        running[8012].released.set()
        wait_until(lambda: sum(bool(c.buffer) or has_come(c) for c in clients) == 3, "three were answered")
        assert [ask_once(LEAST) for _ in range(10)] == [8012] * 10
        for server in running.values():
            server.released.set()
        for client in clients:
            assert client.response()[0] == 200


def has_come(client):
    """Whether something has come; it stays where it is."""
    client.socket.setblocking(False)
    try:
        client.more()
    except BlockingIOError:
        return False
    finally:
        client.socket.settimeout(10)
    return True


def test_a_slow_server_is_asked_seldom(edge):
    """In turn it would have a third."""
    with farm(s8012=0.04) as running:
        def work():
            with inside(edge.lab.edge), Client(LATENCY) as client:
                for _ in range(100):
                    ask(client)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        asked = {port: server.requests for port, server in running.items()}
    assert sum(asked.values()) == 400
    assert 1 <= asked[8012] <= 40, asked
    assert min(asked[8010], asked[8011]) >= 100, asked


@pytest.mark.parametrize("port, extra", [(COOKIE, "Cookie: a=b; session={}\r\n"), (HEADER, "x-user: {}\r\n")],
                         ids=["cookie", "header"])
def test_sessions_stay_where_they_are(edge, port, extra):
    """When a server dies only its own move, and they come back with it."""
    names = [f"user-{number}" for number in range(60)]

    def places():
        return {name: ask_once(port, extra.format(name)) for name in names}

    with farm() as running:
        before = places()
        shares = collections.Counter(before.values())
        assert set(shares) == set(running) and min(shares.values()) >= 8
        assert places() == before
        running[8011].__exit__()
        during = places()
        assert all(during[name] == before[name] for name in names if before[name] != 8011)
        moved = collections.Counter(during[name] for name in names if before[name] == 8011)
        assert set(moved) == {8010, 8012}
        with Server(8011):
            wait_until(lambda: places() == before, "its sessions are back")
    assert edge._metric("proxy_responses_5xx_total", service="cookie" if port == COOKIE else "header") == 0


def test_sources_stay_where_they_are(edge):
    """Over TCP as well, where there is nothing else to go by; and for requests without a cookie."""
    sources = [f"127.0.1.{number}" for number in range(1, 31)]
    with farm():
        before = {source: ask_once(SOURCE, source=source) for source in sources}
        assert len(set(before.values())) == 3
        assert {source: ask_once(SOURCE, source=source) for source in reversed(sources)} == before
        assert {source: ask_once(COOKIE, source=source) for source in sources} == before


def test_a_backup_is_asked_when_all_others_are_down(edge):
    with farm() as running:
        assert {ask_once(BACKUP) for _ in range(20)} == {8010, 8011}
        running[8010].__exit__()
        assert {ask_once(BACKUP) for _ in range(20)} == {8011}
        running[8011].__exit__()
        assert {ask_once(BACKUP) for _ in range(20)} == {8012}
        with Server(8010):
            wait_until(lambda: ask_once(BACKUP) == 8010, "the first one is back")
            assert {ask_once(BACKUP) for _ in range(20)} == {8010}
    assert edge._metric("proxy_responses_5xx_total", service="backup") == 0


def test_a_server_that_comes_back_starts_slowly(edge):
    """With a tenth of its weight; when the time is over it has all of it."""
    with farm(2) as running:
        assert collections.Counter(ask_once(SLOWLY) for _ in range(20)) == {8010: 10, 8011: 10}
        running[8011].__exit__()
        assert {ask_once(SLOWLY) for _ in range(20)} == {8010}
        with Server(8011), Client(SLOWLY) as client:
            wait_until(lambda: ask(client) == 8011, "it is asked again")
            first = collections.Counter(ask(client) for _ in range(30))
            assert first[8011] <= 9, first
            wait_until(lambda: [ask(client) for _ in range(20)].count(8011) == 10, "it has its whole share")
