# SPDX-License-Identifier: BSD-2-Clause
"""The proxy between clients and servers that keep to the rules, and servers that do not.

Each story says who does what, and asserts what both ends saw and what the proxy counted.
"""
import contextlib
import pathlib
import re
import socket
import threading
import time

import pytest

from edge import LONELY, PAGE, PAIR, RELAY, WEB, answer_simply
from lab import BUILD, wait_until
from origin import Client, Origin

# --- requests and responses -----------------------------------------------------------------------

def test_one_connection_serves_many_requests_over_one_link(edge):
    with Origin(8000, answer_simply) as origin, Client(WEB) as client:
        for number in range(50):
            client.get(f"/{number}")
            status, fields, body = client.response()
            assert (status, body) == (200, b"/%d " % number)
            assert fields.get("connection") != "close"
        assert origin.connections == 1
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in origin.received


def test_pipelined_requests_are_answered_in_order(edge):
    with Origin(8000, answer_simply), Client(WEB) as client:
        client.send(b"".join(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % i
                             for i in range(100)))
        for number in range(100):
            assert client.response()[::2] == (200, b"/%d abc" % number)


def test_heads_arrive_however_they_are_cut(edge):
    request = b"GET /cut HTTP/1.1\r\nHost: a\r\nX-Long: " + b"y" * 300 + b"\r\n\r\n"
    with Origin(8000, answer_simply), Client(WEB) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(1, len(request), 37):
            client.send(request[:at])
            time.sleep(0.002)
            client.send(request[at:])
            assert client.response()[::2] == (200, b"/cut ")


def test_a_large_head_passes_whole(edge):
    fields = "".join(f"X-{n}: {'v' * 900}\r\n" for n in range(60))
    with Origin(8000, answer_simply) as origin, Client(WEB) as client:
        client.get("/large", extra=fields)
        assert client.response()[0] == 200
        assert len(origin.received) > 54000


def test_chunks_pass_both_ways(edge):
    def answer(peer):
        _, fields = peer.head()
        body = peer.body(fields)
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 7000):
            part = body[at:at + 7000]
            peer.send(b"%x\r\n" % len(part) + part + b"\r\n")
        peer.send(b"0\r\n\r\n")
        answer(peer)

    body = bytes(range(256)) * 400
    raw = b"".join(b"%X\r\n" % len(part) + part + b"\r\n"
                   for part in (body[at:at + 4999] for at in range(0, len(body), 4999))) + b"0\r\n\r\n"
    with Origin(8000, answer), Client(WEB) as client:
        for size in (len(raw), 1500, 9999):
            client.get("/", method="POST", extra="Transfer-Encoding: chunked\r\n")
            for at in range(0, len(raw), size):
                client.send(raw[at:at + size])
            assert client.response()[::2] == (200, body)


def test_an_old_client_gets_no_chunks(edge):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    with Origin(8000, answer), Client(WEB) as client:
        client.get(version="1.0")
        _, fields = client.head()
        assert "transfer-encoding" not in fields
        assert client.rest() == b"hello world"


def test_a_response_until_close(edge):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 100000)

    with Origin(8000, answer), Client(WEB) as client:
        client.get()
        assert client.head()[1]["connection"] == "close"
        assert client.rest() == b"z" * 100000


def test_responses_without_bodies(edge):
    def answer(peer):
        while True:
            line, _ = peer.head()
            if line.startswith("HEAD"):
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            else:
                peer.send(b"HTTP/1.1 %s X\r\n\r\n" % line.split()[1][1:].encode())

    with Origin(8000, answer) as origin, Client(WEB) as client:
        client.get("/", method="HEAD")
        assert client.response(to_head=True)[1]["content-length"] == "1000"
        for status in (204, 304):
            client.get(f"/{status}")
            assert client.response()[0] == status
        assert origin.connections == 1


def test_the_proxy_says_continue_once_there_is_a_server(edge):
    with Origin(8000, answer_simply) as origin, Client(WEB) as client:
        client.get("/c", method="PUT", extra="Content-Length: 5\r\nExpect: 100-continue\r\n")
        assert client.head()[0] == "HTTP/1.1 100 Continue"
        wait_until(lambda: b"\r\n\r\n" in origin.received, "the server has the head")
        assert b"hello" not in origin.received
        client.send(b"hello")
        assert client.response()[::2] == (200, b"/c hello")
        assert b"xpect" not in origin.received


def test_interim_responses_are_relayed(edge):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with Origin(8000, answer), Client(WEB) as client:
        client.get()
        line, fields = client.head()
        assert line.startswith("HTTP/1.1 103") and fields["link"] == "</a>"
        assert client.response()[::2] == (200, b"ok")


