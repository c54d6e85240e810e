# SPDX-License-Identifier: BSD-2-Clause
"""Between a SYN and its connection: what comes along with a cookie, who pays for forged SYNs, and
handshakes that are completed all at once.
"""
import json

import pytest

from lab import wait_until
from test_cookies import HERE, PYTHON, at, families, first, protect, service

HOARD, CAP = 400, 10
BATCH = 64  # what an interface hands over at once, before any of it has become a connection


def nobody(edge):
    """An address without a host, whose packets are heard on the internet all the same."""
    return "2001:db8:f000::5" if ":" in edge else "192.0.2.5"


def alone(clients):
    """A prefix with one address."""
    return first(clients) + ("1/128" if ":" in clients else "/32")


def script(lab, name, *arguments):
    return json.loads(lab.internet(PYTHON, HERE / name, *arguments).stdout)


@families
def test_uploads_start_at_once(lab, edge, clients, dark):
    """A client's data comes with its ACK: none of it is lost, and none is sent twice."""
    protect(lab)
    said = script(lab, "cookie_upload.py", edge, 9000, first(clients), 300, 12000)
    assert said["whole"] == 300
    echo = service(lab, "echo")
    assert echo["answered"] == 300 and echo["reasons"] == {} and echo["faults"] == {}
    stack = lab.internet.stack()
    assert stack["TcpRetransSegs"] == 0, {name: stack[name] for name in stack if "etrans" in name}


@families
def test_answers_are_never_more_than_was_asked(lab, edge, clients, dark):
    """SYNs of every shape, tiny ones and long ones: each answer is at most as long as its SYN."""
    protect(lab)
    lab.floodwall("set", "echo.challenge.answers", 100000)
    prefix = "2001:db8:f000::" if ":" in edge else "192.0.2."
    said = script(lab, "cookie_shapes.py", edge, lab.gateway, 9000, prefix, 600)
    assert said["longer"] == []
    assert said["ports"] == said["answered"] > 0.9 * said["asked"]
    assert said["bytes_answered"] <= said["bytes_asked"]


@families
def test_forgers_lock_no_verified_source_out(lab, edge, clients, dark):
    """SYNs that bear a client's very address, as many as there are: it goes on connecting."""
    protect(lab)
    client = dict(destination=at(edge, 80), source_prefix=alone(clients), sources=1, rate=20)
    assert lab.clients(**client, seconds=0.5).result()["ok"] > 0
    flood = lab.flood(destination=at(edge, 80), source_prefix=alone(clients), sources=1,
                      rate=10000, seconds=5)
    wait_until(lambda: service(lab, "web")["answered"] > 1000, "forged SYNs are answered with cookies")
    result = lab.clients(**client, seconds=3).result()
    flood.result()
    web = service(lab, "web")
    assert result["ok"] == result["attempts"], (result, web)
    assert "verified_syn_rate" not in web["reasons"] and "unchallenged" not in web["reasons"], web


@families
def test_a_verified_source_is_held_to_its_rate(lab, edge, clients, dark):
    """Who really is there gets what the rate allows, whether he is challenged or not."""
    protect(lab, web="source { syn_rate = 10  syn_burst = 10 }")
    result = lab.clients(destination=at(edge, 80), source_prefix=alone(clients), sources=1, rate=100,
                         seconds=4, timeout=0.5).result()
    web = service(lab, "web")
    assert web["reasons"]["verified_syn_rate"] > 0
    # Attempts of the burst may still be under way when they begin to be charged.
    assert 40 <= result["ok"] <= 10 + 10 * 4.5 + 10, (result, web)


@families
@pytest.mark.parametrize("mode", ["never", "always"])
def test_handshakes_completed_at_once_stay_within_the_cap(lab, edge, clients, dark, mode):
    """A source that holds its handshakes back and then completes all of them gets what its cap is."""
    protect(lab, echo=mode)
    for name, value in (("source.connections", CAP), ("source.syn_rate", 0), ("prefix.syn_rate", 0)):
        lab.floodwall("set", f"echo.{name}", value)
    said = script(lab, "cookie_hoard.py", edge, lab.gateway, 9000, nobody(edge), HOARD)
    assert said["answered"] == HOARD
    wait_until(lambda: lab.holders("echo"), "the source holds connections")
    held = sum(lab.holders("echo").values())
    echo = service(lab, "echo")
    assert CAP <= held <= CAP + BATCH, (held, echo)
    assert echo["faults"].get("over_cap", 0) == held - CAP
    assert echo["reasons"]["source_connections"] > CAP + BATCH
