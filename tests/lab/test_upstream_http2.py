# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 towards servers: shared connections, bodies and trailers, who leaves, and who must not be trusted."""
import contextlib
import hashlib
import socket
import threading
import time

import hpack
import pytest

from authority import Authority
from edge import Counted, Edge
from http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
                   SETTINGS, WINDOW_UPDATE, Client2, block, frame)
from lab import BIG_SIZE, BUILD, Lab, wait_until
from origin import Client, Origin, inside
from origin2 import by_frames, echo, head, in_order

WEB, NGINX, TLS, PLAIN_TLS, UPLOADS, PAIR = range(80, 86)
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web     {{ bind = "127.0.0.1:80" upstream = "origin" http2 {{ cleartext = on }} @FREE@ }}
listener nginx   {{ bind = "127.0.0.1:81" upstream = "nginx" http2 {{ cleartext = on }} @FREE@ }}
listener tls     {{ bind = "127.0.0.1:82" upstream = "tls" @FREE@ }}
listener plain   {{ bind = "127.0.0.1:83" upstream = "plain" @FREE@ }}
listener uploads {{ bind = "127.0.0.1:84" upstream = "uploads" http2 {{ cleartext = on }} @FREE@ }}
listener pair    {{ bind = "127.0.0.1:85" upstream = "pair" http2 {{ cleartext = on }} @FREE@
                    timeouts {{ connect = "300ms" }} }}
upstream pair    {{ server {{ address = "127.0.0.1:8006" }} server {{ address = "127.0.0.1:8007" }} http2 = "on"
                    ejection {{ max_ejected = 0 }} }}
upstream origin  {{ server {{ address = "127.0.0.1:8000" }} http2 = "on" keepalive_time = "1s" }}
upstream nginx   {{ server {{ address = "127.0.0.1:8002" }} http2 = "on" }}
upstream uploads {{ server {{ address = "127.0.0.1:8003" }} http2 = "on" }}
upstream tls     {{ server {{ address = "127.0.0.1:8444" }} http2 = "auto" tls {{ ca = "@ca@" name = "app.test" }} }}
upstream plain   {{ server {{ address = "127.0.0.1:8445" }} http2 = "auto" tls {{ ca = "@ca@" name = "app.test" }} }}
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", "source {{ connections = 0 syn_rate = 0 }} prefix {{ syn_rate = 0 }}")


class UpstreamEdge(Edge):
    """The edge host, with nginx and nghttpd for servers that others have made."""

    def __init__(self, lab):
        authority = Authority(lab.home)
        app = authority.issue("app", ["app.test"])
        super().__init__(lab, text=CONFIG.replace("@ca@", str(authority.pem)), ports=range(80, 86))
        secure = f"ssl_certificate {app.pem}; ssl_certificate_key {app.key};"
        lab.nginx(["127.0.0.1:8005"], extra="listen 127.0.0.1:8002 http2; keepalive_requests 100;"
                  f"listen 127.0.0.1:8444 ssl http2; listen 127.0.0.1:8445 ssl; {secure}")
        server = lab.edge.start("nghttpd", "--no-tls", "--address=127.0.0.1", "--echo-upload", "8003")
        lab.wait_listening(server, ["127.0.0.1:8003"])

    def connections(self):
        return self.metric("proxy_upstream_http2_connections", "host")


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield UpstreamEdge(made)


@pytest.fixture
def counted(edge):
    edge.wait_alone()
    wait_until(lambda: edge.metric("proxy_connections_active", "nginx") == 0, "no client is left")
    return Counted(edge)


@contextlib.contextmanager
def grown(edge, name, by, service="web"):
    """That a counter of the proxy grows by so much meanwhile."""
    name = f"proxy_{name}_total"
    before = edge.metric(name, service)
    yield
    wait_until(lambda: edge.metric(name, service) == before + by,
               f"{name} grew by {by} (now {edge.metric(name, service) - before})")


def curl(edge, *options, version="--http2-prior-knowledge"):
    return edge.lab.edge("curl", "-sS", "--max-time", "20", version, *options).stdout


VERSIONS = ["--http1.1", "--http2-prior-knowledge"]


