# SPDX-License-Identifier: BSD-2-Clause
"""Who has to go under overload, and should have spoken, is not told; who speaks all the same is, and so is
who waits for an answer (docs/overload.md).
"""
import re
import signal
import socket

import pytest

from lab import CLIENTS_V4, EDGE_V4, EDGE_V6, LIVE_V6, wait_until
from origin import inside
from test_cookies import first

CONFIG = """
filter {{ interfaces = {{"eth0"}}  cgroup = "@CGROUP@" }}
proxy {{ threads = 1 }}
listener web {{ bind = {{"0.0.0.0:80", "[::]:80"}}  upstream = "origin"  max_connections = 40  {more} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
admin {{ address = "127.0.0.1:9180" }}
"""
# Of the attackers each has one connection, and all want half as many again as there may be. They come so slowly
# that the overload is noticed before the first of them has to go.
HOARD = {"destination": f"{EDGE_V4}:80", "source_prefix": "10.66.0.0/16", "connections": 60, "sources": 60,
         "spread": True, "rate": 20, "seconds": 60}


class Front:
    def __init__(self, lab, more=""):
        self.lab = lab
        lab.nginx(["127.0.0.1:8000"])
        lab.floodwalld(CONFIG.format(more=more), attach=True)

    def metric(self, family, **labels):
        text = self.lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
        wanted = ",".join(f'{label}="{value}"' for label, value in {"service": "web", **labels}.items())
        found = re.search(rf"^floodwall_{family}\{{{wanted}[^}}]*\}} (\d+)$", text, re.M)
        return int(found[1]) if found else 0

    def ended(self, reason):
        return self.metric("proxy_verdicts_total", reason=reason)

    def silent(self):
        return self.metric("proxy_silent_drops_total")

    def serves(self, count):
        result = self.lab.clients(destination=f"{EDGE_V4}:80", source_prefix=CLIENTS_V4, sources=100, rate=100,
                                  seconds=count / 100, timeout=3).result()
        return result["ok"] == result["attempts"] >= count - 1, result


def over(attack):
    attack.kill(signal.SIGTERM)
    return attack.result()


def is_pressed(lab):
    return next(each for each in lab.status()["services"] if each["name"] == "web")["pressure"]["on"]


@pytest.mark.parametrize("family", [{}, {"destination": f"[{EDGE_V6}]:80", "source_prefix": LIVE_V6}],
                         ids=["ipv4", "ipv6"])
def test_who_should_have_spoken_is_not_told(lab, family):
    """They keep what is no connection any more, and don't come back."""
    front = Front(lab, 'timeouts { header = "60s" }')
    attack = lab.attack(kind="hold-request", **{**HOARD, **family})
    wait_until(lambda: front.ended("evicted_new") >= 20, "twenty have to make room")
    served, result = front.serves(200)
    assert served, result
    said = over(attack)
    assert (said["reset"], said["closed"], said["held"], said["established"]) == (0, 0, 60, 60), said
    assert front.silent() == front.ended("evicted_new")


def test_an_operator_may_have_them_told(lab):
    front = Front(lab, "source { silent_drop = no }")
    attack = lab.attack(kind="hold-request", **HOARD, retry=30)
    wait_until(lambda: front.ended("evicted_new") >= 20, "twenty have to make room")
    said = over(attack)
    assert front.silent() == 0
    assert said["reset"] >= 20, said


def test_who_speaks_all_the_same_is_told(lab):
    """A browser's connection to spare: it is used when it is gone already, and another one has to be opened."""
    front = Front(lab)
    with inside(lab.internet), socket.create_connection((EDGE_V4, 80), 5, (first(CLIENTS_V4), 0)) as spare:
        attack = lab.attack(kind="hold-request", **HOARD)
        wait_until(lambda: front.ended("evicted_new") >= 20, "twenty have to make room")
        wait_until(lambda: is_pressed(lab), "the filter looks at every segment")
        spare.settimeout(5)
        with pytest.raises(ConnectionResetError):
            spare.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n")
            spare.recv(1)
        assert front.metric("filter_packets_total", reason="pass_stray") == 1
        over(attack)


def test_who_waits_for_an_answer_is_told(lab):
    """He would wait for ever: it is not for him to speak."""
    front = Front(lab, 'timeouts { write = "2s" }')
    attack = lab.attack(kind="slow-read", path="/big", retry=30, **{**HOARD, "connections": 36, "sources": 36})
    wait_until(lambda: front.metric("proxy_overload_stage") >= 2, "deadlines are shortened")
    wait_until(lambda: front.ended("write_timeout") + front.ended("send_rate") >= 30, "thirty are cut off", seconds=20)
    said = over(attack)
    assert said["reset"] >= 30, said
    assert front.silent() == 0
