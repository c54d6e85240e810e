# SPDX-License-Identifier: BSD-2-Clause
"""TLS as clients meet it: what is spoken, which certificate is shown, what is resumed and what refused."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import ssl
import threading
import time

import pytest

from authority import Authority, openssl
from edge import answer_simply
from lab import BUILD, Lab, wait_until
from origin import Client, Origin, inside
from secure import ASKED, MUTUAL, RELAY, STRICT, WEB, Partial, Secure, SecureEdge

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CIPHERS = [(V12, kind + cipher, sort)
           for kind, sort in (("ECDHE-ECDSA-", "ecdsa"), ("ECDHE-RSA-", "rsa"))
           for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")]


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield SecureEdge(made)


def s_client(edge, *options, port=WEB, text="", seconds=15):
    """What openssl's client says when it is fed @text, after a moment for the tickets."""
    command = ["timeout", seconds, "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile",
               edge.authority.pem, *options]
    done = edge.lab.edge("sh", "-c", '(sleep 0.4; printf %b "$0"; sleep 0.4) | "$@"', text, *command, check=False)
    return done.stdout + done.stderr


def subject(connection):
    return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]


# --- what is spoken -------------------------------------------------------------------------------

@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_is_served(edge, version):
    """Version and cipher are logged, and the server learns that it was HTTPS."""
    with Origin(8000, answer_simply) as origin:
        done = edge.lab.edge("curl", "-sS", "--cacert", edge.authority.pem, f"--tlsv{version}", "--tls-max",
                             version, "--resolve", "web.test:443:127.0.0.1", "-d", "hello",
                             f"https://web.test/by-{version}")
        assert done.stdout == f"/by-{version} hello"
        assert b"X-Forwarded-Proto: https\r\n" in origin.received
    line = edge.wait_logged(target=f"/by-{version}")
    assert (line["tls"], line["sni"], line["status"]) == (f"TLSv{version}", "web.test", 200)
    assert line["cipher"].startswith("TLS_")


@pytest.mark.parametrize("version, cipher, kind", CIPHERS)
def test_every_cipher_of_tls12_carries_both_ways(edge, version, cipher, kind):
    body = os.urandom(300_000)
    context = edge.context(version, cipher)
    with Origin(8000, answer_simply), Secure(context) as client:
        assert client.socket.cipher()[0] == cipher
        client.get("/", "POST", extra=f"Content-Length: {len(body)}\r\n")
        client.send(body)
        assert client.response()[::2] == (200, b"/ " + body)


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                   "TLS_CHACHA20_POLY1305_SHA256"])
def test_every_suite_of_tls13_carries_both_ways(edge, suite):
    body = edge.lab.home / "body"
    body.write_bytes(os.urandom(300_000))
    with Origin(8000, answer_simply):
        edge.lab.edge("curl", "-sS", "--cacert", edge.authority.pem, "--tls13-ciphers", suite, "--resolve",
                      "web.test:443:127.0.0.1", "--data-binary", f"@{body}", "-o", edge.lab.home / "answer",
                      f"https://web.test/{suite}")
    assert (edge.lab.home / "answer").read_bytes() == f"/{suite} ".encode() + body.read_bytes()
    assert edge.wait_logged(target=f"/{suite}")["cipher"] == suite


def test_one_connection_serves_many_requests_of_all_sizes(edge):
    with Origin(8000, answer_simply) as origin, Secure(edge.context()) as client:
        for size in [0, 1, 1300, 1400, 4000, 16384, 16385, 40000, 70000] * 3:
            body = os.urandom(size)
            client.get("/x", "POST", extra=f"Content-Length: {size}\r\n")
            client.send(body)
            assert client.response()[::2] == (200, b"/x " + body)
        assert origin.connections == 1


def test_pipelined_requests_in_one_record(edge):
    with Origin(8000, answer_simply), Secure(edge.context()) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(300)))
        for number in range(300):
            assert client.response()[::2] == (200, b"/%d " % number)


