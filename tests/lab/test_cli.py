# SPDX-License-Identifier: BSD-2-Clause
"""The command line does what it says, to the kernel's own knowledge of it, and says what it did."""
import json
import re
import subprocess
import time

import pytest

from lab import BUILD, EDGE_V4, INTERNET_V4, wait_until

PINS = "/sys/fs/bpf/floodwall"
OK, NO, USAGE, FAILED = 0, 1, 2, 3

CONFIG = """
filter {
	interfaces = {"eth0"}
	cgroup = "@CGROUP@"
	blocks = 1024
	monitor = {"martian"}
}
host { events_per_second = 1000 }
listener web {
	bind = {"0.0.0.0:80", "[::]:80"}
	protocol = "http"
	source { connections = 7 syn_rate = 33 }
	timeouts { header = "3s" }
	route "/" { upstream = "app" }
}
service ssh { bind = {"*:22"} source { connections = 3 } }
upstream app { server { address = "127.0.0.1:8000" } }
"""


@pytest.fixture
def cli(lab):
    """cli("verb", …) → exit status, answer (parsed JSON), standard error."""
    def run(*arguments, status=OK):
        done = lab.edge(BUILD / "floodwall", *arguments, "--json", check=False)
        assert done.returncode == status, f"{arguments}: {done.returncode}: {done.stdout}{done.stderr}"
        answer = json.loads(done.stdout) if done.stdout.strip() else None
        if status in (USAGE, FAILED):
            assert answer["error"] and answer["error"].splitlines()[0] in done.stderr
        return answer
    return run


def attach(lab, cli, *arguments):
    return cli("attach", "eth0", "--cgroup", lab.edge.cgroup, *arguments)


def xdp(lab, interface="eth0"):
    """What the kernel says runs on the interface: (mode, program's id), or None."""
    link = json.loads(lab.edge("ip", "-j", "-d", "link", "show", "dev", interface).stdout)[0]
    if "xdp" not in link:
        return None
    return {1: "native", 2: "generic"}[link["xdp"]["mode"]], link["xdp"]["prog"]["id"]


def pins(lab):
    done = lab.edge("ls", PINS, check=False)
    return done.stdout.split() if done.returncode == 0 else None


def bpftool(lab, *arguments):
    return json.loads(lab.edge("bpftool", "-j", *arguments).stdout.strip() or "null")


def connects(lab, port, seconds=2):
    """Whether a connection from the internet to the edge's port comes about."""
    return lab.internet("timeout", seconds, "bash", "-c", f"exec 3<>/dev/tcp/{EDGE_V4}/{port}",
                        check=False).returncode == 0


# --- attach and detach ----------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["native", "generic"])
def test_attach_and_remove(lab, cli, mode):
    """The filter runs in the mode asked for; removing leaves no program, pin, or sock_ops behind."""
    answer = attach(lab, cli, "--mode", mode, "--tier", "drop")
    assert answer["interfaces"] == [{"name": "eth0", "mode": mode, "fallback": None, "tier": "drop",
                                     "tier_why": "it was asked for", "asks": True, "asks_why": None,
                                     "hidden_vlan": None}]
    assert answer["tracking"]
    assert xdp(lab)[0] == mode
    assert {"meta", "settings", "connections", "link_track"} <= set(pins(lab))
    found = cli("status")["interfaces"]
    assert [(row["name"], row["mode"], row["tier"]) for row in found] == [("eth0", mode, "drop")]
    attached = bpftool(lab, "cgroup", "show", lab.edge.cgroup)
    assert [p["name"] for p in attached] == ["floodwall_track"]

    assert cli("detach", "--all") == {"removed": True}
    assert xdp(lab) is None and pins(lab) is None
    assert not bpftool(lab, "cgroup", "show", lab.edge.cgroup)
    cli("detach", "--all", status=NO)
    assert "floodwall attach" in cli("status", status=FAILED)["error"]


def test_vlans_that_a_driver_hides_are_told(lab, cli):
    """And how to have their tags; where no VLAN is on the interface, nobody need know."""
    lab.edge("ethtool", "-K", "eth0", "rxvlan", "on")
    assert attach(lab, cli)["interfaces"][0]["hidden_vlan"] is None
    made = lab.edge("ip", "link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", 5, check=False)
    if "Unknown device type" in made.stderr:
        pytest.skip("this kernel has no VLANs (8021q)")
    assert cli("status")["interfaces"][0]["hidden_vlan"] == "eth0.5"
    for verb in (["status"], ["attach", "eth0"]):
        assert "ethtool -K eth0 rxvlan off" in lab.edge(BUILD / "floodwall", *verb).stdout
    lab.edge("ethtool", "-K", "eth0", "rxvlan", "off")
    assert cli("status")["interfaces"][0]["hidden_vlan"] is None