# --- what is served -------------------------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_requests_of_many_clients_share_a_connection(edge, counted, version):
    """And a server that ends one now and then, as nginx does after a hundred requests, fails nobody."""
    failures = edge.metric("proxy_upstream_failures_total", "nginx")
    before = edge.metric("proxy_upstream_connects_total", "nginx")
    options = ["--h1"] if version == "--http1.1" else ["-m", "8"]
    done = edge.lab.edge("h2load", *options, "-n", "8000", "-c", "16", f"http://127.0.0.1:{NGINX}/")
    assert "8000 succeeded, 0 failed, 0 errored" in done.stdout
    assert 80 <= edge.metric("proxy_upstream_connects_total", "nginx") - before <= 800
    assert edge.metric("proxy_upstream_failures_total", "nginx") == failures


@contextlib.contextmanager
def full(port):
    """A server whose host takes no more connections, and does not say so."""
    with socket.create_server(("127.0.0.1", port), backlog=0), contextlib.ExitStack() as stack:
        for _ in range(2):
            held = stack.enter_context(socket.socket())
            held.setblocking(False)
            held.connect_ex(("127.0.0.1", port))
        yield


@pytest.mark.parametrize("other", [contextlib.nullcontext, lambda: full(8006)], ids=["refuses", "silent"])
def test_where_one_server_is_not_reached_another_one_answers_at_once(edge, other):
    """On a connection that is there already: nothing else will happen on it by itself."""
    with other(), Origin(8007, in_order(echo)), Client2(PAIR, seconds=3) as client:
        for _ in range(4):
            assert client.answer(client.request()) == (b"/ ", None)
        streams = [client.request() for _ in range(8)]
        assert client.answers(*streams) == [(b"/ ", None)] * 8


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("length", [True, False], ids=["length", "chunks"])
def test_bodies_pass_whole_both_ways(edge, version, length):
    path = edge.lab.home / "body"
    path.write_bytes(b"%08d" * 300000 % tuple(range(300000)))
    options = [] if length else ["-H", "Content-Length:", "-H", "Transfer-Encoding: chunked"]
    if version != "--http1.1" and not length:
        options = ["-H", "Content-Length:"]
    got = edge.lab.home / "got"
    for _ in range(8):  # frames and windows fall differently each time
        curl(edge, *options, "--data-binary", f"@{path}", "-o", got, f"http://127.0.0.1:{UPLOADS}/", version=version)
        assert hashlib.md5(got.read_bytes()).digest() == hashlib.md5(path.read_bytes()).digest()


def test_large_downloads_pass_whole(edge):
    sizes = [curl(edge, "-o", "/dev/null", "-w", "%{http_code} %{size_download}", f"http://127.0.0.1:{NGINX}/big",
                  version=version) for version in VERSIONS]
    assert sizes == [f"200 {BIG_SIZE}"] * 2


def test_servers_choose_it_in_their_handshake(edge):
    with grown(edge, "upstream_http2_streams", 1, "tls"), Client(TLS) as client:
        client.get()
        assert client.response()[0] == 200
    done = edge.lab.edge("h2load", "--h1", "-n", "2000", "-c", "16", f"http://127.0.0.1:{TLS}/")
    assert "2000 succeeded, 0 failed, 0 errored" in done.stdout
    with grown(edge, "upstream_http2_streams", 0, "plain"), Client(PLAIN_TLS) as client:
        client.get()
        assert client.response()[0] == 200


def test_what_the_server_sees_is_a_request_of_http2(edge):
    seen = []
    def answer(server, stream, fields, body, trailer):
        seen.append(fields)
        echo(server, stream, fields, body, trailer)

    with Origin(8000, in_order(answer)), Client(80) as client:
        client.get("/a?b", extra="X-Mixed: Case\r\nTE: trailers\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n")
        assert client.response()[2] == b"/a?b "
    fields = seen[0]
    assert (fields[":method"], fields[":scheme"], fields[":path"], fields[":authority"]) == \
        ("GET", "http", "/a?b", "example.org")
    assert fields["x-mixed"] == "Case" and fields["x-forwarded-for"] == "127.0.0.1"
    assert not {"host", "connection", "te", "x-hop", "transfer-encoding"} & set(fields)


