# SPDX-License-Identifier: BSD-2-Clause
"""Servers that die, flap, answer with errors or late, and names whose addresses change.

Each story says what becomes of a server, and asserts what clients see, where requests go, and what
`floodwall upstreams`, the metrics and the log say of it.
"""
import collections
import contextlib
import os
import signal
import threading
import time

import pytest

from edge import Edge
from lab import BUILD, Lab, wait_until
from origin import Client, Origin, inside

CHECKED, PASSIVE, SLOW, PANIC, NAMED, MANY, LATER, STREAM, PATIENT = range(90, 99)
DNS = 5353
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener checked {{ bind = "127.0.0.1:90" upstream = "checked" source {{ connections = 0 syn_rate = 0 }} }}
listener passive {{ bind = "127.0.0.1:91" upstream = "passive" source {{ connections = 0 syn_rate = 0 }} }}
listener slow    {{ bind = "127.0.0.1:92" upstream = "slow"    source {{ connections = 0 syn_rate = 0 }} }}
listener panic   {{ bind = "127.0.0.1:93" upstream = "panic"   source {{ connections = 0 syn_rate = 0 }} }}
listener named   {{ bind = "127.0.0.1:94" upstream = "named"   source {{ connections = 0 syn_rate = 0 }} }}
listener many    {{ bind = "127.0.0.1:95" upstream = "many"    source {{ connections = 0 syn_rate = 0 }} }}
listener later   {{ bind = "127.0.0.1:96" upstream = "later"   source {{ connections = 0 syn_rate = 0 }} }}
listener stream  {{ bind = "127.0.0.1:97" protocol = "tcp" upstream = "stream" source {{ connections = 0 syn_rate = 0 }} }}
listener patient {{ bind = "127.0.0.1:98" upstream = "patient" source {{ connections = 0 syn_rate = 0 }} }}
upstream checked {{
    server {{ address = "127.0.0.1:8101" }} server {{ address = "127.0.0.1:8102" }}
    health {{ check = "http" path = "/up" body = "well" interval = "100ms" timeout = "300ms" rise = 2 fall = 2 }}
    ejection {{ max_ejected = 0 }}
}}
upstream passive {{
    server {{ address = "127.0.0.1:8111" }} server {{ address = "127.0.0.1:8112" }}
    server {{ address = "127.0.0.1:8113" }}
    ejection {{ failures = 3 status = {{"502-504"}} time = "500ms" max_time = "700ms" trials = 2 max_ejected = 40 }}
}}
upstream slow {{
    server {{ address = "127.0.0.1:8121" }} server {{ address = "127.0.0.1:8122" }}
    server {{ address = "127.0.0.1:8123" }}
    ejection {{ latency_factor = 3 time = "30s" max_time = "30s" }}
}}
upstream panic {{
    server {{ address = "127.0.0.1:8131" }} server {{ address = "127.0.0.1:8132" }}
    server {{ address = "127.0.0.1:8133" }} server {{ address = "127.0.0.1:8134" }}
    health {{ interval = "100ms" timeout = "300ms" rise = 1 fall = 1 }}
    ejection {{ max_ejected = 0 panic = 50 }}
}}
upstream stream {{
    server {{ address = "127.0.0.1:8151" }} server {{ address = "127.0.0.1:8152" }}
    ejection {{ time = "300ms" trials = 2 }}
}}
upstream patient {{ server {{ address = "127.0.0.1:8161" }} ejection {{ failures = 3 }} }}
upstream named {{ server {{ address = "app.test:8141" addresses = 2 }} }}
upstream many  {{ server {{ address = "many.test:8142" addresses = 4 }} }}
upstream later {{ server {{ address = "later.test:8143" }} }}
resolver {{ servers = {{"127.0.0.1:5353"}} min_ttl = "100ms" max_ttl = "500ms" timeout = "200ms" }}
proxy {{ threads = 2 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


class Names:
    """A real name server, and what it is to answer."""

    def __init__(self, lab):
        self.lab, self.hosts, self.server = lab, lab.home / "hosts", None
        self.names = {"app.test": ["127.0.0.2"],
                      "many.test": [f"127.1.0.{n}" for n in range(1, 81)]}
        self.write()
        self.start()

    def write(self):
        self.hosts.write_text("".join(f"{address} {name}\n" for name, addresses in self.names.items()
                                      for address in addresses))

    def start(self):
        self.server = self.lab.edge.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            f"--port={DNS}", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root",
            "--pid-file=", "--local=/test/", f"--addn-hosts={self.hosts}", name="dnsmasq")
        wait_until(lambda: not self.server.running() or
                   self.lab.edge("ss", "-Hlun", "sport", "=", f":{DNS}").stdout, "dnsmasq listens")

    def say(self, name, *addresses):
        """From now on."""
        self.names[name] = list(addresses)
        self.write()
        self.server.kill(signal.SIGHUP)


class Cared(Edge):
    """An edge with many upstreams."""

    def __init__(self, lab):
        self.names = Names(lab)
        super().__init__(lab, text=CONFIG, ports=range(CHECKED, PATIENT + 1))

    def rows(self, upstream):
        return [row for row in self.lab.floodwall("upstreams") if row["upstream"] == upstream]

    def states(self, upstream):
        return [row["state"] for row in self.rows(upstream)]

    def wait_states(self, upstream, *states):
        wait_until(lambda: self.states(upstream) == list(states),
                   f"servers of {upstream} are {', '.join(states)}")

    def wait_well(self, *those):
        """Until these have passed enough checks to be up, whatever was before: rows may be old."""
        wait_until(lambda: all(server.checked >= 4 for server in those), "they are checked")
        self.wait_states("checked", *["up"] * len(those))

    def server_metric(self, name, upstream, server):
        return self._metric(f"upstream_server_{name}", upstream=upstream, server=server)

    def said(self, words):
        return self.daemon.err.read_text().count(words)


@pytest.fixture(scope="module")
def cared():
    with Lab() as made, inside(made.edge):
        yield Cared(made)


# --- servers --------------------------------------------------------------------------------------

class Server:
    """An origin that counts, and answers as it is told to."""

    def __init__(self, port, address="127.0.0.1"):
        self.port, self.address = port, address
        self.status, self.delay, self.well = 200, 0, lambda: True
        self.asked, self.checked, self.busy = 0, 0, 0
        self.lock = threading.Lock()
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.stack.enter_context(Origin(self.port, self._serve, address=self.address))
        return self

    def __exit__(self, *_):
        self.stack.close()

    die, live = __exit__, __enter__

    def _serve(self, peer):
        while True:
            line, fields = peer.head()
            peer.body(fields)
            if line.startswith("GET /up "):
                self.checked += 1
                self._answer(peer, 200 if self.well() else 500, b"all is well")
                continue
            with self.lock:
                self.asked += 1
                self.busy += 1
            time.sleep(self.delay)
            self._answer(peer, self.status, str(self.port).encode())
            with self.lock:
                self.busy -= 1

    @staticmethod
    def _answer(peer, status, body):
        peer.send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


@contextlib.contextmanager
def servers(*ports):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(port)) for port in ports]


