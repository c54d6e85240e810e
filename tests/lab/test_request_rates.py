# SPDX-License-Identifier: BSD-2-Clause
"""Requests beyond what a source or prefix may have: told how long to wait, or cut off (docs/overload.md); and who asks
for much at once, while others are answered in between.

Everybody on 127.0.0.0/8 is a source of his own.
"""
import contextlib
import threading
import time

from edge import PAGE, WEB, answer_simply
from http2 import Client2, Http2Edge
from lab import Lab, wait_until
from origin import Client, Origin, inside, serve


def test_requests_beyond_the_rate_are_told_how_long_to_wait(edge, counted):
    """Ten at once, then ten a second. The connection stays; others don't notice."""
    edge.wait_calm()
    counted.expect("source_request_rate", "request_flood")
    requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 25
    with edge.tuned(source__request_rate="10", source__request_burst="20"), \
            Origin(8000, answer_simply) as origin, Client(WEB, source="127.3.3.3") as client:
        client.send(requests)
        answers = [client.response() for _ in range(25)]
        assert [status for status, _, _ in answers] == [200] * 20 + [429] * 5
        _, fields, body = answers[-1]
        assert fields["retry-after"] == "1"
        assert fields["ratelimit-policy"] == '"source";q=20;w=2'
        assert fields["ratelimit"] == '"source";r=0;t=1'
        assert "connection" not in fields and body.startswith(b"source_request_rate: ")
        assert origin.received.count(b"GET /") == 20
        assert serve(WEB, 10, source="127.3.3.4") == [200] * 10
        time.sleep(0.3)
        client.get()
        assert client.response()[0] == 200
    counted("source_request_rate", 5)
    counted("request_flood", 0)
    assert edge.wait_logged(reason="source_request_rate", source="127.3.3.3")["status"] == 429


def test_a_request_with_a_body_is_refused_with_its_connection(edge, counted):
    edge.wait_calm()
    counted.expect("source_request_rate")
    with edge.tuned(source__request_rate="1", source__request_burst="1"), Origin(8000, answer_simply), \
            Client(WEB, source="127.3.3.5") as client:
        client.get()
        assert client.response()[0] == 200
        client.get(method="POST", extra="Content-Length: 3\r\n")
        status, fields, _ = client.response()
        assert (status, fields["connection"], fields["retry-after"]) == (429, "close", "1")
        assert client.rest() == b""
    counted("source_request_rate", 1)


def test_a_source_has_so_many_requests_at_once(edge, counted):
    """Three wait for an answer, on whatever connections: the fourth is refused, and others don't notice."""
    edge.wait_calm()
    counted.expect("source_requests")
    go = threading.Event()

    def answer_late(peer):
        while True:
            peer.head()
            go.wait(10)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with edge.tuned(source__requests="3"), Origin(8000, answer_late) as origin, \
            contextlib.ExitStack() as held:
        waiting = [held.enter_context(Client(WEB, source="127.3.3.6")) for _ in range(3)]
        for client in waiting:
            client.get()
        wait_until(lambda: origin.received.count(b"GET /") == 3, "three are asked for")
        with Client(WEB, source="127.3.3.6") as fourth:
            fourth.get()
            status, fields, body = fourth.response()
            assert (status, fields["retry-after"]) == (429, "1") and "ratelimit" not in fields
            assert body.startswith(b"source_requests: ")
            go.set()
            assert [client.response()[0] for client in waiting] == [200] * 3
            fourth.get()
            assert fourth.response()[0] == 200
        assert serve(WEB, 1, source="127.3.3.7") == [200]
    counted("source_requests", 1)


def test_who_is_exempt_has_no_rate(edge):
    """A monitor asks as often as it likes, and as much at once; whoever asks so besides is told to wait."""
    edge.wait_calm()
    with edge.tuned(source__request_rate="1", source__request_burst="2", prefix__request_rate="1",
                    prefix__request_burst="2", source__requests="1"), Origin(8000, answer_simply):
        before = edge.count("source_request_rate"), edge.count("prefix_request_rate")
        assert serve(WEB, 20, source="127.77.0.1") == [200] * 20
        assert (edge.count("source_request_rate"), edge.count("prefix_request_rate")) == before
        assert 429 in serve(WEB, 4, source="127.78.0.1")


def test_a_prefix_has_a_rate_too(edge, counted):
    edge.wait_calm()
    counted.expect("prefix_request_rate")
    with edge.tuned(prefix__request_rate="1", prefix__request_burst="5"), Origin(8000, answer_simply):
        statuses = [serve(WEB, 1, source=f"127.4.4.{host}")[0] for host in range(1, 9)]
        assert statuses == [200] * 5 + [429] * 3
        assert serve(WEB, 1, source="127.4.5.1") == [200]
    counted("prefix_request_rate", 3)


def test_a_flood_of_requests_is_cut_off(edge, counted):
    """Who sends on and on, whatever he is told, is told nothing any more."""
    counted.expect("request_flood")
    with edge.tuned(source__request_rate="10", source__request_burst="10"), Origin(8000, answer_simply):
        with Client(WEB, source="127.5.5.5") as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
            answered = []
            with contextlib.suppress(ConnectionResetError, EOFError):
                while True:
                    answered.append(client.response()[0])
        assert answered.count(200) <= 15 and len(answered) <= 100
        assert serve(WEB, 5, source="127.5.5.6") == [200] * 5
    counted("request_flood", 1)


def test_a_greedy_pipeliner_waits_his_turn(edge):
    """Thousands of requests sent at once on one connection: those of others are answered between."""
    total = 3000
    with Client(PAGE, seconds=60) as greedy, Client(PAGE) as modest:
        sender = threading.Thread(target=greedy.send,
                                  args=(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * total,))
        sender.start()
        assert greedy.response()[0] == 200
        for _ in range(20):
            modest.get()
            assert modest.response()[0] == 200
        answered = edge.metric("proxy_requests_total", "page")
        rest = sum(greedy.response()[0] == 200 for _ in range(total - 1))
        assert rest == total - 1
        assert edge.metric("proxy_requests_total", "page") > answered, "the others had to wait for all of his"
        sender.join()


def test_http2_is_held_to_the_same_rate():
    """Streams are requests: refused one by one, and the flood's connection ends."""
    with Lab() as lab, inside(lab.edge):
        edge = Http2Edge(lab)
        for name, value in (("rate", "1"), ("burst", "3")):
            lab.floodwall("set", f"page.source.request_{name}", value)
        time.sleep(0.6)
        said = lab.edge("nghttp", "-nv", "--no-dep", *[f"http://127.0.0.1:{PAGE}/?{n}" for n in range(5)]).stdout
        assert said.count(":status: 200") == 3 and said.count(":status: 429") == 2, said
        assert said.count('ratelimit-policy: "source";q=3;w=3') == 2
        assert said.count('ratelimit: "source";r=0;t=1') == said.count("retry-after: 1") == 2
        with Client2(PAGE, source="127.6.6.6") as client:
            with contextlib.suppress(OSError):
                for _ in range(100):
                    client.request()
            client.farewell()
        refused = edge.count("source_request_rate", "page")
        wait_until(lambda: edge.count("request_flood", "page") >= 1,
                   f"the flood was cut off: {refused} refused, {edge.count('request_flood', 'page')}")
        assert 14 <= refused <= 20