def test_heads_without_bodies(edge):
    """HEAD, 204 and 304 have none, whatever they announce; interim heads come before the last one."""
    def answer(server, stream, fields, _body, _trailer):
        status = fields[":path"][1:]
        if fields[":method"] == "HEAD":
            server.respond(stream, [("content-length", "1000")])
            return
        server.h2.send_headers(stream, [(":status", "103"), ("link", "</x>")])
        server.respond(stream, [("x-a", "b")], status=status)

    with Origin(8000, in_order(answer)), Client(80) as client:
        client.get("/200", "HEAD")
        assert client.response(to_head=True)[1]["content-length"] == "1000"
        for status in (204, 304, 200):
            client.get(f"/{status}")
            assert client.head()[0].split()[1] == "103"
            assert client.response()[::2] == (status, b"")


def test_trailers_pass_both_ways(edge):
    """To whoever can have them; a client of HTTP/1 gets the body as it is."""
    seen = []
    def answer(server, stream, fields, body, trailer):
        seen.append((fields.get("te"), body, trailer))
        server.respond(stream, (), b"body", [("grpc-status", "0"), ("set-cookie", "a=b")])

    with Origin(8000, in_order(answer)), Client2() as client, Client(80) as old:
        stream = client.request((*GET[1:], (":method", "POST"), ("te", "trailers")), end=False)
        client.send(frame(DATA, 0, stream, b"request"))
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block((("x-sum", "1"), ("host", "evil")))))
        decoder = hpack.Decoder()
        assert (":status", "200") in decoder.decode(client.until_frame(HEADERS, stream)[3])
        assert client.until_frame(DATA, stream)[3] == b"body"
        _, flags, _, trailer = client.until_frame(HEADERS, stream)
        assert flags & END_STREAM and decoder.decode(trailer) == [("grpc-status", "0")]
        old.get()
        assert old.response()[2] == b"body"
    assert seen == [("trailers", b"request", {"x-sum": "1"}), (None, b"", None)]


def test_both_sides_may_talk_at_once(edge):
    """As calls of gRPC do: an answer comes before the question has ended."""
    def began(server, stream, _fields):
        server.h2.send_headers(stream, [(":status", "200")])
        server.h2.send_data(stream, b"hello")
        server.flush()

    def answer(server, stream, _fields, body, _trailer):
        server.h2.send_data(stream, body, end_stream=True)
        server.flush()

    with Origin(8000, in_order(answer, began=began)), Client2() as client:
        stream = client.request((*GET[1:], (":method", "POST")), end=False)
        assert client.until_frame(DATA, stream)[3] == b"hello"
        client.send(frame(DATA, END_STREAM, stream, b"and more"))
        assert client.answer(stream) == (b"and more", None)


def test_a_server_says_how_many_requests_it_takes_at_once(edge):
    ready, asked = threading.Semaphore(0), []
    def answer(*request):
        asked.append(request)
        ready.release()

    with Origin(8000, in_order(answer, {3: 2})) as origin, Client2() as client:
        streams = []
        for _ in range(5):
            streams.append(client.request())
            assert ready.acquire(timeout=5)  # and its settings have come
        assert origin.connections == 3 and edge.connections() >= 3
        for request in asked:
            echo(*request)
        assert client.answers(*streams) == [(b"/ ", None)] * 5


def test_idle_connections_are_closed_in_good_order(edge, counted):
    seen = []
    with Origin(8000, in_order(echo, seen=seen)), Client(80) as client:
        client.get()
        client.response()
        open_ones = edge.connections()
        assert open_ones >= 1
        wait_until(lambda: edge.connections() < open_ones, "the connection was kept for keepalive_time only")
        client.get()
        client.response()
        assert len(seen) == 2


def test_what_leaves_http_leaves_from_http1(edge):
    def answer(peer):
        line, fields = peer.head()
        assert line.endswith("HTTP/1.1") and fields["upgrade"] == "echo"
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        peer.send(peer.take(5))

    with Origin(8000, answer), Client(80) as client:
        client.get(extra="Connection: upgrade\r\nUpgrade: echo\r\n")
        assert client.head()[0].split()[1] == "101"
        client.send(b"hello")
        assert client.take(5) == b"hello"


