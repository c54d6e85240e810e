# SPDX-License-Identifier: BSD-2-Clause
"""Request smuggling: one story, many streams, told to real servers.

Every stream of the corpus, and every byte in every place that decides about framing, is sent through
Floodwall to nginx, HAProxy, Node and Python servers. What Floodwall forwarded (one response for each
request) must be what the server says it has received, and what a strict reading of the stream says:
as many requests, of these methods and targets, with these bodies. What is refused must be so for the
stated reason, by the answer and by the counter alike.
"""
import collections
import contextlib
import json
import pathlib
import re
import socket
import threading

import pytest

from corpus import Request, by_hand, by_rule, read_strictly
from edge import ADMIN, Edge
from lab import BUILD, Lab, wait_until
from origin import inside

ORIGINS = pathlib.Path(__file__).resolve().parent / "origins"
PYTHON = "/usr/bin/python3"

# Proxy's port and server's port of each.
PORTS = {name: (100 + index, 8100 + index) for index, name in enumerate(
    ("nginx", "nginx_static", "haproxy", "node", "http_server", "deaf", "gunicorn", "aiohttp"))}

# What a server declines that Floodwall takes; nothing is read differently by it.
DECLINED = {
    "nginx": {"lines: OPTIONS *"},
    "nginx_static": {"lines: OPTIONS *"},
    "haproxy": {"coding: name of 270 letters"},
    "aiohttp": {"bodies: Sec-Websocket-Key1"},
}
# Servers that may answer before they have the whole body: they tell of none, and are not sent requests that
# break off within it.
HASTY = {"nginx_static", "deaf"}
# Servers that take "//x" for "/x", on purpose.
COLLAPSING = {"http_server", "deaf"}


class Servers:
    """Starts them, and reads what they say about the requests they have received."""

    def __init__(self, lab):
        self.lab, self.logs, self.offsets = lab, {}, collections.Counter()
        home = lab.home
        config = self._configuration("nginx.conf", PORT=PORTS["nginx"][1], STATIC=PORTS["nginx_static"][1])
        self._start("nginx", "nginx", "-e", home / "echo-error.log", "-c", config, "-g", "daemon off;")
        self.logs["nginx"], self.logs["nginx_static"] = home / "echo.log", home / "bare.log"
        config = self._configuration("haproxy.cfg", PORT=PORTS["haproxy"][1], INNER=8198)
        self._start("haproxy", "haproxy", "-db", "-f", config)
        self._start("node", "node", ORIGINS / "echo.js", PORTS["node"][1])
        self._start("http_server", PYTHON, ORIGINS / "echo_server.py", PORTS["http_server"][1])
        self._start("deaf", PYTHON, ORIGINS / "echo_server.py", PORTS["deaf"][1], "deaf")
        self._start("aiohttp", PYTHON, ORIGINS / "echo_aiohttp.py", PORTS["aiohttp"][1])
        self._start("gunicorn", PYTHON, "-m", "gunicorn", "--chdir", ORIGINS, "--worker-class", "gthread",
                    "--threads", "2", "--keep-alive", "30", "--log-level", "error",
                    "--bind", f"127.0.0.1:{PORTS['gunicorn'][1]}", "echo_wsgi:application")

    def _configuration(self, name, **values):
        text = (ORIGINS / name).read_text()
        for key, value in {"HOME": self.lab.home, **values}.items():
            text = text.replace(f"@{key}@", str(value))
        path = self.lab.home / name
        path.write_text(text)
        return path

    def _start(self, name, *command):
        process = self.lab.edge.start("env", "PYTHONDONTWRITEBYTECODE=1", *command, name=name)
        self.lab.wait_listening(process, [f"127.0.0.1:{PORTS[name][1]}"])
        self.logs[name] = process.out

    def new(self, name):
        """What the server has received since this was last asked, without forgetting it."""
        with self.logs[name].open("rb") as log:
            log.seek(self.offsets[name])
            lines = log.read().decode("latin-1").splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith("\n") and line.startswith("{")]
        # HAProxy's log has "C…" where the client has gone before the end.
        return [_request(row) for row in rows
                if row.get("status", "200") == "200" and row.get("end", "")[:1] != "C"]

    def forget(self, name):
        self.offsets[name] = self.logs[name].stat().st_size


def _request(row):
    body = row.get("body", "")
    if "hex" in row:
        body = bytes.fromhex(row["hex"].strip("-")).decode("latin-1")
    return Request(row["method"], row["target"], body)


class Smuggling(Edge):
    """The edge host with a listener for each server."""

    def __init__(self, lab):
        self.lab = lab
        self.servers = Servers(lab)
        text = 'filter { cgroup = "@CGROUP@" }\nproxy { threads = 1 }\n'
        text += f'admin {{ address = "127.0.0.1:{ADMIN}" }}\n'
        for name, (front, back) in PORTS.items():
            text += (f'listener {name} {{ bind = "127.0.0.1:{front}" upstream = "{name}"\n'
                     "  source { connections = 0 syn_rate = 0 faults = 0 } prefix { syn_rate = 0 } }\n"
                     f'upstream {name} {{ server {{ address = "127.0.0.1:{back}" }} }}\n')
        self.daemon = lab.edge.start(BUILD / "floodwalld", "--config", lab.configure(text))
        lab.wait_listening(self.daemon, [f"127.0.0.1:{port}" for port, _ in PORTS.values()]
                           + [f"127.0.0.1:{ADMIN}"])


