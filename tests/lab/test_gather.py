# SPDX-License-Identifier: BSD-2-Clause
"""Bodies that come in small pieces: when a server is asked, and how many pieces it sees.

Nothing waits shorter than a minute, unless a story says so: what goes on has not gone on by time.
"""
import hashlib
import threading
import time

import pytest

from authority import Authority
from edge import Counted, Edge, answer_simply
from http2 import DATA, END_STREAM, GET, WEB, Client2, frame
from lab import Lab, wait_until
from origin import Client, Origin, Peer, inside
from secure import Partial, Secure, SecureEdge

SECURE, TWO = 443, 81
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web    {{ bind = "127.0.0.1:80" upstream = "origin" http2 {{ cleartext = on }} @FREE@ }}
listener strict {{ bind = "127.0.0.1:443" upstream = "origin" @FREE@
                   tls {{ certificate = "@web@" key = "@web_key@" }} }}
listener page   {{ bind = "127.0.0.1:81" upstream = "two" http2 {{ cleartext = on }} @FREE@ }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
upstream two    {{ server {{ address = "127.0.0.1:8003" }} http2 = "on" }}
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", "source {{ connections = 0 syn_rate = 0 requests = 0 }} prefix {{ syn_rate = 0 }} "
            "min_rate {{ receive = 0 }} gather {{ hold = \"60s\" delay = \"60s\" }}")
PIECES = 60  # of a body that trickles
CHUNKED = "Transfer-Encoding: chunked\r\n"


class GatherEdge(Edge):
    """The edge host, and nghttpd for a server of HTTP/2."""

    context = SecureEdge.context

    def __init__(self, lab):
        self.authority = Authority(lab.home)
        web = self.authority.issue("web", ["web.test"])
        text = CONFIG.replace("@web@", str(web.pem)).replace("@web_key@", str(web.key))
        super().__init__(lab, text=text, ports=(WEB, SECURE, TWO))
        server = lab.edge.start("nghttpd", "--no-tls", "--address=127.0.0.1", "--echo-upload", "8003")
        lab.wait_listening(server, ["127.0.0.1:8003"])

    def tuned(self, **settings):
        """Of the listeners in plain text and over TLS alike."""
        return super().tuned(**settings, **{f"strict__{name}": value for name, value in settings.items()})


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield GatherEdge(made)


@pytest.fixture(params=["plain", "tls"])
def connect(edge, request):
    """Makes a client."""
    if request.param == "plain":
        return lambda: Client(WEB)
    return lambda: Secure(edge.context())


class Listener(Peer):
    """A server's connection that counts the pieces which it hears."""

    def __init__(self, peer):
        super().__init__(peer.socket, peer.origin)
        self.pieces = 0

    def more(self):
        super().more()
        self.pieces += 1


class Counting(Origin):
    """Answers with how many pieces each request came in, and its body."""

    def __init__(self):
        super().__init__(8000, self._answer)

    @staticmethod
    def _answer(peer):
        peer = Listener(peer)
        while True:
            peer.pieces = 0
            _, fields = peer.head()
            text = peer.body(fields)
            text = b"%d " % peer.pieces + text
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

    def has(self, text):
        with self.lock:
            return text in self.received


def chunk(text):
    return b"%x\r\n%s\r\n" % (len(text), text)


def trickle(client, pieces, pause=0.003):
    for piece in pieces:
        client.send(piece)
        time.sleep(pause)


def pieces_and_body(text):
    pieces, body = text.split(b" ", 1)
    return int(pieces), body


# --- held -----------------------------------------------------------------------------------------

def test_a_server_is_asked_when_the_body_is_here(edge, connect):
    """However it trickles it is one piece; and who sent it goes on as anybody else."""
    body = bytes(range(PIECES))
    with Counting() as origin, connect() as client:
        for _ in range(2):
            before = origin.connections, len(origin.received)
            client.get("/up", method="POST", extra=f"Content-Length: {len(body)}\r\n")
            trickle(client, [bytes([byte]) for byte in body[:-1]])
            assert (origin.connections, len(origin.received)) == before
            client.send(body[-1:])
            assert pieces_and_body(client.response()[2]) == (1, body)
            client.get()
            assert pieces_and_body(client.response()[2]) == (1, b"")
        assert origin.connections == 1


