# SPDX-License-Identifier: BSD-2-Clause
"""Balancers in front of the proxy that say whose connection it is, and servers behind it that want to
know: who is believed, what follows from it, and that other makes understand the same.
"""
import contextlib
import socket
import ssl
import struct
import time

import pytest

from authority import Authority
from balancer import LOCAL, attribute, block, haproxy, line, nginx, read
from edge import Counted, Edge, answer_simply
from lab import Lab, wait_until
from origin import Client, Origin, Peer, inside

WEB, RELAY, CLOSED, TOLD, TOLD_V2, WEB_TOLD, CHAIN, SECURE, SECURE_RELAY = 80, 82, 83, 84, 85, 86, 87, 443, 444
BALANCER, STRANGER, MONITOR = "127.0.0.1", "127.0.0.9", "203.0.113.7"
FROM = 'proxy_protocol {{ from = {{"127.0.0.1/32"}} }}'
FREE = "source {{ connections = 0 syn_rate = 0 }} prefix {{ syn_rate = 0 }}"
CONFIG = f"""
filter {{{{ cgroup = "@CGROUP@" }}}}
listener web {{{{ bind = "127.0.0.1:{WEB}" upstream = "origin" exempt = "{MONITOR}" {FROM} {FREE} }}}}
listener relay {{{{ bind = "127.0.0.1:{RELAY}" protocol = "tcp" upstream = "origin" {FROM} {FREE} }}}}
listener strict {{{{ bind = "127.0.0.1:{CLOSED}" upstream = "origin" {FREE}
	proxy_protocol {{{{ from = {{{{"127.0.0.1/32"}}}} others = "refuse" }}}} }}}}
listener told {{{{ bind = "127.0.0.1:{TOLD}" protocol = "tcp" upstream = "v1" {FREE} }}}}
listener told2 {{{{ bind = "127.0.0.1:{TOLD_V2}" protocol = "tcp" upstream = "v2" {FREE} }}}}
listener page {{{{ bind = "127.0.0.1:{WEB_TOLD}" upstream = "v1" {FREE} }}}}
listener chain {{{{ bind = "127.0.0.1:{CHAIN}" protocol = "tcp" upstream = "v2" {FROM} {FREE} }}}}
listener secure {{{{ bind = "127.0.0.1:{SECURE}" upstream = "origin" {FROM} {FREE}
	tls {{{{ certificate = "@web@" key = "@key@" }}}} }}}}
listener both {{{{ bind = "127.0.0.1:{SECURE_RELAY}" protocol = "tcp" upstream = "v2" {FREE}
	tls {{{{ certificate = "@web@" key = "@key@" }}}} }}}}
upstream origin {{{{ server {{{{ address = "127.0.0.1:8000" }}}} }}}}
upstream v1 {{{{ server {{{{ address = "127.0.0.1:8100" }}}} proxy_protocol = "v1" }}}}
upstream v2 {{{{ server {{{{ address = "127.0.0.1:8100" }}}} proxy_protocol = "v2" }}}}
proxy {{{{ threads = 2 access_log = "{{log}}" }}}}
admin {{{{ address = "127.0.0.1:9180" }}}}
"""


class BalancedEdge(Edge):
    def __init__(self, lab):
        self.authority = Authority(lab.home)
        self.context = ssl.create_default_context(cafile=str(self.authority.pem))
        web = self.authority.issue("web", ["web.test"])
        super().__init__(lab, text=CONFIG.replace("@web@", str(web.pem)).replace("@key@", str(web.key)),
                         ports=(WEB, RELAY, CLOSED, TOLD, TOLD_V2, WEB_TOLD, CHAIN, SECURE, SECURE_RELAY))


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield BalancedEdge(made)


@pytest.fixture
def counted(edge):
    return Counted(edge)


def forwarded(origin):
    """Whom the last request was forwarded for."""
    return origin.received.decode("latin-1").rpartition("X-Forwarded-For: ")[2].split("\r\n")[0]


# --- in: who is believed --------------------------------------------------------------------------

