# SPDX-License-Identifier: BSD-2-Clause
"""Those who hold a handshake open, ask for too many, or fill a connection with nothing; and beside them
somebody honest."""
import os
import socket
import ssl
import struct
import threading
import time

import pytest

from edge import answer_simply
from lab import Lab, wait_until
from origin import Client, Origin, inside
from secure import MUTUAL, RELAY, WEB, Partial, Secure, SecureEdge

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield SecureEdge(made)


def served(edge, source="127.0.0.1", **options):
    """An honest client's request, and how long it took."""
    began = time.monotonic()
    with Secure(edge.context(), source=source, **options) as client:
        client.get("/honest")
        assert client.response()[0] == 200
    return time.monotonic() - began


# --- stalled ------------------------------------------------------------------------------------

def test_the_deadline_is_absolute_however_the_hello_trickles(edge, counted):
    """A byte every 20 ms is progress, and no reason to wait any longer."""
    counted.expect("handshake_timeout")
    with edge.tuned(timeouts__handshake="400ms"), Partial(edge.context()) as client:
        hello, began = client.next_flight(), time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in hello:
                client.socket.sendall(bytes([byte]))
                time.sleep(0.02)
        assert 0.3 < time.monotonic() - began < 1.5
    counted("handshake_timeout", 1)


def test_a_client_that_says_nothing(edge, counted):
    counted.expect("handshake_timeout")
    with edge.tuned(timeouts__handshake="300ms"), Partial(edge.context()) as client:
        assert client.ended() == ("reset", b"")
    counted("handshake_timeout", 1)


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("trickles", [False, True])
def test_stalled_after_the_servers_flight(edge, counted, version, trickles):
    counted.expect("handshake_timeout")
    with edge.tuned(timeouts__handshake="500ms"), Partial(edge.context(version)) as client:
        client.socket.sendall(client.next_flight())
        assert client.receive()
        if trickles:
            with pytest.raises(ConnectionError):
                for byte in client.next_flight() * 2:
                    client.socket.sendall(bytes([byte]))
                    time.sleep(0.02)
        else:
            assert client.ended()[0] == "reset"
    counted("handshake_timeout", 1)