def test_what_follows_the_body_is_another_request(edge, connect):
    """The end of a body that trickles, and behind it the next request, in one breath."""
    with Counting(), connect() as client:
        client.get(method="POST", extra="Content-Length: 30\r\n")
        trickle(client, [b"x"] * 20)
        client.send(b"y" * 10 + b"GET /next HTTP/1.1\r\nHost: web.test\r\n\r\n")
        assert pieces_and_body(client.response()[2]) == (1, b"x" * 20 + b"y" * 10)
        assert client.response()[2] == b"1 "


def test_a_body_that_never_comes_costs_no_server_anything(edge, connect):
    service = "web" if isinstance(connect(), Client) else "strict"
    counted = Counted(edge)
    counted.expect("body_timeout", service=service)
    spared = edge.metric("proxy_requests_spared_total", service)
    with edge.tuned(timeouts__body="400ms"), Counting() as origin, connect() as client:
        client.get(method="POST", extra="Content-Length: 100\r\n")
        trickle(client, [b"x"] * 20)
        assert client.response()[0] == 408
        assert origin.connections == 0
    counted("body_timeout", 1, service=service)
    assert edge.metric("proxy_requests_spared_total", service) == spared + 1


def test_who_sends_too_little_a_second_is_found_out_nevertheless(edge):
    """What is gathered in the kernel has come: of two at the same pace only one is below his minimum."""
    counted = Counted(edge)
    counted.expect("receive_rate")
    with edge.tuned(min_rate__receive="100"), Counting() as origin, Client(WEB) as slow, \
            Client(WEB) as steady:
        for client in (slow, steady):
            client.get(method="POST", extra="Content-Length: 10000\r\n")
        begun = time.monotonic()
        while time.monotonic() < begun + 7.5:
            steady.send(b"x" * 30)
            if time.monotonic() < begun + 4:
                slow.send(b"x")
            time.sleep(0.1)
        assert slow.response()[0] == 408
        assert origin.connections == 0
        steady.send(b"x" * 10000)
        assert len(steady.response()[2]) == len(b"1 ") + 10000
    counted("receive_rate", 1)


def test_a_hold_has_an_end(edge, connect):
    with edge.tuned(gather__hold="200ms"), Counting() as origin, connect() as client:
        client.get(method="POST", extra="Content-Length: 6\r\n")
        client.send(b"abc")
        wait_until(lambda: origin.has(b"\r\n\r\nabc"), "a server has what there is")
        client.send(b"def")
        assert pieces_and_body(client.response()[2])[1] == b"abcdef"


def test_who_asks_whether_to_send_is_answered_by_the_server_that_is_there(edge):
    with Counting() as origin, Client(WEB) as client:
        client.get(method="PUT", extra="Content-Length: 5\r\nExpect: 100-continue\r\n")
        assert client.response()[0] == 100
        wait_until(lambda: origin.connections == 1, "the server is there")
        client.send(b"hello")
        assert pieces_and_body(client.response()[2])[1] == b"hello"


def test_many_that_wait_leave_room_for_each_other(edge):
    """A hundred bodies at once are three times what their connection may send ahead."""
    path = edge.lab.home / "body"
    path.write_bytes(bytes(30000))
    with Origin(8000, answer_simply):
        done = edge.lab.edge("timeout", "20", "h2load", "-n", "200", "-c", "1", "-m", "100", "-d", path,
                             "http://127.0.0.1:80/")
    assert "200 succeeded, 0 failed, 0 errored" in done.stdout


# --- gathered -------------------------------------------------------------------------------------

def test_the_first_pieces_are_heard_at_once_and_then_enough_of_them(edge, connect):
    with Counting() as origin, connect() as client:
        client.get(method="POST", extra=CHUNKED)
        for number in range(4):
            client.send(chunk(b"piece %d" % number))
            wait_until(lambda n=number: origin.has(b"piece %d" % n), "it has arrived")
        client.send(chunk(b"piece 4"))
        time.sleep(0.3)
        assert not origin.has(b"piece 4")
        client.send(chunk(b"x" * 16384))
        wait_until(lambda: origin.has(b"piece 4"), "it has arrived with the others")
        client.send(chunk(b""))
        assert len(client.response()[2]) > 16384 + 5 * 7


