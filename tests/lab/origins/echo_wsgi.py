# SPDX-License-Identifier: BSD-2-Clause
"""A WSGI application for gunicorn: prints a line of JSON for each request that it has read to its end."""
import json
import os


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    length = environ.get("CONTENT_LENGTH")
    if not length or int(length) == len(body):
        os.write(1, json.dumps({"method": environ["REQUEST_METHOD"], "target": environ["RAW_URI"],
                                "body": body.decode("latin-1")}).encode() + b"\n")
    start_response("200 OK", [("Content-Length", "2")])
    # It is the application's to leave out: gunicorn would send it to a HEAD as well.
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"ok"]
