# SPDX-License-Identifier: BSD-2-Clause
"""The filter alone, in front of servers that know nothing of it: what the wire and the counters show.

Each story: a cause (a flood, a holder, an edit, a kill) and its effect, seen by honest clients and
in the counter of the exact reason. IPv4 and IPv6 tell the same stories.
"""
import os
import shlex
import signal
import time

import pytest

from lab import BUILD, CLIENTS_V4, CLIENTS_V6, EDGE_V4, EDGE_V6, LabError, wait_until

SERVED = 0.995
# Each handshake is over before the next begins: of those under way at once a few get past a cap
# (test_handshakes.py).
ONE_BY_ONE = dict(rate=50, seconds=4)

# As a host would have it that only says which ports are services. Cookies have their own stories
# (test_cookies.py): what is over a limit here is dropped.
POLICY = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" %s }
service web { bind = {"*:80"}  challenge { mode = "never" } %s }
service other { bind = {"*:9000"}  challenge { mode = "never" } %s }
"""

# Any TCP server: holds what it accepts, and closes when its client does.
SERVER = """
import selectors, socket
server = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
ready = selectors.DefaultSelector()
ready.register(server, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        if key.fileobj is server:
            ready.register(server.accept()[0], selectors.EVENT_READ)
            continue
        try:
            data = key.fileobj.recv(4096)
        except OSError:
            data = b""
        if not data:
            ready.unregister(key.fileobj)
            key.fileobj.close()
"""


class Family:
    """The same story's addresses in one family."""

    def __init__(self, name, edge, clients, subnet, live, dark):
        self.name, self.edge, self.clients = name, edge, clients
        self.subnet = subnet  # a prefix that the filter sees as one
        self.live = live  # live, for attackers with whole connections
        self.dark = dark  # wider: every packet from another prefix

    def __repr__(self):
        return self.name

    def at(self, port):
        return f"{self.edge}:{port}"


V4 = Family("v4", EDGE_V4, CLIENTS_V4, "172.16.5.0/24", "10.66.0.0/16", "172.16.0.0/12")
V6 = Family("v6", f"[{EDGE_V6}]", CLIENTS_V6, "2001:db8:4000::/48", "2001:db8:1066::/48",
            "2001:db8:4000::/36")
both_families = pytest.mark.parametrize("family", [V4, V6], ids=repr)
busy_wire = pytest.mark.alone("200,000 packets a second, and clients who lose none of theirs")


def protect(lab, web="", other="", tables=""):
    """nginx on port 80, a holding server on port 9000, the filter in front."""
    lab.nginx(["0.0.0.0:80", "[::]:80"])
    server = lab.edge.start("/usr/bin/python3", "-c", SERVER, name="server")
    lab.wait_listening(server, ["[::]:9000"])
    lab.floodwall("attach", "--config", lab.configure(POLICY % (tables, web, other)))
    return server


def served(lab, family, seconds=3, **options):
    """The share of honest clients that got their page."""
    result = lab.clients(destination=family.at(80), source_prefix=family.clients, sources=500,
                         rate=100, seconds=seconds, **options).result()
    return result["ok"] / result["attempts"]


@both_families
@busy_wire
def test_flood_from_one_subnet(lab, family):
    """A subnet's SYN flood is dropped as the subnet's; others are served as ever."""
    protect(lab)
    # A /24 has so few addresses that above this rate each of them is over its own limit.
    rate = 10000 if family is V4 else 200000
    flood = lab.flood(destination=family.at(80), source_prefix=family.subnet, rate=rate, seconds=5)
    time.sleep(1)
    assert served(lab, family) >= SERVED
    sent = flood.result()["sent"]
    drops = lab.drops()
    passed = 5 * 500 + 1000  # the rate and the burst
    assert sent - 1.1 * passed < sum(drops.values()) < sent - 0.9 * passed
    assert drops["prefix_syn_rate"] > 0.98 * sum(drops.values())


@both_families
@busy_wire
def test_flood_from_one_source(lab, family):
    """One address's SYN flood is dropped as that address's, before its prefix suffers."""
    protect(lab)
    flood = lab.flood(destination=family.at(80), source_prefix=family.subnet, sources=1,
                      rate=100000, seconds=4)
    time.sleep(0.5)
    assert served(lab, family) >= SERVED
    sent = flood.result()["sent"]
    assert lab.drops()["source_syn_rate"] > 0.98 * sent
    assert "prefix_syn_rate" not in lab.drops()


@both_families
@busy_wire
@pytest.mark.parametrize("kind,reason", [("xmas", "tcp_flags"), ("null", "tcp_flags"),
                                         ("synfin", "tcp_flags"), ("land", "land")])
def test_flood_of_nonsense(lab, family, kind, reason):
    """What no stack sends is dropped to the last packet, each for its own reason."""
    protect(lab)
    sent = lab.flood(destination=family.at(80), source_prefix=family.dark, kind=kind, rate=100000,
                     seconds=1).result()["sent"]
    assert lab.drops() == {reason: sent}


@both_families
def test_tuning_takes_effect_at_the_next_packet(lab, family):
    """A limit set by the CLI, and then by the bpftool line that the CLI gave, is obeyed at once."""
    protect(lab, web="source { syn_rate = 0 } prefix { syn_rate = 0 }")
    lab.flood(destination=family.at(80), source_prefix=family.subnet, sources=1, rate=2000,
              seconds=20)

    def dropped_in_a_moment():
        before = lab.drops().get("source_syn_rate", 0)
        time.sleep(0.5)
        return lab.drops().get("source_syn_rate", 0) - before

    assert dropped_in_a_moment() == 0
    lab.floodwall("set", "web.source.syn_burst", "1")
    line = lab.floodwall("set", "web.source.syn_rate", "10")["bpftool"]
    assert dropped_in_a_moment() > 700
    lab.floodwall("set", "web.source.syn_rate", "0")
    assert dropped_in_a_moment() == 0
    lab.edge(*shlex.split(line))
    assert dropped_in_a_moment() > 700


@both_families
def test_connections_are_counted_exactly(lab, family):
    """Every accept counts and every end is taken off: FIN, RST, and the death of the server."""
    server = protect(lab)
    hold = dict(destination=family.at(9000), source_prefix=family.live, seconds=60)
    assert lab.holders("other") == {}
    first = lab.attack(**hold, sources=3, connections=60)
    wait_until(lambda: list(lab.holders("other").values()) == [20, 20, 20], "three sources hold 20 each")
    second = lab.attack(**hold, sources=1, connections=7, abort=True)
    wait_until(lambda: sorted(lab.holders("other").values()) == [20, 20, 27], "one of them 7 more")
    assert sum(lab.holders("other", by="prefix").values()) == 67
    second.kill(signal.SIGTERM)  # by RST
    wait_until(lambda: sorted(lab.holders("other").values()) == [20, 20, 20], "back at 20")
    first.kill(signal.SIGTERM)  # by FIN
    wait_until(lambda: lab.holders("other") == {}, "none is held")
    lab.attack(**hold, sources=2, connections=50)
    wait_until(lambda: sorted(lab.holders("other").values()) == [25, 25], "two sources hold 25 each")
    server.kill()
    wait_until(lambda: lab.holders("other") == {}, "none is held by a dead server")


@both_families
def test_cap_is_enforced_at_the_handshake(lab, family):
    """Past its cap a source's SYNs are dropped; it keeps what it has, and others connect."""
    protect(lab, other="source { connections = 10  syn_rate = 0 }")
    attack = lab.attack(destination=family.at(9000), source_prefix=family.live, sources=2,
                        connections=100, patience=1, **ONE_BY_ONE)
    wait_until(lambda: lab.drops().get("source_connections", 0) > 50, "SYNs over the cap are dropped")
    assert sorted(lab.holders("other").values()) == [10, 10]
    honest = lab.attack(destination=family.at(9000), source_prefix=family.clients, sources=20,
                        connections=100, seconds=1).result()
    assert honest["held"] == 100
    result = attack.result()
    assert result["held_peak"] == 20 and result["closed"] == result["reset"] == 0
    wait_until(lambda: lab.holders("other") == {}, "none is held in the end")


@both_families
def test_prefix_cap(lab, family):
    """A prefix has a cap of its own, however many addresses share it."""
    protect(lab, other="prefix { connections = 30 }")
    attack = lab.attack(destination=family.at(9000), source_prefix=family.live, sources=50,
                        connections=100, patience=1, **ONE_BY_ONE)
    wait_until(lambda: lab.drops().get("prefix_connections", 0) > 50, "the prefix is at its cap")
    assert list(lab.holders("other", by="prefix").values()) == [30]
    assert attack.result()["held_peak"] == 30


def test_an_ipv6_network_is_one_source(lab):
    """Who has one IPv6 address has a /64 full of them: changing it gains no connection."""
    protect(lab, other="source { connections = 10  syn_rate = 0 }")
    attack = lab.attack(destination=V6.at(9000), source_prefix="2001:db8:1066:7::/64", sources=50,
                        connections=100, patience=1, **ONE_BY_ONE)
    wait_until(lambda: lab.drops().get("source_connections", 0) > 50, "the network is at its cap")
    assert lab.holders("other") == {"2001:db8:1066:7::/64": 10}
    assert attack.result()["held_peak"] == 10


@both_families
def test_block_and_allow_expire(lab, family):
    """A blocked prefix is cut off and comes back when its time is up; the allow list is asked first."""
    protect(lab)
    assert served(lab, family, 1) == 1
    lab.floodwall("block", family.clients, "--for", "3s", "--note", "story")
    assert [entry["note"] for entry in lab.floodwall("blocks")] == ["story"]
    assert served(lab, family, 0.5, timeout=0.5) == 0
    assert lab.drops()["blocked"] >= 50
    lab.floodwall("allow", family.clients, "--for", "1s")
    assert served(lab, family, 0.5) == 1
    wait_until(lambda: served(lab, family, 0.2, timeout=0.2) == 0, "allowed no longer, blocked still")
    wait_until(lambda: served(lab, family, 0.2, timeout=0.2) == 1, "blocked no longer")
    assert lab.floodwall("blocks") == []


def test_monitor_mode(lab):
    """A monitored rule counts what it would have dropped, and drops nothing."""
    protect(lab)
    lab.floodwall("rule", "tcp_flags", "monitor")
    flood = dict(destination=V4.at(80), source_prefix=V4.dark, kind="xmas", rate=20000, seconds=0.5)
    before = lab.edge.stack()["TcpInSegs"]
    sent = lab.flood(**flood).result()["sent"]
    assert lab.drops() == {}
    assert lab.would() == {"tcp_flags": sent}
    assert lab.edge.stack()["TcpInSegs"] - before >= sent
    lab.floodwall("rule", "tcp_flags", "enforce")
    sent_enforced = lab.flood(**flood).result()["sent"]
    assert lab.drops() == {"tcp_flags": sent_enforced}
    assert lab.would() == {"tcp_flags": sent}


def test_full_tables_fail_open(lab):
    """When the connection table is full, connections go on uncounted, and status says so."""
    protect(lab, tables="connections = 1024", other="source { syn_rate = 0 } prefix { syn_rate = 0 }")
    attack = lab.attack(destination=V4.at(9000), source_prefix="10.66.0.0/16", sources=4000,
                        connections=4000, rate=4000, seconds=5)
    wait_until(lambda: lab.status()["faults"].get("track_full", 0) > 100, "the table is full, and that counted")
    assert served(lab, V4, 1) == 1
    assert attack.result()["held_peak"] == 4000
    full = {table["name"]: table for table in lab.status()["tables"]}["connections"]
    assert full["used"] <= full["size"]
    wait_until(lambda: lab.holders("other") == {}, "what was counted is taken off again")


def test_detach_restores(lab):
    """After detach every packet passes; attaching again goes on with the same lists and counts."""
    protect(lab)
    flood = dict(destination=V4.at(80), source_prefix=V4.dark, kind="xmas", rate=20000, seconds=0.3)
    sent = lab.flood(**flood).result()["sent"]
    assert lab.drops() == {"tcp_flags": sent}
    lab.floodwall("block", "10.200.0.0/16")
    lab.floodwall("detach")
    assert "xdp" not in lab.edge("ip", "link", "show", "dev", "eth0").stdout
    before = lab.edge.stack()["TcpInSegs"]
    passed = lab.flood(**flood).result()["sent"]
    assert lab.edge.stack()["TcpInSegs"] - before >= passed
    assert lab.drops() == {"tcp_flags": sent}
    lab.floodwall("attach", "eth0", "--config", lab.home / "floodwall.conf")
    assert [entry["prefix"] for entry in lab.floodwall("blocks")] == ["10.200.0.0/16"]
    assert lab.drops() == {"tcp_flags": sent}
    lab.floodwall("detach", "--all")
    assert "floodwall" not in lab.edge("ls", "/sys/fs/bpf").stdout.split()


def test_foreign_program_is_left_alone(lab):
    """An interface that runs somebody else's XDP program is refused, by name, and keeps it."""
    lab.edge("ip", "link", "set", "dev", "eth0", "xdpdrv", "object", BUILD / "bpf/flood.bpf.o",
             "program", "pass")
    with pytest.raises(LabError, match="eth0"):
        protect(lab)
    assert " name pass " in lab.edge("ip", "link", "show", "dev", "eth0").stdout


def test_bad_configuration_changes_nothing(lab):
    """A mistake is named with file and line, and the running policy stays as it was."""
    protect(lab, web="source { connections = 33 }")
    path = lab.home / "bad.conf"
    path.write_text('service web {\n\tbind = {"*:80"}\n\tsource { syn_rate = "lots" }\n}\n')
    done = lab.edge(BUILD / "floodwall", "attach", "eth0", "--config", path, check=False)
    assert done.returncode != 0
    assert f"{path}:3" in done.stderr and "syn_rate" in done.stderr
    assert lab.floodwall("get", "web.source.connections")[0]["value"] == 33
    assert served(lab, V4, 0.5) == 1


def test_filter_outlives_every_process(lab):
    """kill -9 of all of Floodwall under load: it still drops, and closed connections leave no count."""
    lab.nginx(["127.0.0.1:8000"])
    lab.floodwalld("""
        filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
        listener web { bind = {"0.0.0.0:80", "[::]:80"}  route "/" { upstream = "app" }
                       challenge { mode = "never" } }
        upstream app { server { address = "127.0.0.1:8000" } }
        """, attach=True)
    lab.attack(destination=V4.at(80), source_prefix=V4.live, sources=10, connections=300, seconds=60)
    flood = lab.flood(destination=V4.at(80), source_prefix=V4.subnet, rate=50000, seconds=8)
    wait_until(lambda: sum(lab.holders("web").values()) == 300, "300 connections are held")
    for pid in lab.pids("floodwalld"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not lab.pids("floodwalld"), "no process of Floodwall is left")
    wait_until(lambda: lab.holders("web") == {}, "closed connections are not counted any more")
    before = lab.drops()["prefix_syn_rate"]
    wait_until(lambda: lab.drops()["prefix_syn_rate"] - before > 20000, "the filter goes on dropping")
    flood.result()
