# SPDX-License-Identifier: BSD-2-Clause
"""A server that is slow to answer: the request is asked of another one as well, and one of the two answers is taken,
whole. And what each server that is asked is told of the time that is left."""
import contextlib
import random
import ssl
import threading
import time

import pytest

from authority import Authority
from edge import Edge
from http2 import Client2
from lab import Lab, wait_until
from origin import Client, Origin, Peer, inside
from origin2 import in_order

SLOW, OTHER = 8010, 8011
(PLAIN, TLS, HTTP2, OFF, ODD, THRIFTY, CAPPED, QUICK, QUICK2, TOLD, TRUSTING) = range(80, 91)

# The first server is asked first, the other one only if that does not do.
SERVERS = f'server {{{{ address = "127.0.0.1:{SLOW}" }}}} server {{{{ address = "127.0.0.1:{OTHER}" backup = on }}}} '
FREELY = "budget = 100 minimum = 1000 concurrent = 0"
UPSTREAMS = {
    "plain": (PLAIN, f'retry {{{{ hedge_after = "100ms" {FREELY} }}}}'),
    "tls": (TLS, f'retry {{{{ hedge_after = "100ms" {FREELY} }}}} tls {{{{ ca = "@ca@" name = "app.test" }}}}'),
    "http2": (HTTP2, f'retry {{{{ hedge_after = "100ms" {FREELY} }}}} http2 = "on"'),
    "off": (OFF, f"retry {{{{ {FREELY} }}}}"),
    "odd": (ODD, f'retry {{{{ hedge_after = "100ms" on = {{{{"503"}}}} {FREELY} }}}}'),
    "thrifty": (THRIFTY, 'retry {{ hedge_after = "20ms" budget = 20 minimum = 0 concurrent = 0 }}'),
    "capped": (CAPPED, f'retry {{{{ hedge_after = "50ms" {FREELY} }}}} max_active = 1'),
    "quick": (QUICK, f'retry {{{{ hedge_after = "5ms" {FREELY} }}}}'),
    "quick2": (QUICK2, f'retry {{{{ hedge_after = "5ms" {FREELY} }}}} http2 = "on"'),
    "told": (TOLD, f'retry {{{{ hedge_after = "500ms" on = {{{{"503"}}}} {FREELY} }}}}'),
    "trusting": (TRUSTING, 'http2 = "on"'),
}
LISTENERS = {
    "told": 'forwarding {{ deadline = "X-Time-Left" }} timeouts {{ request = "9s" }}',
    "trusting": 'forwarding {{ deadline = "X-Time-Left" trust = {{"127.0.0.0/8"}} }}',
}
CONFIG = 'filter {{ cgroup = "@CGROUP@" }}\nhost {{ overload_latency = "60s" }}\n' + "".join(f"""
listener {name} {{{{ bind = "127.0.0.1:{port}" upstream = "{name}" http2 {{{{ cleartext = on }}}}
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}}
	{LISTENERS.get(name, "")} }}}}
upstream {name} {{{{ {SERVERS} {options} ejection {{{{ max_ejected = 0 }}}} }}}}
""" for name, (port, options) in UPSTREAMS.items()) + """
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        authority = Authority(made.home)
        found = Edge(made, text=CONFIG.replace("@ca@", str(authority.pem)), ports=range(PLAIN, TRUSTING + 1))
        found.app = authority.issue("app", ["app.test"])
        yield found


class Figures:
    """By how much a listener's figures have grown."""

    def __init__(self, edge, service):
        self.edge, self.service = edge, service
        self.before = {name: self._now(name) for name in ("hedges", "hedges_won", "hedges_denied", "retries")}

    def _now(self, name):
        return self.edge.metric(f"proxy_upstream_{name}_total", self.service)

    def __getattr__(self, name):
        return self._now(name) - self.before[name]

    def come_to(self, **wanted):
        """Of hedges those that are not named do not grow."""
        wanted = {"hedges": 0, "hedges_won": 0, "hedges_denied": 0, "retries": 0} | wanted
        wait_until(lambda: {name: getattr(self, name) for name in wanted} == wanted, f"figures are {wanted}")


