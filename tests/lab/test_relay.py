# SPDX-License-Identifier: BSD-2-Clause
"""TCP as it is relayed: every byte, both ends told apart, and nothing held that nobody needs; and large bodies.

What two ends say to each other is in test_proxy.py; here are amounts, numbers and the ends of things.
"""
import os
import pathlib
import socket
import threading
import time

import pytest

from edge import RELAY, WEB, Counted, Edge
from lab import Lab, wait_until
from origin import Client, Origin, inside

MEGABYTE = 1 << 20
CONFIG = f"""
filter {{{{ cgroup = "@CGROUP@" }}}}
listener web {{{{ bind = "127.0.0.1:{WEB}" upstream = "origin"
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}} }}}}
listener relay {{{{ bind = "127.0.0.1:{RELAY}" protocol = "tcp" upstream = "origin"
	source {{{{ connections = 0 syn_rate = 0 }}}} prefix {{{{ connections = 0 syn_rate = 0 }}}} }}}}
upstream origin {{{{ server {{{{ address = "127.0.0.1:8000" }}}} max_connections = 0 }}}}
proxy {{{{ threads = 1 access_log = "{{log}}" }}}}
admin {{{{ address = "127.0.0.1:9180" }}}}
"""


@pytest.fixture(scope="module")
def edge():
    """One thread, and room for many connections."""
    with Lab() as made, inside(made.edge):
        yield Edge(made, command=("prlimit", "--nofile=20000"), text=CONFIG, ports=(WEB, RELAY))


@pytest.fixture
def counted(edge):
    return Counted(edge)


def place(link):
    """Where it leads; nowhere if it has just gone."""
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def descriptors(edge, kind=""):
    """How many the proxy has; @kind: only those that are called so."""
    folder = f"/proc/{edge.proxy_pid()}/fd"
    return sum(place(f"{folder}/{name}").startswith(kind) for name in os.listdir(folder))


def resident(edge):
    """Private memory of the proxy, bytes."""
    text = pathlib.Path(f"/proc/{edge.proxy_pid()}/smaps_rollup").read_text()
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def everything(connection):
    """What comes up to the end, however much."""
    data = bytearray()
    while piece := connection.recv(MEGABYTE):
        data += piece
    return data


def pipes(edge):
    return edge._metric("proxy_pipes", service="host")


def wait_settled(edge):
    """Until no client of earlier stories is left, no pipe, and no link to a server that is gone."""
    for service in ("web", "relay"):
        wait_until(lambda: edge._metric("proxy_connections_active", service=service) == 0, "no client is left")
    # Itself: the metric says how it was when the proxy last looked, half a second ago.
    wait_until(lambda: descriptors(edge, "pipe:") == 0, "no pipe is left open")
    wait_until(lambda: len({descriptors(edge) for _ in range(10) if not time.sleep(0.03)}) == 1, "no link is left")


def test_much_passes_both_ways_at_once_and_ends_with_the_last_byte(edge):
    """Most of it is not even copied."""
    up, down = os.urandom(100 * MEGABYTE), os.urandom(100 * MEGABYTE)
    received, before = [], edge._metric("proxy_spliced_bytes_total", service="relay")

    def answer(peer):
        sender = threading.Thread(target=peer.send, args=(down,))
        sender.start()
        received.append(everything(peer.socket))
        sender.join()

    with Origin(8000, answer), Client(RELAY, seconds=60) as client:
        def send():
            client.send(up)
            client.socket.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert everything(client.socket) == down
        sender.join()
        wait_until(lambda: received, "the server has read up to the end")
    assert received[0] == up
    assert edge._metric("proxy_spliced_bytes_total", service="relay") - before > 150 * MEGABYTE
    wait_settled(edge)


def test_a_body_whose_length_is_known_is_not_copied_either(edge):
    """And ends where it ends: the next request follows on the same connections."""
    body, before = os.urandom(32 * MEGABYTE), edge._metric("proxy_spliced_bytes_total", service="web")

    def answer(peer):
        for size in (len(body), 3, 0, 100000, len(body)):
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body[:size])

    with Origin(8000, answer) as origin, Client(WEB, seconds=30) as client:
        for size in (len(body), 3, 0, 100000, len(body)):
            client.get()
            _, fields = client.head()
            assert int(fields["content-length"]) == size
            received = bytearray(client.take(min(size, len(client.buffer))))
            while len(received) < size:
                received += client.socket.recv(min(MEGABYTE, size - len(received)))
            assert received == body[:size]
        assert origin.connections == 1
    assert edge._metric("proxy_spliced_bytes_total", service="web") - before > 48 * MEGABYTE
    wait_until(lambda: pipes(edge) == 0, "no pipe is left open")


def test_a_body_that_breaks_off_in_the_middle_is_not_taken_for_whole(edge, counted):
    counted.expect("upstream_bad_response")

    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (8 * MEGABYTE) + bytes(6 * MEGABYTE))

    with Origin(8000, answer), Client(WEB, seconds=30) as client:
        client.get()
        with pytest.raises(ConnectionResetError):
            client.response()
    counted("upstream_bad_response", 1)


