# SPDX-License-Identifier: BSD-2-Clause
"""The proxy and clients that take time, room or liberties that are not theirs.

Each story says who does what, and asserts what both ends saw and what the proxy counted and told.
"""
import collections
import contextlib
import pathlib
import select
import threading
import time

import pytest

from edge import WEB, Edge, answer_simply
from lab import Lab, wait_until
from origin import Client, Origin, inside

# --- who takes time that is not theirs ------------------------------------------------------------

def test_a_header_has_one_deadline_however_it_trickles(edge, counted):
    counted.expect("header_timeout")
    with edge.tuned(timeouts__header="500ms"), Client(WEB) as client:
        begun = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        client.socket.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() < begun + 5:
            with contextlib.suppress(TimeoutError):
                answer = client.socket.recv(1000)
            if not answer:
                client.send(b"X-A: b\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert 0.4 < time.monotonic() - begun < 2
        client.socket.settimeout(5)
    counted("header_timeout", 1)
    assert edge.wait_logged(reason="header_timeout", source="127.0.0.1")["status"] == 408


def test_who_says_nothing_is_dropped_without_a_word(edge, counted):
    counted.expect("header_timeout")
    with edge.tuned(timeouts__header="300ms"), Client(WEB) as client:
        assert client.ended() in ("closed", "reset")
    counted("header_timeout", 1)


def test_a_body_has_one_deadline(edge, counted):
    counted.expect("body_timeout")
    with edge.tuned(timeouts__body="500ms"), Origin(8000, answer_simply), Client(WEB) as client:
        client.get(method="POST", extra="Content-Length: 1000\r\n")
        for _ in range(20):
            client.send(b"x")
            time.sleep(0.01)
        assert client.response()[0] == 408
    counted("body_timeout", 1)


def test_a_slow_sender_and_a_slow_reader_fall_below_the_rate(edge, counted):
    """Both at once, since both take more than the five seconds of grace."""
    def answer(peer):
        line, fields = peer.head()
        if "down" in line:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                peer.send(b"x" * 65536)
        peer.body(fields)

    counted.expect("receive_rate", "send_rate")
    with edge.tuned(min_rate__receive="1000", min_rate__send="20000"), Origin(8000, answer), \
            Client(WEB, seconds=20) as sender, Client(WEB, receive_buffer=4096) as reader:
        sender.get(method="POST", extra="Content-Length: 100000\r\n")
        reader.get("/down")
        end, ended = time.monotonic() + 9, False
        sender.socket.settimeout(0.01)
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                sender.send(b"x" * 20)
            if not ended:
                try:
                    reader.socket.recv(500)
                except ConnectionResetError:
                    ended = True
            time.sleep(0.1)
        assert ended
        sender.socket.settimeout(5)
        assert sender.response()[0] == 408
    counted("receive_rate", 1)
    counted("send_rate", 1)
    assert edge.wait_logged(reason="send_rate")["target"] == "/down"


def test_a_reader_that_stops_is_reset(edge, counted):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            peer.send(b"x" * 65536)

    counted.expect("write_timeout")
    with edge.tuned(timeouts__write="400ms", min_rate__send="0"), Origin(8000, answer), \
            Client(WEB, receive_buffer=4096) as client:
        client.get()
        counted("write_timeout", 1)
        with pytest.raises(ConnectionResetError):
            while client.socket.recv(1 << 20):
                pass


def test_an_idle_connection_is_closed_in_silence(edge, counted):
    counted.expect("keepalive_timeout")
    with edge.tuned(timeouts__keepalive="300ms"), Origin(8000, answer_simply), Client(WEB) as client:
        client.get()
        assert client.response()[0] == 200
        assert client.ended() == "closed"
    counted("keepalive_timeout", 1)


def test_a_request_has_one_deadline_however_it_moves(edge, counted):
    """From its header on, with all that server and client do: the answer trickles, and is cut off."""
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            peer.send(b"x")
            time.sleep(0.05)

    counted.expect("request_timeout")
    with edge.tuned(timeouts__request="400ms"), Origin(8000, answer), Client(WEB) as client:
        begun = time.monotonic()
        client.get()
        with pytest.raises(ConnectionResetError):
            client.response()
        assert 0.3 < time.monotonic() - begun < 3
    counted("request_timeout", 1)


def test_a_live_edit_acts_on_a_connection_that_waits_already(edge, counted):
    counted.expect("keepalive_timeout")
    with Origin(8000, answer_simply), Client(WEB) as client:
        client.get()
        client.response()
        time.sleep(0.3)
        with edge.tuned(settle=0, timeouts__keepalive="100ms"):
            begun = time.monotonic()
            assert client.ended() == "closed"
            assert time.monotonic() - begun < 1
    counted("keepalive_timeout", 1)


def test_a_connection_serves_so_many_requests(edge, counted):
    counted.expect("connection_requests")
    with edge.tuned(limits__requests="3"), Origin(8000, answer_simply), Client(WEB) as client:
        for number in range(3):
            client.get()
            status, fields, _ = client.response()
            assert status == 200 and (fields.get("connection") == "close") == (number == 2)
        assert client.ended() == "closed"
    counted("connection_requests", 1)


# --- connections that are not admitted, requests that are not understood --------------------------

def test_the_cap_of_a_source_is_exact(edge, counted):
    """Of six at once five stay. Which one goes is nobody's business: the kernel counted all six
    before the proxy had looked at the first."""
    edge.wait_alone()
    counted.expect("source_connections")
    with edge.tuned(source__connections="5"), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(WEB)) for _ in range(6)]
        counted("source_connections", 1)
        refused = [client for client in clients if client.refused or select.select([client.socket], [], [], 0)[0]]
        assert [client.ended() for client in refused] == ["reset"]
        clients.remove(refused[0])
        clients.pop().reset()
        time.sleep(0.1)
        with Origin(8000, answer_simply), Client(WEB) as admitted:
            admitted.get()
            assert admitted.response()[0] == 200
    counted("source_connections", 1)
    assert edge.wait_logged(reason="source_connections")["source"] == "127.0.0.1"