def test_who_changes_the_same_waits_its_turn(lab, cli):
    """While another holds the lock nothing is taken away; what is gone when it is one's turn is told."""
    def later(*arguments):
        return lab.edge.start(BUILD / "floodwall", *arguments, "--json")

    for verb in (["detach"], ["detach", "--all"]):
        attach(lab, cli)
        holder = lab.edge.start("flock", PINS, "sh", "-c", "echo held; exec sleep 2")
        wait_until(lambda: holder.out.read_text(), "the lock is held")
        waits = later(*verb)
        time.sleep(0.5)
        assert xdp(lab) is not None and waits.running()
        waits.popen.wait(20)
        assert waits.popen.returncode == 0 and xdp(lab) is None
    attach(lab, cli)
    holder = lab.edge.start("flock", PINS, "sh", "-c", "echo held; exec sleep 2")
    wait_until(lambda: holder.out.read_text(), "the lock is held")
    removes = later("detach", "--all")
    time.sleep(0.5)
    attaches = later("attach", "eth0", "--cgroup", lab.edge.cgroup)
    for process in (removes, attaches):
        process.popen.wait(20)
    # Whoever comes second has the whole of it, or says that there is nothing left.
    assert (xdp(lab) is not None) == bool(pins(lab)), (attaches.out.read_text(), attaches.err.read_text())


def test_auto_takes_generic_and_says_why(lab, cli):
    """The loopback has no native mode: auto says so, native fails and says so."""
    answer = cli("attach", "lo", "--cgroup", lab.edge.cgroup)
    assert answer["interfaces"][0]["mode"] == "generic"
    assert "not supported" in answer["interfaces"][0]["fallback"]
    assert xdp(lab, "lo")[0] == "generic"
    cli("detach", "--all")
    assert "native" in cli("attach", "lo", "--mode", "native", status=FAILED)["error"]
    assert pins(lab) is None, "a failed first attach left maps behind"


@pytest.mark.parametrize("mode", ["xdpdrv", "xdpgeneric"])
def test_a_foreign_program_is_named_and_left_alone(lab, cli, mode):
    lab.edge("ip", "link", "set", "dev", "eth0", mode, "object", BUILD / "bpf/flood.bpf.o",
             "program", "pass")
    before = xdp(lab)
    error = cli("attach", "eth0", status=FAILED)["error"]
    assert f"id {before[1]}" in error and '"pass"' in error and "eth0" in error
    assert f"{mode} off" in error, "the way out is not named"
    assert xdp(lab) == before and pins(lab) is None


def test_several_interfaces_all_or_nothing(lab, cli):
    """eth0 could, lo can't: eth0 is as it was, be that nothing or the filter in another mode."""
    cli("attach", "eth0", "lo", "--mode", "native", status=FAILED)
    assert xdp(lab) is None and xdp(lab, "lo") is None and pins(lab) is None

    attach(lab, cli, "--mode", "generic")
    before = cli("status")["interfaces"]  # not the program's id: putting it back makes a new dispatcher
    cli("attach", "eth0", "lo", "--mode", "native", status=FAILED)
    assert cli("status")["interfaces"] == before and before[0]["mode"] == "generic"
    assert xdp(lab)[0] == "generic" and xdp(lab, "lo") is None

    answer = cli("attach", "eth0", "lo")
    assert [i["mode"] for i in answer["interfaces"]] == ["generic", "generic"]
    assert cli("detach", "lo") == {"detached": ["lo"]}
    cli("detach", "lo", status=NO)
    cli("detach", "eth0", "lo", status=NO)
    assert xdp(lab) is not None, "detached one of two although the other was refused"
    assert cli("detach") == {"detached": ["eth0"]}
    assert xdp(lab) is None and pins(lab)
    status = cli("status", status=NO)
    assert status["interfaces"] == [] and status["tracking"]


