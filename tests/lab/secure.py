# SPDX-License-Identifier: BSD-2-Clause
"""TLS clients for stories: one that behaves, and one whose handshake goes as far as the story wants."""
import re
import socket
import ssl

from authority import Authority
from edge import Edge
from lab import BUILD, wait_until
from origin import Peer

WEB, RELAY, MUTUAL, STRICT, ASKED = 443, 444, 445, 446, 447
# @NAMES@ are put in by SecureEdge, {log} by Edge.
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web {{ bind = "127.0.0.1:443" upstream = "origin" @FREE@
	tls {{ certificate = {{"@web@", "@rsa@", "@other@"}} key = {{"@other_key@", "@web_key@", "@rsa_key@"}}
		ocsp = "@staple@" }} }}
listener relay {{ bind = "127.0.0.1:444" protocol = "tcp" upstream = "origin" @FREE@
	tls {{ certificate = "@web@" key = "@web_key@" }} }}
listener mutual {{ bind = "127.0.0.1:445" upstream = "origin" @FREE@
	tls {{ certificate = "@web@" key = "@web_key@" client_ca = "@ca@" forward_client = on }} }}
listener strict {{ bind = "127.0.0.1:446" upstream = "origin" @FREE@
	tls {{ certificate = "@web@" key = "@web_key@" strict_sni = on min_version = "1.3" tickets = off }} }}
listener asked {{ bind = "127.0.0.1:447" upstream = "origin" @FREE@
	tls {{ certificate = "@web@" key = "@web_key@" client_ca = "@ca@" client_certificate = "optional"
		forward_client = on }} }}
listener plain {{ bind = "127.0.0.1:80" upstream = "origin" @FREE@ }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
proxy {{ threads = 2 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", "source {{ connections = 0 syn_rate = 0 handshake_rate = 0 faults = 0 }} prefix {{ syn_rate = 0 }}")


class SecureEdge(Edge):
    """The edge host with TLS on its listeners, and an authority that its clients trust."""

    daemon_program = BUILD / "floodwalld"

    def __init__(self, lab):
        self.authority = authority = Authority(lab.home)
        self.web = authority.issue("web", ["web.test", "*.wild.test"])
        self.rsa = authority.issue("rsa", ["web.test", "*.wild.test"], kind="rsa")
        self.other = authority.issue("other", ["other.test", "deep.wild.test"])
        files = {"web": self.web.pem, "web_key": self.web.key, "rsa": self.rsa.pem,
                 "rsa_key": self.rsa.key, "other": self.other.pem, "other_key": self.other.key,
                 "ca": authority.pem, "staple": authority.staple(self.web)}
        text = CONFIG
        for name, path in files.items():
            text = text.replace(f"@{name}@", str(path))
        super().__init__(lab, text=text, ports=(WEB, RELAY, MUTUAL, STRICT, ASKED))

    def reload(self):
        """Takes the file over; says whether that was done."""
        before = len(re.findall("reload: (done|refused)", self.daemon.err.read_text()))
        self.daemon.popen.send_signal(1)
        found = wait_until(lambda: re.findall("reload: (done|refused)", self.daemon.err.read_text())[before:],
                           "the reload has an end")
        return found[0] == "done"

    def context(self, version=None, ciphers=None, certificate=None, protocols=("http/1.1",)):
        context = ssl.create_default_context(cafile=str(self.authority.pem))
        if version:
            context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
        if certificate:
            context.load_cert_chain(certificate.pem, certificate.key)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context


class Secure(Peer):
    """A client over TLS that behaves."""

    def __init__(self, context, port=WEB, name="web.test", session=None, seconds=10, source="127.0.0.1",
                 receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(seconds)
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", port))
        try:
            super().__init__(context.wrap_socket(connection, server_hostname=name, session=session,
                                                 suppress_ragged_eofs=False))
        except BaseException:
            connection.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def get(self, target="/", method="GET", extra=""):
        self.send(f"{method} {target} HTTP/1.1\r\nHost: web.test\r\n{extra}\r\n".encode())

    def response(self):
        line, fields = self.head()
        return int(line.split()[1]), fields, self.body(fields)


class Partial:
    """A client whose messages wait in memory until the story sends them."""

    def __init__(self, context, port=WEB, name="web.test", seconds=10):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next_flight(self):
        """What the client would send now."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def receive(self):
        data = self.socket.recv(65536)
        self.incoming.write(data)
        return data

    def finish(self):
        """The rest of the handshake."""
        while True:
            try:
                self.tls.do_handshake()
                self.socket.sendall(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                assert self.receive(), "closed in the handshake"

    def send(self, data):
        self.tls.write(data)
        self.socket.sendall(self.outgoing.read())

    def read(self, size=65536):
        """Content; b"" at a close_notify. EOFError: the end without one."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                if not self.receive():
                    raise EOFError from None
            except ssl.SSLZeroReturnError:
                return b""

    def ended(self):
        """How the proxy ended it: "reset" or "closed", and the bytes before."""
        received = b""
        try:
            while True:
                data = self.socket.recv(65536)
                if not data:
                    return "closed", received
                received += data
        except ConnectionResetError:
            return "reset", received
