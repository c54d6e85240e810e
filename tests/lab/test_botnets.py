# SPDX-License-Identifier: BSD-2-Clause
"""Sources that are all there: they answer every challenge, so only what they may have stops them."""
from lab import wait_until
from test_cookies import PYTHON, at, families, first, protect, served, service

BOTS = 200


@families
def test_churn_from_one_network_has_a_rate(lab, edge, clients, dark):
    """Many sources of one /24 or /48 connect and reset, each within its own rate: what they complete
    is limited, and others connect as ever."""
    protect(lab, web="prefix { connection_rate = 200  connection_burst = 200 }")
    network = "2001:db8:1fff::/48" if ":" in edge else "10.9.9.0/24"
    before = lab.edge.stack()["TcpPassiveOpens"]
    churn = lab.attack(kind="churn", destination=at(edge, 80), source_prefix=network, sources=BOTS,
                       connections=BOTS, rate=0, abort=True, seconds=3)
    wait_until(lambda: "prefix_connection_rate" in service(lab, "web")["reasons"], "handshakes are refused")
    result = served(lab, edge, clients, seconds=1)
    seen = churn.result()["established"]  # from the attackers' side: cookies came
    completed = lab.edge.stack()["TcpPassiveOpens"] - before - result["ok"]
    assert result["ok"] == result["attempts"], (result, service(lab, "web"))
    # Of the first burst, some are under way before they begin to be charged.
    assert completed <= 200 + 200 * 4 + BOTS and seen > 2 * completed, (completed, seen)


# Opens and resets one connection after the other by the same port.
SAME_PORT = """
import socket, struct, sys, time
edge, source, end, opened = sys.argv[1], sys.argv[2], time.monotonic() + 2, 0
while time.monotonic() < end:
    client = socket.socket(socket.AF_INET6 if ":" in edge else socket.AF_INET)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.settimeout(0.2)
    client.bind((source, 40000))
    try:
        client.connect((edge, 80))
        opened += 1
    except OSError:
        pass
    client.close()
print(opened)
"""


@families
def test_a_port_used_again_renews_no_rate(lab, edge, clients, dark):
    """Whoever answers every challenge at once, by one port, completes no more than his rate, though many of his SYNs are
    judged before the stack has seen the reset that came in one batch with them."""
    protect(lab, web='source { syn_rate = 10  syn_burst = 10 }  challenge { mode = "always" }')
    before = lab.edge.stack()["TcpPassiveOpens"]
    opened = int(lab.internet(PYTHON, "-c", SAME_PORT, edge, first(clients)).stdout)
    completed = lab.edge.stack()["TcpPassiveOpens"] - before
    assert completed <= 10 + 10 * 4 and opened > 2 * completed, (completed, opened)
    assert service(lab, "web")["reasons"]["verified_syn_rate"] > completed


@families
def test_syns_of_a_botnet_are_answered_with_cookies(lab, edge, clients, dark):
    """All its members have proved themselves; then they send SYNs alone, more than a service takes on
    trust. The stack sees none of them but the first, and other verified sources connect as ever."""
    protect(lab, web="challenge { verified_rate = 500  verified_burst = 500 }  prefix { syn_rate = 0 }")
    botnet = dict(destination=at(edge, 80), source_prefix="2001:db8:1fff::/48" if ":" in edge else "10.9.9.0/24",
                  sources=BOTS)
    joined = lab.clients(**botnet, rate=200, seconds=1.2).result()
    known = served(lab, edge, clients, seconds=1, rate=100)
    assert joined["ok"] == joined["attempts"] >= BOTS and known["ok"] > 90
    before = service(lab, "web")
    flood = lab.flood(**botnet, rate=20000, seconds=3)
    wait_until(lambda: service(lab, "web")["answered"] > 5000, "verified sources are challenged")
    result = served(lab, edge, clients, seconds=1)
    sent = flood.result()["sent"]
    after = service(lab, "web")
    passed = after["passed"] - before["passed"]
    assert result["ok"] == result["attempts"], (result, after)
    assert passed <= 2000 and after["answered"] - before["answered"] > 20 * passed, (sent, before, after)
    assert after["reasons"] == {}