def test_attaching_again_exchanges_the_program_and_keeps_everything(lab, cli):
    """Another program, the same maps, the same link: a connection counted before is still counted."""
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    cli("set", "web.source.syn_rate", "21")
    cli("block", "192.0.2.9")
    lab.nginx(["0.0.0.0:80"])
    holder = lab.internet.start("bash", "-c", f"exec 3<>/dev/tcp/{EDGE_V4}/80; sleep 600", name="holder")
    held = [{"source": INTERNET_V4, "service": "web", "connections": 1}]
    wait_until(lambda: cli("top", "--once")["connections"] == held, "the connection is counted")
    program, link = xdp(lab)[1], bpftool(lab, "link", "show", "pinned", f"{PINS}/link_track")

    attach(lab, cli)
    assert xdp(lab)[0] == "native" and xdp(lab)[1] != program
    again = bpftool(lab, "link", "show", "pinned", f"{PINS}/link_track")
    assert again["id"] == link["id"] and again["prog_id"] != link["prog_id"]
    assert cli("get", "web.source.syn_rate")[0]["value"] == 21
    assert [b["prefix"] for b in cli("blocks")] == ["192.0.2.9"]
    assert cli("top", "--once")["connections"] == held
    holder.kill()
    wait_until(lambda: cli("top", "--once")["connections"] == [], "the close is counted")


def test_tracking_that_stopped_starts_at_zero(lab, cli):
    """Whoever closed while nobody looked must not be counted for ever."""
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    lab.nginx(["0.0.0.0:80"])
    holder = lab.internet.start("bash", "-c", f"exec 3<>/dev/tcp/{EDGE_V4}/80; sleep 30", name="holder")
    wait_until(lambda: cli("top", "--once")["connections"], "the connection is counted")
    lab.edge("rm", f"{PINS}/link_track")
    assert cli("status", status=NO)["tracking"] is False
    holder.kill()
    attach(lab, cli)
    assert cli("status")["tracking"] is True
    assert cli("top", "--once")["connections"] == []


def test_errors_say_what_and_what_to_do(lab, cli):
    assert "nonesuch" in cli("attach", "nonesuch", status=FAILED)["error"]
    assert pins(lab) is None
    assert "/nonesuch" in cli("attach", "eth0", "--cgroup", "/nonesuch", status=FAILED)["error"]
    assert pins(lab) is None
    assert "cgroup v2" in cli("attach", "eth0", "--cgroup", "/tmp", status=FAILED)["error"]
    assert pins(lab) is None
    lab.edge("sh", "-c", "mkdir /run/empty && mount --bind /run/empty /sys/kernel/btf")
    assert "CONFIG_DEBUG_INFO_BTF" in cli("attach", "eth0", status=FAILED)["error"]
    lab.edge("umount", "/sys/kernel/btf")
    cli("attach", "eth0", "eth0", status=USAGE)
    cli("attach", "eth0", "--mode", "fast", status=USAGE)
    assert "nonesuch.conf" in cli("attach", "eth0", "--config", "nonesuch.conf", status=FAILED)["error"]
    attach(lab, cli)
    done = lab.edge("setpriv", "--reuid=65534", "--clear-groups", "--", BUILD / "floodwall", "blocks",
                    check=False)
    assert done.returncode == FAILED and "root" in done.stderr


def test_slips_of_the_pen_are_understood(lab, cli):
    """And what is near to nothing there is gets no advice that would lead astray."""
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    for line, meant in (("stauts", "status"), ("status --jsno", "--json"),
                        ("set web.source.syn_rte 5", "source.syn_rate"), ("rule lnad monitor", "land"),
                        ("events --reason bloked", "blocked")):
        assert f"did you mean {meant}?" in cli(*line.split(), status=USAGE)["error"]
    for line in ("frobnicate", "status -x", "rule header_timeout", "get web.nothing.at.all"):
        assert "did you mean" not in cli(*line.split(), status=USAGE)["error"]
    assert '"-1" is not a number' in cli("set", "web.source.syn_rate", "-1", status=USAGE)["error"]


def test_get_shows_one_setting_a_group_or_all(lab, cli):
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    everything = [row["name"] for row in cli("get", "web")]
    group = [row["name"] for row in cli("get", "web.source")]
    assert group == [name for name in everything if name.startswith("web.source.")] and len(group) > 1
    assert [row["name"] for row in cli("get", "web.source.syn_rate")] == ["web.source.syn_rate"]
    assert [row["name"] for row in cli("get", "web.syn_rate")] == ["web.syn_rate"]
    cli("get", "web.sourc", status=USAGE)
    cli("get", "shop.source", status=NO)


