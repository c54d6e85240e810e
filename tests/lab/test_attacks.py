# SPDX-License-Identifier: BSD-2-Clause
"""What was tried once to get around the policy, or to get more than one's share, and worked."""
import re

from lab import EDGE_V4

CONFIG = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
listener web { bind = "0.0.0.0:80"  upstream = "app" }
listener raw { bind = "0.0.0.0:81"  upstream = "app"  protocol = "tcp" }
upstream app { server { address = "127.0.0.1:8000" } }
admin { address = "127.0.0.1:9180" }
"""


def protect(lab):
    lab.nginx(["127.0.0.1:8000"])
    lab.floodwalld(CONFIG, listen=["0.0.0.0:80", "0.0.0.0:81", "127.0.0.1:9180"], attach=True)


def page(lab, port):
    return lab.internet("curl", "-sS", "--max-time", 5, "-o", "/dev/null", "-w", "%{http_code}",
                        f"http://{EDGE_V4}:{port}/").stdout


def test_a_relay_never_gets_a_used_link(lab):
    """A TCP listener and an HTTP listener may share an upstream, but not its connections."""
    protect(lab)
    for _ in range(3):
        assert page(lab, 80) == "200"
        assert page(lab, 81) == "200"
    metrics = lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    reused = dict(re.findall(r'^floodwall_proxy_upstream_reuses_total\{service="(web|raw)"\} (\d+)', metrics, re.M))
    assert reused["raw"] == "0"