@pytest.mark.parametrize("source, header", [
    ("198.51.100.7", line("198.51.100.7")),
    ("2001:db8::7", line("2001:db8::7", destination="2001:db8::80")),
    ("198.51.100.8", block("198.51.100.8")),
    ("2001:db8::8", block("2001:db8::8", attributes=attribute(4, b"x" * 1500))),
    ("127.0.0.1", LOCAL),
    ("127.0.0.1", b"PROXY UNKNOWN\r\n"),
], ids=("line", "line v6", "block", "block v6", "local", "unknown"))
def test_a_client_has_the_name_that_its_balancer_says(edge, source, header):
    with Origin(8000, answer_simply) as origin, Client(WEB) as client:
        client.send(header + b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response()[0] == 200
        assert forwarded(origin) == source
        client.get("/two")
        assert client.response()[0] == 200
        assert forwarded(origin) == source
    assert edge.wait_logged(target="/two", source=source)["status"] == 200


def test_a_header_arrives_however_it_is_cut(edge):
    for header in (line("198.51.100.9"), block("198.51.100.9", attributes=attribute(5, b"id"))):
        data = header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        with Origin(8000, answer_simply) as origin, Client(WEB) as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                client.send(bytes([byte]))
            assert client.response()[0] == 200
            assert forwarded(origin) == "198.51.100.9"


def test_a_relay_gets_what_comes_behind_the_header_and_no_byte_more(edge):
    with Origin(8000, lambda peer: peer.send(b"heard " + peer.rest())), Client(RELAY) as client:
        client.send(block("198.51.100.10", attributes=attribute(0xe0, b"y")) + b"all")
        client.send(b" of it")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"heard all of it"
    said = edge.wait_logged(listener="relay", source="198.51.100.10", port=1234)
    assert (said["in"], said["out"]) == (9, 15)


def test_tls_begins_right_behind_the_header(edge):
    """Header and ClientHello in one segment, then each in many."""
    context = edge.context
    for header in (line("198.51.100.11"), block("198.51.100.11")):
        for pieces in (1, 50):
            with Origin(8000, answer_simply) as origin, TlsBehind(context, header, pieces) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
                assert client.head()[0] == "HTTP/1.1 200 OK"
                assert forwarded(origin) == "198.51.100.11"


class TlsBehind(Peer):
    """A TLS client whose first flight goes out behind a header, in pieces."""

    def __init__(self, context, header, pieces):
        connection = socket.create_connection(("127.0.0.1", SECURE), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(connection)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(incoming, outgoing, server_hostname="web.test")
        self.incoming, self.outgoing = incoming, outgoing
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        flight = header + outgoing.read()
        for at in range(0, len(flight), -(-len(flight) // pieces)):
            connection.sendall(flight[at:at + -(-len(flight) // pieces)])
        self._until(self.tls.do_handshake)

    def _until(self, do):
        """What `do` returns, once enough has come for it."""
        while True:
            done, result = True, None
            try:
                result = do()
            except ssl.SSLWantReadError:
                done = False
            self.socket.sendall(self.outgoing.read())
            if done:
                return result
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.incoming.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.tls.write(data)
        self.socket.sendall(self.outgoing.read())

    def more(self):
        self.buffer += self._until(lambda: self.tls.read(65536))


@pytest.mark.parametrize("header", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", b"PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
    b"PROXY UNKNOWN " + b"x" * 100, block("198.51.100.12")[:13] + b"\x31\0\xd8" + bytes(216),
    block("198.51.100.12", attributes=attribute(3, b"\1\2\3\4")), block("198.51.100.12")[:14] + b"\xff\xff",
], ids=("none", "bare LF", "octal", "endless", "Unix socket", "checksum", "too long"))
def test_a_balancer_without_a_proper_header_is_refused(edge, counted, header):
    counted.expect("bad_proxy_header")
    with Client(WEB) as client:
        client.send(header)
        assert client.ended() == "reset"
    counted("bad_proxy_header", 1)
    assert edge.wait_logged(reason="bad_proxy_header")["source"] == BALANCER


def test_a_header_has_the_deadline_of_handshakes(edge, counted):
    counted.expect("proxy_header_timeout")
    with edge.tuned(timeouts__handshake="300ms"), Client(WEB) as client:
        client.send(b"PROXY TCP4 198.")
        begun = time.monotonic()
        assert client.ended() == "reset"
        assert time.monotonic() - begun < 2
    counted("proxy_header_timeout", 1)


def test_a_balancer_may_look_whether_anybody_is_here(edge, counted):
    counted.expect("done", "bad_proxy_header", "client_closed")
    with Client(WEB):
        pass
    with Client(WEB) as client:
        client.reset()
    counted("done", 2)
    counted("bad_proxy_header", 0)


def test_nobody_else_is_believed(edge, counted):
    """The header is then what its bytes are: no request, no TLS; to a relay, somebody's bytes."""
    counted.expect("method_unsupported")
    counted.expect("not_tls", service="secure")
    with Client(WEB, source=STRANGER) as client:
        client.send(line("198.51.100.66") + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response()[0] == 501
    counted("method_unsupported", 1)
    assert edge.wait_logged(reason="method_unsupported")["source"] == STRANGER
    with Client(SECURE, source=STRANGER) as client:
        client.send(block("198.51.100.66"))
        assert client.response()[0] == 400
    counted("not_tls", 1, service="secure")
    with Origin(8000, lambda peer: peer.send(peer.rest())), Client(RELAY, source=STRANGER) as client:
        client.send(line("198.51.100.66"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == line("198.51.100.66")
    assert edge.wait_logged(listener="relay", source=STRANGER)
    assert not [said for said in edge.log() if said.get("source") == "198.51.100.66"]


def test_whoever_comes_past_the_balancer_is_a_client_or_refused(edge, counted):
    counted.expect("untrusted_peer", service="strict")
    with Origin(8000, answer_simply) as origin:
        with Client(WEB, source=STRANGER) as client:
            client.get()
            assert client.response()[0] == 200
            assert forwarded(origin) == STRANGER
        with Client(CLOSED, source=STRANGER) as client:
            assert client.ended() == "reset"
        with Client(CLOSED) as client:
            client.send(line("198.51.100.13"))
            client.get()
            assert client.response()[0] == 200
    counted("untrusted_peer", 1, service="strict")


# --- in: what follows from it ---------------------------------------------------------------------

def test_caps_are_the_clients_and_not_the_balancers(edge, counted):
    counted.expect("source_connections", "prefix_connections")
    with edge.tuned(source__connections="2", prefix__connections="3"), Origin(8000, answer_simply), \
            contextlib.ExitStack() as stack:
        def come(source):
            client = stack.enter_context(Client(WEB))
            client.send(line(source) if source else LOCAL)
            client.get()
            return client

        def is_reset(source):
            try:
                return come(source).ended() == "reset"
            except ConnectionResetError:  # before it could ask
                return True

        held = [come("198.51.100.20"), come("198.51.100.20"), come("198.51.100.21")]
        assert all(client.response()[0] == 200 for client in held)
        assert is_reset("198.51.100.20")
        counted("source_connections", 1)
        assert is_reset("198.51.100.22")
        counted("prefix_connections", 1)
        assert come("203.0.113.1").response()[0] == 200
        assert all(come(None).response()[0] == 200 for _ in range(4))
        held[0].socket.close()
        wait_until(lambda: not is_reset("198.51.100.20"), "who has left is counted no more")


def test_who_is_named_is_kept_out_for_his_faults_unless_he_is_exempt(edge, counted):
    """Tiny chunks are five faults at once; the balancer that brings them has none of them."""
    counted.expect("chunk_overhead", "source_conduct")
    abuse = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500

    def come(source, said):
        client = Client(WEB)
        client.send(line(source) + said)
        return client

    with edge.tuned(source__faults="4", limits__chunk_overhead="1000"), Origin(8000, answer_simply):
        for source in (MONITOR, "203.0.113.8"):
            with come(source, abuse) as client:
                assert client.response()[0] == 400
        counted("chunk_overhead", 2)
        with come("203.0.113.8", b"") as client:
            assert client.ended() == "reset"
        counted("source_conduct", 1)
        for source in (MONITOR, "203.0.113.9"):
            with come(source, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as client:
                assert client.response()[0] == 200
    counted("source_conduct", 1)


def test_handshakes_are_counted_for_the_client(edge, counted):
    counted.expect("source_handshake_rate", service="secure")
    context = edge.context

    def come(source):
        with TlsBehind(context, line(source), 1) as client:
            return client.tls.version()

    edge.lab.floodwall("set", "secure.source.handshake_rate", "1")
    edge.lab.floodwall("set", "secure.source.handshake_burst", "2")
    time.sleep(0.6)
    try:
        assert come("198.51.100.30") and come("198.51.100.30")
        with pytest.raises((OSError, EOFError)):
            come("198.51.100.30")
        assert come("203.0.113.30")
    finally:
        edge.lab.floodwall("set", "secure.source.handshake_rate", "20")
        edge.lab.floodwall("set", "secure.source.handshake_burst", "100")
    counted("source_handshake_rate", 1, service="secure")


# --- in: as others write it -----------------------------------------------------------------------

@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2",
                                     "send-proxy-v2 proxy-v2-options crc32c,unique-id",
                                     "send-proxy check check-send-proxy inter 100ms",
                                     "send-proxy-v2 proxy-v2-options crc32c check check-send-proxy inter 100ms"])
def test_haproxy_in_front(edge, counted, options):
    """Health checks are its own connections (LOCAL in version 2)."""
    counted.expect("bad_proxy_header")
    front = haproxy(edge.lab, f"frontend in\n\tmode tcp\n\tbind 127.0.0.1:8200\n\tunique-id-format %[uuid()]\n"
                              f"\tdefault_backend out\n"
                              f"backend out\n\tmode tcp\n\tserver edge 127.0.0.1:{WEB} {options}\n", [8200])
    try:
        with Origin(8000, answer_simply) as origin:
            for source in ("127.0.0.21", "127.0.0.22"):
                with Client(8200, source=source) as client:
                    client.get(f"/{source}")
                    assert client.response()[0] == 200
                    assert forwarded(origin) == source
                    port = client.socket.getsockname()[1]
                assert edge.wait_logged(target=f"/{source}", port=port)["source"] == source
            time.sleep(0.5 if "check" in options else 0)
            assert "DOWN" not in front.out.read_text() + front.err.read_text()
    finally:
        front.stop()
    counted("bad_proxy_header", 0)


def test_nginx_in_front(edge):
    front = nginx(edge.lab, f"stream {{ server {{ listen 127.0.0.1:8201; proxy_pass 127.0.0.1:{WEB}; "
                            "proxy_protocol on; } }", [8201])
    try:
        with Origin(8000, answer_simply) as origin, Client(8201, source="127.0.0.23") as client:
            client.get()
            assert client.response()[0] == 200
            assert forwarded(origin) == "127.0.0.23"
    finally:
        front.stop()


def test_curl_as_a_balancer(edge):
    with Origin(8000, answer_simply) as origin:
        for url in (f"http://127.0.0.1:{WEB}/curl", f"https://web.test:{SECURE}/curl"):
            done = edge.lab.edge("curl", "-sS", "--http1.1", "--haproxy-protocol", "--cacert", edge.authority.pem,
                                 "--resolve", f"web.test:{SECURE}:127.0.0.1", url)
            assert done.stdout == "/curl "
            assert forwarded(origin) == "127.0.0.1"


# --- out ------------------------------------------------------------------------------------------

def test_a_server_is_told_before_the_first_byte(edge):
    """And before any, where the server speaks first."""
    seen = []

    def answer(peer):
        seen.append(read(peer))
        peer.send(b"welcome ")
        peer.send(peer.rest())

    with Origin(8100, answer):
        for port, version in ((TOLD, b"PROXY TCP4 "), (TOLD_V2, b"\r\n\r\n\0")):
            with Client(port, source="127.0.0.31") as client:
                assert client.until(b"welcome ") == b"welcome "
                client.send(b"bytes")
                client.socket.shutdown(socket.SHUT_WR)
                assert client.rest() == b"bytes"
                mine = client.socket.getsockname()
            data, source, destination, _ = seen.pop()
            assert data.startswith(version)
            assert (source, destination) == (mine, ("127.0.0.1", port))


def test_a_link_that_was_told_of_one_client_serves_no_other(edge):
    """Nor another request: each has a connection of its own, and the server is told that."""
    seen = []

    def answer(peer):
        seen.append(read(peer)[1])
        target, fields = peer.head()
        assert fields["connection"] == "close"
        body = target.split()[1].encode()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        peer.rest()

    with Origin(8100, answer) as origin, Client(WEB_TOLD, source="127.0.0.32") as one, \
            Client(WEB_TOLD, source="127.0.0.33") as other:
        for target in ("/1", "/2"):
            for client in (one, other):
                client.get(target)
                assert client.response()[::2] == (200, target.encode())
        assert origin.connections == 4
        assert seen == [client.socket.getsockname() for _ in range(2) for client in (one, other)]


def test_what_one_balancer_said_is_passed_on_to_the_next(edge):
    seen = []

    def answer(peer):
        seen.append(read(peer))
        peer.send(peer.rest())

    with Origin(8100, answer), Client(CHAIN) as client:
        client.send(block("2001:db8::33", port=4321) + b"hello")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"hello"
    assert seen[0][1:3] == (("2001:db8::33", 4321), ("2001:db8::80", 80))


def test_a_server_is_told_about_tls(edge):
    seen = []

    def answer(peer):
        seen.append(read(peer)[3])
        peer.send(peer.rest())

    with Origin(8100, answer):
        context = edge.context
        with socket.create_connection(("127.0.0.1", SECURE_RELAY), timeout=10) as connection, \
                context.wrap_socket(connection, server_hostname="web.test") as client:
            client.sendall(b"x")
            wait_until(lambda: seen, "the server has its header")
            cipher = client.cipher()[0]
    about = seen[0]
    flags, verified = struct.unpack("!BL", about[0x20][:5])
    assert about[2] == b"web.test" and flags == 1 and verified != 0
    assert about[0x20][5:] == attribute(0x21, b"TLSv1.3") + attribute(0x23, cipher.encode())


@pytest.mark.parametrize("port", [TOLD, TOLD_V2])
def test_haproxy_behind(edge, port):
    server = haproxy(edge.lab, "frontend in\n\tmode http\n\tbind 127.0.0.1:8100 accept-proxy\n"
                               "\thttp-request return status 200 content-type text/plain lf-string \"%[src]:%[src_port]\"\n",
                     [8100])
    try:
        with Client(port, source="127.0.0.34") as client:
            client.get()
            mine = client.socket.getsockname()
            assert client.response()[2] == f"{mine[0]}:{mine[1]}".encode()
    finally:
        server.stop()


@pytest.mark.parametrize("port", [TOLD, TOLD_V2, WEB_TOLD])
def test_nginx_behind(edge, port):
    server = nginx(edge.lab, f"""http {{ access_log off; client_body_temp_path {edge.lab.home}/b; proxy_temp_path {edge.lab.home}/p;
        fastcgi_temp_path {edge.lab.home}/f; uwsgi_temp_path {edge.lab.home}/u; scgi_temp_path {edge.lab.home}/s;
        server {{ listen 127.0.0.1:8100 proxy_protocol; return 200 "$proxy_protocol_addr:$proxy_protocol_port"; }} }}""",
                   [8100])
    try:
        with Client(port, source="127.0.0.35") as client:
            client.get()
            mine = client.socket.getsockname()
            assert client.response()[2] == f"{mine[0]}:{mine[1]}".encode()
    finally:
        server.stop()