def test_maps_of_another_layout_are_refused_until_removed(lab, cli):
    """Never read wrongly, never stuck: the message names the way out, and it works."""
    attach(lab, cli)
    program = xdp(lab)
    meta = lab.edge("bpftool", "-j", "map", "lookup", "pinned", f"{PINS}/meta", "key", "0", "0", "0", "0")
    value = [int(byte, 16) for byte in json.loads(meta.stdout)["value"]]
    value[0] ^= 1
    lab.edge("bpftool", "map", "update", "pinned", f"{PINS}/meta", "key", "0", "0", "0", "0", "value",
             *value)
    for verb in (["status"], ["attach", "eth0"], ["get"], ["block", "192.0.2.1"], ["detach"]):
        error = cli(*verb, status=FAILED)["error"]
        assert "another version" in error and "floodwall detach --all" in error, verb
    assert xdp(lab) == program, "the filter did not go on"
    cli("detach", "--all")
    assert xdp(lab) is None and pins(lab) is None
    attach(lab, cli)


# --- policy ---------------------------------------------------------------------------------------

def test_set_and_bpftool_are_the_same(lab, cli):
    """The line that set prints does what set did, and get shows what any of them wrote."""
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    said = cli("set", "web.source.syn_rate", "20")
    assert (said["old"], said["value"], said["map"]) == (50, 20, "settings")
    cli("set", "web.source.syn_rate", "99")
    lab.edge(*said["bpftool"].split())
    assert cli("get", "web.source.syn_rate")[0]["value"] == 20

    beyond = said["bpftool"].replace("14 00 00 00 00 00 00 00", "ff ff ff ff ff ff ff 7f")
    lab.edge(*beyond.split())
    row = cli("get", "web.source.syn_rate")[0]
    assert row["value"] == row["max"], "what is shown is not what is in force"

    assert cli("set", "host.max_connections", "20k")["value"] == 20000
    for bad in (["web.source.syn_rate", "fast"], ["web.source.syn_burst", "0"], ["web.nonesuch", "1"],
                ["web", "1"], ["web.timeouts.header", "1s"], ["host.source.syn_rate", "1"]):
        cli("set", *bad, status=USAGE)
    cli("set", "nonesuch.source.syn_rate", "1", status=NO)


def test_block_and_allow_decide_over_packets(lab, cli):
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    lab.nginx(["0.0.0.0:80"])
    assert connects(lab, 80)
    assert cli("block", f"{INTERNET_V4}", "192.0.2.0/24", "2001:db8:9::/48", "--for", "10m", "--note",
               "a test")["added"] == [INTERNET_V4, "192.0.2.0/24", "2001:db8:9::/48"]
    assert not connects(lab, 80, seconds=0.5)
    entry = {b["prefix"]: b for b in cli("blocks")}[INTERNET_V4]
    assert entry["packets"] > 0 and entry["note"] == "a test" and 590 <= entry["expires_in"] <= 600
    assert cli("status")["services"][0]["reasons"]["blocked"] == entry["packets"]

    cli("allow", "198.18.0.0/15")
    assert connects(lab, 80), "the allow list is asked first"
    cli("unallow", "198.18.0.0/15")
    assert not connects(lab, 80, seconds=0.5)
    cli("unblock", INTERNET_V4)
    assert connects(lab, 80)
    assert cli("unblock", INTERNET_V4, "192.0.2.0/24", status=NO) == {
        "list": "block", "removed": ["192.0.2.0/24"], "absent": [INTERNET_V4]}
    for bad in ("192.0.2.1/24", "::/0", "nonesuch", "192.0.2.0/33"):
        cli("block", bad, status=USAGE)
    cli("block", "192.0.2.1", "--for", "10", status=USAGE)
    assert [b["prefix"] for b in cli("blocks")] == ["2001:db8:9::/48"]


def test_a_block_expires(lab, cli):
    attach(lab, cli)
    lab.nginx(["0.0.0.0:80"])
    cli("block", INTERNET_V4, "--for", "1s")
    wait_until(lambda: connects(lab, 80), "the block is over", seconds=5)
    assert cli("blocks") == []


