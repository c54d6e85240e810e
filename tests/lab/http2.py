# SPDX-License-Identifier: BSD-2-Clause
"""An edge that speaks HTTP/2, in plain text and over TLS; and a client that says any frame it likes."""
import struct

from authority import Authority
from edge import Edge
from origin import Client

WEB, SECURE, PAGE, PLAIN = 80, 443, 81, 82
FREE = "source {{ connections = 0 syn_rate = 0 handshake_rate = 0 faults = 0 }} prefix {{ syn_rate = 0 }}"
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web    {{ bind = "127.0.0.1:80" upstream = "origin" http2 {{ cleartext = on }} @FREE@ }}
listener page   {{ bind = "127.0.0.1:81" upstream = "nginx" http2 {{ cleartext = on }} @FREE@ }}
listener plain  {{ bind = "127.0.0.1:82" upstream = "origin" @FREE@ }}
listener secure {{ bind = "127.0.0.1:443" upstream = "nginx" @FREE@
	tls {{ certificate = "@web@" key = "@web_key@" }} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
upstream nginx  {{ server {{ address = "127.0.0.1:8001" }} }}
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", FREE)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
ENHANCE_YOUR_CALM = 11
GET = ((":method", "GET"), (":scheme", "http"), (":authority", "web.test"), (":path", "/"))


class Http2Edge(Edge):
    def __init__(self, lab):
        self.authority = Authority(lab.home)
        web = self.authority.issue("web", ["web.test"])
        text = CONFIG.replace("@web@", str(web.pem)).replace("@web_key@", str(web.key))
        super().__init__(lab, text=text, ports=(WEB, SECURE, PAGE, PLAIN))


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(text):
    return number(len(text), 7) + text.encode("latin-1")


def number(value, bits, first=0):
    """HPACK's integer (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytes([first | most]), value - most
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def block(fields, index=False):
    """Fields spelled out; with @index the table keeps them."""
    return b"".join((b"\x40" if index else b"\x00") + literal(name) + literal(value) for name, value in fields)


class Client2(Client):
    """A connection in plain text: what is said is up to the story."""

    def __init__(self, port=WEB, seconds=10, settings=b"", receive_buffer=None, source=None):
        super().__init__(port, seconds, receive_buffer, source)
        self.next, self.got = 1, []
        self.send(PREFACE + frame(SETTINGS, payload=settings))

    def request(self, fields=GET, end=True, flags=END_HEADERS):
        stream, self.next = self.next, self.next + 2
        self.send(frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(fields)))
        return stream

    def frame(self):
        """The next frame: kind, flags, stream, payload."""
        head = self.take(9)
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack("!BBI", head[3:])
        return kind, flags, stream, self.take(length)

    def until_frame(self, kind, stream=None):
        while True:
            found = self.frame()
            if found[0] == kind and stream in (None, found[2]):
                return found

    def answers(self, *streams):
        """What each of the streams got, in whatever order: its body, and the code that it was reset with."""
        bodies, ends = dict.fromkeys(streams, b""), {}
        while len(ends) < len(streams):
            kind, flags, stream, payload = self.frame()
            if stream not in bodies or stream in ends:
                continue
            if kind == DATA:
                bodies[stream] += payload
            if kind == RST_STREAM:
                ends[stream] = int.from_bytes(payload, "big")
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                ends[stream] = None
        return [(bodies[stream], ends[stream]) for stream in streams]

    def answer(self, stream):
        """The same of one stream; what others get meanwhile is lost."""
        return self.answers(stream)[0]

    def farewell(self):
        """The code of the GOAWAY that the connection ends with."""
        code = None
        try:
            while True:
                kind, _, _, payload = self.frame()
                if kind == GOAWAY:
                    code = int.from_bytes(payload[4:8], "big")
        except (EOFError, ConnectionResetError):
            return code
