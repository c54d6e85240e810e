# SPDX-License-Identifier: BSD-2-Clause
"""Python's http.server: prints a line of JSON for each request that it has read to its end.

    echo_server.py PORT [deaf]

deaf: answers what is no POST or PUT without reading its body, as most handlers for GET do; and tells of none.
"""
import http.server
import json
import sys

DEAF = sys.argv[2:] == ["deaf"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer leave together

    def _chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            if self.rfile.readline() != b"\r\n":
                raise ValueError("no CRLF behind a chunk")
            if not size:
                return body

    def _body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ValueError("cut short")
        return body

    def answer(self):
        body = None
        try:
            if not DEAF:
                body = self._body().decode("latin-1")
            elif self.command in ("POST", "PUT"):
                self._body()
        except (ValueError, OSError):
            self.close_connection = True
            return
        sys.stdout.write(json.dumps({"method": self.command, "target": self.path, "body": body}) + "\n")
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
