#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Constant load of every kind at once, by clients who keep every rule and count every request.

    load.py clients HOST CA SECONDS [KIND…]    # prints {KIND: {"ok": …, "failed": …, "why": {…}}, …}
    load.py origin PORT…                       # what they talk to: answers, echoes

What a client may be told and must heed is no failure: "Connection: close" in an answer, a GOAWAY
before a stream is opened. What it can't know is one: an end, a reset or a silence instead of an
answer. So nothing is tried again, and nothing fails unseen.

The clients stop when their time is over or a line comes in on standard input.
"""
import asyncio
import collections
import json
import random
import ssl
import struct
import sys
import time

from http2 import (ACK, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS,
                   WINDOW_UPDATE, block, frame)

WEB, SECURE, RELAY = 80, 443, 81
PATIENCE = 10     # seconds for any one step
UPLOAD = 160_000  # bytes, in pieces
PIECES = 8
MESSAGES = 20     # of a websocket or a relayed connection


class Failure(Exception):
    pass


class Tally:
    def __init__(self):
        self.ok, self.failed, self.why, self.gap_ms = 0, 0, collections.Counter(), 0
        self.last = time.monotonic()

    def count(self, error=None):
        now = time.monotonic()
        if error is None:
            self.ok += 1
            self.gap_ms, self.last = max(self.gap_ms, round(1000 * (now - self.last))), now
        else:
            self.failed += 1
            self.why[f"{type(error).__name__}: {error}"] += 1

    def told(self):
        return {"ok": self.ok, "failed": self.failed, "why": self.why, "longest_gap_ms": self.gap_ms}


class Load:
    def __init__(self, host, authority, end):
        self.host, self.end, self.tallies = host, end, collections.defaultdict(Tally)
        self.context = ssl.create_default_context(cafile=authority)

    def goes_on(self):
        return time.monotonic() < self.end

    async def connect(self, port):
        secure = port == SECURE
        return await step(asyncio.open_connection(
            self.host, port, ssl=self.context if secure else None,
            server_hostname="web.test" if secure else None))

    async def keep(self, kind, life):
        """One life after the other; each counts for itself what it did."""
        while self.goes_on():
            try:
                await life(self, self.tallies[kind])
            except (OSError, EOFError, Failure, asyncio.TimeoutError) as error:
                self.tallies[kind].count(error)
                await asyncio.sleep(0.05)


async def step(what):
    return await asyncio.wait_for(what, PATIENCE)


def close(writer):
    writer.close()


# --- HTTP/1.1 ------------------------------------------------------------------------------------

async def read_answer(reader):
    """Status, fields, body."""
    head = (await step(reader.readuntil(b"\r\n\r\n"))).decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    status = int(head[0].split()[1])
    return status, fields, await step(reader.readexactly(int(fields.get("content-length", 0))))


async def get(reader, writer, extra=""):
    """False: the connection is not to be used again."""
    writer.write(f"GET /some HTTP/1.1\r\nHost: web.test\r\n{extra}\r\n".encode())
    status, fields, body = await read_answer(reader)
    if status != 200 or body != b"/some":
        raise Failure(f"status {status}")
    return fields.get("connection") != "close"


async def kept_alive(load, tally, port=WEB, pause=0.02):
    reader, writer = await load.connect(port)
    try:
        good = True
        while good and load.goes_on():
            good = await get(reader, writer)
            tally.count()
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
    finally:
        close(writer)


async def kept_alive_tls(load, tally):
    await kept_alive(load, tally, port=SECURE)


async def thoughtful(load, tally):
    """Asks now and then."""
    await kept_alive(load, tally, pause=2)


async def one_request(load, tally, port, pause):
    """On a connection of its own."""
    reader, writer = await load.connect(port)
    try:
        await get(reader, writer, "Connection: close\r\n")
        tally.count()
    finally:
        close(writer)
    await asyncio.sleep(pause)


async def new_connection(load, tally):
    await one_request(load, tally, WEB, pause=0.02)


async def new_handshake(load, tally):
    await one_request(load, tally, SECURE, pause=0.1)


async def upload(load, tally):
    reader, writer = await load.connect(WEB)
    try:
        good = True
        while good and load.goes_on():
            writer.write(f"POST /upload HTTP/1.1\r\nHost: web.test\r\nContent-Length: {UPLOAD}\r\n\r\n".encode())
            for _ in range(PIECES):
                writer.write(b"u" * (UPLOAD // PIECES))
                await step(writer.drain())
                await asyncio.sleep(0.1)
            status, fields, body = await read_answer(reader)
            if status != 200 or body != str(UPLOAD).encode():
                raise Failure(f"status {status}")
            tally.count()
            good = fields.get("connection") != "close"
    finally:
        close(writer)


# --- bytes both ways -----------------------------------------------------------------------------

async def echo(reader, writer):
    for number in range(MESSAGES):
        message = number.to_bytes(4, "big") * 64
        writer.write(message)
        if await step(reader.readexactly(len(message))) != message:
            raise Failure("another echo")
        await asyncio.sleep(0.1)


async def websocket(load, tally):
    reader, writer = await load.connect(WEB)
    try:
        writer.write(b"GET /socket HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        status, _, _ = await read_answer(reader)
        if status != 101:
            raise Failure(f"status {status}")
        await echo(reader, writer)
        tally.count()
    finally:
        close(writer)


async def relay(load, tally):
    reader, writer = await load.connect(RELAY)
    try:
        await echo(reader, writer)
        tally.count()
    finally:
        close(writer)


# --- HTTP/2 --------------------------------------------------------------------------------------

class Http2:
    """A connection in plain text; requests go on it until it is told of its end. What was opened up to the
    stream that a GOAWAY names is answered (RFC 9113 section 6.8); these clients count the others as
    lost, too: the first GOAWAY is a warning, and comes early enough for none to be opened after it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.streams, self.next, self.leaving = {}, 1, False
        writer.write(PREFACE + frame(SETTINGS))

    async def read(self):
        """Until the end, which every request hears of that has no answer yet."""
        try:
            while True:
                head = await self.reader.readexactly(9)
                kind, flags, stream = struct.unpack("!BBI", head[3:])
                self.hear(kind, flags, stream, await self.reader.readexactly(int.from_bytes(head[:3], "big")))
        except Exception as error:  # pylint: disable=broad-except
            for waiting in self.streams.values():
                if not waiting.done():
                    waiting.set_exception(error)

    def hear(self, kind, flags, stream, payload):
        waiting = self.streams.get(stream)
        if kind == GOAWAY:
            self.leaving = True
            last, code = struct.unpack("!II", payload[:8])
            if code or any(number > last for number in self.streams):
                raise Failure(f"GOAWAY with {code} after stream {last}")
        elif kind == SETTINGS and not flags & ACK:
            self.writer.write(frame(SETTINGS, ACK))
        elif kind == DATA and payload:
            window = struct.pack("!I", len(payload))
            self.writer.write(frame(WINDOW_UPDATE, 0, 0, window))
        elif kind == HEADERS and payload[:1] != b"\x88":  # :status 200 of the static table
            raise Failure("another status")
        elif kind == RST_STREAM and waiting:
            waiting.set_exception(Failure(f"RST_STREAM with {int.from_bytes(payload, 'big')}"))
        if kind in (HEADERS, DATA) and flags & END_STREAM and waiting:
            waiting.set_result(None)

    async def get(self):
        stream, self.next = self.next, self.next + 2
        self.streams[stream] = asyncio.get_running_loop().create_future()
        self.writer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(GET)))
        await step(self.streams[stream])
        del self.streams[stream]


