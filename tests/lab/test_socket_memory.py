# SPDX-License-Identifier: BSD-2-Clause
"""The proxy when the sockets of the machine hold more than they should: who does not take what his is
full of has to go, and nobody else notices (docs/overload.md).

What is measured is the whole machine's. So each story first has sockets filled, while they may hold any
amount, and then says how much they may, as a part of what they hold: that is more than all else does here.
"""
import contextlib
import itertools
import mmap
import pathlib
import time

import pytest

from edge import WEB
from lab import wait_until
from origin import Client, Origin, serve

NONE = 0
LEAST = 64 << 20       # bytes: what else comes and goes, and what each CPU has set aside, is little beside it
READERS_MOST = 400
LARGE, SMALL = 64 << 20, 256 << 10  # of answers: more than sockets have room for, and less

alone = pytest.mark.alone("it is about what the sockets of the whole machine hold")


def used():
    """Bytes that the kernel holds for TCP."""
    line = next(line for line in pathlib.Path("/proc/net/sockstat").read_text().splitlines()
                if line.startswith("TCP:"))
    return int(line.split()[-1]) * mmap.PAGESIZE


def level(edge):
    return edge.metric("proxy_overload_sockets_percent", "host")


def stage(edge):
    return edge.metric("proxy_overload_stage")


def answer(peer):
    while True:
        line, _ = peer.head()
        size = {"/large": LARGE, "/small": SMALL}.get(line.split()[1], 2)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(0, size, SMALL):
            peer.send(b"x" * min(size, SMALL))


@contextlib.contextmanager
def readers(path):
    """From all over, who ask and then take nothing, until theirs is what is held here. Yields them, and how much."""
    sources = (f"127.{a}.{b}.1" for a in itertools.count(1) for b in range(256))
    with contextlib.ExitStack() as stack:
        before, those = used(), []
        while used() - before < max(LEAST, 4 * before) and len(those) < READERS_MOST:
            those.append(stack.enter_context(Client(WEB, receive_buffer=4096, source=next(sources))))
            those[-1].get(path)
            time.sleep(0.01)
        assert used() - before >= LEAST, f"{len(those)} readers had {used() - before} bytes held for them"
        sizes = []
        wait_until(lambda: sizes.append(used()) or sizes[-5:] == sizes[-1:] * 5, "their sockets are full")
        yield those, sizes[-1]


@contextlib.contextmanager
def idle_clients(count=10):
    """Who have been served, and whom nobody is to tell to go."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(WEB, source=f"127.230.{number}.1")) for number in range(count)]
        ask(clients)
        yield clients


def is_reset(client):
    """Whether it was, at whatever place of the answer."""
    client.socket.settimeout(1)
    try:
        while client.socket.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:  # he has it all
        pass
    return False


def ask(clients):
    for client in clients:
        client.get()
        status, fields, body = client.response()
        assert (status, body) == (200, b"xx") and fields.get("connection") != "close"


@alone
def test_who_takes_nothing_is_cut_off_sooner(edge, counted):
    """At 85% of what sockets may hold `timeouts.write` is a quarter to a half, until so many have gone that all
    is well. Nobody is evicted, who is idle stays, and to everybody else it is no overload."""
    edge.wait_calm()
    counted.expect("evicted_slow", "evicted_idle", "overload", "keepalive_timeout")
    before = edge.count("write_timeout")
    with edge.tuned(timeouts__write="16s", min_rate__send="0"), Origin(8000, answer, backlog=500), \
            idle_clients() as idle, readers("/large") as (_, full):
        assert level(edge) == stage(edge) == NONE
        begun = time.monotonic()
        with edge.tuned(host__socket_memory=str(full * 100 // 85)):
            wait_until(lambda: 80 <= level(edge) < 90, "they hold 85%")
            wait_until(lambda: edge.count("write_timeout") > before, "who takes nothing is cut off")
            assert time.monotonic() - begun < 12
            ask(idle)
            assert serve(WEB, 50) == [200] * 50
            assert stage(edge) == NONE
            wait_until(lambda: level(edge) < 70, "there is room again", seconds=20)
            ask(idle)
    assert "of host.socket_memory: who does not take his answer has less time" in edge.daemon.err.read_text()
    for reason in ("evicted_slow", "evicted_idle", "overload", "keepalive_timeout"):
        counted(reason, 0)


@alone
def test_who_takes_nothing_has_to_go(edge, counted):
    """Sockets hold all that they may: who has been taking nothing goes, though no deadline of his has passed and
    nobody has come for his place. The others are served, and more are let in."""
    edge.wait_calm()
    counted.expect("evicted_idle", "evicted_new", "overload", "listener_connections")
    before = edge.count("evicted_slow")
    with edge.tuned(timeouts__write="600s", min_rate__send="0"), Origin(8000, answer, backlog=500), \
            idle_clients() as idle, readers("/large") as (those, full):
        with edge.tuned(host__socket_memory=str(full)):
            wait_until(lambda: edge.count("evicted_slow") > before, "who takes nothing goes")
            assert serve(WEB, 50) == [200] * 50
            wait_until(lambda: level(edge) < 90, "there is room again")
            ask(idle)
            assert edge.count("evicted_slow") - before < len(those), "only as many went as had to"
            assert stage(edge) == NONE
    for reason in ("evicted_idle", "evicted_new", "overload", "listener_connections"):
        counted(reason, 0)


@alone
def test_who_is_idle_and_has_not_taken_his_answer_has_to_go(edge, counted):
    """All of the answer is in the socket, and the connection idle. Who has taken his stays, though he has been
    idle for longer, and however many of them there are."""
    edge.wait_calm()
    counted.expect("evicted_slow", "evicted_new")
    before = edge.count("evicted_idle")
    with Origin(8000, answer, backlog=500), idle_clients(150) as idle, readers("/small") as (those, full):
        with edge.tuned(host__socket_memory=str(full)):
            wait_until(lambda: edge.count("evicted_idle") > before, "who has not taken his answer goes")
            wait_until(lambda: level(edge) < 90, "there is room again")
            ask(idle)
            gone = edge.count("evicted_idle") - before
            assert gone < len(those), "only as many went as had to"
            assert sum(map(is_reset, those)) == gone, "and it was they"
    counted("evicted_slow", 0)
    counted("evicted_new", 0)


@pytest.mark.parametrize("words", ["", "Connection: close\r\n"], ids=["idle", "last"])
def test_what_nobody_takes_does_not_outlive_the_connection(edge, words):
    """The proxy has closed it, idle for too long or with its last answer; the kernel holds the answer for who does
    not take it for as long as he may let wait what is for him, and for who does until he has it."""
    edge.wait_calm()

    def unfinished():
        return len(edge.lab.edge("ss", "-Htn", "state", "fin-wait-1", f"sport = :{WEB}").stdout.splitlines())

    with edge.tuned(timeouts__write="2s", timeouts__keepalive="1s"), Origin(8000, answer), \
            contextlib.ExitStack() as stack:
        gone, late = (stack.enter_context(Client(WEB, receive_buffer=4096)) for _ in range(2))
        for client in (gone, late):
            client.get("/small", extra=words)
        wait_until(lambda: edge.metric("proxy_connections_active") == 0, "to the proxy both have gone")
        assert unfinished() == 2
        status, _, body = late.response()
        assert (status, len(body)) == (200, SMALL)
        wait_until(lambda: unfinished() == 0, "of the other nothing is left")