def test_records_cut_anywhere(edge):
    """Every byte of a record may come alone, and the request is as it was."""
    with Origin(8000, answer_simply), Partial(edge.context()) as client:
        client.finish()
        for step in (1, 7, 50):
            client.tls.write(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
            sealed = client.outgoing.read()
            for at in range(0, len(sealed), step):
                client.socket.sendall(sealed[at:at + step])
                time.sleep(0.001)
            assert client.read().endswith(b"\r\n\r\n/cut ")


def test_first_records_are_small_then_full(edge):
    """What arrives with the first segments can be read then; a pause begins it anew."""
    def sizes(client, path):
        client.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        data, lengths = b"", []
        while sum(lengths) + 5 * len(lengths) < 200_000:
            data += client.socket.recv(1 << 18)
            while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
                lengths.append(int.from_bytes(data[3:5], "big"))
                client.incoming.write(data[:5 + lengths[-1]])
                data = data[5 + lengths[-1]:]
        client.tls.read(1 << 20)
        return lengths

    def answer(peer):
        while True:
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000))

    with Origin(8000, answer), Partial(edge.context()) as client:
        client.finish()
        for story in (b"/first", b"/later"):
            found = sizes(client, story)
            assert max(found[:9]) < 1400 < 16384 < max(found)
            time.sleep(1.2)


def test_a_client_that_guessed_another_group_is_asked_again(edge):
    """HelloRetryRequest: one more flight, and then all is as usual."""
    with Origin(8000, answer_simply):
        said = s_client(edge, "-tls1_3", "-groups", "X448:P-256", "-servername", "web.test", "-msg",
                        text="GET /again HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
    assert said.count("ClientHello") == 2
    assert "ECDH, prime256v1" in said and said.rstrip().split("HTTP/1.1 200")[1].count("/again") == 1


def test_a_long_hello_is_read_whole(edge):
    """Longer than a packet, a record or the first buffer; not than what is sane."""
    names = tuple(f"{number:03}" + "x" * 200 for number in range(40))
    with Origin(8000, answer_simply), Secure(edge.context(protocols=(*names, "http/1.1"))) as client:
        client.get("/long")
        assert client.response()[0] == 200


def test_old_versions_are_refused_by_an_alert(edge, counted):
    counted.expect("handshake_mismatch")
    for version in ("-tls1", "-tls1_1"):
        said = s_client(edge, version, "-cipher", "ALL:@SECLEVEL=0")
        assert "alert protocol version" in said
    counted("handshake_mismatch", 2)


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256",
                                     "ECDHE-ECDSA-AES128-CCM"])
def test_ciphers_without_forward_secrecy_or_aead_are_refused(edge, counted, ciphers):
    counted.expect("handshake_mismatch")
    assert "alert handshake failure" in s_client(edge, "-tls1_2", "-cipher", ciphers + ":@SECLEVEL=0")
    counted("handshake_mismatch", 1)


def test_a_listener_may_demand_tls13(edge, counted):
    counted.expect("handshake_mismatch", service="strict")
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        Secure(edge.context(V12), STRICT)
    Secure(edge.context(V13), STRICT).socket.close()
    counted("handshake_mismatch", 1, service="strict")


def test_the_protocol_inside_is_agreed_on(edge, counted):
    with Secure(edge.context(protocols=("imap", "http/1.1"))) as client:
        assert client.socket.selected_alpn_protocol() == "http/1.1"
    with Secure(edge.context(protocols=())) as client:
        assert client.socket.selected_alpn_protocol() is None
    counted.expect("handshake_mismatch")
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        Secure(edge.context(protocols=("imap",)))
    counted("handshake_mismatch", 1)


def test_renegotiation_is_refused_and_the_connection_lives(edge):
    said = s_client(edge, "-tls1_2", text="R\\n")
    assert "RENEGOTIATING" in said and "no renegotiation" in said
    with Origin(8000, answer_simply), Secure(edge.context()) as client:
        client.get("/still")
        assert client.response()[0] == 200


# --- which certificate ----------------------------------------------------------------------------

@pytest.mark.parametrize("name, expected", [
    ("web.test", "web"), ("a.wild.test", "web"), ("other.test", "other"), ("deep.wild.test", "other"),
])
def test_the_name_leads_to_its_certificate(edge, name, expected):
    with Secure(edge.context(), name=name) as client:
        assert subject(client.socket) == expected