def fetch(port, count=1):
    """Requests one after the other; how many had which status."""
    seen = collections.Counter()
    with Client(port) as client:
        for _ in range(count):
            client.get()
            seen[client.response()[0]] += 1
    return seen


class Load:
    """Requests without a pause from a few clients at once, for as long as the story lasts."""

    def __init__(self, port, clients=4, each=20):
        self.port, self.each = port, each
        self.seen, self.lock, self.over = collections.Counter(), threading.Lock(), False
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self):
        while not self.over:
            try:
                seen = fetch(self.port, self.each)
            except (OSError, EOFError) as problem:
                seen = {repr(problem): 1}
            with self.lock:
                self.seen.update(seen)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join()


# --- active checks --------------------------------------------------------------------------------

def test_a_server_that_dies_is_found_out_and_comes_back(cared):
    with servers(8101, 8102) as (first, second):
        cared.wait_well(first, second)
        before = cared.said("upstream checked: server 127.0.0.1:8101 is down")
        failed = cared.server_metric("checks_failed_total", "checked", "127.0.0.1:8101")
        first.die()
        cared.wait_states("checked", "down", "up")
        assert cared.server_metric("up", "checked", "127.0.0.1:8101") == 0
        assert cared.server_metric("checks_failed_total", "checked", "127.0.0.1:8101") > failed
        assert fetch(CHECKED, 20) == {200: 20}
        assert second.asked == 20
        first.live()
        cared.wait_states("checked", "up", "up")
        assert fetch(CHECKED, 20) == {200: 20}
        assert first.asked > 0
        # Said once each, however many checks there were.
        assert cared.said("upstream checked: server 127.0.0.1:8101 is down") == before + 1