def test_stalled_at_its_certificate(edge, counted):
    counted.expect("handshake_timeout", service="mutual")
    certificate = edge.authority.issue("slow", client=True)
    with Partial(edge.context(certificate=certificate), MUTUAL) as client:
        client.socket.sendall(client.next_flight())
        client.receive()
        flight = client.next_flight()
        client.socket.sendall(flight[:len(flight) // 2])
        edge.lab.floodwall("set", "mutual.timeouts.handshake", "200ms")
        try:
            assert client.ended()[0] == "reset"
        finally:
            edge.lab.floodwall("set", "mutual.timeouts.handshake", "5s")
    counted("handshake_timeout", 1, service="mutual")


def test_a_client_that_leaves_in_the_middle(edge, counted):
    failed = edge.metric("proxy_tls_handshakes_failed_total")
    counted.expect("client_closed")
    with Partial(edge.context()) as client:
        client.socket.sendall(client.next_flight())
        client.receive()
    with Partial(edge.context()) as client:
        client.socket.sendall(client.next_flight()[:100])
        time.sleep(0.1)
    counted("client_closed", 2)
    assert edge.metric("proxy_tls_handshakes_failed_total") == failed + 2


def test_half_open_handshakes_are_no_obstacle(edge):
    with Origin(8000, answer_simply):
        clients = [Partial(edge.context()) for _ in range(300)]
        try:
            for number, client in enumerate(clients):
                hello = client.next_flight()
                client.socket.sendall(hello[:len(hello) * (number % 3) // 2])
            assert max(served(edge) for _ in range(20)) < 2
        finally:
            for client in clients:
                client.socket.close()
    wait_until(lambda: edge.metric("proxy_connections_active") == 0, "all have gone")


# --- what is not TLS ------------------------------------------------------------------------------

def test_plain_http_is_told_so(edge, counted):
    counted.expect("not_tls")
    with Client(WEB) as client:
        client.get()
        status, fields, body = client.response()
        assert status == 400 and body.startswith(b"not_tls")
        assert fields["connection"] == "close"
    counted("not_tls", 1)


def test_a_relay_resets_what_is_not_tls(edge, counted):
    counted.expect("not_tls", service="relay")
    with Client(RELAY) as client:
        client.send(b"hello\r\n")
        assert client.ended() == "reset"
    counted("not_tls", 1, service="relay")


@pytest.mark.parametrize("garbage, reason, alert", [
    (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "bad_handshake", 50),
    (b"\x16\x03\x01\x00\x00", "bad_handshake", 50),
    (b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29" + bytes(41), "bad_handshake", None),
])
def test_garbage_is_answered_by_an_alert(edge, counted, garbage, reason, alert):
    counted.expect(reason)
    with Client(WEB) as client:
        client.send(garbage)
        said = client.rest()
        assert said[:1] == b"\x15" and len(said) == 7
        assert alert is None or said[6] == alert
    counted(reason, 1)


def test_random_records_after_the_hello(edge, counted):
    counted.expect("bad_handshake")
    with Partial(edge.context(V13)) as client:
        client.socket.sendall(client.next_flight())
        client.receive()
        client.socket.sendall(b"\x17\x03\x03\x00\x40" + os.urandom(64))
        assert client.ended()[0] == "closed"
    counted("bad_handshake", 1)


@pytest.mark.parametrize("version", [V12, V13])
def test_a_forged_record_ends_the_connection(edge, counted, version):
    counted.expect("bad_record")
    with Partial(edge.context(version)) as client:
        client.finish()
        client.socket.sendall(b"\x17\x03\x03\x00\x40" + os.urandom(64))
        with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
            while client.read():
                pass
    counted("bad_record", 1)


def test_an_oversized_record_ends_the_connection(edge, counted):
    counted.expect("bad_record")
    with Partial(edge.context()) as client:
        client.finish()
        client.socket.sendall(b"\x17\x03\x03\xff\xff")
        with pytest.raises(ssl.SSLError, match="(?i)record.overflow"):
            while client.read():
                pass
    counted("bad_record", 1)


def test_a_client_that_does_not_trust_us_is_counted(edge, counted):
    counted.expect("handshake_rejected")
    with pytest.raises(ssl.SSLCertVerificationError):
        Secure(ssl.create_default_context())
    counted("handshake_rejected", 1)


# --- floods ---------------------------------------------------------------------------------------

def test_a_flood_of_handshakes_is_refused_by_source_and_others_are_served(edge, counted):
    """Whole handshakes, as fast as one address can; another address beside it loses none."""
    stop, done = threading.Event(), [0, 0]

    def flood():
        context = edge.context()
        while not stop.is_set():
            try:
                Secure(context, seconds=5).socket.close()
                done[0] += 1
            except OSError:
                done[1] += 1

    before = edge.count("source_handshake_rate")
    with Origin(8000, answer_simply), \
            edge.tuned(source__handshake_rate="5", source__handshake_burst="10"):
        threads = [threading.Thread(target=flood) for _ in range(4)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for _ in range(8):
            served(edge, source="127.0.0.2")
            time.sleep(0.25)
        stop.set()
        for thread in threads:
            thread.join(10)
        seconds = time.monotonic() - began
    passed, refused = done
    assert refused > 50
    assert passed <= 10 + 5 * seconds + 2
    wait_until(lambda: edge.count("source_handshake_rate") - before == refused, "each refusal is counted")


def test_all_sources_together_have_a_rate(edge, counted):
    counted.expect("handshake_rate")
    with edge.tuned(handshake_rate="1", handshake_burst="3"):
        outcome = []
        for number in range(8):
            try:
                Secure(edge.context(), source=f"127.0.0.{10 + number}").socket.close()
                outcome.append(True)
            except OSError:
                outcome.append(False)
        assert outcome[:3] == [True] * 3 and outcome.count(True) <= 5
    counted("handshake_rate", outcome.count(False))


def key_updates(edge, count, word):
    """openssl's client asks for new keys, then makes a request."""
    text = (word + "\\n") * count + "GET /after HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"
    command = ["timeout", 20, "openssl", "s_client", "-connect", f"127.0.0.1:{WEB}", "-servername", "web.test",
               "-CAfile", edge.authority.pem, "-tls1_3"]
    return edge.lab.edge("sh", "-c", '(sleep 0.5; printf %b "$0" | while read -r line; do echo "$line"; '
                         '[ "${#line}" -gt 1 ] || sleep 0.01; done; sleep 1) | "$@"', text, *command,
                         check=False).stdout


@pytest.mark.parametrize("word", ["K", "k"])
def test_keys_are_updated_when_a_client_asks(edge, counted, word):
    with Origin(8000, answer_simply):
        assert "/after" in key_updates(edge, 10, word).split("HTTP/1.1 200")[-1]


def test_a_flood_of_key_updates_ends_the_connection(edge, counted):
    counted.expect("idle_records")
    with Origin(8000, answer_simply) as origin:
        key_updates(edge, 100, "K")
        assert b"/after" not in origin.received
    counted("idle_records", 1)


# --- slow -----------------------------------------------------------------------------------------

def pour(peer):
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n")
    for _ in range(300):
        peer.send(bytes(100_000))


def test_a_client_that_reads_nothing_is_let_go(edge, counted):
    counted.expect("write_timeout")
    with Origin(8000, pour), edge.tuned(timeouts__write="500ms"):
        with Secure(edge.context(), receive_buffer=4096) as client:
            client.get()
            wait_until(lambda: edge.metric("proxy_connections_active") == 0, "it is let go")
    counted("write_timeout", 1)


def test_a_client_that_reads_slowly_is_served_all(edge):
    """As long as it takes something, the write deadline does not come."""
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"s" * 3_000_000)

    with Origin(8000, answer), edge.tuned(timeouts__write="1s"):
        with Secure(edge.context(), receive_buffer=65536) as client:
            client.get()
            body = client.until(b"\r\n\r\n") and client.buffer
            while len(body) < 3_000_000:
                body += client.socket.recv(40_000)
                time.sleep(0.03)
            assert body == b"s" * 3_000_000


def test_a_body_too_slow_is_refused_and_told(edge, counted):
    counted.expect("body_timeout")
    with Origin(8000, answer_simply), edge.tuned(timeouts__body="400ms"), Secure(edge.context()) as client:
        client.get("/", "POST", extra="Content-Length: 100\r\n")
        with pytest.raises((OSError, AssertionError)):
            for _ in range(100):
                client.send(b"x")
                time.sleep(0.02)
            raise AssertionError("told at last")
        assert client.response()[0] == 408
    counted("body_timeout", 1)


def test_a_header_that_trickles_in_records_has_its_deadline(edge, counted):
    counted.expect("header_timeout")
    with edge.tuned(timeouts__header="400ms"), Secure(edge.context()) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with pytest.raises(OSError):
            for byte in b"GET /" + b"a" * 200:
                client.send(bytes([byte]))
                time.sleep(0.02)
        counted("header_timeout", 1)