def test_a_server_may_speak_first_and_alone(edge):
    with edge.tuned(relay__timeouts__first_word="500ms"), \
            Origin(8000, lambda peer: (peer.send(b"220 welcome\r\n"), peer.rest())), Client(RELAY) as client:
        assert client.until(b"\r\n") == b"220 welcome\r\n"
        time.sleep(1)
        client.send(b"still here")


def test_where_nobody_says_a_word_it_is_over(edge, counted):
    counted.expect("first_word_timeout", service="relay")
    with edge.tuned(relay__timeouts__first_word="300ms"), Origin(8000, lambda peer: peer.rest()), \
            Client(RELAY) as client:
        assert client.ended() == "reset"
    counted("first_word_timeout", 1, service="relay")


def test_a_reset_is_passed_on(edge, counted):
    """From the client after a word, from the server after one, and from a client that had ended."""
    counted.expect("done", service="relay")
    seen = []

    def answer(peer):
        peer.send(b"hello")
        try:
            seen.append(peer.socket.recv(100))
            seen.append(peer.socket.recv(100))
        except ConnectionResetError:
            seen.append("reset")

    for ended_before in (False, True):
        seen.clear()
        with Origin(8000, answer), Client(RELAY) as client:
            client.send(b"x")
            assert client.take(5) == b"hello"
            if ended_before:
                client.socket.shutdown(socket.SHUT_WR)
                wait_until(lambda: b"" in seen, "the server knows that the client has ended")
            client.reset()
            wait_until(lambda: seen[-1:] == ["reset"] or ended_before, "the server was cut off")
    counted("done", 2, service="relay")

    def cut(peer):
        peer.take(1)
        peer.send(b"hello")
        wait_until(lambda: heard, "the client has it")
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    heard = []
    with Origin(8000, cut), Client(RELAY) as client:
        client.send(b"x")
        heard.append(client.take(5))
        assert client.ended() == "reset"
    counted("done", 3, service="relay")


def test_whoever_reads_nothing_makes_the_server_wait(edge, counted):
    """The proxy holds a bounded part of what is sent, for each of many, and others go on."""
    wait_settled(edge)
    counted.expect("write_timeout", "send_rate", service="relay")
    block, stop = bytes(64 << 10), threading.Event()
    sent = []

    def answer(peer):
        peer.take(1)
        if stop.is_set():
            peer.send(b"at once")
            return
        mine = [0]
        sent.append(mine)
        while True:
            mine[0] += peer.socket.send(block)

    before = resident(edge)
    with edge.tuned(relay__timeouts__write="2s", relay__min_rate__send="0"), Origin(8000, answer):
        clients = [Client(RELAY, receive_buffer=4096) for _ in range(40)]
        for client in clients:
            client.send(b"x")
        time.sleep(1)
        assert len(sent) == 40 and resident(edge) - before < 40 * (64 << 10) + 4 * MEGABYTE
        assert descriptors(edge) < 40 * 4 + 60
        stop.set()
        with Client(RELAY) as other:
            other.send(b"x")
            assert other.rest() == b"at once"
        counted("write_timeout", 40, service="relay")
        for client in clients:
            client.socket.close()
    # What the kernel may hold of one: in each side's send buffer, and in the proxy's receive buffer.
    most = [int(pathlib.Path(f"/proc/sys/net/ipv4/tcp_{kind}mem").read_text().split()[2]) for kind in "wwr"]
    assert max(count for [count] in sent) < sum(most) + MEGABYTE
    wait_settled(edge)


def test_a_server_that_takes_nothing_makes_the_client_wait(edge):
    """And gets every byte when it goes on."""
    data, go_on, received = os.urandom(64 * MEGABYTE), threading.Event(), []

    def answer(peer):
        go_on.wait(20)
        received.append(everything(peer.socket))
        peer.send(b"done")

    with Origin(8000, answer), Client(RELAY, seconds=30) as client:
        sender = threading.Thread(target=lambda: (client.send(data), client.socket.shutdown(socket.SHUT_WR)))
        sender.start()
        time.sleep(0.5)
        assert sender.is_alive()
        go_on.set()
        assert client.rest() == b"done"
        sender.join()
    assert received[0] == data


def test_a_pace_can_be_asked_for(edge, counted):
    """A byte now and then keeps the idle deadline away, but not this one."""
    counted.expect("relay_rate", service="relay")
    with edge.tuned(relay__min_rate__relay="100"), Origin(8000, lambda peer: peer.rest()), \
            Client(RELAY, seconds=0.2) as client:
        begun = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < begun + 15:
                client.send(b"x")
                time.sleep(0.2)
        assert time.monotonic() - begun > 4.5
    counted("relay_rate", 1, service="relay")


def test_an_idle_relay_is_two_descriptors(edge):
    """2,000 of them, each of which has carried something."""
    wait_settled(edge)
    count, before = 2000, descriptors(edge)

    def answer(peer):
        while True:
            peer.more()
            peer.send(peer.buffer)
            peer.buffer = b""

    with Origin(8000, answer, backlog=4096):
        clients = [Client(RELAY) for _ in range(count)]
        for client in clients:
            client.send(b"x" * 100)
        for client in clients:
            assert len(client.take(100)) == 100
        assert edge._metric("proxy_connections_active", service="relay") == count
        wait_until(lambda: descriptors(edge) == before + 2 * count, "two descriptors each")
        for client in clients:
            client.socket.close()
    wait_settled(edge)
    assert descriptors(edge) == before
