# SPDX-License-Identifier: BSD-2-Clause
"""Named lists: loaded, replaced and dropped by the command line, while traffic flows."""
import ipaddress
import random
import re
import signal

import pytest

from lab import BUILD, CLIENTS_V4, EDGE_V4, INTERNET_V4, wait_until
from test_cli import FAILED, NO, USAGE, attach, cli, connects  # cli is a fixture
from test_stories import SERVED, V4, V6, both_families, protect, served

MILLION = 1_000_000


def generated(count, seed, beside=()):
    """So many lines of hosts and blocks that nobody in the lab has."""
    draw = random.Random(seed)
    lines = [f"{prefix}  # in every generation" for prefix in beside]
    while len(lines) < count:
        if draw.random() < 0.8:
            length = draw.choice((24, 28, 32, 32, 32))
            address = draw.randrange(20 << 24, 100 << 24) >> (32 - length) << (32 - length)
            text = f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
        else:
            length = draw.choice((48, 64, 128))
            address = (0x2a << 120 | draw.getrandbits(120)) >> (128 - length) << (128 - length)
            text = str(ipaddress.IPv6Address(address))
        lines.append(f"{text}/{length}")
    return "\n".join(lines) + "\n"


def file_of(lab, name, text):
    path = lab.home / name
    path.write_text(text)
    return path


def passed(lab, service):
    return next(row["passed"] for row in lab.status()["services"] if row["name"] == service)


@pytest.mark.alone("a million entries take seconds, of a machine that does nothing else")
def test_a_million_entries_replaced_under_traffic(lab, cli):
    """A listed flood meets the list at every moment, and honest clients never notice."""
    everyone = (V4.dark, V6.dark)
    first = file_of(lab, "first", generated(MILLION, 1, everyone))
    second = file_of(lab, "second", generated(MILLION, 2, everyone))
    protect(lab)
    # The gates would refuse a flood that the lists let through; here it has to be seen.
    for limit in ("source.syn_rate", "prefix.syn_rate"):
        cli("set", f"other.{limit}", 0)

    loaded = cli("list", "load", "bad", first)
    assert loaded["given"] == MILLION and loaded["v6"] > 0.15 * MILLION
    assert loaded["entries"] + loaded["duplicates"] + loaded["covered"] == MILLION
    assert loaded["seconds"] < 30, "a million entries take seconds"
    floods = [lab.flood(destination=family.at(9000), source_prefix=family.dark, rate=5000, seconds=8)
              for family in (V4, V6)]
    clients = lab.clients(destination=V4.at(80), source_prefix=CLIENTS_V4, sources=500, rate=50,
                          seconds=8)
    for path in (second, first, second):
        cli("list", "load", "bad", path)
    result = clients.result()
    sent = sum(flood.result()["sent"] for flood in floods)
    assert result["ok"] / result["attempts"] >= SERVED
    assert passed(lab, "other") == 0, "there was a moment without a list"
    dropped = lab.drops()
    assert set(dropped) == {"listed"}
    # What the wire loses of two floods at once, each of them takes for its own loss.
    assert sent <= dropped["listed"] <= 1.01 * sent
    shown = cli("list", "show", "bad")
    assert shown["packets"] == dropped["listed"] and shown["name"] == "bad" and shown["action"] == "block"
    everything = cli("list", "show")
    assert everything["lists"] == [shown]
    assert MILLION * 24 < everything["bytes"] < MILLION * 120

    assert cli("list", "drop", "bad") == {"dropped": "bad"}
    lab.flood(destination=V4.at(9000), source_prefix=V4.dark, rate=1000, seconds=0.5).result()
    assert lab.drops() == dropped and passed(lab, "other") > 100
    assert cli("list", "show") == {"lists": [], "bytes": 0, "granularity": 0}
    assert "no lists" in lab.edge(BUILD / "floodwall", "list").stdout