@pytest.mark.parametrize("name", ["unknown.test", "a.b.wild.test", "wild.test", None])
def test_other_names_get_the_first(edge, name):
    context = edge.context()
    context.check_hostname = False
    with Secure(context, name=name) as client:
        assert subject(client.socket) == "web"


def test_a_client_gets_the_kind_of_key_that_it_can_verify(edge):
    with Secure(edge.context(V12, "ECDHE-RSA-AES128-GCM-SHA256")) as client:
        assert subject(client.socket) == "rsa"
    with Secure(edge.context(V12, "ECDHE+AESGCM")) as client:
        assert subject(client.socket) == "web"
    assert "CN = rsa" in s_client(edge, "-tls1_3", "-sigalgs", "RSA-PSS+SHA256", "-servername", "web.test")


def test_a_strict_listener_refuses_names_that_it_has_not(edge, counted):
    counted.expect("unknown_name", service="strict")
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        Secure(edge.context(), STRICT, name="other.test")
    with Secure(edge.context(), STRICT) as client:
        assert subject(client.socket) == "web"
    counted("unknown_name", 1, service="strict")


def test_the_ocsp_response_is_stapled_to_its_certificate(edge):
    assert "OCSP Response Status: successful" in s_client(edge, "-status", "-servername", "web.test")
    assert "Cert Status: good" in s_client(edge, "-status", "-servername", "web.test", "-tls1_2")
    assert "no response sent" in s_client(edge, "-status", "-servername", "other.test")


# --- sessions -------------------------------------------------------------------------------------

def session_of(context, port=WEB, **options):
    """A session's ticket, which TLS 1.3 sends after the handshake."""
    with Origin(8000, answer_simply), Secure(context, port, **options) as client:
        client.get()
        client.response()
        return client.socket.session


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_is_resumed_by_whichever_thread(edge, version):
    context = edge.context(version)
    before = edge.metric("proxy_tls_handshakes_resumed_total")
    session = session_of(context)
    for _ in range(12):  # of two threads, each has its share
        with Secure(context, session=session) as client:
            assert client.socket.session_reused
    wait_until(lambda: edge.metric("proxy_tls_handshakes_resumed_total") == before + 12, "all of them are counted")


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_outlives_a_reload(edge, version):
    context = edge.context(version)
    session = session_of(context)
    assert edge.reload()
    with Secure(context, session=session) as client:
        assert client.socket.session_reused


def test_a_session_is_of_its_listener(edge):
    """One begun where nobody asks for a certificate opens no door where somebody does."""
    client = edge.authority.issue("walker", client=True)
    for context in (edge.context(V12, certificate=client), edge.context(V13, certificate=client)):
        session = session_of(context)
        with Secure(context, MUTUAL, session=session) as other:
            assert not other.socket.session_reused


def test_a_listener_without_tickets_gives_none(edge):
    assert "Reused" not in s_client(edge, "-reconnect", "-tls1_3", "-servername", "web.test", port=STRICT)
    with Origin(8000, answer_simply), Secure(edge.context(), STRICT) as client:
        client.get()
        client.response()
        assert not client.socket.session.has_ticket


def test_early_data_is_not_offered(edge):
    assert "Max Early Data: 0" in s_client(edge, "-tls1_3", "-servername", "web.test")


# --- client certificates --------------------------------------------------------------------------

def test_who_has_to_have_a_certificate(edge, counted):
    client = edge.authority.issue("client", subject="/O=Lab, Inc./CN=client", client=True)
    counted.expect("client_certificate", service="mutual")
    with Origin(8000, answer_simply) as origin:
        with Secure(edge.context(certificate=client), MUTUAL) as peer:
            peer.get(extra="X-Client-Cert-Subject: CN=root\r\nx_client_cert_fingerprint: 0\r\n")
            assert peer.response()[0] == 200
        assert b"X-Client-Cert-Subject: CN=client,O=Lab\\, Inc.\r\n" in origin.received
        assert f"X-Client-Cert-Fingerprint: {client.fingerprint()}\r\n".encode() in origin.received
        assert b"CN=root" not in origin.received and b"fingerprint: 0" not in origin.received
        with pytest.raises((ssl.SSLError, ConnectionError), match="CERTIFICATE_REQUIRED|reset"):
            peer = Secure(edge.context(V13), MUTUAL)
            peer.get()
            peer.response()
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            Secure(edge.context(V12), MUTUAL)
    counted("client_certificate", 2, service="mutual")


