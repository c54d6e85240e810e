# SPDX-License-Identifier: BSD-2-Clause
"""floodwall upgrade: other programs behind the same attachment, and nobody can tell when."""
import json
import signal

import pytest

from lab import BUILD, CLIENTS_V4, DARK_V4, DARK_V6, EDGE_V4, EDGE_V6, wait_until
from test_cli import FAILED, NO, USAGE, attach, bpftool, cli, connects, xdp  # cli is a fixture
from test_cookies import PYTHON, at, protect, service
from test_rekey import ALWAYS

UPGRADES = 20
HELD = 25

# Holds connections from as many addresses, and has each of them answer again and again, until told
# to stop; then says how often all did.
KEEPER = f"""
import signal, socket, time
held = [socket.create_connection(("{EDGE_V4}", 9000), 5, (f"10.1.1.{{number}}", 0))
        for number in range(1, {HELD} + 1)]
rounds, stop = 0, []
signal.signal(signal.SIGINT, lambda *_: stop.append(True))
print("held", flush=True)
while not stop:
    for connection in held:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
    rounds += 1
    time.sleep(0.02)
print(rounds)
"""


def usage(lab, name):
    return {row["name"]: row["used"] for row in lab.status()["tables"]}[name]


def programs(answer):
    return {(row["place"], row["name"]): row for row in answer["programs"]}


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_twenty_upgrades_under_way(lab, cli, mode):
    """A blocked flood at a steady rate, connections that go on, newcomers who are challenged."""
    protect(lab, web=ALWAYS, mode=mode)
    cli("block", DARK_V4, DARK_V6, "--for", "1h", "--note", "flood")
    keeper = lab.internet.start(PYTHON, "-c", KEEPER, name="keeper")
    wait_until(lambda: keeper.out.read_text() or not keeper.running(), "connections are held")
    held, verified, blocks = lab.holders("echo"), usage(lab, "sources"), cli("blocks")
    assert len(held) == HELD and set(held.values()) == {1} and verified >= HELD

    floods = [lab.flood(destination=at(edge, 80), source_prefix=dark, rate=5000, seconds=100)
              for edge, dark in ((EDGE_V4, DARK_V4), (EDGE_V6, DARK_V6))]
    clients = lab.clients(destination=at(EDGE_V4, 80), source_prefix=CLIENTS_V4, sources=60000,
                          rate=50, seconds=8)
    for _ in range(UPGRADES):
        answer = programs(cli("upgrade", "--force"))
        assert {row["replaced"] for row in answer.values()} == {True}
        assert {name for _, name in answer} == {"floodwall_filte", "floodwall_admit", "floodwall_quest",
                                               "floodwall_track"}
    result = clients.result()
    for flood in floods:
        flood.kill(signal.SIGINT)
    sent = [flood.result() for flood in floods]
    assert lab.holders("echo") == held
    keeper.kill(signal.SIGINT)
    assert keeper.popen.wait(10) == 0 and int(keeper.out.read_text().split()[1]) > 20

    # Every packet met a filter. What the wire loses of two floods, each takes for its own loss.
    dropped = lab.drops()
    assert set(dropped) == {"blocked"}
    assert sum(flood["sent"] for flood in sent) <= dropped["blocked"]
    assert dropped["blocked"] <= sum(flood["sent"] + flood["lost"] for flood in sent)
    assert result["ok"] == result["attempts"], result
    assert service(lab, "web")["faults"] == {}
    # And nothing was forgotten.
    assert usage(lab, "sources") >= verified
    after = cli("blocks")
    assert [(row["prefix"], row["note"]) for row in after] == [(row["prefix"], row["note"]) for row in blocks]
    wait_until(lambda: lab.holders("echo") == {}, "who has gone is not counted any more")