def test_a_full_list_says_so(lab, cli):
    lab.configure(CONFIG)
    cli("attach", "--config", lab.home / "floodwall.conf")
    cli("block", *[f"10.9.{i // 256}.{i % 256}" for i in range(1024)])
    error = cli("block", "192.0.2.99", status=FAILED)["error"]
    assert "full" in error and "1024" in error
    assert len(cli("blocks")) == 1024
    tables = {t["name"]: t for t in cli("status")["tables"]}
    assert tables["block_hosts"]["used"] == tables["block_hosts"]["size"] == 1024
    text = lab.edge(BUILD / "floodwall", "status").stdout
    assert "!! table block_hosts is nearly full: 1024 of 1024" in text
    cli("block", "198.51.100.0/24")


def test_services_have_their_bindings_to_themselves(lab, cli):
    attach(lab, cli)
    assert cli("service", "list") == []
    first = cli("service", "add", "ssh", "*:22", "192.0.2.1:2222")
    assert cli("service", "list") == [{"id": first["id"], "name": "ssh", "kind": "service",
                                       "bindings": cli("service", "list")[0]["bindings"]}]
    assert set(cli("service", "list")[0]["bindings"]) == {"0.0.0.0:22", "[::]:22", "192.0.2.1:2222"}
    error = cli("service", "add", "other", "192.0.2.1:2222", status=FAILED)["error"]
    assert "192.0.2.1:2222" in error and "ssh" in error
    assert len(cli("service", "list")) == 1, "a refused service is there all the same"
    cli("set", "ssh.source.syn_rate", "9")
    assert cli("service", "add", "ssh", "*:22")["id"] == first["id"]
    assert set(cli("service", "list")[0]["bindings"]) == {"0.0.0.0:22", "[::]:22"}
    assert cli("get", "ssh.source.syn_rate")[0]["value"] == 9
    cli("service", "add", "other", "192.0.2.1:2222")
    cli("service", "remove", "ssh")
    cli("service", "remove", "ssh", status=NO)
    assert cli("service", "add", "fresh", "*:22")["id"] == first["id"]
    assert cli("get", "fresh.source.syn_rate")[0]["value"] == 50, "the old one's setting lives on"
    for bad in (["Upper", "*:1"], ["host", "*:1"], ["x" * 32, "*:1"]):
        cli("service", "add", *bad, status=FAILED)
    cli("service", "add", "x", "nonesuch", status=USAGE)


def test_the_file_and_what_is_live(lab, cli):
    """attach applies the file, diff shows what was changed since, attach --keep leaves that alone."""
    path = lab.configure(CONFIG)
    assert cli("attach", "--config", path)["interfaces"][0]["name"] == "eth0"
    assert cli("diff", "--config", path) == {"config": str(path), "differences": []}
    assert cli("get", "web.source.connections")[0]["value"] == 7
    assert cli("get", "web.timeouts.header")[0]["text"] == "3s"
    assert cli("get", "host.events_per_second")[0]["value"] == 1000
    assert cli("rule", "martian")[0]["mode"] == "monitor"

    cli("set", "web.source.syn_rate", "20")
    cli("set", "host.events_per_second", "5")
    cli("rule", "martian", "enforce")
    cli("service", "add", "byhand", "*:4711")
    changed = {(d["what"], d.get("live"), d.get("file"))
               for d in cli("diff", "--config", path, status=NO)["differences"]}
    assert changed == {("web.source.syn_rate", "20", "33"), ("host.events_per_second", "5", "1000"),
                       ("rule martian", "enforce", "monitor"), ("service byhand", "service", None)}

    cli("attach", "--config", path, "--keep")
    assert cli("get", "web.source.syn_rate")[0]["value"] == 20
    assert cli("get", "host.events_per_second")[0]["value"] == 5
    cli("attach", "--config", path)
    assert [d["what"] for d in cli("diff", "--config", path, status=NO)["differences"]] == ["service byhand"]

    # Names and ports change hands: every port leads where the new file says, and only what was added
    # by hand is there without it.
    moved = lab.configure(CONFIG.replace("listener web", "listener shop").replace("service ssh", "service web"))
    cli("attach", "--config", moved)
    assert {(s["name"], s["kind"]) for s in cli("service", "list")} == {
        ("shop", "listener"), ("web", "service"), ("byhand", "service")}
    bindings = {s["name"]: set(s["bindings"]) for s in cli("service", "list")}
    assert bindings["shop"] == {"0.0.0.0:80", "[::]:80"} and bindings["web"] == {"0.0.0.0:22", "[::]:22"}

    taken = lab.configure(CONFIG.replace("*:22", "*:4711"))
    before = cli("service", "list")
    assert "byhand" in cli("attach", "--config", taken, status=FAILED)["error"]
    assert cli("service", "list") == before, "a refused file was applied in part"
    cli("service", "remove", "shop", status=FAILED)


