# SPDX-License-Identifier: BSD-2-Clause
"""Streams that are meant to be read in two ways: the corpus in smuggling/, mutations made by rule, and
a reader that is slow and obvious: RFC 9112 without a leniency, written for comparison.
"""
import pathlib
import re
from typing import NamedTuple, Optional

FOLDER = pathlib.Path(__file__).resolve().parent / "smuggling"


class Payload(NamedTuple):
    name: str
    data: bytes
    requests: int           # that are forwarded
    status: Optional[int]   # of the refusal behind them
    reason: Optional[str]


class Request(NamedTuple):
    method: str
    target: str
    body: str


# --- written by hand ------------------------------------------------------------------------------

ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def _bytes(text):
    """What a payload's text stands for."""
    text = re.sub(r"\\\((.+?)\*(\d+)\)", lambda found: found[1] * int(found[2]), text)
    return re.sub(r"\\(?:x([0-9a-f]{2})|([rnt0\\]))",
                  lambda found: chr(int(found[1], 16)) if found[1] else ESCAPES[found[2]],
                  text).encode("latin-1")


def read_file(path):
    """Payloads of one file; see smuggling/README.md."""
    payloads, head, lines = [], None, []

    def close():
        if head:
            payloads.append(Payload(f"{path.stem}: {head[1]}", _bytes("".join(lines)), int(head[2]),
                                    int(head[3]) if head[3] else None, head[4]))

    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        if line.startswith("[") or line.startswith("#"):
            close()
            head, lines = re.fullmatch(r"\[(.+)\] (\d+)(?: (\d{3}) (\w+))?", line), []
            if not head and line[0] == "[":
                raise ValueError(f"{path.name}:{number}: no [name] requests status reason")
        else:
            lines.append(line)
    close()
    return payloads


def by_hand():
    return [payload for path in sorted(FOLDER.glob("*.txt")) for payload in read_file(path)]


# --- made by rule ---------------------------------------------------------------------------------

INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
OUTER = b"GET /outer HTTP/1.1\r\nHost: a\r\n\r\n"
OPEN = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKS = b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n" + OUTER

# Where every byte there is takes its turn: ? stands for it.
PLACES = [
    *(OPEN + line + b"\r\n" + CHUNKS for line in (
        b"?Transfer-Encoding: chunked\r\n", b"Transfer?Encoding: chunked\r\n",
        b"Transfer-Encoding?: chunked\r\n", b"Transfer-Encoding:?chunked\r\n",
        b"Transfer-Encoding: ch?unked\r\n", b"Transfer-Encoding: chunked?\r\n",
        b"Transfer-Encoding: chunked?\n", b"Transfer-Encoding: chunked\r?",
        b"X: y?Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nTransfer-Encoding:?chunked\r\n",
        b"Content-Length: 5\r\n?Transfer-Encoding: chunked\r\n")),
    *(OPEN + line + b"\r\n" + INNER + OUTER for line in (
        b"?Content-Length: 32\r\n", b"Content?Length: 32\r\n", b"Content-Length?: 32\r\n",
        b"Content-Length:?32\r\n", b"Content-Length: 3?2\r\n", b"Content-Length: 32?\r\n",
        b"Content-Length: 32?\n", b"Content-Length: 32\r?", b"X: y?Content-Length: 32\r\n")),
    *(OPEN + b"Transfer-Encoding: chunked\r\n\r\n" + body + OUTER for body in (
        b"?5\r\nhello\r\n0\r\n\r\n", b"5?\r\nhello\r\n0\r\n\r\n", b"5?\nhello\r\n0\r\n\r\n",
        b"5\r?hello\r\n0\r\n\r\n", b"5\r\nhello?\n0\r\n\r\n", b"5\r\nhello\r?0\r\n\r\n",
        b"5\r\nhello\r\n0?\r\n\r\n", b"5\r\nhello\r\n0\r\n?\n", b"5\r\nhello\r\n0\r\n\r?")),
    b"?GET / HTTP/1.1\r\nHost: a\r\n\r\n" + OUTER, b"GET?/ HTTP/1.1\r\nHost: a\r\n\r\n" + OUTER,
    b"GET /?x HTTP/1.1\r\nHost: a\r\n\r\n" + OUTER, b"GET / HTTP/1.1?\nHost: a\r\n\r\n" + OUTER,
    b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n" + OUTER, b"GET / HTTP/1.1\r\nHost: a\r\n?\n" + OUTER,
]


def by_rule():
    """(name, data) of every byte in every place."""
    for number, place in enumerate(PLACES):
        before, after = place.split(b"?", 1)
        for byte in range(256):
            yield f"place {number}, byte {byte:#04x}", before + bytes([byte]) + after


# --- the reader -----------------------------------------------------------------------------------

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")


def _read_chunks(data):
    """Content, and what follows the body; None: it is not whole, or no body in chunks."""
    content = b""
    while True:
        size = re.match(rb"([0-9A-Fa-f]{1,16})\r\n", data)
        if not size:
            return None
        length, data = int(size[1], 16), data[size.end():]
        if data[length:length + 2] != b"\r\n":
            return None
        content, data = content + data[:length], data[length + 2:]
        if length == 0:
            return content, data


def _read_body(fields, minor, data):
    coding = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    length = [value for name, value in fields if name == b"content-length"]
    if not coding and not length:
        return b"", data
    if len(coding) + len(length) > 1:
        return None
    if coding:
        return _read_chunks(data) if coding == [b"chunked"] and minor == b"1" else None
    if not re.fullmatch(rb"[0-9]{1,19}", length[0]) or int(length[0]) > len(data):
        return None
    return data[:int(length[0])], data[int(length[0]):]


def read_strictly(data):
    """The requests that a stream begins with, as far as nobody can read them otherwise; and whether that
    is all there is."""
    requests = []
    while True:
        head, mark, rest = data.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        line = LINE.fullmatch(lines[0])
        found = [FIELD.fullmatch(each) for each in lines[1:]]
        if not mark or not line or not all(found):
            return requests, not data
        fields = [(each[1].lower(), each[2]) for each in found]
        body = _read_body(fields, line[3], rest)
        if body is None:
            return requests, False
        target = re.sub(rb"^https?://[^/]*", b"", line[2])
        requests.append(Request(line[1].decode(), target.decode(), body[0].decode("latin-1")))
        data = body[1]