def test_a_server_that_listens_and_is_not_well(cared):
    with servers(8101, 8102) as (first, second):
        cared.wait_well(first, second)
        second.well = lambda: False
        cared.wait_states("checked", "up", "down")
        assert cared.said("upstream checked: server 127.0.0.1:8102 is down: it answers with status 500")
        assert fetch(CHECKED, 10) == {200: 10}
        assert (first.asked, second.asked) == (10, 0)


def test_flapping_below_the_thresholds_changes_nothing(cared):
    with servers(8101, 8102) as (first, second):
        cared.wait_well(first, second)
        said = cared.said("checked: server 127.0.0.1:8101 is down")
        failed = cared.server_metric("checks_failed_total", "checked", "127.0.0.1:8101")
        first.well = lambda: first.checked % 2
        wait_until(lambda: cared.server_metric("checks_failed_total", "checked", "127.0.0.1:8101") >= failed + 5,
                   "every other check fails")
        assert cared.states("checked") == ["up", "up"]
        assert cared.said("checked: server 127.0.0.1:8101 is down") == said


def test_checks_go_on_while_everybody_is_busy(cared):
    with servers(8101, 8102) as (first, second):
        cared.wait_well(first, second)
        failed = [row["checks_failed"] for row in cared.rows("checked")]
        checked = first.checked
        # Nobody is behind this listener: all that it costs, the workers pay.
        load = cared.lab.edge("wrk", "-t1", "-c100", "-d2s", f"http://127.0.0.1:{LATER}/").stdout
        assert "Requests/sec" in load
        assert first.checked >= checked + 8, "of about twenty"
        assert [row["checks_failed"] for row in cared.rows("checked")] == failed


def test_when_too_few_are_well_all_are_used(cared):
    with servers(8131, 8132, 8133, 8134) as those:
        cared.wait_states("panic", "up", "up", "up", "up")
        for server in those[:2]:
            server.die()
        cared.wait_states("panic", "down", "down", "up", "up")
        assert not any(row["panic"] for row in cared.rows("panic"))
        those[2].die()
        cared.wait_states("panic", "down", "down", "down", "up")
        wait_until(lambda: all(row["panic"] for row in cared.rows("panic")), "it is a panic")
        # Not all is lost on one: who is tried and does not listen is passed over at once.
        assert fetch(PANIC, 10) == {200: 10}
        those[1].live()
        wait_until(lambda: not any(row["panic"] for row in cared.rows("panic")), "it is over")


# --- what requests show ---------------------------------------------------------------------------

def test_errors_eject_but_not_everybody(cared):
    with servers(8111, 8112, 8113) as those:
        cared.wait_states("passive", "up", "up", "up")
        for server in those:
            server.status = 503
        fetch(PASSIVE, 40)
        wait_until(lambda: sum(state != "up" for state in cared.states("passive")), "one is out")
        fetch(PASSIVE, 40)
        time.sleep(0.6)
        assert sum(state != "up" for state in cared.states("passive")) == 1, "40 % of three are one"
        for server in those:
            server.status = 200
        wait_until(lambda: fetch(PASSIVE, 10) and cared.states("passive") == ["up", "up", "up"],
                   "who was out was tried and is back")