def test_check(lab, cli):
    good = lab.configure(CONFIG)
    answer = cli("check", good)
    assert answer["valid"] and (answer["listeners"], answer["services"]) == (1, 1)
    bad = lab.home / "bad.conf"
    bad.write_text(CONFIG.replace("syn_rate = 33", "syn_rate = 99999999"))
    answer = cli("check", bad, status=NO)
    assert not answer["valid"] and re.search(r"bad\.conf:\d+: .*10000000", answer["errors"][0])
    assert "bad.conf" in cli("attach", "--config", bad, status=FAILED)["error"]
    assert pins(lab) is None
    cli("check", "nonesuch", status=NO)
    assert "directory" in cli("check", lab.home, status=NO)["errors"][0]


def test_check_reads_lists_and_says_who_reads_certificates(lab, cli):
    """A list that can't be loaded stays as it is and stops nothing: that is a warning."""
    drop = lab.home / "drop.txt"
    path = lab.configure(CONFIG + f'list drop {{ file = "{drop}" }}')
    assert any("drop.txt: No such file" in line for line in cli("check", path)["warnings"])
    drop.write_text("192.0.2.1\n192.0.2\n")
    assert any("drop.txt:2: " in line for line in cli("check", path)["warnings"])
    drop.write_text("192.0.2.1\n")
    assert not any("drop.txt" in line for line in cli("check", path)["warnings"])
    check = (BUILD / "floodwall", "check", path)
    assert "floodwalld --check" not in lab.edge(*check).stdout
    lab.configure(CONFIG.replace("listener web {", 'listener web { tls { certificate = "/a"  key = "/b" }'))
    assert "floodwalld --check" in lab.edge(*check).stdout


def test_options_are_those_of_the_configuration(lab, cli):
    """Every one with its values and default, and those that are live as they are set."""
    options = {row["name"]: row for row in cli("options")}
    interval = options["upstream.health.interval"]
    assert (interval["values"], interval["default"], interval["live"]) == ("50ms to 1h", "5s", False)
    assert (interval["kind"], interval["min"], interval["max"]) == ("milliseconds", 50, 3600000)
    assert options["filter.mode"]["values"] == "auto, native or generic"
    assert options["listener.bind"]["list"] and options["listener.bind"]["default"] is None
    assert options["service.source.syn_rate"]["live"] and "service.timeouts.header" not in options
    assert all(row["meaning"] for row in options.values())

    assert {row["name"] for row in cli("options", "health")} == {
        name for name in options if name.startswith("upstream.health.")}
    assert [row["name"] for row in cli("options", "listener.route.timeouts.request")] == [
        "listener.route.timeouts.request"]
    assert "did you mean health?" in cli("options", "heatlh", status=NO)["error"]
    cli("options", "health", "retry", status=USAGE)

    attach(lab, cli)  # what may be written is what is taken: a value out of the range is refused by both
    cli("service", "add", "web", "*:80")
    most = options["service.source.syn_rate"]["max"]
    cli("set", "web.source.syn_rate", most)
    cli("set", "web.source.syn_rate", most + 1, status=USAGE)


# --- what was seen --------------------------------------------------------------------------------

