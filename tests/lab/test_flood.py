# SPDX-License-Identifier: BSD-2-Clause
"""A spoofed flood as fast as this machine can send it: newcomers connect as ever.

The clients have a wire of their own, so that what the attack's wire has no room for is not theirs.
"""
import signal
import time

import pytest

from lab import CLIENTS_V4, CLIENTS_V6, EDGE_V4, EDGE_V6, Lab, wait_until

POLICY = """
filter { interfaces = {"eth0", "eth1"}  cgroup = "@CGROUP@" }
service web { bind = {"*:80"} }
"""
pytestmark = pytest.mark.alone("a flood as fast as both CPUs can send and answer it")

BURST = 2000  # challenge.burst's default: what is taken on trust before the pressure begins
CLIENTS = dict(rate=400, sources=1000, seconds=2.5)


@pytest.fixture
def lab():
    with Lab(apart=True) as made:
        made.nginx(["0.0.0.0:80", "[::]:80"])
        attached = made.floodwall("attach", "--config", made.configure(POLICY))["interfaces"]
        if attached[0]["tier"] != "own":
            pytest.skip(f"no cookies in XDP on this kernel: {attached[0]['tier_why']}")
        yield made


def web(lab):
    return {row["name"]: row for row in lab.status()["services"]}["web"]


@pytest.mark.parametrize("edge,anywhere,clients", [(f"{EDGE_V4}:80", "0.0.0.0/0", CLIENTS_V4),
                                                   (f"[{EDGE_V6}]:80", "::/0", CLIENTS_V6)],
                         ids=["v4", "v6"])
@pytest.mark.parametrize("stack", ["linux", "windows"])
def test_full_rate_from_anywhere(lab, edge, anywhere, clients, stack):
    """Every forged SYN that the wire delivers is answered in the driver; every newcomer is served."""
    flood = lab.flood(destination=edge, source_prefix=anywhere, stack=stack, seconds=10)
    wait_until(lambda: web(lab)["answered"] > 20000, "the filter answers in the server's place")
    served = lab.clients(destination=edge, source_prefix=clients, **CLIENTS).result()
    time.sleep(0.2)
    flood.kill(signal.SIGTERM)
    flood.result()
    counted, stacks, wire = web(lab), lab.edge.stack(), lab.edge.wire()
    assert served["ok"] >= 0.99 * served["attempts"], (served, counted)
    assert counted["reasons"] == {} and counted["faults"] == {}
    # All that came was answered, but for what was taken on trust, and as much went out again.
    answers = counted["answered"] - served["attempts"]
    assert 0 <= wire["rx"]["packets"] - answers <= BURST + 0.001 * answers, (wire, counted)
    assert abs(wire["tx"]["packets"] + wire["tx"]["dropped"] - wire["rx"]["packets"]) < BURST
    # To the stack only newcomers who had proved themselves came, and the burst.
    assert stacks["TcpPassiveOpens"] >= served["ok"]
    assert stacks["TcpExtSyncookiesSent"] <= BURST and stacks["TcpExtListenDrops"] == 0