def test_a_strangers_certificate_is_refused(edge, counted, tmp_path):
    stranger = Authority(tmp_path, "Stranger").issue("client", client=True)
    counted.expect("client_certificate", service="mutual")
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        Secure(edge.context(V12, certificate=stranger), MUTUAL)
    counted("client_certificate", 1, service="mutual")


def test_who_may_have_a_certificate(edge):
    client = edge.authority.issue("guest", client=True)
    with Origin(8000, answer_simply) as origin:
        with Secure(edge.context(), ASKED) as peer:
            peer.get(extra="X-Client-Cert-Subject: CN=root\r\n")
            assert peer.response()[0] == 200
        assert b"X-Client-Cert" not in origin.received
        with Secure(edge.context(certificate=client), ASKED) as peer:
            peer.get()
            assert peer.response()[0] == 200
        assert b"X-Client-Cert-Subject: CN=guest\r\n" in origin.received


def test_a_resumed_session_still_tells_who_the_client_is(edge):
    client = edge.authority.issue("again", client=True)
    for version in (V12, V13):
        context = edge.context(version, certificate=client)
        session = session_of(context, MUTUAL)
        with Origin(8000, answer_simply) as origin, Secure(context, MUTUAL, session=session) as peer:
            assert peer.socket.session_reused
            peer.get()
            assert peer.response()[0] == 200
            assert b"X-Client-Cert-Subject: CN=again\r\n" in origin.received


def test_nobody_says_it_on_a_plain_listener(edge):
    with Origin(8000, answer_simply) as origin, Client(80) as client:
        client.get(extra="X-Client-Cert-Subject: CN=root\r\nX_Client-Cert_Anything: 1\r\n")
        assert client.response()[0] == 200
        assert b"lient" not in origin.received.split(b"\r\n\r\n")[0].replace(b"X-Client-IP", b"")


# --- ends -----------------------------------------------------------------------------------------

def test_a_response_until_close_ends_with_a_notice(edge):
    """So that it can be told from one that was cut off."""
    def answer(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 500_000)

    with Origin(8000, answer), Secure(edge.context()) as client:
        client.get()
        client.head()
        assert client.rest() == b"z" * 500_000  # without a notice: SSLEOFError


@pytest.mark.parametrize("version", [V12, V13])
def test_each_side_of_a_relay_ends_alone(edge, version):
    heard = []

    def answer(peer):
        heard.append(peer.rest())
        peer.send(b"and " * 50_000)
        peer.send(b"goodbye")

    with Origin(8000, answer), Partial(edge.context(version), RELAY) as client:
        client.finish()
        client.send(b"hello")
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.socket.sendall(client.outgoing.read())  # close_notify: the client says no more
        wait_until(lambda: heard == [b"hello"], "the server sees the end")
        said = b""
        while data := client.read():
            said += data
        assert said == b"and " * 50_000 + b"goodbye"


# --- long responses -------------------------------------------------------------------------------

def sealed_by_kernel(edge):
    """Connections so far that the kernel has taken over, in this namespace."""
    stat = edge.lab.edge("cat", "/proc/net/tls_stat", check=False).stdout
    return int(re.search(r"TlsTxSw\s+(\d+)", stat).group(1)) if stat else None


@pytest.mark.parametrize("port", [WEB, RELAY])
def test_the_kernel_seals_what_is_long(edge, port):
    """A short response never meets it; a long one is handed over on its way, and is what it was."""
    body = os.urandom(1 << 16) * 40

    def answer(peer):
        line, _ = peer.head()
        sent = body if "long" in line else b"short"
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)
        peer.rest()

    before = sealed_by_kernel(edge)
    if before is None:
        pytest.skip("this kernel has no TLS (CONFIG_TLS, module tls)")
    for target, sealed in (("/short", 0), ("/long", 1)):
        with Origin(8000, answer), Secure(edge.context(), port) as client:
            client.get(target)
            status, _, received = client.response()
            assert status == 200 and received == (body if sealed else b"short")
            assert sealed_by_kernel(edge) == before + sealed


