# SPDX-License-Identifier: BSD-2-Clause
"""The edge host with a floodwalld on it, for stories about the proxy."""
import contextlib
import json
import pathlib
import re
import time
import urllib.request

from lab import BUILD, contents, wait_until

WEB, PAGE, RELAY, LONELY, PAIR, ADMIN = 80, 81, 82, 83, 84, 9180
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener web   {{ bind = "127.0.0.1:80" upstream = "origin" exempt = "127.77.0.0/16"
                 source {{ connections = 0 syn_rate = 0 requests = 0 faults = 0 }} prefix {{ syn_rate = 0 }} }}
listener page  {{ bind = "127.0.0.1:81" upstream = "nginx"
                 source {{ connections = 0 syn_rate = 0 requests = 0 faults = 0 }} prefix {{ syn_rate = 0 }} }}
listener relay {{ bind = "127.0.0.1:82" protocol = "tcp" upstream = "origin"
                 source {{ connections = 0 syn_rate = 0 requests = 0 faults = 0 }} prefix {{ syn_rate = 0 }} }}
listener lonely {{ bind = "127.0.0.1:83" route "/there" {{ upstream = "nobody" }}
                 source {{ connections = 0 syn_rate = 0 requests = 0 faults = 0 }} prefix {{ syn_rate = 0 }} }}
listener pair  {{ bind = "127.0.0.1:84" upstream = "two"
                 source {{ connections = 0 syn_rate = 0 requests = 0 faults = 0 }} prefix {{ syn_rate = 0 }} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
upstream nginx  {{ server {{ address = "127.0.0.1:8001" }} }}
upstream nobody {{ server {{ address = "127.0.0.1:8002" }} max_connections = 1 queue = 0 }}
upstream two    {{ server {{ address = "127.0.0.1:8003" }} server {{ address = "127.0.0.1:8001" }} }}
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
"""


class Edge:
    """The edge host with a floodwalld, and nginx for those who want a page."""

    def __init__(self, lab, command=(), text=CONFIG, ports=(WEB, PAGE, RELAY)):
        """@command: what starts the daemon, if not its own name alone."""
        self.lab, self.log_path = lab, lab.home / "access.log"
        lab.nginx(listen=["127.0.0.1:8001"], extra="client_max_body_size 0; keepalive_requests 100000;")
        path = lab.configure(text.format(log=self.log_path))
        self.daemon = lab.edge.start(*command, BUILD / "floodwalld", "--config", path)
        lab.wait_listening(self.daemon, [f"127.0.0.1:{port}" for port in (*ports, ADMIN)])

    def proxy_pid(self):
        return int(re.findall(r"floodwalld: proxy: process (\d+) started",
                              self.daemon.err.read_text())[-1])

    def _metric(self, name, **labels):
        with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
        found = re.search(rf"^floodwall_{name}\{{{wanted}[^}}]*\}} (\d+)", text, re.M)
        assert found, f"no floodwall_{name} of {labels} among the metrics"
        return int(found[1])

    def metric(self, name, service="web"):
        return self._metric(name, service=service)

    def count(self, reason, service="web"):
        return self._metric("proxy_verdicts_total", service=service, reason=reason)

    def wait_alone(self):
        """Until the connections of earlier stories have gone."""
        wait_until(lambda: self._metric("proxy_connections_active", service="web") == 0, "no client is left")

    def wait_calm(self):
        """Until nothing is left of earlier stories, nor of an overload that they made."""
        self.wait_alone()
        wait_until(lambda: self._metric("proxy_overload_stage", service="web") == 0, "no stage is left", seconds=20)

    def log(self):
        text = self.log_path.read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_logged(self, **wanted):
        """A line of the access log with these values."""
        def found():
            return [line for line in self.log() if wanted.items() <= line.items()]
        try:
            return wait_until(found, f"the access log has a line with {wanted}")[-1]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.state()}") from None

    def state(self):
        """What there is to know when a story's proxy does not do what it should."""
        logged = self.log_path.read_text(errors="replace").splitlines()
        tasks = pathlib.Path(f"/proc/{self.proxy_pid()}/task")
        threads = [f"{contents(task / 'stat')[:200]} in {contents(task / 'wchan')}" for task in tasks.glob("*")]
        return "\n".join(["-- the end of its access log:", *logged[-20:],
                          "-- the daemon's stderr:", self.daemon.err.read_text(errors="replace")[-8000:],
                          "-- the proxy's threads:", *threads])

    def _setting(self, name):
        answer = self.lab.floodwall("get", name)
        rows = answer if isinstance(answer, list) else next(iter(answer.values()))
        return rows[0]["text"]

    @contextlib.contextmanager
    def tuned(self, settle=0.6, **settings):
        """Live settings of `web`, or of "SERVICE__NAME", for a while: timeouts__header="300ms"."""
        def apply(values):
            for name, value in values.items():
                self.lab.floodwall("set", name, value)

        names = {name.replace("__", "."): value for name, value in settings.items()}
        names = {name if name.split(".")[0] in ("page", "relay", "lonely", "strict", "host") else f"web.{name}": value
                 for name, value in names.items()}
        before = {name: self._setting(name) for name in names}
        apply(names)
        time.sleep(settle)
        try:
            yield
        finally:
            apply(before)
            time.sleep(settle)


class Counted:
    """What is counted during a story: expect() what will be, then say how often it should have been."""

    def __init__(self, edge):
        self.edge, self.before = edge, {}

    def expect(self, *reasons, service="web"):
        for reason in reasons:
            self.before[service, reason] = self.edge.count(reason, service)

    def __call__(self, reason, times, service="web"):
        def grown():
            return self.edge.count(reason, service) - self.before[service, reason]

        wait_until(lambda: grown() == times, f"{reason} was counted {times} times (now {grown()})")


def answer_simply(peer):
    """Answers every request with what it was asked."""
    while True:
        line, fields = peer.head()
        body = peer.body(fields)
        text = line.split()[1].encode() + b" " + body
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
