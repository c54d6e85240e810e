# SPDX-License-Identifier: BSD-2-Clause
"""The proxy when it runs short: who has to go, who is served all the same, and what is done about it
in which order (docs/overload.md).

Everybody on 127.0.0.0/8 is a source of his own.
"""
import contextlib
import itertools
import socket
import threading
import time

import pytest

from edge import CONFIG, LONELY, WEB, Edge, answer_simply
from lab import BUILD, Lab, frozen, wait_until
from origin import Client, Origin, inside, serve

NONE, CLOSE, SHORTEN, EVICT, REFUSE, PAUSE = range(6)
HEAVY_USE = 300  # requests that are more than a source's part of a thread (docs/overload.md) for seconds


def sources():
    """Addresses of as many prefixes as there are."""
    return (f"127.{a}.{b}.1" for a in itertools.count(1) for b in range(256))


class Hoard:
    """As many connections as there is room for, from all over; comes back when it is shut out."""

    def __init__(self, port, size, opening=b""):
        self.port, self.size, self.opening = port, size, opening
        self.sources, self.held, self.opened = sources(), [], 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _open(self):
        connection = socket.socket()
        connection.bind((next(self.sources), 0))
        connection.settimeout(2)
        try:
            connection.connect(("127.0.0.1", self.port))
            connection.sendall(self.opening)
            connection.setblocking(False)
            self.opened += 1
            return connection
        except OSError:
            connection.close()
            return None

    def _is_open(self, connection):
        try:
            return connection.recv(1000) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _run(self):
        while not self.stopped.is_set():
            for connection in [each for each in self.held if not self._is_open(each)]:
                self.held.remove(connection)
                connection.close()
            for _ in range(min(3, self.size - len(self.held))):
                connection = self._open()
                if connection:
                    self.held.append(connection)
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        for connection in self.held:
            connection.close()


def stage(edge, service="web"):
    return edge.metric("proxy_overload_stage", service)


@pytest.fixture(scope="module", autouse=True)
def short_pressure(edge):
    """The filter's pressure ends soon after the proxy's overload, and with it the story's."""
    edge.lab.floodwall("set", "web.challenge.hold", "1s")


def test_a_hoard_has_to_go_and_clients_are_served(edge, counted):
    """Silent connections from all over want ten times what the listener may hold."""
    edge.wait_calm()
    counted.expect("listener_connections")
    before = edge.count("evicted_new")
    with edge.tuned(max_connections="100"), Origin(8000, answer_simply), Hoard(WEB, 1000) as hoard:
        wait_until(lambda: edge.count("evicted_new") > before + 50, "the hoard displaces itself")
        assert serve(WEB, 200) == [200] * 200
        assert edge.metric("proxy_connections_active") <= 100
        assert hoard.opened > 100
    counted("listener_connections", 0)
    edge.wait_logged(reason="evicted_new")
    told = [line for line in edge.log() if line.get("reason") == "evicted_new" and "source" in line]
    assert told and len(told) < hoard.opened / 2, "some are told one by one, the rest as a number"


def test_who_trickles_a_header_goes_before_who_is_idle(edge, counted):
    """Kept-alive connections and unfinished headers fill the listener: the headers make room."""
    edge.wait_calm()
    counted.expect("evicted_idle")
    with edge.tuned(max_connections="20"), Origin(8000, answer_simply), contextlib.ExitStack() as stack:
        idle = [stack.enter_context(Client(WEB, source=source)) for source in itertools.islice(sources(), 10)]
        for client in idle:
            client.get()
            assert client.response()[0] == 200
        slow = [stack.enter_context(Client(WEB, source=source)) for source in itertools.islice(sources(), 10)]
        for client in slow:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.3)
        before = edge.count("evicted_new")
        for number in range(8):
            newcomer = stack.enter_context(Client(WEB, source=f"127.200.{number}.1"))
            newcomer.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
            wait_until(lambda: edge.count("evicted_new") == before + number + 1, "a header made room")
        for client in idle:
            client.get()
            assert client.response()[0] == 200
    counted("evicted_idle", 0)