# --- reloads --------------------------------------------------------------------------------------

def test_a_reload_with_a_wrong_file_keeps_everything(edge):
    good = edge.web.key.read_text()
    path = edge.lab.home / "floodwall.conf"
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if '444"' in text) + 1
    try:
        edge.web.key.write_text(edge.rsa.key.read_text())
        assert not edge.reload()
        told = edge.daemon.err.read_text()
        assert f"floodwall.conf:{line}: listener relay: tls.key: {edge.web.key}: " \
               "the key belongs to none of the certificates" in told
        check = edge.lab.edge(edge.daemon_program, "--check", "--config", path, check=False)
        assert check.returncode != 0 and "the key belongs to none" in check.stderr
        with Secure(edge.context()) as client:
            assert subject(client.socket) == "web"
    finally:
        edge.web.key.write_text(good)
    assert edge.reload()


@pytest.mark.parametrize("spoil, complaint", [
    (lambda edge: edge.authority.issue("web", ["web.test"], days=-1), "expired on"),
    (lambda edge: edge.web.pem.write_text("nothing"), "there is no certificate in it"),
    (lambda edge: edge.web.pem.unlink(), "can't be read: No such file"),
    (lambda edge: edge.web.key.write_text(openssl("ec", "-in", edge.web.key, "-aes128", "-passout",
                                                  "pass:secret").stdout), "the key is encrypted"),
    (lambda edge: edge.authority.staple(edge.web, "R"), "it says that the certificate is revoked"),
    (lambda edge: edge.web.pem.with_suffix(".ocsp").write_text("x"), "it is not a successful OCSP response"),
])
def test_what_is_wrong_with_a_file_is_told(edge, spoil, complaint):
    kept = {path: path.read_bytes() for path in (edge.web.pem, edge.web.key, edge.web.pem.with_suffix(".ocsp"))}
    try:
        spoil(edge)
        done = edge.lab.edge(edge.daemon_program, "--check", "--config", edge.lab.home / "floodwall.conf", check=False)
        assert done.returncode == 1
        assert re.search(rf"floodwall.conf:\d+: listener web: tls\.\w+: /.*{complaint}", done.stderr)
        assert "Traceback" not in done.stderr
    finally:
        for path, data in kept.items():
            path.write_bytes(data)


def test_a_certificate_that_expires_soon_is_told(edge):
    kept = {path: path.read_bytes() for path in (edge.web.pem, edge.web.key, edge.web.pem.with_suffix(".ocsp"))}
    try:
        edge.authority.issue("web", ["web.test"], days=5)
        edge.authority.staple(edge.web)
        done = edge.lab.edge(edge.daemon_program, "--check", "--config", edge.lab.home / "floodwall.conf", check=False)
        assert re.search(r"floodwall.conf:\d+: listener relay: tls.certificate: .*: expires in [45] days", done.stdout)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)


def test_a_certificate_is_replaced_without_losing_a_request(edge):
    """Clients who come and go all the while, and one who stays, see no failure."""
    failures, served, stop = [], [0], threading.Event()

    def come_and_go():
        context = edge.context()
        while not stop.is_set():
            try:
                with Secure(context) as client:
                    client.get("/all-the-while")
                    assert client.response()[0] == 200
                    served[0] += 1
            except Exception as error:  # noqa: BLE001: whatever it is, it is the finding
                failures.append(repr(error))

    def slowly(peer):
        while True:
            line, fields = peer.head()
            body = peer.body(fields)
            if "slow" in line:
                time.sleep(2)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    before = hashlib.sha256(ssl.PEM_cert_to_DER_cert(edge.web.pem.read_text().split("-----END")[0]
                                                     + "-----END CERTIFICATE-----\n")).hexdigest()
    with Origin(8000, slowly), Secure(edge.context()) as stays:
        stays.get("/slow")
        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        edge.authority.issue("web", ["web.test", "*.wild.test"])
        edge.authority.staple(edge.web)
        assert edge.reload()
        time.sleep(0.7)
        with Secure(edge.context()) as client:
            now = hashlib.sha256(client.socket.getpeercert(True)).hexdigest()
        assert stays.response()[0] == 200
        stop.set()
        for thread in threads:
            thread.join(10)
    assert now != before and now == edge.web.fingerprint()
    assert not failures and served[0] > 10