def test_small_pieces_reach_a_server_together(edge, connect):
    body = [b"piece %02d\n" % number for number in range(PIECES)]
    with Counting(), connect() as client:
        client.get(method="POST", extra=CHUNKED)
        trickle(client, [chunk(piece) for piece in body])
        client.send(chunk(b""))
        pieces, got = pieces_and_body(client.response()[2])
        assert got == b"".join(body)
        assert pieces <= 7  # the head, four on credit, the rest
        client.get()
        assert pieces_and_body(client.response()[2]) == (1, b"")


def test_tiny_chunks_become_large_ones(edge, connect):
    """Content and end are the same, wherever the pieces were cut, and the next request is where it was."""
    body = bytes(range(256)) * 20
    crumbs = b"".join(chunk(body[at:at + 1]) for at in range(len(body))) + chunk(b"")
    follows = b"GET /next HTTP/1.1\r\nHost: web.test\r\n\r\n"
    for cut in (1, 300, 301, 302, 303, 304, 305, 20000, len(crumbs)):
        with Counting() as origin, connect() as client:
            client.get(method="POST", extra=CHUNKED)
            client.send(crumbs[:cut])
            time.sleep(0.02)
            client.send(crumbs[cut:] + follows)
            assert pieces_and_body(client.response()[2])[1] == body
            assert client.response()[2] == b"1 "
            assert len(origin.received) < len(body) + 3000  # of 30 KiB


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunks"])
def test_what_waits_goes_on_though_nothing_follows(edge, connect, length):
    wrap = (lambda piece: piece) if length else chunk
    with edge.tuned(gather__delay="300ms", gather__hold="0s"), Counting() as origin, connect() as client:
        client.get(method="POST", extra="Content-Length: 1000\r\n" if length else CHUNKED)
        trickle(client, [wrap(b"piece %d" % number) for number in range(9)], pause=0.02)
        wait_until(lambda: origin.has(b"piece 8"), "it has arrived")