def test_sources_of_one_network_share_a_cap(edge, counted):
    edge.wait_alone()
    counted.expect("prefix_connections")
    with edge.tuned(prefix__connections="5"), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(WEB, source=f"127.0.0.{number}")) for number in range(2, 8)]
        counted("prefix_connections", 1)
        assert sum(client.refused or bool(select.select([client.socket], [], [], 0)[0]) for client in clients) == 1


@pytest.mark.parametrize("exempted, restored", [
    (("allow", "127.0.0.1"), ("unallow", "127.0.0.1")),
    (("rule", "source_connections", "monitor"), ("rule", "source_connections", "enforce")),
], ids=["allow list", "monitor mode"])
def test_who_is_exempt_in_the_filter_is_exempt_at_accept(edge, counted, exempted, restored):
    edge.wait_alone()
    counted.expect("source_connections")
    with edge.tuned(source__connections="5"), contextlib.ExitStack() as stack:
        edge.lab.floodwall(*exempted)
        stack.callback(edge.lab.floodwall, *restored)
        for _ in range(8):
            stack.enter_context(Client(WEB))
        time.sleep(0.1)
        with Origin(8000, answer_simply), Client(WEB) as ninth:
            ninth.get()
            assert ninth.response()[0] == 200
    counted("source_connections", 0)


def test_the_cap_of_a_listener(edge, counted):
    """Those at the cap are being served: nobody has to go for a newcomer, who is refused."""
    edge.wait_alone()
    counted.expect("listener_connections", "evicted_new", "evicted_idle", "evicted_slow")
    hold = threading.Event()

    def answer(peer):
        peer.head()
        hold.wait(30)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with edge.tuned(max_connections="4"), Origin(8000, answer) as origin, contextlib.ExitStack() as stack:
        served = [stack.enter_context(Client(WEB)) for _ in range(4)]
        for client in served:
            client.get()
        wait_until(lambda: origin.connections == 4, "all four are with the server")
        # Each of a source of its own: who has several and comes often is kept out for that.
        for number in range(30):
            with Client(WEB, source=f"127.8.{number}.1") as refused:
                assert refused.ended() == "reset"
        hold.set()
        assert [client.response()[0] for client in served] == [200] * 4
    counted("listener_connections", 30)
    for reason in ("evicted_new", "evicted_idle", "evicted_slow"):
        counted(reason, 0)

    def told():
        lines = [line for line in edge.log() if line.get("reason") == "listener_connections"]
        return sum(line.get("suppressed", 1) for line in lines) == 30 and lines

    lines = wait_until(told, "lines and suppressed numbers add up")
    assert len(lines) < 30