def test_who_comes_back_is_tried_with_a_few_requests(cared):
    with servers(8111, 8112, 8113) as (first, second, third):
        cared.wait_states("passive", "up", "up", "up")
        ejections = cared.server_metric("ejected_total", "passive", "127.0.0.1:8111")
        first.status = 503
        wait_until(lambda: fetch(PASSIVE, 10) and
                   cared.server_metric("ejected_total", "passive", "127.0.0.1:8111") > ejections, "it is ejected")
        first.status, first.delay = 200, 1
        wait_until(lambda: cared.states("passive")[0] == "trial", "its time is over")
        second.delay = third.delay = 0.02
        with Load(PASSIVE, clients=16, each=1) as load:
            wait_until(lambda: first.busy, "it is tried")
            time.sleep(0.5)
            tried = first.busy
            cared.wait_states("passive", "up", "up", "up")
        assert set(load.seen) == {200}
        assert 1 <= tried <= 2 + 2, "two at a time, but for threads that chose at the same moment"
        assert cared.said("upstream passive: server 127.0.0.1:8111 is well again")


def test_who_dawdles_has_no_server_ejected(cared):
    """A server that gives up on those who keep it waiting does well; one that gives up on others does not."""
    weary = threading.Event()

    def answer(peer):
        line, _ = peer.head()
        if line.startswith("POST"):
            peer.until(b"400\r\n")
            weary.wait(10)
        elif "/large" in line:
            peer.socket.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(20 << 20))
            weary.wait(10)

    def ejected():
        return cared.said("upstream patient: server 127.0.0.1:8161 breaks connections off: ejected")

    with Origin(8161, answer), contextlib.ExitStack() as stack:
        held = [stack.enter_context(Client(PATIENT, receive_buffer=4096)) for _ in range(8)]
        for client in held[:4]:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + bytes(1024) + b"\r\n")
        for client in held[4:]:
            client.get("/large")
        time.sleep(1.5)
        weary.set()
        assert [client.response()[0] for client in held[:4]] == [502] * 4
        for client in held[4:]:
            assert client.head()[0].endswith("200 OK")
            with contextlib.suppress(ConnectionResetError):
                assert len(client.rest()) < 99999999
        assert not ejected()
        for _ in range(3):
            with Client(PATIENT) as client:
                client.get("/broken")
                assert client.response()[0] == 502
        wait_until(ejected, "it is ejected")


def test_of_tcp_a_connection_is_all_there_is_to_see(cared):
    with servers(8151, 8152) as (first, second):
        first.die()
        wait_until(lambda: fetch(STREAM) and cared.states("stream") == ["ejected", "up"], "it is ejected")
        first.live()
        wait_until(lambda: fetch(STREAM) and cared.states("stream") == ["up", "up"], "it is back")
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(Client(STREAM)) for _ in range(12)]
            for client in held:
                client.get()
                assert client.response()[0] == 200
            assert first.asked >= 6 and second.asked >= 6, "no longer two at a time"


def test_a_slow_one_among_its_peers_is_ejected(cared):
    with servers(8121, 8122, 8123) as (*_, last):
        cared.wait_states("slow", "up", "up", "up")
        last.delay = 0.06
        with Load(SLOW, clients=4) as load:
            cared.wait_states("slow", "up", "up", "ejected")
            time.sleep(0.2)
            asked = last.asked
            time.sleep(0.3)
            assert last.asked == asked
        assert set(load.seen) == {200}
        assert cared.server_metric("ejected_total", "slow", "127.0.0.1:8123") == 1
        assert cared.said("server 127.0.0.1:8123 is much slower than its peers") == 1


# --- names ----------------------------------------------------------------------------------------

def addresses(cared, upstream):
    return [row["address"] for row in cared.rows(upstream)]


def test_a_name_changes_its_address_under_load(cared):
    cared.names.say("app.test", "127.0.0.2")
    with Server(8141, "127.0.0.2") as old, Server(8141, "127.0.0.3") as new:
        wait_until(lambda: addresses(cared, "named") == ["127.0.0.2:8141"], "the name is there")
        with Load(NAMED) as load:
            wait_until(lambda: old.asked > 100, "requests go to the old address")
            cared.names.say("app.test", "127.0.0.3")
            wait_until(lambda: new.asked > 100, "requests go to the new address")
            wait_until(lambda: addresses(cared, "named") == ["127.0.0.3:8141"], "the old one is gone")
            time.sleep(0.2)
            asked = old.asked
            time.sleep(0.3)
            assert old.asked == asked
        assert set(load.seen) == {200}
        wait_until(lambda: not cared.lab.edge("ss", "-Htn", "state", "established", "dst",
                                              "127.0.0.2").stdout, "idle links to it are closed")
        cared.names.say("app.test", "127.0.0.2", "127.0.0.3")
        wait_until(lambda: len(addresses(cared, "named")) == 2, "it has two addresses")
        asked = old.asked, new.asked
        assert fetch(NAMED, 20) == {200: 20}
        assert old.asked > asked[0] and new.asked > asked[1]


