# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 as clients meet it: what is served, how requests reach a server, what is refused."""
import hashlib
import pathlib
import shutil
import signal
import threading
import time

import pytest

from edge import Counted, answer_simply
from http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PAGE, PLAIN, PREFACE,
                   RST_STREAM, SETTINGS, WEB, Client2, Http2Edge, block, frame)
from lab import Lab, frozen, wait_until
from origin import Client, Origin, inside

SMALL_WINDOWS = b"\x00\x04" + (1000).to_bytes(4, "big")  # INITIAL_WINDOW_SIZE: of each stream
H2SPEC = "/var/cache/floodwall-tests/h2spec"


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Http2Edge(made)


def curl(edge, *options, version="--http2-prior-knowledge"):
    return edge.lab.edge("curl", "-sS", "--max-time", "20", version, *options)


def post(fields=(), path="/post"):
    return (*GET[1:3], (":method", "POST"), (":path", path), *fields)


# --- what is served -------------------------------------------------------------------------------

def test_tls_clients_agree_on_it_by_alpn(edge):
    def version(option):
        return curl(edge, "-o", "/dev/null", "-w", "%{http_version}", "--cacert", edge.authority.pem, "--resolve",
                    "web.test:443:127.0.0.1", "https://web.test/", version=option).stdout

    assert version("--http2") == "2"
    assert edge.wait_logged(listener="secure")["protocol"] == "HTTP/2"
    assert version("--http1.1") == "1.1"
    edge.lab.floodwall("set", "secure.http2.enabled", "off")
    time.sleep(0.6)
    assert version("--http2") == "1.1"
    edge.lab.floodwall("set", "secure.http2.enabled", "on")
    time.sleep(0.6)


def test_without_tls_only_where_it_is_asked_for(edge):
    """Elsewhere the preface is a method that nobody knows."""
    with Origin(8000, answer_simply), Client(PLAIN) as client:
        client.send(PREFACE)
        assert client.response()[0] == 501
        assert curl(edge, "http://127.0.0.1:80/two").stdout == "/two "
        assert curl(edge, "http://127.0.0.1:80/one", version="--http1.1").stdout == "/one "


def test_the_preface_may_come_in_pieces(edge):
    with Origin(8000, answer_simply), Client(WEB) as client:
        for at in range(0, len(PREFACE), 5):
            client.send(PREFACE[at:at + 5])
            time.sleep(0.01)
        client.send(frame(SETTINGS) + frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GET)))
        client.until(b"/ ")


def test_many_requests_at_once(edge):
    done = edge.lab.edge("h2load", "-n", "20000", "-c", "8", "-m", "32", f"http://127.0.0.1:{PAGE}/")
    assert "20000 succeeded, 0 failed, 0 errored" in done.stdout
    done = edge.lab.edge("h2load", "-n", "5000", "-c", "8", "-m", "32", "https://127.0.0.1:443/")
    assert "5000 succeeded, 0 failed, 0 errored" in done.stdout


def test_who_has_much_to_say_is_heard_in_turn(edge):
    """All that came while the proxy was busy is answered; but others are heard in between."""
    order = []

    def answer(peer):
        while True:
            line, _ = peer.head()
            order.append(line.split()[1][:2])
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Origin(8000, answer), Client2() as talker, Client2() as other:
        for client in (talker, other):
            client.answer(client.request())
        order.clear()
        said = b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block((*GET[:3], (":path", "/a" + "a" * 300))))
                        for stream in range(3, 183, 2))
        with frozen(edge.proxy_pid()):
            talker.send(said)
            asked = other.request((*GET[:3], (":path", "/b")))
        assert all(code is None for _, code in talker.answers(*range(3, 183, 2)))
        assert other.answer(asked)[1] is None
        assert order.count("/a") == 90 and order[-1] == "/a"


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunks"])
def test_bodies_pass_whole_both_ways(edge, length):
    path, got = edge.lab.home / "sent", edge.lab.home / "got"
    path.write_bytes(bytes(range(256)) * 8192)
    words = ["-T", str(path)] if length else ["-H", "Content-Length:", "-T", "-"]
    with Origin(8000, answer_simply):
        edge.lab.edge("sh", "-c", 'exec "$@" <"$0"', str(path), "curl", "-sS", "--http2-prior-knowledge", "-o",
                      str(got), *words, "http://127.0.0.1:80/up")
    assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(b"/up " + path.read_bytes()).digest()