class Server(Origin):
    """Of HTTP/1, with TLS or without, or of HTTP/2. Answers with its name and what it was asked, when it is told to, or
    after `delay()`; notes what it was asked, and what of that was cut off before it had answered."""

    def __init__(self, port, name, delay=None, context=None, http2=False, status=200, early=b""):
        self.name, self.delay, self.status, self.early = name, delay, status, early
        self.asked, self.fields, self.cut, self.go, self.context = [], [], [], threading.Event(), context
        super().__init__(port, in_order(self._answer2) if http2 else self._answer)

    def __exit__(self, *arguments):
        self.go.set()
        super().__exit__(*arguments)

    def _text(self, target, fields):
        self.fields.append(fields)
        self.asked.append(target)
        return f"{self.name} {target}".encode()

    def _is_cut(self, connection):
        """Waits for its time. Whether the proxy has left meanwhile."""
        if self.delay:
            time.sleep(self.delay())
            return False
        connection.settimeout(0.01)
        while not self.go.is_set():
            with contextlib.suppress(TimeoutError):
                try:
                    if not connection.recv(1):
                        return True
                except OSError as error:
                    if not isinstance(error, TimeoutError):
                        return True
        connection.settimeout(None)
        return False

    def _answer(self, peer):
        if self.context:
            peer = Peer(self.context.wrap_socket(peer.socket, server_side=True), self)
        while True:
            line, fields = peer.head()
            target = line.split()[1]
            text = self._text(target, fields)
            if self.early:
                peer.send(self.early)
            if self._is_cut(peer.socket):
                self.cut.append(target)
                return
            peer.send(b"HTTP/1.1 %d Here\r\nContent-Length: %d\r\n\r\n" % (self.status, len(text)) + text)

    def _answer2(self, server, stream, fields, _body, _trailer):
        target = fields[":path"]
        text = self._text(target, fields)

        def is_cut():
            return any(found == stream for found, _ in server.resets)

        def wait():
            if self.delay:
                time.sleep(self.delay())
            else:
                wait_until(lambda: self.go.is_set() or is_cut(), "the server may answer, or need not")
            with server.lock:
                if is_cut():
                    self.cut.append(target)
                else:
                    server.respond(stream, [("content-length", str(len(text)))], text)

        threading.Thread(target=wait, daemon=True).start()


def ask(port, target="/", method="GET", extra="", seconds=10):
    with Client(port, seconds) as client:
        client.get(target, method=method, extra=extra)
        status, _, body = client.response()
        return status, body


def fields(method, target):
    return ((":method", method), (":scheme", "http"), (":authority", "example.org"), (":path", target))


def serving(app):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(app.pem, app.key)
    return context


def pair(edge, story, slow=None, other=None):
    """Both servers, as the story speaks to them; the second answers at once."""
    same = {"http2": story in ("http2", "quick2"), "context": serving(edge.app) if story == "tls" else None}
    return (Server(SLOW, "slow", **same | (slow or {})),
            Server(OTHER, "other", **same | {"delay": (lambda: 0) if not same["http2"] else None} | (other or {})))


# --- who answers first ----------------------------------------------------------------------------

@pytest.mark.parametrize("story", ["plain", "tls", "http2"])
def test_a_server_that_says_nothing_keeps_nobody_waiting(edge, story):
    figures = Figures(edge, story)
    slow, other = pair(edge, story)
    other.go.set()
    with slow, other:
        assert ask(UPSTREAMS[story][0], "/one") == (200, b"other /one")
        figures.come_to(hedges=1, hedges_won=1)
        wait_until(lambda: slow.cut == ["/one"], "the slow server's request is cut off")
        assert (slow.asked, other.asked) == (["/one"], ["/one"])
    assert edge.wait_logged(listener=story, target="/one")["upstream"] == f"127.0.0.1:{OTHER}"


@pytest.mark.parametrize("story", ["plain", "http2"])
def test_of_one_connection_each_request_has_its_own(edge, story):
    """A client of HTTP/2: what may be sent twice is, and answered; the other one waits for its server."""
    figures = Figures(edge, story)
    slow, other = pair(edge, story)
    other.go.set()
    with slow, other, Client2(UPSTREAMS[story][0]) as client:
        first, second = client.request(fields("GET", "/get")), client.request(fields("POST", "/post"))
        assert client.answer(first) == (b"other /get", None)
        wait_until(lambda: slow.cut == ["/get"], "the slow server's request is cut off")
        slow.go.set()
        assert client.answer(second) == (b"slow /post", None)
        assert (sorted(slow.asked), other.asked) == (["/get", "/post"], ["/get"])
    figures.come_to(hedges=1, hedges_won=1)


@pytest.mark.parametrize("story", ["plain", "http2"])
def test_the_first_server_may_still_be_first(edge, story):
    figures = Figures(edge, story)
    slow, other = pair(edge, story, other={"delay": None})
    with slow, other:
        with Client(UPSTREAMS[story][0]) as client:
            client.get("/late")
            wait_until(lambda: other.asked == ["/late"], "the other one is asked, too")
            slow.go.set()
            assert client.response()[::2] == (200, b"slow /late")
            wait_until(lambda: other.cut == ["/late"], "the other one is cut off")
            client.get("/again")
            assert client.response()[::2] == (200, b"slow /again")
        figures.come_to(hedges=1)


