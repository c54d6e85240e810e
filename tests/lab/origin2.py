# SPDX-License-Identifier: BSD-2-Clause
"""Servers of HTTP/2 that do what a story says: in good order by python-h2, or frame by frame.

    with Origin(8000, in_order(answer)):      # answer(server, stream, fields, body, trailer)
    with Origin(8000, by_frames(answer)):     # answer(peer, stream): after the first request's head
"""
import threading

import h2.config
import h2.connection
import h2.events
import h2.settings

from http2 import HEADERS, PREFACE, SETTINGS, END_HEADERS, END_STREAM, Client2, block, frame


class Server2:
    """One connection; requests are collected until they are complete, then `answer` has them."""

    def __init__(self, peer, answer, settings=None, began=None):
        self.socket, self.answer, self.began, self.requests, self.resets = peer.socket, answer, began, {}, []
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1", validate_outbound_headers=False))
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def respond(self, stream, fields=(), body=b"", trailer=None, status="200"):
        """@fields may be given without a status; @body must fit the windows."""
        end = not body and not trailer
        with self.lock:
            self.h2.send_headers(stream, [(":status", status), *fields], end_stream=end)
            if body:
                self.h2.send_data(stream, body, end_stream=not trailer)
            if trailer:
                self.h2.send_headers(stream, trailer, end_stream=True)
            self.flush()

    def run(self):
        while True:
            data = self.socket.recv(65536)
            if not data:
                return
            with self.lock:
                for event in self.h2.receive_data(data):
                    self._note(event)
                self.flush()

    def _note(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = [dict(event.headers), b"", None]
            if self.began:
                self.began(self, event.stream_id, dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id][1] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.requests[event.stream_id][2] = dict(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append((event.stream_id, event.error_code))
        elif isinstance(event, h2.events.StreamEnded) and self.answer:
            self.answer(self, event.stream_id, *self.requests[event.stream_id])


def in_order(answer, settings=None, began=None, seen=None):
    """@began(server, stream, fields): when a head has come. @seen collects the connections."""
    def serve(peer):
        server = Server2(peer, answer, settings, began)
        if seen is not None:
            seen.append(server)
        server.run()
    return serve


def echo(server, stream, fields, body, _trailer):
    text = fields[":path"].encode() + b" " + body
    server.respond(stream, [("content-length", str(len(text)))], text)


def by_frames(answer, settings=b""):
    """Answers the first request that comes, with whatever frames `answer` says, and stays."""
    def serve(peer):
        peer.send(frame(SETTINGS, payload=settings))
        peer.take(len(PREFACE))
        while True:
            kind, _, stream, _ = Client2.frame(peer)
            if kind == HEADERS:
                answer(peer, stream)
    return serve


def head(stream, *fields, status="200", end=False, flags=END_HEADERS):
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(((":status", status), *fields)))
