# SPDX-License-Identifier: BSD-2-Clause
"""Servers whose answers two clients could cut differently, or that say more than they were asked.

Whatever a server sends, a client gets the one answer to its own request, or Floodwall's refusal; never
a part of somebody else's, and nothing that it could take for one.
"""
import contextlib
import threading
import time

import pytest

from edge import WEB, answer_simply
from lab import frozen, wait_until
from origin import Client, Origin

OK = b"HTTP/1.1 200 OK\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

# Nothing of these is passed on.
REFUSED = {
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 6\r\n\r\nok",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "length with a plus": OK + b"Content-Length: +2\r\n\r\nok",
    "empty length": OK + b"Content-Length:\r\n\r\nok",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "underscore": OK + b"Content_Length: 2\r\n\r\nok",
    "obs-fold": OK + b"X: y\r\n Content-Length: 2\r\n\r\nok",
    "bare LF": OK + b"X: y\nContent-Length: 2\r\n\r\nok",
    "bare CR": OK + b"X: y\rContent-Length: 2\r\n\r\nok",
    "NUL": OK + b"X: y\0\r\nContent-Length: 2\r\n\r\nok",
    "lines that end in LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "empty name": OK + b": x\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/0.9": b"<html>ok</html>",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "line before the status": b"\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "status over 599": b"HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok",
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
    "101 that nobody asked for": b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "interim without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
    "interim with a body": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevil",
    "head without end": OK + b"X: " + b"y" * 70000,
    "fields without end": OK + b"X: y\r\n" * 300,
}

# Passed on in part: by then the client has the head, and must not take the rest for whole.
BROKEN_OFF = {
    "no chunk at all": b"x\r\n",
    "size that is none": b"2\r\nok\r\nx\r\n",
    "extension": b"2\r\nok\r\n2;a=b\r\nok\r\n0\r\n\r\n",
    "size that wraps": b"2\r\nok\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
    "LF behind the size": b"2\r\nok\r\n2\nok\r\n0\r\n\r\n",
    "no CRLF behind the data": b"2\r\nok\r\n2\r\nokXX0\r\n\r\n",
    "trailer": b"2\r\nok\r\n0\r\nContent-Length: 4\r\n\r\nevil",
}


def says(raw):
    """A server that answers everything with these bytes, and stays."""
    def answer(peer):
        while True:
            peer.head()
            peer.send(raw)
    return answer


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_with_two_readings_is_refused(edge, counted, name):
    counted.expect("upstream_bad_response")
    with Origin(8000, says(REFUSED[name])) as origin, Client(WEB) as client:
        client.get()
        status, fields, body = client.response()
        assert status == 502 and fields["connection"] == "close"
        assert body.startswith(b"upstream_bad_response:") and client.rest() == b""
        assert origin.connections == 1
    counted("upstream_bad_response", 1)


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_an_answer_that_goes_bad_is_cut_off(edge, counted, name):
    def answer(peer):
        peer.head()
        peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.05)
        peer.send(BROKEN_OFF[name])
        peer.rest()

    counted.expect("upstream_bad_response")
    with Origin(8000, answer), Client(WEB) as client:
        client.get()
        client.head()
        with pytest.raises((ConnectionResetError, EOFError)):
            client.chunks()
        assert b"evil" not in client.buffer
    counted("upstream_bad_response", 1)


def says_and_ends(edge, raw):
    """A server all of whose words, and the end, are here when the proxy reads the first of them."""
    def answer(peer):
        peer.head()
        with frozen(edge.proxy_pid()):
            peer.send(raw)
            peer.socket.close()
    return answer


HALVES = {
    "head alone": OK + b"Content-Length: 2\r\n\r\n",
    "head alone, of chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n",
    "less than was said": OK + b"Content-Length: 40000\r\n\r\n" + b"x" * 39999,
    "no last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    "last chunk without its end": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
}


@pytest.mark.parametrize("name", HALVES)
def test_an_answer_of_which_no_more_comes_is_not_begun(edge, counted, name):
    """Its server was killed, say, and all that it said is here, with the end: the client is told so, not given a part."""
    counted.expect("upstream_bad_response")
    with Origin(8000, says_and_ends(edge, HALVES[name])), Client(WEB) as client:
        client.get()
        status, fields, body = client.response()
        assert status == 502 and fields["connection"] == "close"
        assert body.startswith(b"upstream_bad_response:") and client.rest() == b""
    counted("upstream_bad_response", 1)