def test_heads_without_bodies_and_ahead_of_them(edge):
    """103 and 100 are passed on or said by us; HEAD, 204 and 304 have no body; hop-by-hop fields go."""
    def answer(peer):
        while True:
            line, fields = peer.head()
            assert "expect" not in fields
            peer.body(fields)
            if line.startswith("HEAD"):
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nKeep-Alive: timeout=5\r\nX-A: b\r\n\r\n")
            elif "/204" in line:
                peer.send(b"HTTP/1.1 204 None\r\n\r\n")
            elif "/304" in line:
                peer.send(b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n")
            else:
                peer.send(b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                          b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    with Origin(8000, answer):
        head = curl(edge, "-I", "http://127.0.0.1:80/").stdout.lower()
        assert "content-length: 7" in head and "x-a: b" in head and "keep-alive" not in head
        said = curl(edge, "-i", "-H", "Expect: 100-continue", "-d", "x" * 9, "http://127.0.0.1:80/").stdout.lower()
        assert said.index("http/2 103") < said.index("http/2 200") and said.endswith("ok")
        assert "http/2 100" in said
        for status in (204, 304):
            assert f"HTTP/2 {status}" in curl(edge, "-i", f"http://127.0.0.1:80/{status}").stdout


def test_responses_that_end_with_their_connection(edge):
    def answer(peer):
        line, _ = peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 9\r\n" if "/cut" in line else b"") + b"\r\nwhole")
        time.sleep(0.05)  # the client has it by then

    with Origin(8000, answer), Client2() as client:
        assert client.answer(client.request()) == (b"whole", None)
        cut = client.request((*GET[:3], (":path", "/cut")))
        assert client.answer(cut)[1] is not None  # a reset: half an answer is not taken for a whole one


def test_h2spec_has_no_complaint(edge):
    if not pathlib.Path(H2SPEC).exists() and not shutil.which("h2spec"):
        pytest.skip("h2spec is not installed: scripts/setup needs a Go toolchain for it")
    program = H2SPEC if pathlib.Path(H2SPEC).exists() else "h2spec"
    done = edge.lab.edge(program, "-h", "127.0.0.1", "-p", "443", "-t", "-k", "-o", "3", check=False)
    assert " 0 failed" in done.stdout.splitlines()[-1], done.stdout[-3000:]


# --- how requests reach a server ------------------------------------------------------------------

def test_a_request_is_translated_exactly(edge):
    """Crumbs are joined, Host is :authority, lengths that nobody told become chunks, trailers go."""
    with Origin(8000, answer_simply) as origin, Client2() as client:
        client.send(frame(HEADERS, END_HEADERS, 1, block(post(
            [("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2"), ("cookie", "c=3"), ("te", "trailers"),
             ("host", "WEB.test")], "/exact?q"))))
        client.send(frame(DATA, 0, 1, b"hel") + frame(DATA, 0, 1, b"lo"))
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block([("x-trailer", "t")])))
        assert client.answer(1) == (b"/exact?q hello", None)
        head, body = origin.received.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        assert lines[:2] == [b"POST /exact?q HTTP/1.1", b"Host: web.test"]
        assert b"cookie: a=1; b=2; c=3" in lines and b"x-between: y" in lines
        assert b"Transfer-Encoding: chunked" in lines and body == b"0005\r\nhello\r\n0\r\n\r\n"
        assert not [line for line in lines if line.lower().startswith((b"te:", b"x-trailer"))]
        assert head.lower().count(b"host:") == 1


