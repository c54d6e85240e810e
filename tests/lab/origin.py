# SPDX-License-Identifier: BSD-2-Clause
"""Servers and clients that do exactly what a story says, byte for byte, inside the lab's edge host.

    with inside(lab.edge), Origin(8000, answer) as origin:
        client = Client(80)
"""
import contextlib
import ctypes
import os
import socket
import struct
import threading

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(host):
    """This thread's network, and that of threads it starts, is the host's."""
    def enter(descriptor):
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    theirs = os.open(f"/proc/{host.holder.pid}/ns/net", os.O_RDONLY)
    try:
        enter(theirs)
        yield
    finally:
        enter(ours)
        os.close(ours)
        os.close(theirs)


class Origin:
    """Listens on a port; `answer(connection)` has each connection, a thread each."""

    def __init__(self, port, answer, backlog=128, address="127.0.0.1"):
        self.answer, self.connections, self.received = answer, 0, b""
        self.lock = threading.Lock()
        self.open, self.over = set(), False
        self.listener = socket.create_server((address, port), backlog=backlog)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if self.over:  # accepted just before: it is not to answer the next story's requests
                    connection.close()
                    return
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, EOFError):
            self.answer(Peer(connection, self))
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            self.over = True
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Peer:
    """One end of a connection: bytes out, bytes in, and heads and bodies read naively."""

    def __init__(self, connection, origin=None):
        self.socket, self.origin, self.buffer, self.heard = connection, origin, b"", 0  # bytes, in all

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        """Receives; EOFError at the end."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        if self.origin:
            with self.origin.lock:
                if len(self.origin.received) < 1 << 20:
                    self.origin.received += data
        self.buffer += data
        self.heard += len(data)

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        found, self.buffer = self.buffer.split(mark, 1)
        return found + mark

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def head(self):
        """First line, and the fields by name in lower case."""
        lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        return lines[0], {name.lower(): value.strip() for name, _, value in
                          (line.partition(":") for line in lines[1:])}

    def chunks(self):
        body = b""
        while True:
            size = int(self.until(b"\r\n"), 16)
            body += self.take(size)
            assert self.take(2) == b"\r\n"
            if size == 0:
                return body

    def body(self, fields):
        if fields.get("transfer-encoding") == "chunked":
            return self.chunks()
        return self.take(int(fields.get("content-length", 0)))

    def rest(self):
        """Everything up to the end."""
        with contextlib.suppress(EOFError):
            while True:
                self.more()
        data, self.buffer = self.buffer, b""
        return data


class Client(Peer):
    """A connection to the proxy."""

    def __init__(self, port, seconds=10, receive_buffer=None, source=None):
        connection = socket.socket()
        if source:
            connection.bind((source, 0))
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(seconds)
        # Refused at accept, a connection may be reset before this thread hears that it was made.
        self.refused = False
        try:
            connection.connect(("127.0.0.1", port))
        except ConnectionResetError:
            self.refused = True
        super().__init__(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def get(self, target="/", method="GET", version="1.1", extra=""):
        self.send(f"{method} {target} HTTP/{version}\r\nHost: example.org\r\n{extra}\r\n".encode())

    def response(self, to_head=False):
        """Status, fields, body."""
        line, fields = self.head()
        status = int(line.split()[1])
        bare = to_head or status in (204, 304) or status < 200
        return status, fields, b"" if bare else self.body(fields)

    def ended(self):
        """How the proxy ended it: "closed", "reset", or the bytes it sent instead."""
        if self.refused:
            return "reset"
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return "reset"
        return data if data else "closed"

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def serve(port, times, **options):
    """So many clients, one after the other, each with a connection of its own."""
    statuses = []
    for _ in range(times):
        with Client(port, **options) as client:
            client.get()
            statuses.append(client.response()[0])
    return statuses