def test_a_conversation_is_not_kept_waiting(edge, connect):
    """Whatever the server says answers what was said: the next word is heard at once."""
    def echo(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            word = peer.take(int(peer.until(b"\r\n"), 16) + 2)[:-2]
            peer.send(chunk(word))

    with Origin(8000, echo), connect() as client:
        client.get(method="POST", extra=CHUNKED)
        client.head()
        for number in range(30):
            word = b"word %d" % number
            client.send(chunk(word))
            assert client.take(len(chunk(word))) == chunk(word)


def test_a_server_that_has_heard_enough_is_heard(edge):
    """Pieces wait, but not the answer."""
    def deny(peer):
        peer.head()
        peer.until(b"5\r\npiece\r\n")
        time.sleep(0.2)
        peer.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

    with Origin(8000, deny), Client(WEB) as client:
        client.get(method="POST", extra=CHUNKED)
        trickle(client, [chunk(b"piece")] * 10)
        assert client.response()[::2] == (403, b"no")


def test_zero_passes_each_piece_on(edge):
    body = [b"%02d" % number for number in range(PIECES)]
    with edge.tuned(gather__bytes="0"), Counting() as origin, Client(WEB) as client:
        client.get(method="POST", extra=f"Content-Length: {2 * PIECES}\r\n")
        for piece in body:
            client.send(piece)
            wait_until(lambda p=piece: origin.received.endswith(p), "it has arrived", pause=0.001)
        assert pieces_and_body(client.response()[2])[1] == b"".join(body)


# --- HTTP/2 ---------------------------------------------------------------------------------------

def post(client, length=None):
    fields = (*GET[1:3], (":method", "POST"), (":path", "/up"))
    if length:
        fields += (("content-length", str(length)),)
    return client.request(fields, end=False)


def test_a_server_is_asked_when_a_streams_body_is_here(edge):
    body = bytes(range(PIECES))
    with Counting() as origin, Client2() as client:
        stream = post(client, len(body))
        trickle(client, [frame(DATA, 0, stream, bytes([byte])) for byte in body])
        answer, error = client.answer(stream)
        assert (pieces_and_body(answer), error, origin.connections) == ((1, body), None, 1)


def test_a_streams_small_pieces_are_one_chunk(edge):
    body = [b"piece %02d\n" % number for number in range(PIECES)]
    with Counting() as origin, Client2() as client:
        stream = post(client)
        trickle(client, [frame(DATA, 0, stream, piece) for piece in body])
        client.send(frame(DATA, END_STREAM, stream))
        pieces, got = pieces_and_body(client.answer(stream)[0])
        assert got == b"".join(body)
        assert pieces <= 7
        assert origin.received.count(b"piece") == PIECES and origin.received.count(b"\r\npiece") <= 7


def test_a_streams_pieces_go_on_though_nothing_follows(edge):
    with edge.tuned(gather__delay="300ms"), Counting() as origin, Client2() as client:
        stream = post(client)
        trickle(client, [frame(DATA, 0, stream, b"piece %d" % number) for number in range(9)])
        wait_until(lambda: origin.has(b"piece 8"), "it has arrived")


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunks"])
def test_a_server_of_http2_has_it_whole(edge, length):
    body = bytes(range(PIECES))
    fields = f"Content-Length: {PIECES}\r\n" if length else CHUNKED
    with Client(TWO) as client:
        client.get(method="POST", extra=fields)
        trickle(client, [bytes([byte]) if length else chunk(bytes([byte])) for byte in body])
        client.send(b"" if length else chunk(b""))
        assert client.response()[2] == body


# --- whatever comes, and however ------------------------------------------------------------------

@pytest.mark.parametrize("port", [WEB, TWO])
@pytest.mark.parametrize("length", [True, False], ids=["length", "chunks"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_uploads_arrive_whole(edge, port, length, version):
    """At the pace of a client who is slow at first, then fast."""
    path, got = edge.lab.home / "sent", edge.lab.home / "got"
    path.write_bytes(bytes(range(251)) * 4096)
    words = ["-T", str(path)] if length else ["-H", "Content-Length:", "-T", "-"]
    feed = f"(dd if={path} bs=1 count=200 status=none; dd if={path} bs=64k iflag=skip_bytes skip=200 status=none)"
    with Origin(8000, answer_simply):
        edge.lab.edge("sh", "-c", f'{feed} | "$@"', "sh", "curl", "-sS", "--max-time", "20", version, "-H", "Expect:",
                      "-o", str(got), *words, f"http://127.0.0.1:{port}/up")
    wanted = path.read_bytes() if port == TWO else b"/up " + path.read_bytes()
    assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(wanted).digest()


def test_a_record_may_come_in_two(edge):
    """The kernel counts what is on the wire: the beginning of a record that was read counts, too."""
    body = bytes(range(256)) * 40
    with Counting(), Partial(edge.context()) as client:
        client.finish()
        client.send(b"POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: %d\r\n\r\n" % len(body))
        client.send(body[:10])
        time.sleep(0.1)
        client.tls.write(body[10:])
        record = client.outgoing.read()
        for part in (record[:5000], record[5000:9000], record[9000:]):
            client.socket.sendall(part)
            time.sleep(0.1)
        answer = b""
        while body not in answer:
            answer += client.read()
        assert b"\r\n\r\n1 " in answer


def test_slow_and_fast_at_once(edge):
    """Nobody's pieces are mixed up with another's."""
    def send(number, results):
        body = bytes([number]) * 5000
        with Client(WEB) as client:
            client.get(method="POST", extra="Content-Length: 5000\r\n")
            step = 50 * number + 50
            trickle(client, [body[at:at + step] for at in range(0, len(body), step)], pause=0.001)
            results[number] = client.response()[2] == b"/ " + body

    results = {}
    with Origin(8000, answer_simply):
        threads = [threading.Thread(target=send, args=(number, results)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == dict.fromkeys(range(8), True)