@both_families
def test_lists_of_several_names_keep_to_themselves(lab, cli, family):
    """Block, allow, replace, drop: each list does what it says, with no daemon to remember."""
    protect(lab)
    clients = str(family.clients)
    cli("list", "load", "bad", file_of(lab, "bad", clients))
    assert served(lab, family, seconds=1, timeout=0.3) == 0
    cli("list", "load", "good", file_of(lab, "good", clients), "--action", "allow")
    assert served(lab, family, seconds=1) >= SERVED
    assert [(row["name"], row["action"], row["entries"]) for row in cli("list", "show")["lists"]] == [
        ("bad", "block", 1), ("good", "allow", 1)]
    assert "source_connections" not in lab.drops()
    cli("list", "drop", "good")
    assert served(lab, family, seconds=1, timeout=0.3) == 0
    cli("list", "load", "bad", file_of(lab, "bad", "192.0.2.1\n"))
    assert served(lab, family, seconds=1) >= SERVED
    cli("list", "drop", "bad")
    cli("list", "drop", "bad", status=NO)


def test_connections_that_a_list_allows_are_not_counted(lab, cli):
    protect(lab)
    cli("list", "load", "good", file_of(lab, "good", INTERNET_V4), "--action", "allow")
    hold = ("bash", "-c", f"exec 3<>/dev/tcp/{EDGE_V4}/9000 && echo open && sleep 30")
    holder = lab.internet.start(*hold)
    wait_until(lambda: holder.out.read_text() == "open\n", "it is connected")
    assert lab.holders("other") == {}
    cli("list", "drop", "good")
    lab.internet.start(*hold)
    wait_until(lambda: lab.holders("other") == {INTERNET_V4: 1}, "it is counted again")


def test_an_entry_expires_by_itself(lab, cli):
    attach(lab, cli)
    lab.nginx(["0.0.0.0:80"])
    assert connects(lab, 80)
    path = file_of(lab, "short", f"{INTERNET_V4} 2s\n192.0.2.0/24 1h\n192.0.2.9\n198.51.100.1\n")
    loaded = cli("list", "load", "short", path, "--for", "10m")
    assert loaded["entries"] == loaded["expiring"] == 3
    assert loaded["covered"] == 1, "after ten minutes the address is gone, and after an hour the block"
    assert not connects(lab, 80, seconds=0.5)
    wait_until(lambda: connects(lab, 80), "the entry is over", seconds=8)
    entries = {e["prefix"]: e["expires_in"] for e in cli("list", "show", "short", "--entries")}
    assert set(entries) == {"192.0.2.0/24", "198.51.100.1"}
    assert 3580 <= entries["192.0.2.0/24"] <= 3600 and 580 <= entries["198.51.100.1"] <= 600


def test_a_bad_file_is_named_by_its_lines_and_changes_nothing(lab, cli):
    attach(lab, cli)
    lab.nginx(["0.0.0.0:80"])
    cli("list", "load", "bad", file_of(lab, "good", INTERNET_V4))
    before = cli("list", "show")
    path = file_of(lab, "broken", "192.0.2.1\n# fine\n192.0.2.1/24\nexample.org\n")
    error = cli("list", "load", "bad", path, status=FAILED)["error"]
    assert f"{path}:3: " in error and "192.0.2.0/24" in error and f"{path}:4: " in error
    assert "nothing was loaded" in error
    assert "no entries" in cli("list", "load", "bad", file_of(lab, "empty", "# \n"),
                               status=FAILED)["error"]
    cli("list", "load", "bad", lab.home / "nonesuch", status=FAILED)
    cli("list", "load", "Bad name", path, status=FAILED)
    cli("list", "load", "bad", status=USAGE)
    cli("list", "load", "bad", path, "--action", "maybe", status=USAGE)
    cli("list", "load", "bad", path, "--for", "7", status=USAGE)
    cli("list", "sort", status=USAGE)
    cli("list", "show", "nonesuch", status=NO)
    cli("list", "show", "nonesuch", "--entries", status=NO)
    cli("list", "show", "--entries", status=USAGE)
    assert not connects(lab, 80, seconds=0.5)
    after = cli("list", "show")
    assert [{**row, "packets": 0} for row in after["lists"]] == [
        {**row, "packets": 0} for row in before["lists"]]