async def http2(load, tally):
    """Several requests at a time on one connection."""
    connection = Http2(*await load.connect(WEB))
    reading = asyncio.create_task(connection.read())

    async def ask():
        while not connection.leaving and load.goes_on():
            await connection.get()
            tally.count()
            await asyncio.sleep(0.03 * random.uniform(0.5, 1.5))

    try:
        for done in await asyncio.gather(*(ask() for _ in range(3)), return_exceptions=True):
            if done:
                tally.count(done)
    finally:
        reading.cancel()
        close(connection.writer)


# --- both ends -----------------------------------------------------------------------------------

KINDS = {"keepalive": (kept_alive, 6), "keepalive_tls": (kept_alive_tls, 3), "thoughtful": (thoughtful, 4),
         "new": (new_connection, 2), "handshake": (new_handshake, 1), "upload": (upload, 4),
         "websocket": (websocket, 4), "relay": (relay, 4), "http2": (http2, 2)}


async def clients(host, authority, seconds, kinds):
    load = Load(host, authority, time.monotonic() + float(seconds))

    async def obey():
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        if await reader.readline():
            load.end = 0

    obeying = asyncio.create_task(obey())
    print("begun", flush=True)
    await asyncio.gather(*(load.keep(kind, KINDS[kind][0]) for kind in kinds or KINDS
                           for _ in range(KINDS[kind][1])))
    obeying.cancel()
    print(json.dumps({kind: tally.told() for kind, tally in load.tallies.items()}))


async def answer(reader, writer):
    """HTTP/1.1, as far as these clients need it; what does not look like it is echoed."""
    try:
        while True:
            start = await reader.readexactly(4)
            if start not in (b"GET ", b"POST"):
                await pass_back(reader, writer, start)
                return
            head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path, fields = head.split()[1], head.lower()
            if "upgrade: websocket" in fields:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
                await pass_back(reader, writer, b"")
                return
            body = path
            if "content-length:" in fields:
                body = str(len(await reader.readexactly(int(fields.split("content-length:")[1].split()[0]))))
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def pass_back(reader, writer, data):
    while data or not reader.at_eof():
        writer.write(data)
        await writer.drain()
        data = await reader.read(65536)


async def origin(*ports):
    servers = [await asyncio.start_server(answer, "127.0.0.1", int(port)) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    if sys.argv[1] == "origin":
        asyncio.run(origin(*sys.argv[2:]))
    else:
        asyncio.run(clients(*sys.argv[2:5], sys.argv[5:]))
