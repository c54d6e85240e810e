# SPDX-License-Identifier: BSD-2-Clause
"""TLS with servers: who is believed, what becomes of who is not, and what a server may do to us."""
import contextlib
import ssl
import threading
import time

import pytest

from authority import Authority
from edge import Counted, Edge, answer_simply
from lab import Lab, frozen, wait_until
from origin import Client, Origin, inside

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
WEB, RELAY, ADDRESS, SHOWS, TRUSTING, ONLY_13, SYSTEM, NGINX, PROGRAM, INTRODUCED = range(80, 90)
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web      {{ bind = "127.0.0.1:80" upstream = "app" @FREE@ }}
listener relay    {{ bind = "127.0.0.1:81" protocol = "tcp" upstream = "app" @FREE@ }}
listener address  {{ bind = "127.0.0.1:82" upstream = "address" @FREE@ }}
listener shows    {{ bind = "127.0.0.1:83" upstream = "shows" @FREE@ }}
listener trusting {{ bind = "127.0.0.1:84" upstream = "trusting" @FREE@ }}
listener strict   {{ bind = "127.0.0.1:85" upstream = "strict" @FREE@ }}
listener system   {{ bind = "127.0.0.1:86" upstream = "system" @FREE@ }}
listener nginx    {{ bind = "127.0.0.1:87" @FREE@
                     route "/" {{ upstream = "nginx12" }} route "/big" {{ upstream = "nginx13" }} }}
listener program  {{ bind = "127.0.0.1:88" protocol = "tcp" upstream = "program" @FREE@ }}
listener introduced {{ bind = "127.0.0.1:89" upstream = "introduced" @FREE@ }}
upstream introduced {{ server {{ address = "127.0.0.1:8443" }} proxy_protocol = "v1"
                       tls {{ ca = "@ca@" name = "app.test" }} }}
upstream app      {{ server {{ address = "127.0.0.1:8443" }} tls {{ ca = "@ca@" name = "app.test" }} }}
upstream address  {{ server {{ address = "127.0.0.1:8443" }} tls {{ ca = "@ca@" }} }}
upstream shows    {{ server {{ address = "127.0.0.1:8443" }}
                     tls {{ ca = "@ca@" name = "app.test" certificate = "@ours@" key = "@ours_key@" }} }}
upstream trusting {{ server {{ address = "127.0.0.1:8443" }} tls {{ verify = off }} }}
upstream strict   {{ server {{ address = "127.0.0.1:8443" }}
                     tls {{ ca = "@ca@" name = "app.test" min_version = "1.3" resume = off }} }}
upstream system   {{ server {{ address = "127.0.0.1:8443" }} tls {{ name = "app.test" }} }}
upstream nginx12  {{ server {{ address = "127.0.0.1:8444" }}
                     tls {{ ca = "@ca@" name = "app.test" certificate = "@ours@" key = "@ours_key@" }} }}
upstream nginx13  {{ server {{ address = "127.0.0.1:8445" }}
                     tls {{ ca = "@ca@" name = "app.test" certificate = "@ours@" key = "@ours_key@" }} }}
upstream program  {{ server {{ address = "127.0.0.1:8446" }} tls {{ ca = "@ca@" name = "app.test" }} }}
upstream checked  {{ server {{ address = "127.0.0.1:8447" }} tls {{ ca = "@ca@" name = "app.test" }}
                     health {{ check = "http" interval = "50ms" timeout = "2s" rise = 1 fall = 1 }} }}
