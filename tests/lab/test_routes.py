# SPDX-License-Identifier: BSD-2-Clause
"""Which route a request takes, what its route makes of it, and what servers are told of the client.

The server answers with what it was sent, so each story sees both ends.
"""
import re
import threading

import pytest

from authority import Authority
from edge import Edge
from http2 import GET, Client2
from lab import Lab, wait_until
from origin import Client, Origin, inside

WEB, HOSTS, RULES, TOLD, LIMITS, SECURE = 80, 81, 82, 83, 84, 443
FREE = "source {{ connections = 0 syn_rate = 0 handshake_rate = 0 }} prefix {{ syn_rate = 0 }} http2 {{ cleartext = on }}"
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web {{ bind = "127.0.0.1:80" @FREE@
	route "/" {{ upstream = "origin" }}
	route "/api" {{ upstream = "origin" method = {{"POST", "PUT"}} rewrite = "/written" }}
	route "/api" {{ upstream = "other" }}
	route "/strip/" {{ upstream = "origin" rewrite = "/" }}
	route "/v1" {{ upstream = "origin" rewrite = "/" }}
	route "/beta" {{ upstream = "other" header = {{"X-Beta: yes"}} }}
	route "/secure" {{ redirect {{ to = "https://$host$path$query" status = 308 }} }}
	route "/same" {{ redirect {{ to = "$path/new$query" }} }}
	route "/fixed" {{ respond {{ body = "hello" type = "text/x-fixed" }} response_headers {{ set = {{"X-Rule: $scheme"}} }} }}
	route "/down" {{ respond {{ status = 503 file = "@PAGE@" type = "text/html" retry_after = "90s" }} }}
	route "/gone" {{ respond {{ status = 204 }} }}
}}
listener hosts {{ bind = "127.0.0.1:81" @FREE@
	route "/" {{ upstream = "origin" host = {{"a.example", "b.example"}} rewrite = "/exact/" }}
	route "/" {{ upstream = "origin" host = {{"*.example"}} rewrite = "/wild/" }}
	route "/" {{ upstream = "origin" host = {{"*.deep.example"}} rewrite = "/deep/" }}
	route "/only" {{ upstream = "origin" rewrite = "/any" }}
}}
listener rules {{ bind = "127.0.0.1:82" @FREE@ upstream = "origin"
	forwarding {{ x_request_id = "replace" }}
	request_headers {{ set = {{"X-Client: $client", "X-Id: $request_id", "X-Money: $$5"}} remove = {{"X-Debug"}} }}
	response_headers {{ remove = {{"Server", "x-powered-by"}} add = {{"X-Answer: $request_id"}} }}
	route "/own" {{ upstream = "origin"
		request_headers {{ remove = {{"X-Client"}} add = {{"X-Host: $host"}} }}
		response_headers {{ set = {{"X-Answer: own"}} }} }}
}}
listener told {{ bind = "127.0.0.1:83" @FREE@ upstream = "origin"
	forwarding {{ trust = {{"127.0.0.2"}} x_forwarded_for = "append" x_forwarded_proto = "keep" x_forwarded_host = "keep"
		forwarded = "append" x_request_id = "keep" traceparent = "keep" }}
}}
listener limits {{ bind = "127.0.0.1:84" @FREE@
	route "/rate" {{ upstream = "origin" limits {{ request_rate = 1 request_burst = 3 }} }}
	route "/each" {{ upstream = "origin" limits {{ source_rate = 1 source_burst = 2 }} }}
	route "/few" {{ upstream = "origin" limits {{ active = 2 }} }}
	route "/small" {{ upstream = "origin" limits {{ body = 10 }} }}
	route "/slow" {{ upstream = "origin" timeouts {{ first_byte = "300ms" }} }}
	route "/whole" {{ upstream = "origin" timeouts {{ request = "300ms" }} }}
}}
listener secure {{ bind = "127.0.0.1:443" @FREE@ upstream = "origin"
	forwarding {{ x_forwarded_host = "replace" forwarded = "replace" }}
	request_headers {{ set = {{"X-TLS: $tls $scheme"}} }}
	route "/fixed" {{ respond {{ body = "hello" }} response_headers {{ set = {{"Strict-Transport-Security: max-age=9"}} }} }}
	tls {{ certificate = "@web@" key = "@web_key@" }} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
upstream other  {{ server {{ address = "127.0.0.1:8003" }} }}
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", FREE)
PAGE = "<h1>Back soon</h1>\n"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        page = made.home / "down.html"
        page.write_text(PAGE)
        made.authority = Authority(made.home)
        web = made.authority.issue("web", ["web.test"])
        text = CONFIG.replace("@web@", str(web.pem)).replace("@web_key@", str(web.key)).replace("@PAGE@", str(page))
        yield Edge(made, text=text, ports=(WEB, HOSTS, RULES, TOLD, LIMITS, SECURE))


def echo(peer):
    """Answers with the head that it was sent."""
    while True:
        head = peer.until(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
        peer.body(fields)
        peer.send(b"HTTP/1.1 200 OK\r\nServer: echo\r\nX-Powered-By: python\r\nX-Answer: theirs\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(head) + head)


@pytest.fixture
def origin(edge):
    with Origin(8000, echo) as made:
        yield made


def ask(port, target, fields="", method="GET", source=None, host="web.test"):
    """Status, fields, and what the server got: its first line, and its fields, in a list."""
    with Client(port, source=source) as client:
        client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())
        status, said, body = client.response()
    lines = body.decode().split("\r\n")
    return status, said, lines[0], [line.lower() for line in lines[1:-2]]


def seen(port, target, *arguments, **more):
    """The target that the server saw."""
    return ask(port, target, *arguments, **more)[2].split()[1]


# --- which route ----------------------------------------------------------------------------------

def test_paths_match_by_segments_and_the_longest_wins(edge, origin):
    with Origin(8003, echo) as other:
        for path in ("/api", "/api/", "/api/x?q", "/api?q=/"):
            assert seen(WEB, path) == path
        assert other.connections and not origin.connections
        for path in ("/", "/apis", "/ap", "/Api", "/x/api", "/?/api"):
            assert seen(WEB, path) == path
        assert origin.connections


def test_methods_and_fields_choose_among_routes_of_a_path(edge, origin):
    """Where none holds, the next shorter path is asked."""
    assert seen(WEB, "/api/x", method="POST", fields="Content-Length: 0\r\n") == "/written/x"
    assert seen(WEB, "/beta/x") == "/beta/x"
    with Origin(8003, echo) as other:
        assert seen(WEB, "/beta/x", "X-Beta: no\r\nX-Beta: yes\r\n") == "/beta/x"
        assert other.connections == 1
    assert seen(WEB, "/beta/x", "X-Beta: yes, no\r\n") == "/beta/x"


def test_a_prefix_is_replaced_and_its_slash_with_it(edge, origin):
    assert [seen(WEB, path) for path in ("/strip/", "/strip/a/b?c", "/strip//a", "/v1", "/v1/", "/v1/a", "/v1?a",
                                              "/%73tr%69p/%61", "/v%31?%41")] == \
        ["/", "/a/b?c", "/a", "/", "/", "/a", "/?a", "/%61", "/?%41"]
    # The log tells what was asked for.
    wait_until(lambda: [line for line in edge.log() if line.get("target") == "/strip/a/b?c"], "its line is written")


def test_hosts_match_exactly_then_by_the_longest_domain(edge, origin):
    def path(host):
        return seen(HOSTS, "/x", host=host)

    assert path("a.example") == path("B.EXAMPLE:81") == path("a.example.") == "/exact/x"
    assert path("c.example") == path("x.a.example") == "/wild/x"
    assert path("x.deep.example") == path("x.y.deep.example") == "/deep/x"
    assert path("deep.example") == "/wild/x"
    for host in ("example", "a.example.org", "xexample", "[::1]"):
        assert ask(HOSTS, "/x", host=host)[0] == 404
    assert seen(HOSTS, "/only/x", host="example") == "/any/x"
    # A host's own routes are asked first, however long the others' paths are.
    assert seen(HOSTS, "/only/x", host="a.example") == "/exact/only/x"


def test_no_route_is_404_and_counted(edge, counted):
    counted.expect("no_route", service="hosts")
    assert ask(HOSTS, "/", host="nobody.test")[0] == 404
    counted("no_route", 1, service="hosts")


# --- what a route answers itself ------------------------------------------------------------------

def test_redirects(edge):
    status, fields, *_ = ask(WEB, "/secure/a?b=c&d", host="web.test:80")
    assert (status, fields["location"]) == (308, "https://web.test/secure/a?b=c&d")
    assert ask(WEB, "/same/a?b")[1]["location"] == "/same/a/new?b"
    line = edge.wait_logged(target="/same/a?b")
    assert line["status"] == 302 and "upstream" not in line and "reason" not in line


def test_a_redirect_leads_to_no_host_of_the_clients(edge):
    """Two slashes at its beginning would; and nothing in a path ends a line."""
    assert ask(WEB, "/secure//evil.test/")[1]["location"] == "https://web.test/secure//evil.test/"
    for path in ("/same%0d%0aX:%20y", "/same/%0aSet-Cookie:x"):
        assert ask(WEB, path)[0] == 400
    with Client(WEB) as client:
        client.send(b"GET /secure HTTP/1.0\r\n\r\n")
        assert client.response()[0] == 400  # to which host?


def test_fixed_responses_keep_the_connection(edge):
    before = edge.metric("proxy_route_answers_total")
    with Client(WEB) as client:
        for _ in range(3):
            client.get("/fixed")
            status, fields, body = client.response()
            assert (status, body, fields["content-type"]) == (200, b"hello", "text/x-fixed")
            assert fields["x-rule"] == "http" and "connection" not in fields
        client.get("/fixed", method="HEAD")
        assert client.response(to_head=True)[1]["content-length"] == "5"
        client.get("/down/for/long")
        status, fields, body = client.response()
        assert (status, fields["retry-after"], body.decode()) == (503, "90", PAGE)
        client.get("/gone")
        assert client.response()[0] == 204
        # A body that nobody reads ends the connection, but not before it is answered.
        client.get("/fixed", method="POST", extra="Content-Length: 1000000\r\nExpect: 100-continue\r\n")
        status, fields, _ = client.response()
        assert (status, fields["connection"]) == (200, "close")
        assert client.ended() == "closed"
    wait_until(lambda: edge.metric("proxy_route_answers_total") == before + 7, "each is counted")


def test_the_same_for_http2(edge, origin):
    def curl(path, *options):
        return edge.lab.edge("curl", "-sSi", "--max-time", "20", "--http2", "--cacert", edge.lab.authority.pem, "--resolve",
                             "web.test:443:127.0.0.1", *options, f"https://web.test{path}").stdout

    said = curl("/fixed")
    assert said.startswith("HTTP/2 200") and "strict-transport-security: max-age=9\n" in said
    assert said.endswith("hello")
    head = curl("/x")
    assert "X-TLS: TLSv1.3 https\n" in head and 'Forwarded: for=127.0.0.1;host="web.test";proto=https\n' in head
    assert "X-Forwarded-Host: web.test\n" in head and "X-Forwarded-Proto: https\n" in head
    plain = edge.lab.edge("curl", "-sSi", "--max-time", "20", "--http2-prior-knowledge", "-d", "x" * 5000,
                          "-H", "Host: a.test", "http://127.0.0.1:80/secure/x?y").stdout
    assert plain.startswith("HTTP/2 308") and "location: https://a.test/secure/x?y" in plain
    with Client2(WEB) as client:
        stream = client.request((*GET[:3], (":path", "/down")))
        assert client.answer(stream) == (PAGE.encode(), None)


# --- rules ----------------------------------------------------------------------------------------

def test_rules_change_heads_both_ways(edge, origin):
    _, said, _, got = ask(RULES, "/", "X-Debug: 1\r\nX-Client: forged\r\nx-id: forged\r\nX-Request-Id: forged\r\n"
                                      "X-Stays: 1\r\n")
    ids = [line.split(": ")[1] for line in got if line.startswith("x-request-id: ")]
    assert len(ids) == 1 and re.fullmatch("[0-9a-f]{32}", ids[0])
    assert "x-client: 127.0.0.1" in got and f"x-id: {ids[0]}" in got and "x-money: $5" in got and "x-stays: 1" in got
    assert not [line for line in got if "forged" in line or line.startswith("x-debug")]
    assert "server" not in said and "x-powered-by" not in said
    assert said["x-answer"] == ids[0]  # added to theirs, which came first
    assert edge.wait_logged(request_id=ids[0])["listener"] == "rules"


def test_a_routes_rules_come_after_its_listeners(edge, origin):
    _, said, _, got = ask(RULES, "/own", "X-Client: forged\r\nX-Host: mine\r\n")
    assert not [line for line in got if line.startswith("x-client")]
    assert [line for line in got if line.startswith("x-host")] == ["x-host: mine", "x-host: web.test"]
    assert said["x-answer"] == "own" and "server" not in said


def test_ids_differ(edge, origin):
    with Client(RULES) as client:
        ids = set()
        for _ in range(200):
            client.get("/")
            ids.add(client.response()[1]["x-answer"])
    assert len(ids) == 200


# --- what servers are told ------------------------------------------------------------------------

SAID = ("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: theirs.test\r\n"
        "Forwarded: for=1.1.1.1\r\nForwarded: for=2.2.2.2\r\nX-Request-Id: theirs-1\r\n"
        f"traceparent: {TRACE}\r\ntracestate: a=b\r\n")


def about(got):
    return [line for line in got if line.startswith(("x-forwarded", "forwarded", "x-request-id", "trace"))]


def test_who_is_not_trusted_says_nothing_of_itself(edge, origin):
    got = about(ask(TOLD, "/", SAID)[3])
    assert got[:4] == ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-forwarded-host: web.test",
                       'forwarded: for=127.0.0.1;host="web.test";proto=http']
    assert re.fullmatch("x-request-id: [0-9a-f]{32}", got[4])
    assert re.fullmatch("traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01", got[5]) and TRACE not in got[5]
    assert len(got) == 6


def test_who_is_trusted_is_continued(edge, origin):
    got = about(ask(TOLD, "/", SAID, source="127.0.0.2")[3])
    assert sorted(got) == sorted([
        "x-forwarded-for: 1.1.1.1, 2.2.2.2, 127.0.0.2", "x-forwarded-proto: https", "x-forwarded-host: theirs.test",
        'forwarded: for=1.1.1.1, for=2.2.2.2, for=127.0.0.2;host="web.test";proto=http', "x-request-id: theirs-1",
        f"traceparent: {TRACE}", "tracestate: a=b"])
    edge.wait_logged(request_id="theirs-1")


def test_what_a_trusted_peer_says_wrongly_is_said_anew(edge, origin):
    wrong = (f"X-Forwarded-Proto: a\r\nX-Forwarded-Proto: b\r\nX-Request-Id: {'x' * 129}\r\n"
             "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\ntracestate: a=b\r\n")
    got = about(ask(TOLD, "/", wrong, source="127.0.0.2")[3])
    assert "x-forwarded-proto: http" in got and not [line for line in got if line.startswith("tracestate")]
    assert any(re.fullmatch("x-request-id: [0-9a-f]{32}", line) for line in got)
    assert any(re.fullmatch("traceparent: 00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01", line) for line in got)
    # What is said twice is said wrongly.
    twice = "X-Request-Id: one\r\nX-Request-Id: two\r\n" + 2 * f"traceparent: {TRACE}\r\n"
    got = about(ask(TOLD, "/", twice, source="127.0.0.2")[3])
    assert len(got) == len({line.split(":")[0] for line in got})
    assert any(re.fullmatch("x-request-id: [0-9a-f]{32}", line) for line in got)
    assert f"traceparent: {TRACE}" not in got


def test_by_default_nobody_is_believed(edge, origin):
    got = about(ask(WEB, "/", SAID)[3])
    assert got == ["x-request-id: theirs-1", f"traceparent: {TRACE}", "tracestate: a=b",
                   "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"]


def test_the_largest_head_still_fits(edge, origin):
    """With everything that is added; one that would not is refused, and not cut."""
    fields = "".join(f"X-{n}: {'v' * 900}\r\n" for n in range(70))
    assert len(fields) > 63000
    status, _, _, got = ask(RULES, "/own", fields)
    assert status == 200 and len(got) > 70


# --- limits ---------------------------------------------------------------------------------------

def test_a_routes_rate_is_of_all_sources(edge, origin, counted):
    counted.expect("route_request_rate", service="limits")
    told = [ask(LIMITS, "/rate", source=f"127.0.0.{5 + n}") for n in range(5)]
    assert [status for status, *_ in told] == [200, 200, 200, 429, 429]
    assert 1 <= int(told[3][1]["retry-after"]) <= 3 and told[3][1]["ratelimit-policy"] == '"route";q=3;w=3'
    counted("route_request_rate", 2, service="limits")
    assert ask(LIMITS, "/few")[0] == 200


def test_the_rate_of_each_source_on_a_route(edge, origin, counted):
    counted.expect("route_source_rate", service="limits")
    with Client(LIMITS, source="127.0.0.20") as client:
        for path, status in ("/each", 200), ("/each", 200), ("/each", 429), ("/%65ach", 429):
            client.get(path)
            assert client.response()[0] == status
        client.get("/few")
        assert client.response()[0] == 200
    assert ask(LIMITS, "/each", source="127.0.0.21")[0] == 200
    counted("route_source_rate", 2, service="limits")


def test_requests_at_once(edge, counted):
    counted.expect("route_busy", service="limits")
    free = threading.Event()

    def wait(peer):
        while True:
            peer.head()
            free.wait(10)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Origin(8000, wait) as origin, Client(LIMITS) as one, Client2(LIMITS) as two:
        one.get("/few/1")
        stream = two.request((*GET[:3], (":path", "/few/2")))
        wait_until(lambda: origin.received.count(b"\r\n\r\n") == 2, "both are with the server")
        status, fields, *_ = ask(LIMITS, "/few/3")
        assert status == 503 and "retry-after" in fields
        free.set()
        assert one.response()[0] == 200
        assert two.answer(stream) == (b"", None)
        assert ask(LIMITS, "/few/4")[0] == 200
    counted("route_busy", 1, service="limits")


def test_one_that_is_cut_off_counts_no_longer(edge):
    def never(peer):
        while True:
            peer.head()

    with Origin(8000, never) as origin:
        with Client(LIMITS), Client2(LIMITS) as two:
            with Client(LIMITS) as one:
                one.get("/few/1")
                two.request((*GET[:3], (":path", "/few/2")))
                wait_until(lambda: origin.received.count(b"\r\n\r\n") == 2, "both are with the server")
    with Origin(8000, echo):
        wait_until(lambda: ask(LIMITS, "/few/3")[0] == 200 and ask(LIMITS, "/few/4")[0] == 200, "there is room again")


def test_bodies_of_a_route(edge, origin, counted):
    counted.expect("body_too_large", service="limits")
    with Client(LIMITS) as client:
        client.get("/small", method="POST", extra="Content-Length: 10\r\n")
        client.send(b"x" * 10)
        assert client.response()[0] == 200
        client.get("/small", method="POST", extra="Content-Length: 11\r\n")
        assert client.response()[0] == 413
    with Client(LIMITS) as client:
        client.get("/small", method="POST", extra="Transfer-Encoding: chunked\r\n")
        client.send(b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n")
        assert client.response()[0] == 413
    counted("body_too_large", 2, service="limits")


def test_timeouts_of_a_route(edge, counted):
    counted.expect("first_byte_timeout", "request_timeout", service="limits")

    def dally(peer):
        line, _ = peer.head()
        if "/whole" in line:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        peer.more()

    with Origin(8000, dally):
        assert ask(LIMITS, "/slow")[0] == 504
        with Client(LIMITS) as client:
            client.get("/whole")
            client.head()
            assert client.take(1) == b"x" and client.ended() in ("reset", "closed")
    counted("first_byte_timeout", 1, service="limits")
    counted("request_timeout", 1, service="limits")