def test_a_proxy_that_crashed_comes_back_with_what_it_had(edge):
    """Certificates and ticket keys are the supervisor's: that a file has changed since, or is gone, is
    no matter until a reload."""
    kept, context = edge.web.key.read_bytes(), edge.context()
    session, before = session_of(context), edge.proxy_pid()
    try:
        edge.web.key.unlink()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: edge.proxy_pid() != before, "it is started again")
        with Origin(8000, answer_simply), Secure(context, session=session) as client:
            assert subject(client.socket) == "web" and client.socket.session_reused
            client.get("/back")
            assert client.response()[0] == 200
    finally:
        edge.web.key.write_bytes(kept)


def test_the_proxy_has_the_key_and_opens_no_file_for_it(edge):
    """The files are root's; of the processes that run as nobody, the warden has no key in its memory."""
    if BUILD.name == "sanitize":
        pytest.skip("AddressSanitizer maps terabytes of shadow: memory can't be searched")

    def holds(pid, needle):
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                first, last = (int(part, 16) for part in line.split()[0].split("-"))
                if line.split()[1].startswith("rw"):
                    memory.seek(first)
                    with contextlib.suppress(OSError):
                        if needle in memory.read(last - first):
                            return True
        return False

    text = openssl("pkey", "-in", edge.web.key, "-noout", "-text").stdout
    key = bytes.fromhex("".join(text.split("priv:")[1].split("pub:")[0].split()).replace(":", ""))
    # A number is kept in words, the least of them first; in the file it is text.
    lines = edge.web.key.read_bytes().splitlines()
    assert holds(edge.proxy_pid(), key[::-1])
    warden = int(re.findall(r"floodwalld: warden: process (\d+) started", edge.daemon.err.read_text())[-1])
    for form in (key, key[::-1], lines[1], lines[2]):
        assert not holds(warden, form)
    files = [os.readlink(link) for link in pathlib.Path(f"/proc/{edge.proxy_pid()}/fd").iterdir()]
    assert not [file for file in files if file.endswith((".pem", ".key", ".ocsp"))]


# --- judged by others -----------------------------------------------------------------------------

def test_testssl_finds_no_weakness(edge):
    """Protocols, ciphers, preferences and the holes that can be asked for in a minute or two; but for
    what it says of the lab's own certificate, no finding may be worse than "INFO"."""
    findings, hosts = edge.lab.home / "testssl.json", edge.lab.home / "hosts"
    # It tries what its own library can do on a host "invalid.": thirty times a DNS that nobody answers.
    hosts.write_text("127.0.0.1 localhost invalid invalid.\n")
    with Origin(8000, answer_simply), edge.tuned(timeouts__keepalive="200ms", timeouts__header="1s"):
        edge.lab.edge("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts,
                      "testssl", "--quiet", "--color", 0, "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
                      "--add-ca", edge.authority.pem, "--jsonfile", findings, "--protocols", "--standard",
                      "--heartbleed", "--ccs-injection", "--ticketbleed", "--renegotiation", "--compression",
                      "web.test:443", check=False, seconds=300)
    found = {row["id"]: row for row in json.loads(findings.read_text())}
    assert found["TLS1_3"]["severity"] == found["TLS1_2"]["severity"] == "OK"
    assert found["TLS1"]["finding"] == found["TLS1_1"]["finding"] == found["cipherlist_AVERAGE"]["finding"] == "not offered"
    for name in ("cipherlist_STRONG", "heartbleed", "CCS", "ticketbleed", "secure_renego", "secure_client_renego",
                 "CRIME_TLS"):
        assert found[name]["severity"] == "OK", found[name]
    worse = [row for row in found.values() if row["severity"] not in ("OK", "INFO")
             and row["id"] != "engine_problem"]  # that is about the program itself
    assert not worse