proxy {{ threads = 2 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", "source {{ connections = 0 syn_rate = 0 }} prefix {{ syn_rate = 0 }}")


class TlsEdge(Edge):
    """The edge host with upstreams that want TLS, and the authority that they trust."""

    def __init__(self, lab):
        self.authority = authority = Authority(lab.home)
        self.app = authority.issue("app", ["app.test", "IP:127.0.0.1"])
        self.ours = authority.issue("ours", subject="/CN=edge", client=True)
        text = CONFIG
        for name, path in {"ca": authority.pem, "ours": self.ours.pem, "ours_key": self.ours.key}.items():
            text = text.replace(f"@{name}@", str(path))
        super().__init__(lab, text=text, ports=range(80, 90))
        for plain, port, version in ((8005, 8444, "TLSv1.2"), (8006, 8445, "TLSv1.3")):
            lab.nginx([f"127.0.0.1:{plain}"], extra=f"listen 127.0.0.1:{port} ssl; ssl_certificate {self.app.pem}; "
                      f"ssl_certificate_key {self.app.key}; ssl_client_certificate {authority.pem}; "
                      f"ssl_verify_client on; ssl_protocols {version}; "
                      "add_header X-Seen $ssl_client_s_dn,$ssl_server_name,$ssl_protocol;")

    def said(self, text):
        """Lines of the daemon's log with @text."""
        return [line for line in self.daemon.err.read_text().splitlines() if text in line]


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield TlsEdge(made)


class TlsOrigin(Origin):
    """An origin that speaks TLS; what became of each handshake is in `met`."""

    def __init__(self, context, answer=answer_simply, port=8443, before=lambda _: None):
        """@before: has the connection first."""
        self.context, self.before, self.met, self.resumed = context, before, [], []
        super().__init__(port, answer)

    def _serve(self, connection):
        self.before(connection)
        try:
            connection = self.context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
        except (OSError, ssl.SSLError) as error:
            self.met.append(getattr(error, "reason", None) or str(error))
            connection.close()
            return
        with self.lock:
            self.open.add(connection)
        self.resumed.append(connection.session_reused)
        self.met.append(connection)
        super()._serve(connection)


def farewell(peer):
    """Ends as TLS would have it."""
    with contextlib.suppress(OSError, ValueError):
        peer.socket.unwrap()


def take_line(connection):
    """A PROXY header: no byte beyond it."""
    while connection.recv(1) != b"\n":
        pass


def serving(issued, version=None, ciphers=None, wants=None):
    """A server's context with a certificate. @wants: whose certificates its clients must have."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.pem, issued.key)
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    if wants:
        context.load_verify_locations(wants)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def ask(port=WEB, target="/"):
    with Client(port) as client:
        client.get(target)
        return client.response()


def refused(edge, origin_context, reason, port=WEB, service="web", status=502):
    """A request to an origin that is not to be believed; what the origin heard of it."""
    counted = Counted(edge)
    counted.expect(reason, service=service)
    failed = edge.metric("proxy_upstream_tls_handshakes_failed_total", service)
    with TlsOrigin(origin_context) as origin:
        assert ask(port)[0] == status
        counted(reason, 1, service=service)
        wait_until(lambda: origin.met, "the origin has an end of its handshake")
        assert b"GET" not in origin.received
        if edge.metric("proxy_upstream_tls_handshakes_failed_total", service) == failed:
            raise AssertionError("the handshake was not counted")
        return origin.met[0]


# --- who is believed ------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [V12, V13])
def test_a_server_that_proves_itself_is_used(edge, version):
    """It is asked for its name, one connection carries both requests, and bodies come through whole."""
    names = []
    context = serving(edge.app, version)
    context.sni_callback = lambda _, name, __: names.append(name)
    before = edge.metric("proxy_upstream_tls_handshakes_total")
    with TlsOrigin(context) as origin, Client(WEB) as client:
        for body in (b"one", b"x" * 300_000):
            client.get("/", "POST", extra=f"Content-Length: {len(body)}\r\n")
            client.send(body)
            assert client.response()[::2] == (200, b"/ " + body)
        assert names == ["app.test"]
        assert [met.version() for met in origin.met] == [{V12: "TLSv1.2", V13: "TLSv1.3"}[version]]
    wait_until(lambda: edge.metric("proxy_upstream_tls_handshakes_total") == before + 1, "it is counted")


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"])
def test_every_cipher_of_tls12(edge, cipher):
    with TlsOrigin(serving(edge.app, V12, f"ECDHE-ECDSA-{cipher}")) as origin:
        assert ask(target="/c")[::2] == (200, b"/c ")
        assert origin.met[0].cipher()[0] == f"ECDHE-ECDSA-{cipher}"


def test_an_address_is_proven_by_the_certificate(edge):
    with TlsOrigin(serving(edge.app)):
        assert ask(ADDRESS)[0] == 200
    refused(edge, serving(edge.authority.issue("nameonly", ["app.test"])), "upstream_name", ADDRESS, "address")


def test_a_proxy_header_goes_ahead(edge):
    with TlsOrigin(serving(edge.app), before=take_line):
        assert ask(INTRODUCED)[0] == 200


def test_nginx_sees_our_certificate_and_the_name(edge):
    assert ask(NGINX)[1]["x-seen"] == "CN=edge,app.test,TLSv1.2"
    with Client(NGINX, receive_buffer=1 << 20) as client:
        client.get("/big")
        _, fields = client.head()
        assert fields["x-seen"] == "CN=edge,app.test,TLSv1.3"
        left = int(fields["content-length"]) - len(client.buffer)
        while left:
            left -= len(client.socket.recv(1 << 20))


def test_without_verification_anybody_is_believed(edge):
    assert edge.said("upstream trusting: tls.verify is off")
    with TlsOrigin(serving(Authority(edge.lab.home, "Anybody").issue("any", ["any.test"]))):
        assert ask(TRUSTING)[0] == 200


# --- who is not -----------------------------------------------------------------------------------

def test_another_name(edge):
    met = refused(edge, serving(edge.authority.issue("other", ["other.test"])), "upstream_name")
    assert "BAD_CERTIFICATE" in met.upper()
    assert edge.said("upstream app: server 127.0.0.1:8443: TLS: the certificate is not for app.test")


def test_a_subject_is_no_name(edge):
    refused(edge, serving(edge.authority.issue("cn", subject="/CN=app.test")), "upstream_name")


def test_an_expired_certificate(edge):
    met = refused(edge, serving(edge.authority.issue("old", ["app.test"], days=-1)), "upstream_expired",
                  SHOWS, "shows")
    assert "EXPIRED" in met.upper()
    assert edge.said("upstream shows: server 127.0.0.1:8443: TLS: the certificate is refused: "
                     "certificate has expired")


def test_an_authority_that_nobody_knows(edge):
    met = refused(edge, serving(Authority(edge.lab.home, "Unknown").issue("app", ["app.test"])),
                  "upstream_certificate")
    assert "UNKNOWN_CA" in met.upper()


def test_a_certificate_that_is_signed_by_itself(edge):
    refused(edge, serving(Authority(edge.lab.home, "Itself")), "upstream_certificate")


def test_the_systems_authorities_do_not_know_the_labs(edge):
    refused(edge, serving(edge.app), "upstream_certificate", SYSTEM, "system")


def test_a_client_certificate_is_no_servers(edge):
    issued = edge.authority.issue("client", ["app.test"], client=True)
    refused(edge, serving(issued), "upstream_certificate")


def test_nothing_in_common(edge):
    """The wrong version, and ciphers that we do not speak."""
    refused(edge, serving(edge.app, V12), "upstream_tls", ONLY_13, "strict")
    refused(edge, serving(edge.app, V12, "ECDHE-ECDSA-AES128-SHA256"), "upstream_tls")


def test_a_server_that_wants_a_certificate_of_ours(edge):
    """Shown one it serves; without one it says so, in TLS 1.3 only behind the handshake."""
    for version in (V12, V13):
        context = serving(edge.app, version, wants=edge.authority.pem)
        with TlsOrigin(context) as origin:
            assert ask(SHOWS)[0] == 200
            assert dict(pair[0] for pair in origin.met[0].getpeercert()["subject"])["commonName"] == "edge"
        counted = Counted(edge)
        counted.expect("upstream_tls")
        with TlsOrigin(context):
            assert ask()[0] == 502
            counted("upstream_tls", 1)


def test_a_server_without_tls(edge):
    counted = Counted(edge)
    counted.expect("upstream_tls")
    with Origin(8443, lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") or peer.rest()):
        assert ask()[0] == 502
        counted("upstream_tls", 1)


def test_a_server_that_stalls_in_its_handshake(edge):
    """From the first SYN to Finished: one deadline."""
    counted = Counted(edge)
    counted.expect("connect_timeout")
    gone = threading.Event()

    def stall(peer):
        peer.rest()
        gone.set()

    with edge.tuned(timeouts__connect="400ms"), Origin(8443, stall):
        begun = time.monotonic()
        assert ask()[0] == 504
        assert 0.3 < time.monotonic() - begun < 5
        counted("connect_timeout", 1)
        assert gone.wait(5), "the server was let go"


def test_complaints_are_few(edge):
    """A line each ten seconds, however many fail."""
    before = len(edge.said("upstream address: server 127.0.0.1:8443: TLS: "))
    with TlsOrigin(serving(edge.authority.issue("few", ["few.test"]))):
        for _ in range(20):
            assert ask(ADDRESS)[0] == 502
    assert len(edge.said("upstream address: server 127.0.0.1:8443: TLS: ")) <= before + 1


# --- sessions -------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_is_resumed(edge, version):
    """The first server's handshake is whole, the next ones' are not, whichever thread has them."""
    before = edge.metric("proxy_upstream_tls_handshakes_resumed_total", "shows")

    def once(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        farewell(peer)

    with TlsOrigin(serving(edge.app, version, wants=edge.authority.pem), once) as origin:
        for _ in range(6):
            assert ask(SHOWS)[::2] == (200, b"ok")
        assert origin.resumed[1:] == [True] * 5
    wait_until(lambda: edge.metric("proxy_upstream_tls_handshakes_resumed_total", "shows") >= before + 5,
               "resumptions are counted")


def test_where_sessions_are_off_none_is_resumed(edge):
    def once(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    with TlsOrigin(serving(edge.app), once) as origin:
        for _ in range(3):
            assert ask(ONLY_13)[0] == 200
        assert origin.resumed == [False] * 3


# --- what a server may do -------------------------------------------------------------------------

def until_close(ends_well):
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"half of it")
        if ends_well:
            farewell(peer)
    return answer


@pytest.mark.parametrize("version", [V12, V13])
def test_an_answer_of_which_no_more_comes_is_not_begun(edge, version):
    def answer(peer):
        peer.head()
        time.sleep(0.05)  # tickets have been read by then
        with frozen(edge.proxy_pid()):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhalf of it")
            peer.socket.close()

    with TlsOrigin(serving(edge.app, version), answer), Client(WEB) as client:
        client.get()
        assert client.response()[0] == 502


@pytest.mark.parametrize("version", [V12, V13])
def test_an_end_without_close_notify_is_no_end(edge, version):
    """A response that lasts to the end of the connection is whole only if the server says that this is it."""
    with TlsOrigin(serving(edge.app, version), until_close(True)), Client(WEB) as client:
        client.get()
        assert client.rest().endswith(b"half of it")
    with TlsOrigin(serving(edge.app, version), until_close(False)), Client(WEB) as client:
        client.get()
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_tcp_is_relayed_over_tls(edge):
    """Both ways, each with an end of its own; a server's end that it does not vouch for is a reset."""
    def echo(peer):
        peer.send(peer.take(5).upper())
        farewell(peer)

    with TlsOrigin(serving(edge.app), echo), Client(RELAY) as client:
        client.send(b"hello")
        assert client.take(5) == b"HELLO"
        assert client.ended() == "closed"
    with TlsOrigin(serving(edge.app), lambda peer: peer.send(peer.take(5).upper())), Client(RELAY) as client:
        client.send(b"hello")
        with contextlib.suppress(ConnectionResetError):
            assert client.take(5) == b"HELLO"
        assert client.ended() == "reset"


def test_an_upgrade_goes_on_over_tls(edge):
    def echo(peer):
        peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        peer.send(peer.take(100_000).swapcase())
        farewell(peer)

    with TlsOrigin(serving(edge.app), echo), Client(WEB) as client:
        client.get(extra="Connection: upgrade\r\nUpgrade: echo\r\n")
        assert "101" in client.head()[0]
        client.send(b"a" * 100_000)
        assert client.take(100_000) == b"A" * 100_000
        assert client.ended() == "closed"


@pytest.mark.parametrize("command", ["k", "K"])
def test_a_flood_of_key_updates_is_ended(edge, command):
    """64 and no more that carry nothing, whether an answer is demanded or not."""
    counted = Counted(edge)
    counted.expect("upstream_tls", service="program")
    process = edge.lab.edge.start(
        "sh", "-c", f'(sleep 1; for i in $(seq 99); do echo {command}; sleep 0.02; done; sleep 5) | exec openssl s_server -accept 8446 '
        '-cert "$0" -key "$1" -tls1_3 -naccept 1', edge.app.pem, edge.app.key)
    edge.lab.wait_listening(process, ["127.0.0.1:8446"])
    with Client(PROGRAM) as client:
        assert client.ended() == "reset"
    counted("upstream_tls", 1, service="program")
    process.kill()


def test_health_is_checked_over_tls(edge):
    with TlsOrigin(serving(edge.app), port=8447) as origin:
        wait_until(lambda: b"User-Agent: Floodwall-health" in origin.received, "it is asked over TLS")
        wait_until(lambda: edge.said("upstream checked: server 127.0.0.1:8447 is up: "), "it is found to be up")
        origin.context = serving(edge.authority.issue("unwell", ["other.test"]))
        wait_until(lambda: edge.said("8447 is down: upstream's certificate is another name's"), "it is down")


def test_a_reload_takes_a_new_certificate_and_refuses_a_wrong_one(edge):
    def reload():
        before = len(edge.said("reload: "))
        edge.daemon.popen.send_signal(1)
        return wait_until(lambda: [line for line in edge.said("reload: ")[before:]
                                   if "done" in line or "refused" in line], "the reload has an end")[0]

    key = edge.ours.key.read_text()
    edge.ours.key.write_text("nothing")
    assert "refused" in reload()
    assert edge.said("upstream shows: tls.key: ")
    edge.ours.key.write_text(key)
    assert "done" in reload()
    wait_until(lambda: ask(NGINX)[0] == 200, "the new proxy shows it, too")