def test_standard_input_is_a_file_too(lab, cli):
    attach(lab, cli)
    done = lab.edge(BUILD / "floodwall", "list", "load", "feed", "-",
                    text="192.0.2.1\n192.0.2.1 ; again\n10.0.0.0/8\n10.1.0.0/16\n2001:db8:9::/48\n")
    assert "3 entries (2 IPv4, 1 IPv6)" in done.stdout and "1 were there twice and 1 inside" in done.stdout
    shown = lab.edge(BUILD / "floodwall", "list", "show", "feed", "--entries").stdout
    assert shown.split() == ["10.0.0.0/8", "192.0.2.1", "2001:db8:9::/48"]
    # What is shown can be loaded again.
    lab.edge(BUILD / "floodwall", "list", "load", "copy", "-", text=shown)
    assert cli("list", "show", "copy")["entries"] == 3
    assert "feed" in lab.edge(BUILD / "floodwall", "list").stdout


def test_attaching_again_keeps_the_lists(lab, cli):
    attach(lab, cli)
    lab.nginx(["0.0.0.0:80"])
    cli("list", "load", "bad", file_of(lab, "bad", INTERNET_V4))
    attach(lab, cli)
    assert not connects(lab, 80, seconds=0.5)
    assert len(cli("list", "show")["lists"]) == 1
    cli("detach", "--all")
    attach(lab, cli)
    assert cli("list", "show")["lists"] == [] and connects(lab, 80)


CONFIGURED = """
filter {{ interfaces = {{"eth0"}}  cgroup = "@CGROUP@" }}
service web {{ bind = "*:80" }}
list bad {{
	file = "{home}/bad"
}}
list good {{ file = "{home}/good"  action = "allow"  for = "1h" }}
"""


def names(cli):
    return {row["name"]: row["entries"] for row in cli("list", "show")["lists"]}


def test_lists_of_the_configuration(lab, cli):
    """Loaded when it is applied, from the first packet on; dropped with the configuration's word."""
    text = CONFIGURED.format(home=lab.home)
    file_of(lab, "bad", f"{INTERNET_V4}\n192.0.2.0/24\n")
    file_of(lab, "good", "198.51.100.1\n")
    lab.nginx(["0.0.0.0:80"])
    answer = cli("attach", "--config", lab.configure(text))
    assert answer["list_errors"] == [] and names(cli) == {"bad": 2, "good": 1}
    assert not connects(lab, 80, seconds=0.5)
    assert {row["name"]: row["packets"] for row in lab.status()["lists"]}["bad"] > 0
    assert cli("list", "show", "good")["expiring"] == 1

    # A file that went, and one that is wrong, take nothing away; the configuration's line is named.
    (lab.home / "bad").unlink()
    file_of(lab, "good", "198.51.100.1\nexample.org\n")
    answer = cli("attach", "--config", lab.home / "floodwall.conf")
    said = "\n".join(answer["list_errors"])
    assert re.search(r"floodwall.conf:4: list bad: .*/bad: No such file", said)
    assert re.search(r"floodwall.conf:7: list good: .*/good:2: ", said)
    assert "list bad stays as it is" in said and "list good stays as it is" in said
    assert names(cli) == {"bad": 2, "good": 1} and not connects(lab, 80, seconds=0.5)

    # --keep leaves what is there, and a list that was loaded by hand outlives the configuration's.
    file_of(lab, "bad", "192.0.2.1\n")
    file_of(lab, "good", "198.51.100.1\n198.51.100.2\n")
    cli("attach", "--keep", "--config", lab.home / "floodwall.conf")
    assert names(cli) == {"bad": 2, "good": 1}
    cli("attach", "--config", lab.home / "floodwall.conf")
    assert names(cli) == {"bad": 1, "good": 2} and connects(lab, 80)
    cli("list", "load", "hand", file_of(lab, "hand", "192.0.2.9\n"))
    cli("attach", "--config", lab.configure(text[:text.index("list good")]))
    assert names(cli) == {"bad": 1, "hand": 1}