def test_who_has_begun_to_answer_is_left_to_it(edge):
    """Also if it takes its time for the rest."""
    figures = Figures(edge, "plain")
    slow, other = pair(edge, "plain", slow={"early": b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n", "delay": lambda: 0.3})
    with slow, other, Client(PLAIN) as client:
        client.get("/begun")
        assert client.response()[0] == 103
        assert client.response()[::2] == (200, b"slow /begun")
        assert other.asked == []
    figures.come_to()


@pytest.mark.parametrize("story", ["quick", "quick2"])
def test_two_answers_are_never_mixed(edge, story):
    """Both answer at about the same time, again and again; each client gets one answer to each of its requests."""
    figures = Figures(edge, story)
    slow, other = pair(edge, story, slow={"delay": lambda: random.uniform(0, 0.02)},
                       other={"delay": lambda: random.uniform(0, 0.02)})
    wrong = []

    def live(person):
        with Client(UPSTREAMS[story][0]) as client:
            for number in range(60):
                target = f"/{person}/{number}"
                client.get(target)
                status, _, body = client.response()
                if status != 200 or body.decode() not in (f"slow {target}", f"other {target}"):
                    wrong.append((target, status, body))

    with slow, other:
        people = [threading.Thread(target=live, args=(person,)) for person in range(6)]
        for person in people:
            person.start()
        for person in people:
            person.join()
    assert not wrong
    assert 50 < figures.hedges <= 360 and 10 < figures.hedges_won < figures.hedges
    assert len(slow.asked) == 360 and len(other.asked) <= figures.hedges


# --- what fails -----------------------------------------------------------------------------------

def test_the_hedge_stands_in_for_a_server_that_fails(edge):
    """The first breaks off: what the other one says is waited for, and no third attempt is made."""
    figures = Figures(edge, "plain")

    def break_off(peer):
        peer.head()
        wait_until(lambda: other.asked, "the other one is asked, too")

    other = Server(OTHER, "other", delay=lambda: 0.3)
    with Origin(SLOW, break_off), other:
        assert ask(PLAIN, "/broken") == (200, b"other /broken")
    figures.come_to(hedges=1, hedges_won=1)


def test_a_hedge_that_fails_harms_nobody(edge):
    figures = Figures(edge, "plain")
    slow = Server(SLOW, "slow", delay=lambda: 0.4)
    with slow:  # nobody is at home at the other one
        assert ask(PLAIN, "/alone") == (200, b"slow /alone")
    with Server(SLOW, "slow", delay=lambda: 0.4), Origin(OTHER, lambda peer: peer.head()):
        assert ask(PLAIN, "/closed") == (200, b"slow /closed")
    with Server(SLOW, "slow", delay=lambda: 0.4), Origin(OTHER, lambda peer: peer.send(b"nonsense\r\n\r\n")):
        assert ask(PLAIN, "/nonsense") == (200, b"slow /nonsense")
    figures.come_to(hedges=3)


@pytest.mark.parametrize("first, second, taken", [(200, 503, b"slow /"), (503, 200, b"other /")])
def test_an_answer_that_is_passed_over_is_no_answer(edge, first, second, taken):
    """Whoever gives it, and though it came first."""
    figures = Figures(edge, "odd")
    late, soon = {"delay": lambda: 0.4}, {"delay": lambda: 0.15}
    slow, other = pair(edge, "odd", slow={"status": first} | (late if first == 200 else soon),
                       other={"status": second} | ({"delay": lambda: 0} if first == 200 else late))
    with slow, other:
        assert ask(ODD) == (200, taken)
    figures.come_to(hedges=1, hedges_won=int(first == 503))


def test_a_client_that_leaves_ends_both(edge):
    slow, other = pair(edge, "plain", other={"delay": None})
    with slow, other:
        with Client(PLAIN) as client:
            client.get("/bye")
            wait_until(lambda: other.asked, "the other one is asked, too")
            client.reset()
        wait_until(lambda: slow.cut == other.cut == ["/bye"], "both are cut off")


def test_a_reload_ends_neither(edge):
    """The proxy that drains has both servers under way, and gives the answer that comes."""
    slow, other = pair(edge, "plain", other={"delay": None})
    with slow, other, Client(PLAIN) as client:
        client.get("/reloaded")
        wait_until(lambda: other.asked, "the other one is asked, too")
        edge.lab.floodwall("reload")
        other.go.set()
        assert client.response()[::2] == (200, b"other /reloaded")
        wait_until(lambda: slow.cut == ["/reloaded"], "the slow server's request is cut off")


# --- what is never asked twice --------------------------------------------------------------------

def test_off_means_not_one_request_more(edge):
    figures = Figures(edge, "off")
    slow, other = pair(edge, "off", slow={"delay": lambda: 0.3})
    with slow, other:
        assert ask(OFF) == (200, b"slow /")
        assert (len(slow.asked), other.asked, other.connections) == (1, [], 0)
    figures.come_to()


@pytest.mark.parametrize("method, extra", [("POST", "Content-Length: 0\r\n"), ("PUT", "Content-Length: 2\r\n\r\nhi"),
                                           ("GET", "Connection: upgrade\r\nUpgrade: websocket\r\n")])
def test_what_may_not_be_sent_twice_is_not(edge, method, extra):
    """What changes something, has a body, or leaves HTTP."""
    figures = Figures(edge, "plain")
    slow, other = pair(edge, "plain", slow={"delay": lambda: 0.3})
    with slow, other:
        with Client(PLAIN) as client:
            client.send(f"{method} / HTTP/1.1\r\nHost: example.org\r\n{extra}".encode() + (b"" if "\r\n\r\n" in extra else b"\r\n"))
            assert client.response()[::2] == (200, b"slow /")
        assert (len(slow.asked), other.asked) == (1, [])
    figures.come_to()


def test_when_all_are_slow_only_the_budget_is_added(edge):
    """Half of it, that is: a tenth of the requests, and not as many again."""
    figures = Figures(edge, "thrifty")
    slow, other = pair(edge, "thrifty", slow={"delay": lambda: 0.15}, other={"delay": lambda: 0.3})
    with slow, other:
        people = [threading.Thread(target=lambda: [ask(THRIFTY) for _ in range(3)]) for _ in range(40)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        assert len(slow.asked) == 120
        assert 0 < len(other.asked) <= figures.hedges <= 120 // 10
    figures.come_to(hedges=figures.hedges, hedges_denied=120 - figures.hedges)


def test_at_its_cap_an_upstream_is_asked_no_more(edge):
    """One request at once: the hedge would be the second."""
    figures = Figures(edge, "capped")
    slow, other = pair(edge, "capped", slow={"delay": lambda: 0.3})
    with slow, other:
        assert ask(CAPPED) == (200, b"slow /")
        assert other.asked == []
    figures.come_to(hedges_denied=1)


# --- how much time is left ------------------------------------------------------------------------

def left(server):
    """What it was told, each time."""
    return [int(fields["x-time-left"]) for fields in server.fields]


def test_no_server_hears_what_a_client_says_of_its_time(edge):
    """Nor in a name that some servers would take for the same."""
    with Server(SLOW, "slow", delay=lambda: 0) as slow:
        ask(TOLD, extra="X-Time-Left: 99999\r\nx_time.left: 7\r\nx-time-left: 3\r\n")
        assert 1000 < left(slow)[0] <= 9000
        assert not {"x_time.left", "x_time_left"} & set(slow.fields[0])


def test_a_hedge_is_told_what_is_left_by_then(edge):
    slow, other = pair(edge, "told")
    with slow, other:
        assert ask(TOLD) == (200, b"other /")
        assert left(other)[0] <= left(slow)[0] - 450


def test_so_is_who_a_request_is_sent_to_again(edge):
    slow, other = pair(edge, "told", slow={"delay": lambda: 0.3, "status": 503})
    with slow, other:
        assert ask(TOLD) == (200, b"other /")
        assert left(other)[0] <= left(slow)[0] - 250


@pytest.mark.parametrize("said, most", [("X-Time-Left: 700\r\n", 700), ("X-Time-Left: 7x\r\n", 60000), ("", 60000),
                                        ("X-Time-Left: 7\r\n" * 2, 60000), ("X-Time-Left: 123456789\r\n", 60000)])
def test_what_a_trusted_peer_says_is_passed_down(edge, said, most):
    """To a server of HTTP/2, too. If it is no number, or said twice, ours alone counts."""
    with Server(SLOW, "slow", http2=True) as slow:
        slow.go.set()
        assert ask(TRUSTING, extra=said) == (200, b"slow /")
        assert most * 0.01 < left(slow)[0] <= most


def test_and_kept_to(edge):
    with Server(SLOW, "slow", http2=True) as slow:
        begun = time.monotonic()
        status, _ = ask(TRUSTING, extra="X-Time-Left: 700\r\n")
        assert status == 408 and 0.7 <= time.monotonic() - begun < 10
        wait_until(lambda: slow.cut == ["/"], "the server's request is cut off")