SMUGGLED = {
    "both lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"0\r\n\r\n", 400, "bad_framing"),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400,
                    "bad_framing"),
    "signed length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400, "bad_framing"),
    "hidden coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400,
                      "bad_field"),
    "folded coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, None),
    "other coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501,
                     "coding_unsupported"),
    "bare line feed": (b"GET / HTTP/1.1\nHost: a\n\n", 400, None),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_host"),
    "tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501, "method_unsupported"),
    "version": (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "version_unsupported"),
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "target_too_long"),
    "large header": (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 14000 + b"\r\n") * 5 + b"\r\n", 431,
                     "header_too_large"),
    "large field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431, "field_too_large"),
    "many cookies": (b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"a;" * 300 + b"\r\n\r\n", 431,
                     "too_many_cookies"),
    "dot segments": (b"GET /there/%2e./here HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
    "many fields": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, "too_many_fields"),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_ambiguous_reaches_the_server(edge, counted, name):
    payload, status, reason = SMUGGLED[name]
    reasons = [reason] if reason else []
    counted.expect(*reasons)
    with Origin(8000, answer_simply) as origin, Client(WEB) as client:
        client.send(payload + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        got, fields, body = client.response()
        assert got == status and fields["connection"] == "close"
        assert not reason or reason.encode() in body
        assert client.rest() == b""
        assert origin.received == b""
    for each in reasons:
        counted(each, 1)


def test_a_bad_chunk_is_found_before_it_passes(edge, counted):
    counted.expect("bad_chunk")
    with Origin(8000, answer_simply) as origin, Client(WEB) as client:
        client.get(method="POST", extra="Transfer-Encoding: chunked\r\n")
        client.send(b"3\r\nabc\r\n")
        wait_until(lambda: b"abc" in origin.received, "the good chunk has passed")
        client.send(b"5;x=y\r\nevil!\r\n0\r\n\r\n")
        assert client.response()[0] == 400
        assert b"evil" not in origin.received
    counted("bad_chunk", 1)


def test_a_body_over_the_limit(edge, counted):
    counted.expect("body_too_large")
    with edge.tuned(limits__body="1000"), Origin(8000, answer_simply):
        for extra, body in (("Content-Length: 1001\r\n", b""), ("Transfer-Encoding: chunked\r\n", b"3e9\r\n")):
            with Client(WEB) as client:
                client.get(method="POST", extra=extra)
                client.send(body)
                assert client.response()[0] == 413
    counted("body_too_large", 2)


# --- the process ----------------------------------------------------------------------------------

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.alone("three hundred clients come at once: the last is there before the first has gone")
def test_few_descriptors_serve_some_and_refuse_the_rest():
    """A limit of 200: some are served, what their requests need comes out of the reserve, and when
    that is gone too the rest are refused at once, without the proxy running hot."""
    hold = threading.Event()

    def answer(peer):
        peer.head()
        hold.wait(30)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with Lab() as lab, inside(lab.edge), Origin(8000, answer, backlog=500), contextlib.ExitStack() as stack:
        edge = Edge(lab, command=("prlimit", "--nofile=200:200"))
        clients = []
        for _ in range(300):
            clients.append(stack.enter_context(Client(WEB)))
            with contextlib.suppress(OSError):
                clients[-1].get()
        time.sleep(0.5)
        late = [stack.enter_context(Client(WEB)) for _ in range(100)]
        time.sleep(0.5)
        begun = cpu_seconds(edge.proxy_pid())
        time.sleep(1)
        assert cpu_seconds(edge.proxy_pid()) - begun < 0.2
        hold.set()
        outcomes = collections.Counter()
        for client in clients + late:
            client.socket.settimeout(5 if client in clients else 0.05)
            try:
                outcomes[client.response()[0]] += 1
            except (ConnectionResetError, EOFError):
                outcomes["refused"] += 1
            except TimeoutError:
                outcomes["waiting"] += 1
        # Clients may have 136, less what the proxy needs itself (a descriptor for each map, …); links
        # to the server the rest: for whom there is none is told so (502), and goes. From 95% on who is of a
        # source that is here already, as all are, has to wait, or is kept out.
        assert 60 < outcomes[200] + outcomes[502] and 40 < outcomes[200] <= 136, outcomes
        # Who was answered with 502 and is still there makes room for one of the late, who waits.
        assert outcomes["refused"] + outcomes["waiting"] >= 200, outcomes
        assert outcomes["waiting"] <= edge.count("evicted_new"), outcomes

        # All are of one source: of those who wait some are kept out.
        def counted():
            return edge.count("descriptors") + edge.count("source_conduct")

        wait_until(lambda: 0 <= outcomes["refused"] - counted() <= edge.count("evicted_new"),
                   f"every refusal was counted: {outcomes}, {counted()}")
        for client in clients + late:
            client.socket.close()
        with Client(WEB) as client:
            client.get()
            assert client.response()[0] == 200


def test_draining_finishes_what_has_begun(edge):
    """SIGTERM: the idle connection is closed when its time is over, the busy one gets its answer and then is closed."""
    asked = threading.Event()

    def answer(peer):
        while True:
            line, _ = peer.head()
            if "slow" in line:
                asked.set()
                time.sleep(1)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    edge.lab.floodwall("set", "web.timeouts.keepalive", "2s")
    time.sleep(0.6)
    with Origin(8000, answer), Client(WEB) as idle, Client(WEB) as busy:
        idle.get()
        assert idle.response()[0] == 200
        busy.get("/slow")
        assert asked.wait(5)
        edge.daemon.kill(15)
        assert idle.ended() == "closed"
        status, fields, body = busy.response()
        assert (status, body, fields["connection"]) == (200, b"ok", "close")
        assert busy.ended() == "closed"
        assert edge.daemon.popen.wait(20) == 0
