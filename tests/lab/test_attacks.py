# SPDX-License-Identifier: BSD-2-Clause
"""What was tried once to get around the policy, or to get more than one's share, and worked."""
import re

from lab import EDGE_V4, wait_until

CONFIG = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
listener web { bind = "0.0.0.0:80"  upstream = "app" }
listener raw { bind = "0.0.0.0:81"  upstream = "app"  protocol = "tcp"  timeouts { write = "1s" } }
upstream app { server { address = "127.0.0.1:8000" } }
admin { address = "127.0.0.1:9180" }
"""


# Takes every connection and reads nothing.
DEAF_SERVER = """
import socket
listener, kept = socket.create_server(("127.0.0.1", 8000)), []
while True:
    kept.append(listener.accept())
"""

# Sends until nothing more is taken, then resets.
RUDE_CLIENT = """
import socket, struct, sys, time
connection = socket.create_connection((sys.argv[1], 81))
connection.settimeout(1)
try:
    while True:
        connection.send(bytes(65536))
except TimeoutError:
    pass
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""


def protect(lab, origin=None):
    if origin:
        lab.wait_listening(lab.edge.start("/usr/bin/python3", "-c", origin), ["127.0.0.1:8000"])
    else:
        lab.nginx(["127.0.0.1:8000"])
    lab.floodwalld(CONFIG, listen=["0.0.0.0:80", "0.0.0.0:81", "127.0.0.1:9180"], attach=True)


def page(lab, port):
    return lab.internet("curl", "-sS", "--max-time", 5, "-o", "/dev/null", "-w", "%{http_code}",
                        f"http://{EDGE_V4}:{port}/").stdout


def metric(lab, name, service):
    text = lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    return int(re.search(rf'^floodwall_proxy_{name}\{{service="{service}"\}} (\d+)', text, re.M)[1])


def test_a_relay_never_gets_a_used_link(lab):
    """A TCP listener and an HTTP listener may share an upstream, but not its connections."""
    protect(lab)
    for _ in range(3):
        assert page(lab, 80) == "200"
        assert page(lab, 81) == "200"
    assert metric(lab, "upstream_reuses_total", "web") > 0
    assert metric(lab, "upstream_reuses_total", "raw") == 0


def test_who_is_gone_holds_nothing(lab):
    """A reset client whose last words the server does not take: the kernel counts it no more, so it must go."""
    protect(lab, origin=DEAF_SERVER)
    lab.internet("/usr/bin/python3", "-c", RUDE_CLIENT, EDGE_V4)
    assert lab.holders("raw") == {}
    wait_until(lambda: metric(lab, "connections_active", "raw") == 0, "the proxy lets go of it", seconds=5)