def test_events_and_top_name_who_was_dropped_and_why(lab, cli):
    attach(lab, cli)
    cli("set", "host.events_per_second", "1000")
    cli("block", "172.16.7.0/24")
    lab.flood(destination=f"{EDGE_V4}:80", source_prefix="172.16.7.0/24", sources=2, kind="syn", rate=500,
              seconds=0.5).result()
    counted = cli("status")["services"][0]["reasons"]["blocked"]
    events = cli("events", "--reason", "blocked", "-n", "8000")
    assert sum(e["count"] for e in events) == counted > 100
    assert {e["source"].split(":")[0] for e in events} == {"172.16.7.1", "172.16.7.2"}
    assert events[0]["interface"] == "eth0" and events[0]["destination"] == f"{EDGE_V4}:80"
    assert [e["sequence"] for e in events] == sorted(e["sequence"] for e in events)
    assert len(cli("events", "-n", "3")) == 3
    assert cli("events", "--reason", "land") == []
    cli("events", "--reason", "nonesuch", status=USAGE)

    top = cli("top", "--once")["dropped"]
    assert {t["source"] for t in top} == {"172.16.7.1", "172.16.7.2"}
    assert sum(t["packets"] for t in top) == counted
    assert cli("top", "--once", "--by", "prefix")["dropped"] == [
        {"source": "172.16.7.0/24", "service": "host", "reason": "blocked", "packets": counted}]

    follower = lab.edge.start(BUILD / "floodwall", "events", "--follow", "-n", "0", "--json")
    blocks = lambda: [json.loads(line) for line in follower.out.read_text().splitlines()]
    wait_until(lambda: connects(lab, 81, 0.1) or lab.flood(
        destination=f"{EDGE_V4}:80", source_prefix="172.16.7.0/24", sources=1, kind="syn", rate=100,
        seconds=0.1).result() and blocks(), "a new event is followed")
    assert {e["reason"] for e in blocks()} == {"blocked"}
    text = lab.edge(BUILD / "floodwall", "events", "-n", "1").stdout.splitlines()
    assert text[0].split()[:3] == ["TIME", "REASON", "MODE"] and text[1].split()[1] == "blocked"


def test_a_rule_in_monitor_mode_counts_and_passes(lab, cli):
    attach(lab, cli)
    lab.nginx(["0.0.0.0:80"])
    cli("block", INTERNET_V4)
    assert cli("rule", "blocked", "monitor") == [
        {"reason": "blocked", "mode": "monitor", "text": "source is on the block list"}]
    assert connects(lab, 80)
    status = cli("status")
    assert status["monitored_rules"] == ["blocked"] and status["services"][0]["would"]["blocked"] > 0
    assert "!! rule blocked" in lab.edge(BUILD / "floodwall", "status").stdout
    cli("rule", "blocked", "enforce")
    assert not connects(lab, 80, seconds=0.5)
    cli("rule", "pass_syn", "monitor", status=USAGE)
    cli("rule", "land", "sometimes", status=USAGE)


def test_every_verb_answers_in_json_and_has_help(lab, cli):
    attach(lab, cli)
    cli("service", "add", "web", "*:80")
    arguments = {
        "attach": ["eth0"], "detach": [], "set": ["web.source.syn_rate", "1"], "service": ["list"],
        "block": ["192.0.2.1"], "unblock": ["192.0.2.1"], "allow": ["192.0.2.1"],
        "unallow": ["192.0.2.1"], "top": ["--once"], "check": [lab.configure(CONFIG)],
        "diff": ["--config", lab.configure(CONFIG)],
    }
    verbs = cli("completion")
    assert set(arguments) < set(verbs)
    for verb in sorted(verbs, key=lambda v: (v == "detach", v.startswith("un"), v)):
        done = lab.edge(BUILD / "floodwall", verb, *arguments.get(verb, []), "--json", check=False)
        expected = {"diff": NO, "reload": FAILED}.get(verb, OK)  # there is no floodwalld to be reloaded
        assert done.returncode == expected, f"{verb}: {done.stdout}{done.stderr}"
        json.loads(done.stdout)
        text = lab.edge(BUILD / "floodwall", verb, "--help").stdout
        assert text.startswith(f"Usage: floodwall {verb}") and "--json" in text
        cli(verb, "--nonesuch", status=USAGE)
    assert lab.edge(BUILD / "floodwall", "--version").stdout.startswith("floodwall ")
    assert lab.edge(BUILD / "floodwall", check=False).returncode == USAGE
    cli("nonesuch", status=USAGE)


def test_completion(lab):
    script = lab.edge(BUILD / "floodwall", "completion", "bash").stdout

    def complete(*words):
        line = f'COMP_WORDS=({" ".join(words)} ""); COMP_CWORD={len(words)}; _floodwall; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", script + line], capture_output=True, text=True,
                              check=True).stdout.split()

    assert {"attach", "status", "--version"} <= set(complete("floodwall"))
    assert complete("floodwall", "attach", "--mode") == ["native", "generic", "auto"]
    assert {"--for", "--note", "--json"} <= set(complete("floodwall", "block"))
    assert "land" in complete("floodwall", "rule")
    assert "upstream.health" in complete("floodwall", "options")