def test_it_is_refused_where_connections_are_one_clients(edge):
    path = edge.lab.home / "refused.conf"
    for options, why in (('http2 = "on" proxy_protocol = "v2"', "one client's"), ('http2 = "auto"', "tls")):
        path.write_text(f'upstream app {{ server {{ address = "127.0.0.1:1" }} {options} }}\n'
                        'listener web { bind = "127.0.0.1:80" upstream = "app" }\n')
        done = edge.lab.edge(BUILD / "floodwalld", "--check", "--config", path, check=False)
        assert done.returncode != 0 and f"{path}:1" in done.stderr and why in done.stderr


# --- nobody is made to hold more than a window ------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_does_not_read_makes_the_server_wait(edge, counted, version):
    """And is in nobody's way: others on the same connection are answered meanwhile."""
    def answer(peer, stream):
        peer.stream, peer.sent, window = stream, 0, 65535
        if len(served) == 1:
            peer.send(head(stream, end=True))
            return
        served.append(peer)
        peer.send(head(stream))
        while peer.sent < window:
            size = min(16384, window - peer.sent)
            peer.send(frame(DATA, 0, stream, b"x" * size))
            peer.sent += size

    served = []
    with Origin(8000, by_frames(answer)) as origin:
        slow = Client2(receive_buffer=4096) if version != "--http1.1" else Client(80, receive_buffer=4096)
        with slow, Client(80) as other:
            used = edge.metric("proxy_memory_used_bytes", "host")
            slow.request() if version != "--http1.1" else slow.get()
            wait_until(lambda: served and served[0].sent == 65535, "the server has filled its window")
            other.get()
            assert other.response()[0] == 200 and origin.connections == 1
            assert edge.metric("proxy_memory_used_bytes", "host") - used < 300000


def test_a_server_that_does_not_read_makes_the_client_wait(edge, counted):
    """The window that it gives is what it gets, and the client is asked for little more."""
    got = []
    def answer(peer, stream):
        while True:
            kind, _, _, payload = Client2.frame(peer)
            if kind == DATA:
                got.append(len(payload))

    with Origin(8000, by_frames(answer)), Client(80) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 100000000\r\n\r\n")
        client.socket.setblocking(False)
        sent, last = 0, time.monotonic()
        while time.monotonic() - last < 0.5:
            with contextlib.suppress(BlockingIOError):
                sent += client.socket.send(b"x" * 65536)
                last = time.monotonic()
        assert sum(got) == 65535 and sent < 20000000
        assert edge.metric("proxy_memory_used_bytes", "host") < 1000000


# --- who leaves, and who turns away ----------------------------------------------------------------

def test_a_client_that_leaves_resets_its_stream_alone(edge, counted):
    seen = []
    with Origin(8000, in_order(None, seen=seen)) as origin, Client2() as stays, Client(80) as leaves:
        counted.expect("client_closed")
        stays.request()
        leaves.get()
        wait_until(lambda: seen and len(seen[0].requests) == 2, "the server has both requests")
        leaves.reset()
        wait_until(lambda: seen[0].resets, "the server knows that one is not wanted any more")
        assert len(seen[0].resets) == 1 and seen[0].resets[0][1] == 8  # CANCEL
        counted("client_closed", 1)
        stream = next(number for number in seen[0].requests if number != seen[0].resets[0][0])
        seen[0].respond(stream, (), b"ok")
        assert stays.answer(1) == (b"ok", None) and origin.connections == 1


def test_a_request_that_was_refused_is_sent_again(edge, counted):
    """Nothing was done with it, so that it may be a POST; but not if its body is gone."""
    refused = []
    def began(server, stream, fields):
        if len(refused) < 2:
            refused.append(stream)
            server.h2.reset_stream(stream, 7)  # REFUSED_STREAM

    def answer(server, stream, fields, body, trailer):
        if stream not in refused:
            echo(server, stream, fields, body, trailer)

    with Origin(8000, in_order(answer, began=began)), Client(80) as client, \
            grown(edge, "upstream_http2_resets", 2), grown(edge, "responses_2xx", 1):
        client.get("/again", "POST", extra="Content-Length: 0\r\n")
        assert client.response()[::2] == (200, b"/again ")