def test_an_upgrade_turns_into_a_relay(edge, counted):
    def answer(peer):
        _, fields = peer.head()
        assert fields["upgrade"] == "echo"
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhi")
        while True:
            peer.send(peer.take(1))

    counted.expect("done")
    with Origin(8000, answer), Client(WEB) as client:
        client.get("/ws", extra="Connection: Upgrade\r\nUpgrade: echo\r\n")
        line, fields = client.head()
        assert line.startswith("HTTP/1.1 101") and fields["upgrade"] == "echo"
        assert client.take(2) == b"hi"
        for _ in range(20):
            client.send(b"\x00\r\n\xff")
            assert client.take(4) == b"\x00\r\n\xff"
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
    counted("done", 1)
    assert edge.wait_logged(target="/ws")["status"] == 101


def test_an_upgrade_that_nobody_asked_for_is_a_bad_response(edge, counted):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")

    counted.expect("upstream_bad_response")
    with Origin(8000, answer), Client(WEB) as client:
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


@pytest.mark.parametrize("size", [1, 16384, 100 << 20])
def test_bodies_pass_whole_in_bounded_memory(edge, size):
    """A hundred megabytes each way leave the proxy no larger than it was."""
    def answer(peer):
        _, fields = peer.head()
        left = int(fields["content-length"])
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
        while left:
            while not peer.buffer:
                peer.more()
            left -= len(peer.buffer)
            peer.send(peer.buffer)
            peer.buffer = b""

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(
            f"/proc/{edge.proxy_pid()}/status").read_text())[1]) << 10

    block = bytes(range(256)) * 4096
    before = resident()
    with Origin(8000, answer), Client(WEB, seconds=60) as client:
        client.get("/echo", method="POST", extra=f"Content-Length: {size}\r\n")

        def send():
            left = size
            while left:
                part = block[:min(left, len(block))]
                client.send(part)
                left -= len(part)

        sender = threading.Thread(target=send)
        sender.start()
        client.head()
        seen, good = 0, True
        while seen < size:
            if not client.buffer:
                client.more()
            at = seen % len(block)
            good = good and client.buffer == (block * 2)[at:at + len(client.buffer)]
            seen += len(client.buffer)
            client.buffer = b""
        sender.join()
        assert seen == size and good
    # AddressSanitizer keeps what was freed for a while, up to 256 MiB.
    assert resident() < before + ((300 if "sanitize" in BUILD.parts else 4) << 20)


def test_a_link_that_the_server_closed_is_not_the_clients_trouble(edge):
    """The server closes after each response without a word; a request that can be repeated is."""
    def answer(peer):
        line, fields = peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        peer.head()  # the next request is read, and answered by closing

    with Origin(8000, answer) as origin, Client(WEB) as client:
        for _ in range(5):
            client.get()
            assert client.response()[::2] == (200, b"ok")
        assert origin.connections == 5


def test_a_request_that_must_not_be_repeated_is_not(edge, counted):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        peer.head()

    counted.expect("upstream_bad_response")
    with Origin(8000, answer) as origin, Client(WEB) as client:
        client.get()
        assert client.response()[0] == 200
        client.get("/pay", method="POST", extra="Content-Length: 0\r\n")
        assert client.response()[0] == 502
        assert origin.received.count(b"POST /pay") == 1
    counted("upstream_bad_response", 1)


def test_what_a_server_says_unasked_reaches_nobody(edge):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        peer.rest()

    with Origin(8000, answer) as origin:
        for _ in range(3):
            with Client(WEB) as client:
                client.get()
                assert client.response()[::2] == (200, b"ok")
        assert origin.connections == 3


def test_wrk_ab_and_curl_are_content(edge):
    url = f"http://127.0.0.1:{PAGE}/"
    wrk = edge.lab.edge("wrk", "-t1", "-c32", "-d1s", url).stdout
    assert int(re.search(r"(\d+) requests in", wrk)[1]) > 100
    assert "Socket errors" not in wrk and "Non-2xx" not in wrk
    for options in ([], ["-k"]):
        ab = edge.lab.edge("ab", "-q", "-n2000", "-c20", *options, url).stdout
        assert re.search(r"Complete requests:\s+2000\n", ab)
        assert re.search(r"Failed requests:\s+0\n", ab) and "Non-2xx" not in ab
    done = edge.lab.edge("curl", "-sS", "--http1.1", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
                         f"{url}big")
    assert done.stdout == f"200 {32 << 20}"


# --- servers that do not do their part ------------------------------------------------------------

