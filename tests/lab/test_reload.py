# SPDX-License-Identifier: BSD-2-Clause
"""A proxy that is never down: reloads, upgrades and crashes under constant load of every kind."""
import json
import os
import pathlib
import re
import shutil
import signal
import time

import pytest

from authority import Authority
from lab import BUILD, EDGE_V4, wait_until

PYTHON = "/usr/bin/python3"
LOAD = pathlib.Path(__file__).with_name("load.py")
RELOADS = 100
PAUSE = 0.1  # so that clients who take some seconds meet a few of them, not all
FREE = "source { connections = 0 syn_rate = 0 handshake_rate = 0 } prefix { syn_rate = 0 connection_rate = 0 }"
CONFIG = """
filter { cgroup = "@CGROUP@" }
listener web    { bind = "0.0.0.0:80"  upstream = "origin" http2 { cleartext = on } @FREE@ }
listener secure { bind = "0.0.0.0:443" upstream = "origin" @FREE@ tls { certificate = "@PEM@" key = "@KEY@" } }
listener relay  { bind = "0.0.0.0:81"  protocol = "tcp" upstream = "origin" @FREE@ }
upstream origin { server { address = "127.0.0.1:8000" } }
proxy { threads = 2 drain = "20s" }
admin { address = "127.0.0.1:9180" }
""".replace("@FREE@", FREE)


class House:
    """A floodwalld with an origin behind it and, once there is load, people in front of it."""

    def __init__(self, lab, program=None, *command):
        self.lab, self.authority = lab, Authority(lab.home)
        web = self.authority.issue("web", ["web.test"])
        self.certificate, self.key = lab.home / "web.pem", lab.home / "web.key"
        self.use(web)
        self.text = CONFIG.replace("@PEM@", str(self.certificate)).replace("@KEY@", str(self.key))
        self.origin = lab.edge.start(PYTHON, LOAD, "origin", 8000, name="origin")
        lab.wait_listening(self.origin, ["127.0.0.1:8000"])
        path = lab.configure(self.text)
        self.daemon = lab.edge.start(*command, program or BUILD / "floodwalld", "--config", path)
        lab.wait_listening(self.daemon, ["0.0.0.0:80", "0.0.0.0:443", "0.0.0.0:81", "127.0.0.1:9180"])

    def use(self, certificate):
        shutil.copy(certificate.pem, self.certificate)
        shutil.copy(certificate.key, self.key)

    def log(self):
        return self.daemon.err.read_text()

    def proxies(self):
        return [int(pid) for pid in re.findall(r"floodwalld: proxy: process (\d+) started", self.log())]

    def reload(self, *options, text=None):
        """floodwall reload: its exit status, and what it said."""
        if text:
            self.lab.configure(text)
        done = self.lab.edge(BUILD / "floodwall", "reload", "--json", *options, check=False)
        return done.returncode, json.loads(done.stdout)

    def metric(self, name):
        text = self.lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
        return float(re.search(rf"^floodwall_{re.escape(name)} (\S+)$", text, re.M)[1])

    def load(self, *kinds, seconds=60):
        process = self.lab.internet.start("sh", "-c", 'exec "$@" <"$0"', self.pipe(), PYTHON, LOAD, "clients", EDGE_V4,
                                          self.authority.pem, seconds, *kinds, name="load")
        wait_until(lambda: "begun" in process.out.read_text() or not process.running(), "the load has begun")
        time.sleep(0.3)
        return process

    def pipe(self):
        path = self.lab.home / "stop"
        if not path.exists():
            os.mkfifo(path)
            self.stop_load = os.open(path, os.O_RDWR)
        return path

    def result(self, load):
        """What the people lived to see, once they have stopped."""
        os.write(self.stop_load, b"stop\n")
        assert load.popen.wait(60) == 0, load.err.read_text()
        return json.loads(load.out.read_text().splitlines()[-1])


def assert_nothing_lost(seen):
    lost = {kind: tally["why"] for kind, tally in seen.items() if tally["failed"]}
    assert not lost, lost
    assert all(tally["ok"] for tally in seen.values()), seen


def exists(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# --- reload --------------------------------------------------------------------------------------

def test_a_hundred_reloads_lose_nothing(lab):
    """Of keep-alive, TLS, HTTP/2, uploads, websockets, relayed and new connections; with other numbers of
    threads, other certificates, and files that are refused in between."""
    house = House(lab)
    other = house.authority.issue("other", ["web.test"], kind="rsa")
    load = house.load()
    generations = set()

    for number in range(RELOADS):
        text = house.text.replace("threads = 2", f"threads = {1 + number % 3}")
        if number == RELOADS // 2:
            house.use(other)
        status, answer = house.reload(text=text)
        assert status == 0 and answer["taken"] and answer["complaints"] == [], answer
        generations.add(answer["generation"])
        time.sleep(PAUSE)
        if number % 20 == 10:
            status, answer = house.reload(text=text.replace('upstream = "origin"', "upstrem"))
            assert status == 1 and not answer["taken"], answer

    seen = house.result(load)
    print(seen)
    assert_nothing_lost(seen)
    assert len(generations) == RELOADS
    assert house.metric('reloads_total{result="taken"}') == RELOADS
    assert house.metric('process_crashes_total{process="proxy"}') == 0
    assert house.metric("generations_cut_total") == 0
    wait_until(lambda: house.metric("generations_draining") == 0, "all generations but the last have left", seconds=25)
