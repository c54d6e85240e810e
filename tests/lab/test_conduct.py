# SPDX-License-Identifier: BSD-2-Clause
"""A source whose connections end for cause again and again is kept out, by the proxy and by the filter;
those whom it shares a network with, or its very address, are not (docs/overload.md).
"""
import re
import signal

from lab import CLIENTS_V4, EDGE_V4, wait_until
from test_cookies import first

CONFIG = """
filter {{ interfaces = {{"eth0"}}  cgroup = "@CGROUP@" }}
proxy {{ threads = 1 }}
listener web {{ bind = "0.0.0.0:80"  upstream = "origin"  challenge {{ mode = "never" }}
	source {{ syn_rate = 0  connections = 0  {source} }}  prefix {{ syn_rate = 0 }} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
admin {{ address = "127.0.0.1:9180" }}
"""
# A body in chunks of one byte: no honest client sends such a thing, and each is five faults.
ABUSE = {"kind": "tiny-chunks", "path": "/upload", "destination": f"{EDGE_V4}:80", "connections": 2,
         "sources": 1}
HONEST = {"destination": f"{EDGE_V4}:80", "sources": 1, "timeout": 2}


class Front:
    def __init__(self, lab, source):
        self.lab = lab
        lab.nginx(["127.0.0.1:8000"], extra="location /upload { proxy_pass http://127.0.0.1:8000/; }")
        self.daemon = lab.floodwalld(CONFIG.format(source=source), attach=True)

    def count(self, family, reason="source_conduct"):
        text = self.lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
        found = re.search(rf'^floodwall_{family}\{{service="web",reason="{reason}".*\}} (\d+)$', text, re.M)
        return int(found[1]) if found else 0

    def serves(self, source, rate, seconds):
        result = self.lab.clients(**HONEST, source_prefix=source, rate=rate, seconds=seconds).result()
        return result["ok"] == result["attempts"], result


def test_who_abuses_is_kept_out_and_his_neighbour_is_not(lab):
    front = Front(lab, 'faults = 4  fault_time = "2s"  exclusion = "30s"')
    mine, neighbour = f"{first(CLIENTS_V4)}/32", f"{first(CLIENTS_V4)[:-1]}9/32"
    attack = lab.attack(**ABUSE, source_prefix=mine, retry=0.1, rate=0, seconds=60)
    wait_until(lambda: front.count("proxy_verdicts_total"), "the proxy resets it at accept")
    wait_until(lambda: front.count("filter_packets_total"), "the filter drops its SYNs")
    ended = front.count("proxy_verdicts_total", "chunk_overhead")
    served, result = front.serves(neighbour, 50, 1)
    assert served, result
    assert lab.status()["shut"] == 1
    # While it is kept out it costs the proxy nothing.
    assert front.count("proxy_verdicts_total", "chunk_overhead") <= ended + 2
    # In monitor mode it comes in, and what would be dropped is counted.
    lab.floodwall("rule", "source_conduct", "monitor")
    wait_until(lambda: front.count("proxy_verdicts_total", "chunk_overhead") > ended + 2, "it is let in")
    wait_until(lambda: front.count("filter_would_packets_total"), "what would be dropped is counted")
    lab.floodwall("rule", "source_conduct", "enforce")
    dropped = front.count("filter_packets_total")
    wait_until(lambda: front.count("filter_packets_total") > dropped, "it is kept out again")
    # Who is allowed is let in at once, whatever he did.
    ended = front.count("proxy_verdicts_total", "chunk_overhead")
    lab.floodwall("allow", mine)
    wait_until(lambda: front.count("proxy_verdicts_total", "chunk_overhead") > ended + 10,
               "nothing is asked of who is allowed")
    attack.kill(signal.SIGTERM)


def test_those_who_are_served_speak_for_an_address(lab):
    """Many behind one address, and one of them who abuses: forty good connections a second, and two of his."""
    front = Front(lab, 'faults = 20  fault_time = "5s"')
    shared = f"{first(CLIENTS_V4)}/32"
    served, result = front.serves(shared, 40, 1)
    assert served, result
    attack = lab.attack(**ABUSE, source_prefix=shared, retry=0.1, rate=2, seconds=30)
    served, result = front.serves(shared, 40, 4)
    assert served, result
    assert front.count("proxy_verdicts_total", "chunk_overhead") >= 5
    assert front.count("proxy_verdicts_total") == 0
    attack.kill(signal.SIGTERM)