def test_the_daemon_keeps_the_lists(lab, cli):
    """They are loaded when it starts, again with a reload, and figure in the metrics."""
    text = CONFIGURED.format(home=lab.home) + 'admin { address = "127.0.0.1:9180" }\n'
    file_of(lab, "bad", "192.0.2.0/24\n")
    lab.nginx(["0.0.0.0:80"])
    daemon = lab.floodwalld(text, listen=["127.0.0.1:9180"])

    def metric(name, labels=""):
        page = lab.edge("curl", "-s", "http://127.0.0.1:9180/metrics").stdout
        found = re.search(rf"^floodwall_{name}{labels} (\d+)$", page, re.M)
        return found and int(found[1])

    wait_until(lambda: "list good stays as it is" in daemon.err.read_text(), "the missing list is told of")
    assert names(cli) == {"bad": 1}
    bad = '{list="bad",action="block"}'
    wait_until(lambda: metric("list_entries", bad) == 1, "the list is among the metrics")
    cli("attach", "eth0", "--keep", "--config", lab.home / "floodwall.conf")
    file_of(lab, "bad", f"{INTERNET_V4}\n192.0.2.0/24\n")
    file_of(lab, "good", "198.51.100.1\n")
    daemon.kill(signal.SIGHUP)
    wait_until(lambda: names(cli) == {"bad": 2, "good": 1}, "the reload has loaded them")
    assert not connects(lab, 80, seconds=0.5)
    wait_until(lambda: metric("list_packets_total", bad), "what the list dropped is counted", 15)
    assert metric("list_memory_bytes") == cli("list", "show")["bytes"]
    # A restart finds them, and does not undo what was loaded by hand since.
    daemon.stop()
    cli("list", "load", "bad", file_of(lab, "other", "192.0.2.9\n"))
    daemon = lab.edge.start(BUILD / "floodwalld", "--config", lab.home / "floodwall.conf")
    lab.wait_listening(daemon, ["127.0.0.1:9180"])
    assert names(cli) == {"bad": 1, "good": 1}


def test_show_says_which_lists_have_an_address(lab, cli):
    attach(lab, cli)
    cli("list", "load", "bad", file_of(lab, "bad", "192.0.2.0/24\n192.0.0.0/16 1h\n2001:db8::/32\n"))
    cli("list", "load", "good", file_of(lab, "good", "192.0.2.1\n"), "--action", "allow")
    said = cli("list", "show", "192.0.2.1")
    assert said["action"] == "allow"
    assert [(row["name"], row["prefix"]) for row in said["entries"]] == [
        ("bad", "192.0.0.0/16"), ("bad", "192.0.2.0/24"), ("good", "192.0.2.1")]
    assert 3500 < said["entries"][0]["expires_in"] <= 3600 and said["entries"][1]["expires_in"] is None
    assert cli("list", "show", "2001:db8::1")["action"] == "block"
    assert cli("list", "show", "198.51.100.1") == {"address": "198.51.100.1", "action": "none", "entries": []}
    assert "blocked by the lists" in lab.edge(BUILD / "floodwall", "list", "show", "192.0.2.2").stdout
    assert "on no list" in lab.edge(BUILD / "floodwall", "list", "show", "::1").stdout
    cli("list", "show", "192.0.2.0/24", status=USAGE)
    cli("list", "show", "192.0.2.300", status=USAGE)