WHOLE = {
    "length": OK + b"Connection: close\r\nContent-Length: 40000\r\n\r\n" + b"x" * 40000,
    "chunks": OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n9c40\r\n" + b"x" * 40000 + b"\r\n0\r\n\r\n",
    "to the end": OK + b"Connection: close\r\n\r\n" + b"x" * 40000,
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_whole_though_its_end_is_here_before_it_is_read(edge, name):
    with Origin(8000, says_and_ends(edge, WHOLE[name])), Client(WEB) as client:
        client.get()
        status, fields, body = client.response()
        assert status == 200 and (body or client.rest()) == b"x" * 40000


def test_a_field_cannot_split_the_answer(edge):
    """What passes as a value passes as it came; what could end the head does not pass."""
    with Origin(8000, says(OK + b"X: a\x80\xff\tb %0d%0aSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok")), \
            Client(WEB) as client:
        for _ in range(2):
            client.get()
            _, fields, body = client.response()
            assert fields["x"] == "a\x80\xff\tb %0d%0aSet-Cookie: c" and body == b"ok"
            assert "set-cookie" not in fields


EXTRA = {
    "a second answer": ("GET", OK + b"Content-Length: 2\r\n\r\nok" + EVIL),
    "a second answer, behind chunks": ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + EVIL),
    "a CRLF": ("GET", OK + b"Content-Length: 2\r\n\r\nok\r\n"),
    "a body to HEAD": ("HEAD", OK + b"Content-Length: %d\r\n\r\n" % len(EVIL) + EVIL),
    "a body to 204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL),
    "a body to 304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 47\r\n\r\n" + EVIL),
}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("name", EXTRA)
def test_what_follows_an_answer_reaches_nobody(edge, name, late):
    method, raw = EXTRA[name]
    end, ended = raw.index(b"\r\n\r\n") + 4, []

    def speak(peer):
        _, fields = peer.head()
        if late and (method == "HEAD" or raw[9:12] in (b"204", b"304")):
            peer.send(raw[:end])
            time.sleep(0.05)
            peer.send(raw[end:])
        elif late:
            peer.send(raw.removesuffix(EVIL))
            time.sleep(0.05)
            peer.send(EVIL)
        else:
            peer.send(raw)
        peer.rest()

    def answer(peer):
        try:
            speak(peer)
        finally:
            ended.append(peer)

    with Origin(8000, answer) as origin, Client(WEB) as first, Client(WEB) as second:
        for number, client in enumerate((first, second), 1):
            client.get(method=method)
            status, _, body = client.response(to_head=method == "HEAD")
            assert status == int(raw[9:12]) and body in (b"ok", b"")
            if late:
                wait_until(lambda: len(ended) == number, "the proxy has let go of the link")
        first.get(method=method)
        assert first.response(to_head=method == "HEAD")[0] == int(raw[9:12])
        assert origin.connections == 3 and b"evil" not in first.buffer + second.buffer


def test_what_comes_with_the_next_request_is_not_its_answer(edge):
    """The server's unasked answer and another client's request are found by one and the same turn of the loop,
    the request first."""
    peers = []

    def answer(peer):
        peers.append(peer)
        answer_simply(peer)

    with Origin(8000, answer) as origin, Client(WEB) as first, Client(WEB) as second:
        first.get("/first")
        assert first.response()[2] == b"/first "
        with frozen(edge.proxy_pid()):
            second.get("/second")
            time.sleep(0.05)
            peers[0].send(EVIL)
            time.sleep(0.05)
        assert second.response()[::2] == (200, b"/second ")
        assert origin.connections == 2


@pytest.mark.parametrize("framing", ["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
                         ids=["length", "chunks"])
def test_the_rest_of_an_answer_is_nobody_elses(edge, framing):
    """Whose client went away in the middle of it, while the server had nothing to say for a moment."""
    go_on = threading.Event()

    def answer(peer):
        if peer.origin.connections > 1:
            answer_simply(peer)
        peer.head()
        peer.send(OK + framing.encode())
        go_on.wait(10)
        peer.send(EVIL)
        peer.rest()

    with Origin(8000, answer) as origin:
        with Client(WEB) as client:
            client.get()
            client.until(b"half")
            client.reset()
        edge.wait_alone()
        with Client(WEB) as client:
            client.get("/mine")
            wait_until(lambda: origin.connections == 2, "it is asked over another connection")
            go_on.set()
            assert client.response()[2] == b"/mine "


def test_who_speaks_before_he_is_asked_is_not_answered_with(edge):
    """The server is one answer ahead of what it is asked. Where that is there before a request has left, it is no answer; the
    proxy is made to look so late by many requests in one turn."""
    def answer(peer):
        peer.send(EVIL)
        says(EVIL)(peer)

    def ask():
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(WEB)) for _ in range(100)]
            with frozen(edge.proxy_pid()):
                for client in clients:
                    client.get()
            return [client.response()[0] for client in clients].count(502)

    before = edge.count("upstream_bad_response")
    with Origin(8000, answer):
        refused = wait_until(ask, "an answer was there before its request")
    wait_until(lambda: edge.count("upstream_bad_response") - before >= refused, "they were counted")


def test_an_upgrade_to_something_else_is_refused(edge, counted):
    def answer(peer):
        _, fields = peer.head()
        to = b"h2c" if "bad" in fields else b"ECHO"
        peer.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: " + to + b"\r\n\r\n")
        peer.rest()

    counted.expect("upstream_bad_response")
    with Origin(8000, answer):
        for bad, status in (("Bad: 1\r\n", 502), ("", 101)):
            with Client(WEB) as client:
                client.get(extra=f"Connection: upgrade\r\nUpgrade: echo\r\n{bad}")
                assert int(client.head()[0].split()[1]) == status
    counted("upstream_bad_response", 1)


def test_interim_answers_up_to_a_cap(edge):
    with Origin(8000, says(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 16
                           + OK + b"Content-Length: 2\r\n\r\nok")), Client(WEB) as client:
        client.get()
        for _ in range(16):
            assert client.response()[0] == 103
        assert client.response()[::2] == (200, b"ok")
