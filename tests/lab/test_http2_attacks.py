# SPDX-License-Identifier: BSD-2-Clause
"""What HTTP/2 gives an attacker, each with a client beside it who is served as if nothing happened.

Every attack is one connection that says more of something than clients do, and ends the same way:
GOAWAY with ENHANCE_YOUR_CALM, its reason counted once, nothing of it left in memory.
"""
import contextlib
import re
import pathlib
import threading
import time

import pytest

from edge import Counted, answer_simply
from http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GET, HEADERS, PAGE, PING,
                   PRIORITY, RST_STREAM, SETTINGS, WEB, WINDOW_UPDATE, Client2, Http2Edge, block, frame, literal,
                   number)
from lab import Lab, wait_until
from origin import Origin, inside

MUCH = 2000  # frames: four times what is borne at once
SMALL_WINDOWS = b"\x00\x04" + bytes(4)  # INITIAL_WINDOW_SIZE 0: nothing of a response may be sent


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Http2Edge(made)


def memory(edge):
    """Bytes that the proxy has of its own."""
    text = pathlib.Path(f"/proc/{edge.proxy_pid()}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) * 1024


def request(stream, fields=GET, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, block(fields))


def each_stream(count, *frames):
    """The frames on a stream of their own, @count times over; the first opens it."""
    return b"".join(make(stream) for stream in range(1, 2 * count, 2) for make in frames)


POST = (*GET[1:], (":method", "POST"))
OPEN = END_HEADERS
ATTACKS = {
    "rapid reset": ("http2_resets", each_stream(MUCH, request, lambda s: frame(RST_STREAM, 0, s, b"\0\0\0\x08"))),
    "made you reset, by windows": ("http2_errors", each_stream(
        MUCH, lambda s: request(s, POST, OPEN), lambda s: frame(WINDOW_UPDATE, 0, s, b"\x7f\xff\xff\xff"))),
    "made you reset, by lengths": ("http2_errors", each_stream(
        MUCH, lambda s: request(s, (*POST, ("content-length", "1")), OPEN), lambda s: frame(DATA, END_STREAM, s, b"ab"))),
    "made you reset, by fields": ("http2_errors", each_stream(MUCH, lambda s: request(s, (*GET, ("connection", "a"))))),
    "made you refuse": ("http2_errors", each_stream(MUCH, lambda s: request(s, (*GET[:3], (":path", "/a/../b"))))),
    "more streams than there may be": ("http2_errors", each_stream(MUCH, lambda s: request(s, POST, OPEN))),
    "CONTINUATION": ("http2_empty", frame(HEADERS, 0, 1, block(GET)) + frame(CONTINUATION, 0, 1, block([("x", "y")])) * MUCH),
    "empty CONTINUATION": ("http2_empty", frame(HEADERS, 0, 1, block(GET)) + frame(CONTINUATION, 0, 1) * MUCH),
    "empty DATA": ("http2_empty", request(1, POST, OPEN) + frame(DATA, 0, 1) * MUCH),
    "SETTINGS": ("http2_control", frame(SETTINGS) * MUCH),
    "SETTINGS of one frame": ("http2_protocol", frame(SETTINGS, payload=b"\0\x03\0\0\0\x01" * 200)),
    "PING": ("http2_control", frame(PING, payload=bytes(8)) * MUCH),
    "PRIORITY": ("http2_control", each_stream(MUCH, lambda s: frame(PRIORITY, 0, s, b"\0\0\0\0\x0f"))),
    "tiny WINDOW_UPDATE": ("http2_control", frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01") * MUCH),
    "unknown frames": ("http2_control", frame(0xfa, 0, 0, b"what") * MUCH),
    "header bomb": ("http2_bomb", frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GET) + block([("x", "y" * 3900)], True)) +
                    b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(GET) + b"\xbe" * 4000)
                             for stream in range(3, 200, 2))),
}


class Honest:
    """Asks on and on, over a connection of its own; every answer has to come."""

    def __init__(self):
        self.done, self.failure, self.over = 0, None, threading.Event()
        self.client = Client2(WEB)
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        try:
            while not self.over.is_set():
                assert self.client.answer(self.client.request()) == (b"/ ", None)
                self.done += 1
                time.sleep(0.005)
        except Exception as failure:
            self.failure = failure

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.client.socket.close()
        assert self.failure is None and self.done


@pytest.mark.parametrize("reason, said", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "deaf"])
def test_an_attacker_is_told_to_calm_down_and_nobody_else_notices(edge, reason, said, reads):
    """The deaf one never takes a byte of what it provokes."""
    counted = Counted(edge)
    counted.expect(reason)
    with Origin(8000, answer_simply), Honest(), Client2(receive_buffer=None if reads else 2048) as client:
        with contextlib.suppress(OSError):
            client.send(said)
        code = client.farewell() if reads else None
        counted(reason, 1)
        assert code in (ENHANCE_YOUR_CALM, None)


