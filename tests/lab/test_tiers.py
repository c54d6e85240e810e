# SPDX-License-Identifier: BSD-2-Clause
"""Tiers: which one attach takes and why, the sysctls each wants, and what clients see of tier kernel.

What tier own does for clients is test_cookies.py's; where this kernel lacks it, the stories about it
are skipped and the others tell that.
"""
import json
import re

import pytest

from lab import BODY, BUILD, EDGE_V4, EDGE_V6, wait_until
from test_cookies import (BURST, FLOOD_RATE, HERE, PYTHON, at, busy_wire, families, first, judged, protect,
                          require_own_tier, segments_in_disorder, segments_of_no_connection, served, service,
                          sockets)

USAGE, FAILED = 2, 3
SYNCOOKIES = "net.ipv4.tcp_syncookies"


def attach(lab, *arguments, status=0):
    done = lab.edge(BUILD / "floodwall", "attach", "eth0", "--cgroup", lab.edge.cgroup, *arguments, "--json",
                    check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def status(lab):
    """Its text, and its interface's row."""
    text = lab.edge(BUILD / "floodwall", "status", check=False).stdout
    said = lab.status()
    return text, said, said["interfaces"][0]


def sysctl(lab, name=SYNCOOKIES):
    return lab.edge("sysctl", "-n", name).stdout.strip()


def admits(lab):
    return "link_admit_" in lab.edge("ls", "/sys/fs/bpf/floodwall").stdout


# --- choosing -------------------------------------------------------------------------------------

def test_the_best_tier_is_taken(lab):
    """auto: own where the kernel makes request sockets, else kernel, and the reason for it."""
    row = attach(lab)["interfaces"][0]
    has_own = "bpf_sk_assign_tcp_reqsk" in lab.edge("cat", "/proc/kallsyms").stdout
    assert row["tier"] == ("own" if has_own else "kernel")
    assert row["tier_why"] == (None if has_own else "own: the kernel has no bpf_sk_assign_tcp_reqsk (Linux 6.9)")
    _, _, found = status(lab)
    assert (found["tier"], found["tier_lacks"]) == (row["tier"], row["tier_why"])
    assert admits(lab) == has_own
    if not has_own:
        assert row["tier_why"][len("own: "):] in attach(lab, "--tier", "own", status=FAILED)["error"]


def test_tiers_in_each_others_place(lab):
    """Each that is asked for is had, on top of the one before; admission comes and goes with own."""
    require_own_tier(lab)
    for tier in ("own", "kernel", "own", "drop", "kernel", "drop", "own"):
        row = attach(lab, "--tier", tier)["interfaces"][0]
        assert row["tier"] == tier
        assert row["tier_why"] == (None if tier == "own" else "it was asked for")
        _, _, found = status(lab)
        assert (found["tier"], found["admission"]) == (tier, tier == "own")
        assert admits(lab) == (tier == "own")


def test_the_file_chooses_and_the_command_line_overrides(lab):
    path = lab.configure('filter { interfaces = {"eth0"} cgroup = "@CGROUP@" tier = "kernel" }')
    assert lab.floodwall("attach", "--config", path)["interfaces"][0]["tier"] == "kernel"
    assert lab.floodwall("attach", "--config", path, "--tier", "drop")["interfaces"][0]["tier"] == "drop"


@pytest.mark.parametrize("tier", ["own", "kernel"])
def test_a_tier_that_cannot_be_had_is_refused(lab, tier):
    """Nothing is attached, and what to do is said."""
    require_own_tier(lab)
    lab.edge.sysctl(net__ipv4__tcp_syncookies=0)
    error = attach(lab, "--tier", tier, status=FAILED)["error"]
    assert f"tier {tier} can't be had" in error and f"sysctl -w {SYNCOOKIES}=" in error
    assert lab.edge("ls", "/sys/fs/bpf/floodwall", check=False).returncode != 0
    assert "xdp" not in json.loads(lab.edge("ip", "-j", "link", "show", "dev", "eth0").stdout)[0]
    assert "own, kernel, drop or auto" in attach(lab, "--tier", "best", status=USAGE)["error"]


def test_a_refusal_leaves_what_ran(lab):
    attach(lab, "--tier", "kernel")
    lab.edge.sysctl(net__ipv4__tcp_syncookies=0)
    attach(lab, "--tier", "kernel", status=FAILED)
    text, _, found = status(lab)
    assert found["tier"] == "kernel"
    assert f"!! {SYNCOOKIES} is 0" in text


# --- sysctls --------------------------------------------------------------------------------------

def test_sysctls_are_offered_and_left_alone(lab):
    """Without cookies in the kernel: tier drop, the reason, and the line that changes it."""
    lab.edge.sysctl(net__ipv4__tcp_syncookies=0)
    said = attach(lab)
    row, wanted = said["interfaces"][0], said["sysctls"]
    assert row["tier"] == "drop"
    assert "own: " in row["tier_why"] and f"kernel: {SYNCOOKIES} is 0" in row["tier_why"]
    assert [(w["name"], w["value"], w["required"]) for w in wanted] == [(SYNCOOKIES, "0", True)]
    assert said["sysctls_set"] == [] and sysctl(lab) == "0"
    text = lab.edge(BUILD / "floodwall", "attach", "eth0").stdout
    assert f"sysctl -w {SYNCOOKIES}={wanted[0]['wanted']}, or floodwall attach --set-sysctls" in text


@pytest.mark.parametrize("tier,before,after", [("kernel", "0", "2"), ("kernel", "1", "2"), ("own", "0", "1")])
def test_sysctls_are_set_when_asked(lab, tier, before, after):
    """… to what the tier wants, with what was before, and how to keep it."""
    if tier == "own":
        require_own_tier(lab)
    lab.edge.sysctl(net__ipv4__tcp_syncookies=before)
    said = attach(lab, "--tier", tier, "--set-sysctls")
    assert said["interfaces"][0]["tier"] == tier
    assert said["sysctls_set"] == [{"name": SYNCOOKIES, "before": before, "after": after}]
    assert said["sysctls"] == [] and sysctl(lab) == after
    lab.edge.sysctl(net__ipv4__tcp_syncookies=before)
    text = lab.edge(BUILD / "floodwall", "attach", "eth0", "--tier", tier, "--set-sysctls").stdout
    assert f"{SYNCOOKIES} is {after} now; it was {before}" in text
    assert f"echo {SYNCOOKIES}={after} >>/etc/sysctl.d/" in text
    assert attach(lab, "--tier", tier, "--set-sysctls")["sysctls_set"] == []


def test_sysctls_of_a_failed_attach_are_put_back(lab):
    lab.edge.sysctl(net__ipv4__tcp_syncookies=0)
    done = lab.edge(BUILD / "floodwall", "attach", "nosuch", "--set-sysctls", check=False)
    assert done.returncode == FAILED and "nosuch" in done.stderr
    assert sysctl(lab) == "0"


def test_sysctls_that_change_later_are_noticed(lab):
    """What cookies offer is fixed at attach: status says what differs, attach takes it over."""
    require_own_tier(lab)
    attach(lab)
    assert status(lab)[1]["cookies_differ"] is None
    lab.edge.sysctl(net__ipv4__tcp_sack=0)
    lab.edge.sysctl(net__ipv4__tcp_rmem=f"4096 131072 {1 << 29}")
    text, said, _ = status(lab)
    differ = said["cookies_differ"]
    assert "SACK is off (net.ipv4.tcp_sack)" in differ and "window scale is 14" in differ
    assert f"!! the sysctls are not what SYN cookies go by: {differ}" in text
    attach(lab)
    text, said, _ = status(lab)
    assert said["cookies_differ"] is None and "!! the sysctls" not in text


def test_admission_that_is_gone_is_noticed(lab):
    require_own_tier(lab)
    attach(lab)
    assert "admission is gone" not in status(lab)[0]
    lab.edge("sh", "-c", "rm /sys/fs/bpf/floodwall/link_admit_*")
    assert "!! eth0: admission is gone" in status(lab)[0]
    attach(lab)
    assert "admission is gone" not in status(lab)[0]


# --- tier kernel ----------------------------------------------------------------------------------

def protect_by_kernel(lab, cookies, **policy):
    lab.edge.sysctl(net__ipv4__tcp_syncookies=cookies)
    protect(lab, tier="kernel", **policy)


@families
def test_the_mss_survives(lab, edge, clients, dark):
    """Clients of every kind connect, Multipath TCP and Fast Open too; data flows both ways."""
    protect_by_kernel(lab, 2)
    client = lab.internet.start(PYTHON, HERE / "cookie_client.py", edge, 9000, first(clients), 60, name="client")
    wait_until(lambda: client.out.read_text() or not client.running(), "all have connected", 30)
    said = json.loads(client.out.read_text() or client.err.read_text())
    found = sockets(lab.edge, 9000)
    assert len(said["options"]) == 16 and all(said["special"].values())
    for row in said["options"]:
        details = found[row["client"]].split()
        assert row["same"], row
        assert not {"ts", "sack", "ecn"} & set(details), (row, details)
        assert not any(word.startswith("wscale:") for word in details), (row, details)
        advertised = int(re.search(r"advmss:(\d+)", found[row["client"]])[1])
        assert advertised == (1440 if ":" in edge else 1460)
    echo = service(lab, "echo")
    assert echo["answered"] >= 16 + len(said["special"])
    assert echo["reasons"] == {} and echo["faults"] == {}
    stack = lab.edge.stack()
    assert stack["TcpExtSyncookiesRecv"] >= 16 and stack["TcpExtSyncookiesFailed"] == 0


@families
@busy_wire
@pytest.mark.parametrize("cookies", [1, 2])
def test_spoofed_flood(lab, edge, clients, dark, cookies):
    """SYNs from forged addresses: newcomers connect as ever, and XDP answers nearly all of them."""
    protect_by_kernel(lab, cookies)
    flood = lab.flood(destination=at(edge, 80), source_prefix=dark, rate=FLOOD_RATE, seconds=6)
    wait_until(lambda: service(lab, "web")["answered"] > 10000, "the filter answers in its place")
    result = served(lab, edge, clients)
    sent = flood.result()["sent"]
    web = service(lab, "web")
    assert result["ok"] >= 0.99 * result["attempts"], (result, web)
    # But for the burst before the pressure began, and at 1 what finds room in the SYN queue.
    assert web["answered"] > (0.98 if cookies == 2 else 0.95) * (judged(web) - BURST), (sent, web)
    assert judged(web) > sent / 2, (sent, web)


@families
@pytest.mark.parametrize("kind,reason", [("ack", "bad_cookie"), ("rst", "no_socket")])
def test_other_floods_die_under_pressure(lab, edge, clients, dark, kind, reason):
    protect_by_kernel(lab, 2, web='challenge { mode = "always" }')
    segments_of_no_connection(lab, edge, clients, dark, kind, reason)


@families
def test_segments_lost_and_overtaken(lab, edge, clients, dark):
    """As with cookies of ours."""
    protect_by_kernel(lab, 2)
    said = segments_in_disorder(lab, edge)
    said.pop("same_again")  # a minute of the stack's may just have ended
    assert said == {"other_isn_other_cookie": True, "second_half_first": 0, "first_half": "hello",
                    "first_half_again": "", "second_half": "world", "reborn": "again", "two": "two",
                    "one": "one", "burst": True, "early": "early"}


# A server of Multipath TCP, as Go's are: one page for everybody.
MULTIPATH = """
import socket, sys, threading
def serve(connection):
    try:
        while connection.recv(4096):
            connection.sendall(f"HTTP/1.1 200 OK\\r\\nContent-Length: {len(sys.argv[1])}\\r\\n\\r\\n{sys.argv[1]}".encode())
    except OSError:
        pass
    connection.close()
server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", 82))
server.listen(512)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


@families
@pytest.mark.parametrize("cookies", [1, 2])
def test_a_listener_of_multipath_tcp_in_tier_own(lab, edge, clients, dark, cookies):
    """The stack takes no cookie of ours for it, so it sends its own, and XDP does in its place: newcomers
    connect amid a flood, plain ones and those of Multipath TCP."""
    lab.edge.sysctl(net__ipv4__tcp_syncookies=cookies)
    protect(lab)
    server = lab.edge.start(PYTHON, "-c", MULTIPATH, BODY, name="multipath")
    wait_until(lambda: lab.edge("ss", "-Htln", "sport", "=", ":82").stdout or not server.running(), "it listens")
    if not server.running():
        pytest.skip("this kernel has no Multipath TCP")
    lab.floodwall("service", "add", "multipath", "*:82")
    flood = lab.flood(destination=at(edge, 82), source_prefix=dark, rate=FLOOD_RATE // 10, seconds=4)
    wait_until(lambda: service(lab, "multipath")["answered"] > 5000, "the filter answers in its place")
    result = lab.clients(destination=at(edge, 82), source_prefix=clients, sources=100, rate=50, seconds=2).result()
    said = lab.internet(PYTHON, "-c", "import socket, sys\n"
                        "made = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
                        " socket.SOCK_STREAM, 262)\n"
                        "made.bind((sys.argv[2], 0)); made.connect((sys.argv[1], 82)); made.sendall(b'?')\n"
                        "print(made.recv(100).decode())", edge, first(clients)).stdout
    sent = flood.result()["sent"]
    row = service(lab, "multipath")
    assert result["ok"] >= 0.99 * result["attempts"], (result, row)
    assert "200 OK" in said
    assert row["answered"] > (0.98 if cookies == 2 else 0.9) * (judged(row) - BURST), (sent, row)
    assert judged(row) > sent / 2, (sent, row)


def test_with_tier_drop_nobody_is_challenged(lab):
    """Over its limits the service drops, and no cookie is sent."""
    protect(lab, web='syn_rate = 100  syn_burst = 100', tier="drop")
    for edge, dark in ((EDGE_V4, "172.16.0.0/12"), (EDGE_V6, "2001:db8:4000::/36")):
        lab.flood(destination=at(edge, 80), source_prefix=dark, rate=3000, seconds=1).result()
    web = service(lab, "web")
    assert web["answered"] == 0 and web["reasons"]["service_syn_rate"] > 4000