def test_who_refuses_for_ever_is_not_asked_for_ever(edge, counted):
    counted.expect("upstream_bad_response")
    with Origin(8000, by_frames(lambda peer, stream: peer.send(frame(RST_STREAM, 0, stream, b"\0\0\0\7")))), \
            Client(80) as client, grown(edge, "upstream_http2_streams", 4):
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


def test_requests_behind_the_last_that_counts_go_elsewhere(edge, counted):
    """GOAWAY names the last stream that was looked at: what came later is sent again, the rest is answered."""
    gone = []
    def answer(server, stream, fields, body, trailer):
        if not gone and len(server.requests) == 3:
            gone.append(server)
            server.socket.sendall(frame(GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0") + head(1, end=True))
        elif gone and server is not gone[0]:
            echo(server, stream, fields, body, trailer)

    with Origin(8000, in_order(answer)) as origin, Client2() as client:
        streams = [client.request((*GET[1:], (":method", "POST"))) for _ in range(3)]
        assert client.answers(*streams) == [(b"", None), (b"/ ", None), (b"/ ", None)]
        assert origin.connections == 2


RESET = {
    "before its head": b"",
    "within its body": "head",
}


@pytest.mark.parametrize("name", RESET)
def test_a_response_that_is_broken_off_is_not_taken_for_whole(edge, counted, name):
    def answer(peer, stream):
        if RESET[name]:
            peer.send(head(stream) + frame(DATA, 0, stream, b"half"))
        time.sleep(0.05)
        peer.send(frame(RST_STREAM, 0, stream, b"\0\0\0\2"))

    counted.expect("upstream_bad_response")
    with Origin(8000, by_frames(answer)), Client(80) as client, grown(edge, "upstream_http2_resets", 1):
        client.get()
        if RESET[name]:
            client.head()
            with pytest.raises((ConnectionResetError, EOFError)):
                client.chunks()
        else:
            assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


def test_a_response_that_is_broken_off_before_it_was_passed_on_is_refused(edge, counted):
    counted.expect("upstream_bad_response")
    with Origin(8000, by_frames(lambda peer, stream: peer.send(
            head(stream) + frame(DATA, 0, stream, b"half") + frame(RST_STREAM, 0, stream, b"\0\0\0\2")))), \
            Client(80) as client:
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


def test_a_connection_that_breaks_fails_only_what_cannot_be_repeated(edge, counted):
    first = []
    def answer(server, stream, fields, body, trailer):
        if not first:
            first.append(server)
            echo(server, stream, fields, body, trailer)
        elif server is first[0]:
            server.socket.shutdown(socket.SHUT_RDWR)
        else:
            echo(server, stream, fields, body, trailer)

    with Origin(8000, in_order(answer)) as origin, Client(80) as client:
        for _ in range(2):
            client.get("/twice")
            assert client.response()[::2] == (200, b"/twice ")
        assert origin.connections == 2


# --- servers that must not be trusted ----------------------------------------------------------------

BAD_HEADS = {
    "two lengths": (("content-length", "2"), ("content-length", "3")),
    "length that is none": (("content-length", "2x"),),
    "upper case": (("X-Upper", "1"),),
    "a connection's field": (("connection", "close"),),
    "chunks": (("transfer-encoding", "chunked"),),
    "an upgrade": (("upgrade", "x"),),
    "a line in a value": (("x", "a\r\nset-cookie: b"),),
    "a colon in a name": (("x: y\r\nz", "b"),),
    "NUL": (("x", "a\0b"),),
    "no name": (("", "b"),),
    "fields without end": (("x", "y"),) * 300,
    "a request's field": ((":path", "/"),),
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_head_with_two_readings_is_refused(edge, counted, name):
    counted.expect("upstream_bad_response")
    with Origin(8000, by_frames(lambda peer, stream: peer.send(head(stream, *BAD_HEADS[name], end=True)))), \
            Client(80) as client:
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


BAD_ANSWERS = {
    "101": lambda stream: head(stream, status="101", end=True),
    "no status": lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, block((("x", "y"),))),
    "status of four digits": lambda stream: head(stream, status="2000", end=True),
    "body before the head": lambda stream: frame(DATA, END_STREAM, stream, b"evil"),
    "interim without end": lambda stream: head(stream, status="100") * 40,
    "interim that ends": lambda stream: head(stream, status="103", end=True),
    "length without body": lambda stream: head(stream, ("content-length", "4"), end=True),
    "204 with a body": lambda stream: head(stream, ("content-length", "4"), status="204") +
    frame(DATA, END_STREAM, stream, b"evil"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_is_none_is_refused(edge, counted, name):
    counted.expect("upstream_bad_response")
    with Origin(8000, by_frames(lambda peer, stream: peer.send(BAD_ANSWERS[name](stream)))), Client(80) as client:
        client.get()
        status, _, body = client.response()
        assert status == 502 and b"evil" not in body
    counted("upstream_bad_response", 1)


WRONG_LENGTHS = {"shorter": b"abc", "longer": b"abcdefgh"}


@pytest.mark.parametrize("name", WRONG_LENGTHS)
def test_a_body_is_as_long_as_was_said(edge, name):
    def answer(peer, stream):
        peer.send(head(stream, ("content-length", "5")))
        time.sleep(0.05)
        peer.send(frame(DATA, END_STREAM, stream, WRONG_LENGTHS[name]))

    with Origin(8000, by_frames(answer)), Client(80) as client:
        client.get()
        client.head()
        with pytest.raises((ConnectionResetError, EOFError)):
            client.take(6)
        assert len(client.buffer) <= 5


FLOODS = {
    "PING": frame(PING, 0, 0, b"12345678"),
    "SETTINGS": frame(SETTINGS, 0, 0, b"\0\4\0\0\xff\xff"),
    "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "unknown frames": frame(200, 0, 0, b""),
    "GOAWAY": frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_ends_the_connection(edge, counted, name):
    def answer(peer, _stream):
        with contextlib.suppress(OSError):
            for _ in range(100):
                peer.send(FLOODS[name] * 1000)

    counted.expect("upstream_bad_response")
    with Origin(8000, by_frames(answer)), Client(80) as client, grown(edge, "upstream_http2_faults", 1, "host"):
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


STREAM_FLOODS = {
    "CONTINUATION": lambda stream: frame(HEADERS, 0, stream, block(((":status", "200"),))) +
    frame(CONTINUATION, 0, stream, b"") * 100000,
    "a head that never ends": lambda stream: frame(HEADERS, 0, stream, block(((":status", "200"),))) +
    b"".join(frame(CONTINUATION, 0, stream, block((("x", "y" * 16000),))) for _ in range(8)),
    "empty DATA": lambda stream: head(stream, ("content-length", "1")) + frame(DATA, 0, stream) * 100000,
}


@pytest.mark.parametrize("name", STREAM_FLOODS)
def test_a_flood_within_an_answer_ends_the_connection(edge, counted, name):
    def answer(peer, stream):
        with contextlib.suppress(OSError):
            peer.send(STREAM_FLOODS[name](stream))

    with Origin(8000, by_frames(answer)), Client(80) as client, grown(edge, "upstream_http2_faults", 1, "host"):
        client.get()
        if name == "empty DATA":
            client.head()
            assert client.ended() in ("closed", "reset")
        else:
            assert client.response()[0] == 502


def test_what_is_not_http2_is_a_fault(edge, counted):
    def answer(peer):
        peer.take(len(PREFACE))
        peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 2)
        peer.rest()

    counted.expect("upstream_bad_response")
    with Origin(8000, answer), Client(80) as client, grown(edge, "upstream_http2_faults", 1, "host"):
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


def test_a_server_that_fell_silent_is_not_asked_again(edge, counted):
    """Its connection is tried with a PING once somebody has waited in vain, and new requests go to another."""
    silent = []
    def answer(server, stream, fields, body, trailer):
        if silent and server is silent[0]:
            return
        if not silent:
            silent.append(server)
            server.h2.receive_data = lambda data: []  # from now on
        echo(server, stream, fields, body, trailer)

    with Origin(8000, in_order(answer)) as origin, Client(80) as first, \
            edge.tuned(timeouts__first_byte="1200ms"):
        first.get()
        assert first.response()[0] == 200
        first.get()
        assert first.response()[0] == 504
        with Client(80) as second:
            second.get("/anew")
            assert second.response()[::2] == (200, b"/anew ")
        assert origin.connections == 2
        edge.wait_alone()