def test_a_bomb_is_held_to_a_quarter_of_what_it_is_elsewhere(edge):
    """Of every byte that bombs are made of less than four are kept, and none when they are over."""
    said = ATTACKS["header bomb"][1]
    clients, sent = [], 0
    with Origin(8000, answer_simply), Honest():
        before = memory(edge)
        try:
            for _ in range(100):
                client = Client2(settings=SMALL_WINDOWS)
                clients.append(client)
                with contextlib.suppress(OSError):
                    for at in range(0, len(said), 8192):
                        client.send(said[at:at + 8192])
                        sent += len(said[at:at + 8192])
            grown = memory(edge) - before
        finally:
            for client in clients:
                client.socket.close()
    assert sent > 1 << 20
    assert grown < 4 * sent, f"{grown} bytes are held of {sent}"


def test_a_connection_holds_no_more_than_it_may(edge):
    """Responses that are never taken, heads that the table makes large: at the cap it is refused more."""
    most = 1 << 20

    def answer(peer):
        while True:
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000)

    with Origin(8000, answer), edge.tuned(limits__memory=str(most), http2__streams="1000"):
        with Client2(settings=SMALL_WINDOWS) as client:
            before, refused = memory(edge), edge.count("connection_memory")
            client.send(frame(HEADERS, OPEN | END_STREAM, 1, block(GET) + block([("x", "y" * 3900)], True)))
            for stream in range(3, 600, 2):
                client.send(frame(HEADERS, OPEN | END_STREAM, stream, block(GET) + b"\xbe"))
            wait_until(lambda: edge.count("connection_memory") > refused, "the cap was met")
            time.sleep(0.3)
            assert memory(edge) - before < 2 * most


def swollen(size):
    """A field that decodes to 8/5 of what is said: Huffman's shortest code again and again."""
    return b"\x00" + literal("x") + number(size, 7, 0x80) + bytes(size)


KEPT = frame(HEADERS, OPEN | END_STREAM, 1, block(GET) + block([("x", "y" * 3900)], True))
SWELLING = {  # how much of it is for each request, however small
    "long heads": (8500, lambda s: frame(HEADERS, OPEN | END_STREAM, s, block(GET) + swollen(3000))),
    "trailers": (8500, lambda s: request(s, POST, OPEN) + frame(HEADERS, OPEN | END_STREAM, s, swollen(2600))),
    "answers that have no window": (13000, request),
    "names of what is in the table": (13000, lambda s: frame(HEADERS, OPEN | END_STREAM, s, block(GET) + b"\xbe")),
}


@pytest.mark.parametrize("what", SWELLING)
def test_less_than_four_bytes_are_held_for_one_that_is_said(edge, what):
    """Besides what the connection takes, and each request, of which there are at most a hundred."""
    of_each, make = SWELLING[what]
    said = KEPT + each_stream(100, make)[len(make(1)):]
    release = threading.Event()

    def answer(peer):
        line, _ = peer.head()
        if "GET" in line and "window" in what:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000)
        release.wait(20)

    def held():
        return edge.metric("proxy_memory_used_bytes", "host")

    wait_until(lambda: held() < 100_000, "nothing is left of earlier stories")
    with Origin(8000, answer, backlog=200), Client2(settings=SMALL_WINDOWS) as client:
        before = edge.metric("proxy_requests_total")
        client.send(said)
        wait_until(lambda: edge.metric("proxy_requests_total") >= before + 100, "all of it has come")
        time.sleep(0.6)
        assert 300_000 < held() < 50_000 + 100 * of_each + 4 * len(said)
        release.set()


def test_who_takes_no_answer_gets_a_short_refusal(edge):
    """A head that ends its stream: nothing waits for a window, or in memory."""
    counted, go = Counted(edge), threading.Event()
    counted.expect("source_requests")

    def answer(peer):
        peer.head()
        go.wait(10)

    def held():
        return edge.metric("proxy_memory_used_bytes", "host")

    with edge.tuned(source__requests="20"), Origin(8000, answer) as origin, Client2(settings=SMALL_WINDOWS) as client:
        for _ in range(20):
            client.request()
        wait_until(lambda: origin.received.count(b"GET /") == 20, "as many as may be are with the server")
        time.sleep(0.6)
        before = held()
        for stream in [client.request() for _ in range(60)]:
            _, flags, _, _ = client.until_frame(HEADERS, stream)
            assert flags & END_STREAM
        time.sleep(0.6)
        assert held() < before + 60 * 1000
        go.set()
    counted("source_requests", 60)


def test_windows_that_open_by_a_byte_buy_no_time(edge):
    """A response that is taken a byte at a time is slower than the minimum, however often that is."""
    counted = Counted(edge)
    with Client2(PAGE, settings=SMALL_WINDOWS) as client, edge.tuned(min_rate__send="500"):
        counted.expect("send_rate", service="page")
        stream = client.request()
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() < begun + 7:
                client.send(frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\x01"))
                time.sleep(0.2)
        assert client.until_frame(RST_STREAM)[2] == stream
        counted("send_rate", 1, service="page")