def test_slow_bodies_make_room_for_others(edge, counted):
    """Uploads that hardly move fill the memory there is; whoever else comes is served."""
    edge.wait_calm()
    counted.expect("memory", "overload")
    before = edge.count("evicted_slow")

    def answer(peer):
        line, fields = peer.head()
        if "POST" in line:
            time.sleep(30)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    opening = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
    with edge.tuned(host__memory="2m"), Origin(8000, answer, backlog=500), Hoard(WEB, 400, opening):
        wait_until(lambda: edge.count("evicted_slow") > before + 20, "slow bodies displace each other")
        assert serve(WEB, 100) == [200] * 100
        assert edge.metric("proxy_memory_used_bytes", "host") <= 2 << 20
    # Whoever is the worst himself when he wants more is refused.
    refused = [line for line in edge.log() if line.get("reason") == "memory" and "suppressed" not in line]
    assert {line.get("method") for line in refused} <= {"POST"}
    counted("overload", 0)


def test_who_holds_a_server_and_is_slow_makes_room(edge, counted):
    """All connections that an upstream may have are held: by who is slow, then by who is served."""
    edge.wait_calm()
    counted.expect("evicted_slow", "upstream_busy", service="lonely")
    hold = threading.Event()

    def answer(peer):
        line, _ = peer.head()
        if "hold" in line or "POST" in line:
            hold.wait(20)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    with Origin(8002, answer), Client(LONELY, source="127.1.1.1") as slow:
        # Of a length that nobody knows: else no server would be asked before it is here.
        slow.send(b"POST /there HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        time.sleep(0.5)
        with Client(LONELY) as client:
            client.get("/there")
            assert client.response()[0] == 200
        assert slow.ended() == "reset"
        with Client(LONELY) as served, Client(LONELY) as other:
            served.get("/there/hold")
            time.sleep(0.5)
            other.get("/there")
            assert other.response()[0] == 503
            hold.set()
            assert served.response()[0] == 200
    counted("evicted_slow", 1, service="lonely")
    counted("upstream_busy", 1, service="lonely")


def test_a_source_has_a_ceiling_of_its_own(edge, counted):
    """One source may hold so much memory; beyond that its own worst connection has to go, and neither
    one of it that waits for a server, nor one that asks, nor anybody else's."""
    edge.wait_calm()
    counted.expect("evicted_slow", "evicted_new")
    before = edge.count("source_memory")
    hold = threading.Event()

    def answer(peer):
        line, fields = peer.head()
        if "hold" in line:
            hold.wait(20)
        peer.body(fields)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with edge.tuned(source__memory="96k"), Origin(8000, answer), contextlib.ExitStack() as stack:
        served = [stack.enter_context(Client(WEB, source="127.9.9.9")) for _ in range(3)]
        for client in served:
            client.get("/hold")
        for _ in range(30):
            client = stack.enter_context(Client(WEB, source="127.9.9.9"))
            with contextlib.suppress(OSError):
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        wait_until(lambda: edge.count("source_memory") > before + 10, "its worst have to go")
        assert serve(WEB, 20, source="127.9.8.8") == [200] * 20
        time.sleep(0.1)
        assert serve(WEB, 20, source="127.9.9.9") == [200] * 20
        hold.set()
        assert [client.response()[0] for client in served] == [200] * 3
    counted("evicted_slow", 0)
    counted("evicted_new", 0)
    assert edge.wait_logged(reason="source_memory", source="127.9.9.9")


def test_a_connection_has_a_ceiling_of_its_own(edge, counted):
    counted.expect("connection_memory")
    with edge.tuned(limits__memory="10k"), Origin(8000, answer_simply), Client(WEB) as client:
        client.get(extra="X-Large: " + "x" * 12000 + "\r\n")
        assert client.ended() == "reset"
    counted("connection_memory", 1)


def test_stages_come_in_order_and_go(edge):
    """Ever more connections that are being served: each stage begins at its threshold, the filter
    hears of it, and all is as before when they have gone."""
    edge.wait_calm()
    hold = threading.Event()

    def answer(peer):
        line, _ = peer.head()
        if "hold" in line:
            hold.wait(60)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def fill(total):
        while len(held) < total:
            held.append(stack.enter_context(Client(WEB, source=next(everybody))))
            with contextlib.suppress(OSError):  # refused already
                held[-1].get("/hold")

    def pressed():
        return next(each for each in edge.lab.status()["services"] if each["name"] == "web")["pressure"]["on"]

    held, everybody = [], sources()
    wait_until(lambda: not pressed(), "no pressure is left")
    with edge.tuned(max_connections="100"), Origin(8000, answer, backlog=500), contextlib.ExitStack() as stack:
        stack.callback(hold.set)
        with Client(WEB) as client:
            client.get()
            assert client.response()[1].get("connection") != "close"
        for total, expected in ((81, CLOSE), (86, SHORTEN), (96, EVICT)):
            assert stage(edge) < expected and not pressed()
            fill(total)
            wait_until(lambda: stage(edge) == expected, f"{total} of 100 connections: stage {expected}")
        wait_until(pressed, "the filter is told", seconds=2)
        with Client(WEB) as client:
            client.get()
            assert client.response()[1]["connection"] == "close"
        fill(101)
        wait_until(lambda: stage(edge) == REFUSE, "nobody is worse than who comes last")
        assert held[-1].ended() == "reset"
        shown = edge.lab.edge(BUILD / "floodwall", "status", check=False).stdout
        assert "!! web is overloaded, stage 4: newcomers are refused" in shown
        hold.set()
        for client in held:
            client.socket.close()
        seen = []
        wait_until(lambda: seen.append(stage(edge)) or seen[-1] == NONE, "it ends", seconds=20)
        assert seen == sorted(seen, reverse=True) and {CLOSE, SHORTEN} <= set(seen)
    text = edge.daemon.err.read_text()
    assert "web: overloaded: stage 3: the worst connections make room" in text
    assert "web: no longer overloaded" in text


def test_who_has_had_least_is_heard_first(edge):
    """Thirty-one requests have come at once, thirty of them of a source that has just had many, and before
    the newcomer's."""
    edge.wait_calm()
    with Origin(8000, answer_simply, backlog=500) as origin, contextlib.ExitStack() as stack:
        busy = stack.enter_context(Client(WEB, source="127.3.4.5"))
        for _ in range(HEAVY_USE):
            busy.get("/before")
            assert busy.response()[0] == 200
        with frozen(edge.proxy_pid()):
            clients = [stack.enter_context(Client(WEB, source=source))
                       for source in ["127.3.4.5"] * 30 + ["127.3.5.6"]]
            for client in clients:
                client.get("/one" if client is clients[-1] else "/many")
        assert [client.response()[0] for client in clients] == [200] * 31
        before = origin.received[:origin.received.index(b"/one")].count(b"/many")
        assert before < 4  # the origin has a thread for each connection: it may note one before another


def test_who_comes_back_with_many_is_not_given_anothers_place(edge, counted):
    """A full listener of idle connections: of a source that has several, one a second comes in; of
    everybody else whoever comes, and nobody who is idle is told to come back."""
    edge.wait_calm()
    counted.expect("source_conduct", "evicted_idle")
    with edge.tuned(max_connections="40"), Origin(8000, answer_simply), contextlib.ExitStack() as stack:
        for source in ["127.6.6.6"] * 6 + list(itertools.islice(sources(), 34)):
            client = stack.enter_context(Client(WEB, source=source))
            client.get()  # before the next one comes: those who are not idle are never many
            assert client.response()[1].get("connection") != "close"
        wait_until(lambda: stage(edge) == EVICT, "40 of 40 connections: stage 3")
        time.sleep(0.5)  # they have been idle for longer than a newcomer counts as
        with contextlib.suppress(OSError), Client(WEB, source="127.6.6.6") as another:
            another.get()
            another.response()
            assert False, "it has been let in"
        assert serve(WEB, 30, source="127.7.7.7") == [200] * 30
        with Client(WEB, source="127.8.8.8") as modest:
            modest.get()
            assert modest.response()[1].get("connection") != "close"
    counted("source_conduct", 1)


def test_who_has_nothing_else_comes_before_who_has_many(edge, counted):
    """All come at the same moment, five of each source, and nobody has been waited for yet."""
    edge.wait_calm()
    counted.expect("evicted_new", "listener_connections")
    with edge.tuned(max_connections="40"), Origin(8000, answer_simply), contextlib.ExitStack() as stack:
        with frozen(edge.proxy_pid()):
            for number in range(40):
                stack.enter_context(Client(WEB, source=f"127.201.{number % 8}.1"))
            modest = stack.enter_context(Client(WEB, source="127.202.1.1"))
            modest.get()
        assert modest.response()[0] == 200
    counted("evicted_new", 1)
    counted("listener_connections", 0)


def test_who_has_nothing_here_does_not_wait_for_those_who_have(edge, counted):
    """A full listener of idle connections. Thirty who have one each want another, and have come before him who
    has none: for each of them somebody has to go, one after the other, but not before he is served."""
    edge.wait_calm()
    counted.expect("evicted_idle", "listener_connections")
    with edge.tuned(max_connections="40"), Origin(8000, answer_simply, backlog=500) as origin, \
            contextlib.ExitStack() as stack:
        held = list(itertools.islice(sources(), 40))
        for source in held:
            client = stack.enter_context(Client(WEB, source=source))
            client.get()
            assert client.response()[0] == 200
        wait_until(lambda: stage(edge) == EVICT, "40 of 40 connections: stage 3")
        time.sleep(0.5)  # they have been idle for longer than a newcomer counts as
        with frozen(edge.proxy_pid()):
            clients = [stack.enter_context(Client(WEB, source=source)) for source in held[:30] + ["127.250.1.1"]]
            for client in clients:
                client.get("/none" if client is clients[-1] else "/more")
        begun = time.monotonic()
        assert clients[-1].response()[0] == 200
        assert [client.response()[0] for client in clients[:-1]] == [200] * 30
        assert time.monotonic() - begun > 29 * 0.002
        assert origin.received[:origin.received.index(b"/none")].count(b"/more") < 4
    counted("listener_connections", 0)


def test_shortened_deadlines_act_on_those_who_wait(edge, counted):
    """An idle connection has a minute; under overload a quarter of what is set."""
    edge.wait_calm()
    counted.expect("keepalive_timeout")
    hold = threading.Event()

    def answer(peer):
        while True:
            line, _ = peer.head()
            if "hold" in line:
                hold.wait(60)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with edge.tuned(max_connections="20", timeouts__keepalive="4s"), Origin(8000, answer), \
            contextlib.ExitStack() as stack:
        stack.callback(hold.set)
        idle = stack.enter_context(Client(WEB))
        idle.get()
        assert idle.response()[0] == 200
        begun = time.monotonic()
        for _ in range(17):
            stack.enter_context(Client(WEB)).get("/hold")
        assert idle.ended() == "closed"
        assert time.monotonic() - begun < 3
    counted("keepalive_timeout", 1)


def test_who_is_slow_is_cut_off_sooner_under_overload(edge, counted):
    """A sender and a reader below the rate, who have five seconds else; beside them one each who is fast enough, and for
    longer than those seconds."""
    edge.wait_calm()
    counted.expect("receive_rate", "send_rate", "evicted_slow")
    hold, size = threading.Event(), 20_000_000

    def answer(peer):
        line, fields = peer.head()
        if "hold" in line:
            hold.wait(60)
        peer.body(fields)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size if "down" in line else 0))
        if "down" in line:
            peer.send(b"x" * size)

    def post(client, length):
        client.get("/up", method="POST", extra=f"Content-Length: {length}\r\n")
        client.socket.settimeout(0)
        return client

    with edge.tuned(max_connections="100", min_rate__receive="1000", min_rate__send="1000"), \
            Origin(8000, answer, backlog=500), contextlib.ExitStack() as stack:
        stack.callback(hold.set)
        for source in itertools.islice(sources(), 86):
            stack.enter_context(Client(WEB, source=source)).get("/hold")
        wait_until(lambda: stage(edge) == SHORTEN, "86 of 100 connections: stage 2")
        slow, fast = (post(stack.enter_context(Client(WEB)), 120_000) for _ in range(2))
        stopped, reader = (stack.enter_context(Client(WEB, receive_buffer=room)) for room in (4096, 65536))
        stopped.get("/down")
        reader.get("/down")
        begun, refused, taken, at = time.monotonic(), None, b"", {}
        for step in range(60):
            fast.send(b"x" * 2000)
            if not refused:
                slow.send(b"x" * 20)
                with contextlib.suppress(BlockingIOError):
                    refused = slow.socket.recv(1000)
            with contextlib.suppress(EOFError):
                taken += reader.socket.recv(20_000)
            for reason in ("receive_rate", "send_rate"):
                if reason not in at and edge.count(reason) > counted.before["web", reason]:
                    at[reason] = time.monotonic() - begun
            time.sleep(max(0, begun + (step + 1) / 10 - time.monotonic()))
        assert refused.startswith(b"HTTP/1.1 408 ")
        with pytest.raises(ConnectionResetError):
            while stopped.socket.recv(1 << 20):
                pass
        assert len(at) == 2 and min(at.values()) > 2.4 and min(at.values()) < 4.8, at
        fast.socket.settimeout(10)
        assert fast.response()[0] == 200
        reader.buffer = taken
        assert len(reader.response()[2]) == size
    counted("receive_rate", 1)
    counted("send_rate", 1)
    counted("evicted_slow", 0)


