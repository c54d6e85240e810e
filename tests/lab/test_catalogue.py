# SPDX-License-Identifier: BSD-2-Clause
"""Every attack of the catalogue, and beside it people who want to be served.

All stories share one edge, so each also begins with what the one before has left behind. Nobody is
kept out for long, as attackers have the same addresses in all of them. Caps and deadlines are small,
that a few seconds say as much as minutes would; floods are held to a rate that leaves both sides some
CPU time, since speed is the bench's business (scripts/bench attacks).
"""
import pathlib
import re
import time

import pytest

from authority import Authority
from catalogue import CATALOGUE, Range
from lab import BUILD, wait_until

CAP, UPSTREAM_CAP = 400, 1000  # connections
SCALE = 0.1  # of the catalogue: more than that, and floods of a few who want much
CLIENT_SECONDS, CLIENT_RATE = 2, 100
P99_MS = 1000  # three times that is what clients would bear
MEMORY_MB = 64
SANITIZED = BUILD.name == "sanitize"  # several times slower, and holds freed memory back
# Of attack before the first client; and before an attacker who was shut out knocks again.
LEAD_SECONDS, RETRY_SECONDS = (3, 5) if SANITIZED else (1.2, 1)
CONFIG = """
filter {{ interfaces = {{"eth0", "eth1"}}  cgroup = "@CGROUP@" }}
proxy {{ threads = 1 }}
listener web    {{ bind = "0.0.0.0:80"   upstream = "origin"  max_connections = {cap} {limits} }}
listener secure {{ bind = "0.0.0.0:443"  upstream = "origin"  max_connections = {cap} {limits}
	tls {{ certificate = "{pem}" key = "{key}" }} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }}  max_connections = {upstream_cap}  keepalive = 16 }}
admin {{ address = "127.0.0.1:9180" }}
"""
LIMITS = """
	timeouts { handshake = "1s" header = "1s" body = "1s" write = "1s" keepalive = "1s" }
	limits { body = "1m" }
	source { handshake_rate = 5 handshake_burst = 5 request_rate = 20 request_burst = 20 exclusion = "1s" }
	http2 { streams = 10 }
"""
# What the catalogue's floods may do at most: attempts and verses a second.
RATE, VERSE_RATE = 2000, 200


class Front:
    """The edge under attack, and how it fares."""

    def __init__(self, lab):
        certificate = Authority(lab.home).issue("web", ["web.test"])
        lab.origin()
        self.lab, path = lab, lab.configure(CONFIG.format(
            cap=CAP, upstream_cap=UPSTREAM_CAP, limits=LIMITS, pem=certificate.pem, key=certificate.key))
        lab.floodwall("attach", "--config", path)
        self.daemon = lab.edge.start(BUILD / "floodwalld", "--config", path)
        lab.wait_listening(self.daemon, ["0.0.0.0:80", "0.0.0.0:443", "127.0.0.1:9180"])
        self.proxy = wait_until(self.pid, "the proxy is there")

    def pid(self):
        """Of the proxy that was started last; 0: none yet."""
        return int(([0] + re.findall(r"proxy: process (\d+) started", self.daemon.err.read_text()))[-1])

    def reasons(self):
        """{reason: times}, of packets, connections and requests."""
        text, counts = self.lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout, {}
        for reason, value in re.findall(r'^floodwall_\w+\{.*reason="(\w+)".*\} (\d+)$', text, re.M):
            counts[reason] = counts.get(reason, 0) + int(value)
        return counts

    def descriptors(self):
        return len(list(pathlib.Path(f"/proc/{self.proxy}/fd").iterdir()))

    def memory_mb(self):
        text = pathlib.Path(f"/proc/{self.proxy}/smaps_rollup").read_text()
        return sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+)", text, re.M)) / 1024


@pytest.fixture(scope="module")
def front():
    with Range() as lab:
        yield Front(lab)


@pytest.mark.alone("attackers and clients have a CPU of their own, and clients go first")
@pytest.mark.parametrize("attack", CATALOGUE, ids=repr)
def test_people_are_served_beside(front, attack):
    before, idle = front.reasons(), front.descriptors()
    attackers = attack.start(front.lab, LEAD_SECONDS + CLIENT_SECONDS + 10,
                             1 if attack.whole else SCALE, rate=RATE, verse_rate=VERSE_RATE, retry=RETRY_SECONDS)
    time.sleep(LEAD_SECONDS)
    clients = front.lab.legitimate(attack, rate=CLIENT_RATE, seconds=CLIENT_SECONDS).result()
    held, memory = front.descriptors(), front.memory_mb()
    said = attack.stop(attackers)

    failed = {error: count for error, count in clients["errors"].items() if count}
    assert clients["ok"] >= 0.999 * clients["attempts"], (failed, said)
    assert clients["p99_ms"] <= P99_MS
    assert front.pid() == front.proxy, front.daemon.err.read_text()
    assert held <= idle + CAP + UPSTREAM_CAP + 32
    assert SANITIZED or memory <= MEMORY_MB
    after = front.reasons()
    grown = {reason for reason in after if after[reason] > before.get(reason, 0)}
    assert not attack.reasons or grown & attack.reasons, grown
    wait_until(lambda: front.descriptors() <= idle + 2 * 16, "descriptors come back", seconds=5)