SMUGGLED = {
    "line in a value": (*GET, ("x-a", "b\r\ncontent-length: 5")),
    "bare LF in a value": (*GET, ("x-a", "b\nx: y")),
    "NUL in a value": (*GET, ("x-a", "b\0c")),
    "line in a name": (*GET, ("x-a: b\r\nx", "c")),
    "colon in a name": (*GET, ("x-a:", "c")),
    "space in a name": (*GET, ("x a", "c")),
    "name in capitals": (*GET, ("X-A", "c")),
    "empty name": (*GET, ("", "c")),
    "request in :path": (*GET[:3], (":path", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /second")),
    "space in :path": (*GET[:3], (":path", "/a b")),
    "dots in :path": (*GET[:3], (":path", "/a/%2e%2e/b")),
    "absolute :path": (*GET[:3], (":path", "http://other.test/")),
    "no :path": GET[:3],
    "empty :path": (*GET[:3], (":path", "")),
    "star with GET": (*GET[:3], (":path", "*")),
    "request in :method": ((":method", "GET / HTTP/1.1\r\nA: "), *GET[1:]),
    "unknown :method": ((":method", "BREW"), *GET[1:]),
    "CONNECT": ((":method", "CONNECT"), (":authority", "web.test:22")),
    "CONNECT with a protocol": ((":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]),
    "line in :authority": (*GET[:2], (":authority", "a\r\nX: y"), GET[3]),
    "user in :authority": (*GET[:2], (":authority", "me@web.test"), GET[3]),
    "line in :scheme": (GET[0], (":scheme", "http\r\nx: y"), *GET[2:]),
    "scheme of a file": (GET[0], (":scheme", "file"), *GET[2:]),
    "Host of another": (*GET, ("host", "other.test")),
    "two Hosts": (*GET[:2], GET[3], ("host", "a"), ("host", "b")),
    "no host at all": (*GET[:2], GET[3]),
    "pseudo twice": (*GET, (":path", "/second")),
    "pseudo behind fields": (*GET[:3], ("x-a", "b"), GET[3]),
    "unknown pseudo": (*GET, (":x", "y")),
    "Transfer-Encoding": (*post(), ("transfer-encoding", "chunked")),
    "imitated Transfer-Encoding": (*post(), ("transfer_encoding", "chunked")),
    "Connection": (*GET, ("connection", "x-forwarded-for")),
    "Keep-Alive": (*GET, ("keep-alive", "300")),
    "Proxy-Connection": (*GET, ("proxy-connection", "keep-alive")),
    "Upgrade": (*GET, ("upgrade", "h2c")),
    "TE of anything": (*GET, ("te", "chunked")),
    "Content-Length twice": (*post(), ("content-length", "3"), ("content-length", "4")),
    "Content-Length of a sign": (*post(), ("content-length", "+3")),
    "Content-Length without a body": (*GET, ("content-length", "3")),
}


@pytest.mark.parametrize("fields", SMUGGLED.values(), ids=SMUGGLED)
def test_what_two_servers_could_read_differently_reaches_none(edge, fields):
    """Answered by 4xx or 501, or reset; and the next request on the connection is served."""
    with Origin(8000, answer_simply) as origin, Client2() as client:
        body, code = client.answer(client.request(fields))
        assert code is not None or b": " in body
        assert not origin.received
        assert client.answer(client.request()) == (b"/ ", None)


@pytest.mark.parametrize("announced, sent", [("5", b"abc"), ("3", b"abcGET / HTTP/1.1")], ids=["short", "long"])
def test_a_body_of_another_length_than_announced_is_no_request(edge, announced, sent):
    with Origin(8000, answer_simply) as origin, Client2() as client:
        stream = client.request(post([("content-length", announced)]), end=False)
        client.send(frame(DATA, END_STREAM, stream, sent))
        assert client.answer(stream)[1] is not None
        assert b"GET /" not in origin.received
        assert client.answer(client.request()) == (b"/ ", None)


def test_limits_are_those_of_http_1(edge):
    """Target, fields, one field, cookies, header: each is answered as there."""
    cases = {"target_too_long": [*GET[:3], (":path", "/" + "a" * 9000)],
             "too_many_fields": [*GET, *((f"x-{i}", "y") for i in range(120))],
             "field_too_large": [*GET, ("x-a", "b" * 16500)],
             "too_many_cookies": [*GET, *(("cookie", "a=b") for _ in range(300))]}
    counted = Counted(edge)
    counted.expect(*cases)
    with Origin(8000, answer_simply), Client2() as client:
        for reason, fields in cases.items():
            payload, stream = block(fields), client.next
            client.next += 2
            client.send(frame(HEADERS, END_STREAM, stream, payload[:16000]))
            client.send(frame(CONTINUATION, END_HEADERS, stream, payload[16000:]))
            assert client.answer(stream)[0].startswith(reason.encode())
            counted(reason, 1)


def test_a_connection_misused_again_and_again_is_misused_once(edge):
    """It goes on after a refusal, and has a budget for that: one is held against its source."""
    bad = [*GET[:3], (":path", "/%zz")]
    before, counted = edge.metric("proxy_source_faults_total"), Counted(edge)
    counted.expect("bad_target")
    with Origin(8000, answer_simply), Client2() as client:
        for _ in range(20):
            assert client.answer(client.request(bad))[0].startswith(b"bad_target")
        assert client.answer(client.request()) == (b"/ ", None)
        counted("bad_target", 20)
        assert edge.metric("proxy_source_faults_total") == before + 1


# --- time, and the end ----------------------------------------------------------------------------

def test_each_request_has_its_own_deadlines(edge):
    """A body that stops is answered by 408; a reader that stops is cut; its neighbours are served."""
    counted = Counted(edge)
    counted.expect("body_timeout", "write_timeout")
    def answer(peer):
        while True:
            line, fields = peer.head()
            text = b"x" * 300000 if "/large" in line else peer.body(fields)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

    with Origin(8000, answer), edge.tuned(timeouts__body="600ms", timeouts__write="900ms"), \
            Client2(settings=SMALL_WINDOWS) as client:
        stalled = client.request(post(path="/stall"), end=False)
        client.send(frame(DATA, 0, stalled, b"some"))
        client.request((*GET[:3], (":path", "/large")))
        assert client.answer(client.request())[1] is None
        assert client.answer(stalled)[0].startswith(b"body_timeout")
        assert client.until_frame(RST_STREAM)[2] == 3
        counted("body_timeout", 1)
        counted("write_timeout", 1)


def test_a_head_that_never_ends_and_a_connection_that_asks_nothing(edge):
    counted = Counted(edge)
    counted.expect("header_timeout", "keepalive_timeout")
    with Origin(8000, answer_simply), edge.tuned(timeouts__header="400ms", timeouts__keepalive="400ms"):
        with Client2() as client:
            client.send(frame(HEADERS, 0, 1, block(GET)))
            client.farewell()
            counted("header_timeout", 1)
        with Client2() as client:
            client.farewell()
            counted("header_timeout", 2)
        with Client2() as client:
            client.answer(client.request())
            client.farewell()
            counted("keepalive_timeout", 1)


def test_a_request_that_is_reset_is_no_more_the_servers_business(edge):
    """Its link is gone before another may take its place."""
    gone = threading.Event()

    def answer(peer):
        peer.head()
        try:
            peer.more()
        except (OSError, EOFError):
            gone.set()

    with Origin(8000, answer) as origin, Client2() as client:
        stream = client.request()
        wait_until(lambda: origin.received, "the request has reached the server")
        client.send(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
        assert gone.wait(5)
        edge.wait_logged(reason="client_closed", protocol="HTTP/2")


def test_the_last_request_is_announced(edge):
    with Origin(8000, answer_simply), edge.tuned(limits__requests="3"), Client2() as client:
        for _ in range(3):
            assert client.answer(client.request())[1] is None
        assert client.farewell() == 0


def test_a_reload_says_goodbye_twice_and_finishes_what_has_begun(edge):
    """First that no more should come, then which was the last; what is under way is answered."""
    hold = threading.Event()

    def answer(peer):
        while True:
            peer.head()
            hold.wait(10)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    with Origin(8000, answer) as origin, Client2() as client:
        first = client.request()
        wait_until(lambda: origin.received, "the request has reached the server")
        edge.daemon.popen.send_signal(signal.SIGHUP)
        said = client.until_frame(GOAWAY)[3]
        assert said[:4] == b"\x7f\xff\xff\xff" and said[4:8] == bytes(4)
        second = client.request()  # was on its way
        assert int.from_bytes(client.until_frame(GOAWAY)[3][:4], "big") == second
        hold.set()
        assert client.answers(first, second) == [(b"late", None)] * 2
        assert client.farewell() in (None, 0)