def test_without_a_name_server_the_last_addresses_are_kept(cared):
    cared.names.say("app.test", "127.0.0.2")
    with Server(8141, "127.0.0.2"):
        wait_until(lambda: addresses(cared, "named") == ["127.0.0.2:8141"], "the name is there")
        failed = cared.server_metric("lookups_failed_total", "named", "app.test:8141")
        said = cared.said("upstream named: app.test can't be resolved")
        cared.names.server.kill()
        with Load(NAMED) as load:
            wait_until(lambda: cared.server_metric("lookups_failed_total", "named", "app.test:8141") >= failed + 2,
                       "lookups fail")
        assert set(load.seen) == {200}
        assert addresses(cared, "named") == ["127.0.0.2:8141"]
        assert cared.said("upstream named: app.test can't be resolved") == said + 1
        cared.names.start()
        wait_until(lambda: cared.said("upstream named: app.test is resolved again"), "there is one again")
        cared.names.say("app.test")  # an answer, but none of use
        wait_until(lambda: cared.said("app.test can't be resolved") == said + 2, "there is no such name")
        assert fetch(NAMED, 5) == {200: 5}


def test_a_name_with_many_addresses(cared):
    with Server(8142, "0.0.0.0") as server:
        wait_until(lambda: len(addresses(cared, "many")) == 4, "four of them have a place")
        kept = addresses(cared, "many")
        assert len(set(kept)) == 4
        assert cared.server_metric("addresses_left_out", "many", "many.test:8142") == 76
        assert fetch(MANY, 20) == {200: 20}
        time.sleep(1)  # the order changes with every answer, the places do not
        assert addresses(cared, "many") == kept
        assert server.asked == 20


def test_a_name_that_is_not_there_yet(cared):
    assert cared.states("later") == ["nowhere"]
    assert set(fetch(LATER)) <= {502, 503}
    with Server(8143, "127.0.0.4"):
        cared.names.say("later.test", "127.0.0.4")
        cared.wait_states("later", "up")
        assert fetch(LATER) == {200: 1}
        # Of another family, where nobody listens: it is found out by whoever is first sent there.
        cared.names.say("later.test", "127.0.0.4", "::1")
        wait_until(lambda: set(addresses(cared, "later")) == {"127.0.0.4:8143", "[::1]:8143"}, "it has both")
        assert fetch(LATER, 4) == {200: 4}


# --- what is shown --------------------------------------------------------------------------------

def test_a_reload_goes_on_counting(cared):
    before = {row["server"]: row["ejections"] for row in cared.rows("passive")}
    pid = cared.proxy_pid()
    cared.daemon.kill(signal.SIGHUP)
    wait_until(lambda: cared.proxy_pid() != pid, "there is a new proxy")
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the old one has drained", seconds=20)
    wait_until(lambda: cared.rows("passive") and not any(row["old"] for row in cared.rows("passive")),
               "it shows its servers")
    assert {row["server"]: row["ejections"] for row in cared.rows("passive")} == before
    assert cared.rows("named")[0]["server"] == "app.test:8141"


def test_without_a_proxy_the_figures_are_old(cared):
    text = cared.lab.edge(BUILD / "floodwall", "upstreams").stdout
    assert text.startswith("UPSTREAM") and "127.0.0.1:8101" in text
    for pid in (cared.daemon.pid, cared.proxy_pid()):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(row["old"] for row in cared.lab.floodwall("upstreams")), "nobody writes them")
    text = cared.lab.edge(BUILD / "floodwall", "upstreams").stdout
    assert text.startswith("no proxy is running") and "127.0.0.1:8101" in text