def test_no_server_no_route(edge, counted):
    counted.expect("upstream_unreachable", "no_route", service="lonely")
    with Client(LONELY) as client:
        client.get("/there")
        assert client.response()[0] == 502
    with Client(LONELY) as client:
        client.get("/elsewhere")
        assert client.response()[0] == 404
    counted("upstream_unreachable", 1, service="lonely")
    counted("no_route", 1, service="lonely")
    assert edge.wait_logged(reason="upstream_unreachable")["upstream"] == "127.0.0.1:8002"


def test_a_dead_server_is_passed_over(edge):
    for _ in range(6):
        with Client(PAIR) as client:
            client.get()
            assert client.response()[0] == 200


def test_a_silent_server_runs_into_the_deadline(edge, counted):
    counted.expect("first_byte_timeout")
    with edge.tuned(timeouts__first_byte="300ms"), Origin(8000, lambda peer: peer.rest()), \
            Client(WEB) as client:
        client.get()
        assert client.response()[0] == 504
    counted("first_byte_timeout", 1)


def test_a_server_that_does_not_accept_runs_into_the_deadline(edge, counted):
    """A listener whose queue is full answers no SYN."""
    counted.expect("connect_timeout")
    with socket.create_server(("127.0.0.1", 8000), backlog=0), contextlib.ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", 8000))
        with edge.tuned(timeouts__connect="300ms"), Client(WEB) as client:
            client.get()
            assert client.response()[0] == 504
    counted("connect_timeout", 1)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"220 smtp ready\r\n\r\n",
                                 b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                                 b"HTTP/2 200\r\n\r\n"])
def test_what_is_no_response_is_answered_for_the_server(edge, counted, raw):
    def answer(peer):
        peer.head()
        peer.send(raw)

    counted.expect("upstream_bad_response")
    with Origin(8000, answer), Client(WEB) as client:
        client.get()
        assert client.response()[0] == 502
    counted("upstream_bad_response", 1)


def test_a_response_that_breaks_off_is_not_taken_for_whole(edge, counted):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(0.05)  # the client has it by then

    counted.expect("upstream_bad_response")
    with Origin(8000, answer), Client(WEB) as client:
        client.get()
        with pytest.raises(ConnectionResetError):
            client.response()
    counted("upstream_bad_response", 1)


def test_an_early_answer_ends_the_upload(edge):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        time.sleep(0.2)

    with Origin(8000, answer), Client(WEB) as client:
        client.get(method="POST", extra="Content-Length: 10000000\r\n")
        client.send(b"x" * 300000)
        status, fields, body = client.response()
        assert (status, body, fields["connection"]) == (413, b"big", "close")


def test_the_upstreams_cap_is_kept(edge, counted):
    counted.expect("upstream_busy", service="lonely")
    hold = threading.Event()

    def answer(peer):
        peer.head()
        hold.wait(10)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Origin(8002, answer) as origin, Client(LONELY) as first, Client(LONELY) as second:
        first.get("/there")
        wait_until(lambda: origin.connections == 1, "the first request is with the server")
        second.get("/there")
        assert second.response()[0] == 503
        hold.set()
        assert first.response()[0] == 200
    counted("upstream_busy", 1, service="lonely")


# --- TCP ------------------------------------------------------------------------------------------

def test_a_relay_closes_each_way_by_itself(edge, counted):
    def answer(peer):
        said = peer.rest()  # up to the client's last word, then talks on
        peer.send(b"heard " + said)

    counted.expect("done", service="relay")
    with Origin(8000, answer), Client(RELAY) as client:
        client.send(b"all of it")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"heard all of it"
    counted("done", 1, service="relay")
    line = edge.wait_logged(listener="relay", reason="done")
    assert (line["in"], line["out"], line["upstream"]) == (9, 15, "127.0.0.1:8000")


def test_a_relay_waits_for_its_reader(edge):
    """A reader that pauses loses nothing, and holds no more than two sockets' and one buffer's worth."""
    total = 4 << 20

    def answer(peer):
        for _ in range(total >> 16):
            peer.send(bytes(range(256)) * 256)

    with Origin(8000, answer), Client(RELAY, receive_buffer=8192) as client:
        time.sleep(0.5)
        data = client.rest()
        assert len(data) == total and data == bytes(range(256)) * (total >> 8)


def test_a_silent_relay_ends(edge, counted):
    counted.expect("idle_timeout", service="relay")
    with edge.tuned(relay__timeouts__idle="400ms"), Origin(8000, lambda peer: peer.rest()), \
            Client(RELAY) as client:
        assert client.ended() == "reset"
    counted("idle_timeout", 1, service="relay")


def test_a_relay_without_a_server_is_refused(edge, counted):
    counted.expect("upstream_unreachable", service="relay")
    with Client(RELAY) as client:
        assert client.ended() == "reset"
    counted("upstream_unreachable", 1, service="relay")