def test_who_was_turned_away_waits_behind_his_like(edge, counted):
    """Fourteen who said nothing had to go under overload. When they are back they come in one by one, and who comes after
    them all and has nothing held against him is served before: under overload, and when there is room again."""
    edge.wait_calm()
    counted.expect("header_timeout", "source_conduct")
    hold, guilty = threading.Event(), [f"127.240.{number}.1" for number in range(14)]

    def answer(peer):
        while True:
            line, _ = peer.head()
            if "hold" in line:
                hold.wait(60)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def come_back(back, newcomer):
        """How many of them are served before him, and how long it takes until all are."""
        origin.received = b""
        with contextlib.ExitStack() as those:
            with frozen(edge.proxy_pid()):
                clients = [those.enter_context(Client(WEB, source=source)) for source in [*back, newcomer]]
                for client in clients:
                    client.get("/none" if client is clients[-1] else "/more")
            begun = time.monotonic()
            assert [client.response()[0] for client in clients] == [200] * len(clients)
            return origin.received[:origin.received.index(b"/none")].count(b"/more"), time.monotonic() - begun

    with edge.tuned(max_connections="100", source__faults="1000", source__fault_time="600s", timeouts__header="800ms"), \
            Origin(8000, answer, backlog=500) as origin, contextlib.ExitStack() as stack:
        stack.callback(hold.set)
        for source in itertools.islice(sources(), 86):
            stack.enter_context(Client(WEB, source=source)).get("/hold")
        wait_until(lambda: stage(edge) == SHORTEN, "86 of 100 connections: stage 2")
        for some in (guilty[:7], guilty[7:]):
            silent = [stack.enter_context(Client(WEB, source=source)) for source in some]
            assert {client.ended() for client in silent} <= {"closed", "reset"}
        counted("header_timeout", 14)
        before, seconds = come_back(guilty[:7], "127.241.1.1")
        assert before < 4 and seconds > 6 * 0.002
        hold.set()
        stack.pop_all().close()
        edge.wait_calm()
        before, seconds = come_back(guilty[7:] * 4, "127.241.1.2")
        assert before < 4 and seconds > 27 * 0.002
    counted("source_conduct", 0)