@pytest.fixture(scope="module")
def smuggling():
    with Lab() as made, inside(made.edge):
        yield Smuggling(made)


class Answer(collections.namedtuple("Answer", "status reason")):
    """A response; @reason: Floodwall's own, or None."""


def _answers(data, methods):
    """Responses of a stream, read as one who knows what was asked."""
    answers = []
    while data:
        head, mark, data = data.partition(b"\r\n\r\n")
        assert mark, f"a response's head is cut off: {head!r}"
        lines = head.decode("latin-1").lower().split("\r\n")
        status = int(lines[0].split()[1])
        if status == 100:
            continue
        fields = dict(line.split(": ", 1) for line in lines[1:])
        to_head = len(answers) < len(methods) and methods[len(answers)] == "HEAD"
        if fields.get("transfer-encoding") == "chunked":
            size, _, rest = data.partition(b"\r\n")
            body, data = rest[:int(size, 16)], rest[int(size, 16) + 2:].removeprefix(b"0\r\n\r\n")
        else:
            length = 0 if to_head else int(fields["content-length"])
            body, data = data[:length], data[length:]
        ours = status >= 400 and fields.get("cache-control") == "no-store"
        answers.append(Answer(status, body.decode("latin-1").split(":")[0] if ours else None))
    return answers


def converse(port, data, methods):
    """Sends a stream and its end; returns what was answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
        received = b""
        # Told that it is over, and still talking: that may end in a reset, behind the answer.
        with contextlib.suppress(OSError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while True:
                part = client.recv(65536)
                if not part:
                    break
                received += part
    return _answers(received, methods)


def tell(smuggling, name, story, data):
    """Sends a stream to a server through Floodwall; returns how many requests were taken, and the
    refusal, after everybody has agreed about it."""
    expected, _ = read_strictly(data)
    answers = converse(PORTS[name][0], data, [request.method for request in expected])
    refusal = answers.pop() if answers and answers[-1].reason else None
    what = f"{name}: {story}: {len(answers)} responses, then {refusal}"
    assert all(answer.reason is None for answer in answers), what
    assert len(answers) <= len(expected), f"{what}; but a strict reading has {expected}"
    said = [request for request, answer in zip(expected, answers) if answer.status == 200]
    if len(said) < len(answers):
        assert story in DECLINED.get(name, ()), f"{what}; answers {answers}"
    servers = smuggling.servers
    wait_until(lambda: len(servers.new(name)) >= len(said), f"{what}: the server has told of {len(said)}",
               pause=0.001)
    heard = servers.new(name)
    if name in COLLAPSING:
        said = [request._replace(target=re.sub("^/+", "/", request.target)) for request in said]
    if name in HASTY:
        said = [request._replace(body=None) for request in said]
    # Some write their log when a connection ends, and the requests may have come by two.
    assert collections.Counter(heard) == collections.Counter(said), \
        f"{what}; the server has heard {heard}, but was told {said}"
    servers.forget(name)
    return len(answers), refusal


def breaks_off(data, reason):
    """Whether the server is left with the head of a request, and a part of its body."""
    return reason in ("bad_chunk", "chunk_overhead") if reason else not read_strictly(data)[1]


def in_parallel(work, names):
    """Runs work(name) for all names at once; raises what any of them raised."""
    failures = []

    def run(name):
        try:
            work(name)
        except BaseException as failure:  # handed on below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise AssertionError("\n".join(map(repr, failures))) from failures[0]


def check_silence(smuggling, name):
    """Nothing has come to the server that nobody knows of, and Floodwall counted what it answered."""
    assert smuggling.servers.new(name) == []


def test_the_corpus_has_one_reading(smuggling):
    payloads = by_hand()
    assert len(payloads) > 150 and len({payload.name for payload in payloads}) == len(payloads)

    def work(name):
        reasons = {payload.reason for payload in payloads if payload.reason}
        before = {reason: smuggling.count(reason, name) for reason in reasons}
        wanted = collections.Counter()
        for payload in payloads:
            if name in HASTY and breaks_off(payload.data, payload.reason):
                continue
            taken, refusal = tell(smuggling, name, payload.name, payload.data)
            assert taken == payload.requests, f"{name}: {payload.name}: {taken} requests were taken"
            assert refusal == (Answer(payload.status, payload.reason) if payload.reason else None), \
                f"{name}: {payload.name}: {refusal}"
            wanted[payload.reason] += 1
        for reason in reasons:
            assert smuggling.count(reason, name) - before[reason] == wanted[reason], reason
        check_silence(smuggling, name)

    in_parallel(work, PORTS)


def test_every_byte_in_every_place_has_one_reading(smuggling):
    """First one server; then the others, with those streams of which a part was forwarded at all."""
    forwarded = []

    def first(name):
        smuggling.servers.forget(name)
        for story, data in by_rule():
            count, refusal = tell(smuggling, name, story, data)
            if count or refusal is None or refusal.reason == "bad_chunk":
                forwarded.append((story, data, refusal.reason if refusal else None))

    def rest(name):
        smuggling.servers.forget(name)
        for story, data, reason in forwarded:
            if name not in HASTY or not breaks_off(data, reason):
                tell(smuggling, name, story, data)
        check_silence(smuggling, name)

    in_parallel(first, ["http_server"])
    assert len(forwarded) > 2000
    in_parallel(rest, set(PORTS) - {"http_server"})