def test_what_is_the_same_stays(lab, cli):
    """Programs are compared by what they are, and exchanged in any case if that is wanted."""
    attach(lab, cli)
    before = xdp(lab)
    answer = programs(cli("upgrade"))
    assert {row["replaced"] for row in answer.values()} == {False}
    for row in answer.values():
        assert row["before"] == row["after"] and len(row["before"]["tag"]) == 16
    assert xdp(lab) == before
    assert answer["eth0", "floodwall_filte"]["before"]["id"] == before[1]

    text = lab.edge(BUILD / "floodwall", "upgrade").stdout
    assert text.count(" stays\n") == len(answer) and "->" not in text
    text = lab.edge(BUILD / "floodwall", "upgrade", "--force").stdout
    assert text.count("->") == len(text.splitlines()) == len(answer)

    # A tier that can't be had any more is not changed behind anybody's back.
    running = xdp(lab)
    lab.edge.sysctl(net__ipv4__tcp_syncookies=0)
    assert "tcp_syncookies" in cli("upgrade", "--force", status=FAILED)["error"]
    assert xdp(lab) == running and lab.status()["interfaces"][0]["tier"] == "own"
    cli("attach", "eth0", "--tier", "drop")
    assert programs(cli("upgrade", "--force"))["eth0", "floodwall_filte"]["replaced"]
    assert lab.status()["interfaces"][0]["tier"] == "drop"


def test_it_goes_where_the_filter_is(lab, cli):
    """Each interface keeps its mode, and one that has no filter gets none."""
    cli("upgrade", status=FAILED)  # nothing is loaded
    lab.edge("ip", "link", "add", "other", "type", "veth", "peer", "name", "peer")
    attach(lab, cli, "--mode", "generic")
    cli("upgrade", "eth0", status=USAGE)
    answer = programs(cli("upgrade", "--force"))
    assert {place for place, _ in answer} == {"eth0", "cgroup"}
    assert xdp(lab)[0] == "generic" and xdp(lab, "other") is None
    cli("detach")
    answer = programs(cli("upgrade", "--force"))
    assert {place for place, _ in answer} == {"cgroup"} and xdp(lab) is None


def test_maps_of_another_form_are_left_alone(lab, cli):
    """A version with another layout does nothing, says so, and the filter goes on."""
    lab.nginx(["0.0.0.0:80"])
    attach(lab, cli)
    cli("block", DARK_V4)
    before = xdp(lab)
    meta = bpftool(lab, "map", "lookup", "pinned", "/sys/fs/bpf/floodwall/meta", "key", 0, 0, 0, 0)
    value = [int(byte, 16) for byte in meta["value"]]
    other = [value[0] ^ 1, *value[1:]]
    change = ("bpftool", "map", "update", "pinned", "/sys/fs/bpf/floodwall/meta", "key", 0, 0, 0, 0, "value")
    lab.edge(*change, *other)
    for verb in (("upgrade",), ("upgrade", "--force"), ("attach", "eth0")):
        error = cli(*verb, status=FAILED)["error"]
        assert "made by another version" in error and "detach --all" in error
    assert xdp(lab) == before
    sent = lab.flood(destination=at(EDGE_V4, 80), source_prefix=DARK_V4, rate=1000, seconds=1).result()["sent"]
    assert connects(lab, 80)
    lab.edge(*change, *value)
    assert lab.drops()["blocked"] >= sent > 900


def test_the_daemon_goes_on(lab, cli):
    """floodwalld has the same maps before and after: its proxy serves, and its caps hold."""
    lab.nginx(["127.0.0.1:8000"])
    lab.floodwalld("""
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
listener web { bind = "*:80" upstream = "origin" %s }
upstream origin { server { address = "127.0.0.1:8000" } }
""" % ALWAYS, attach=True)
    clients = lab.clients(destination=at(EDGE_V4, 80), source_prefix=CLIENTS_V4, sources=60000, rate=50,
                          seconds=4)
    for _ in range(3):
        assert json.dumps(cli("upgrade", "--force"))
    result = clients.result()
    assert result["ok"] == result["attempts"] > 100
    assert service(lab, "web")["answered"] > 100