def test_a_hoard_does_not_keep_descriptors():
    """A limit of 200 descriptors, and 300 who want one and say nothing: clients are served."""
    with Lab() as lab, inside(lab.edge):
        edge = Edge(lab, command=("prlimit", "--nofile=200:200"))
        with Origin(8000, answer_simply), Hoard(WEB, 300):
            wait_until(lambda: edge.count("evicted_new") > 50, "the hoard displaces itself")
            assert serve(WEB, 100) == [200] * 100
        assert edge.count("descriptors") == 0
        edge.daemon.kill(15)
        assert edge.daemon.popen.wait(20) == 0
        assert "never given back" not in edge.daemon.err.read_text()


def test_another_thread_makes_room():
    """Two threads; all that a listener may hold are served, but for one who is silent, with either. Whoever
    comes, to either thread, takes his place."""
    hold = threading.Event()

    def answer(peer):
        line, _ = peer.head()
        if "hold" in line:
            hold.wait(60)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with Lab() as lab, inside(lab.edge), Origin(8000, answer), contextlib.ExitStack() as stack:
        edge = Edge(lab, text=CONFIG.replace("threads = 1", "threads = 2"))
        served = [stack.enter_context(Client(WEB, source=source)) for source in itertools.islice(sources(), 9)]
        for client in served:
            client.get("/hold")
        with edge.tuned(max_connections="10"):
            for number in range(1, 9):
                with Client(WEB, source=f"127.200.{number}.1") as silent:
                    time.sleep(0.7)  # two looks around of a thread
                    assert serve(WEB, 1) == [200]
                    assert silent.ended() == "reset"
                assert edge.count("evicted_new") == number
                wait_until(lambda: edge.metric("proxy_connections_active") == 9, "both have gone")
        hold.set()
        assert [client.response()[0] for client in served] == [200] * 9
        assert edge.count("listener_connections") == 0
