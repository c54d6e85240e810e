# SPDX-License-Identifier: BSD-2-Clause
"""The lab is what it says: floods arrive, whole and as ordered, and no lab leaves anything behind."""
import contextlib
import ipaddress
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from lab import (CLIENTS_V4, CLIENTS_V6, DARK_V4, DARK_V6, EDGE_V4, EDGE_V6, Lab, LabError, cgroup_mount,
                 frozen, wait_until)

HERE = pathlib.Path(__file__).parent
KINDS = ["syn", "synack", "ack", "rst", "fin", "finack", "synfin", "null", "xmas", "udp"]
FLAGS = {"syn": "S", "synack": "S.", "ack": ".", "rst": "R", "fin": "F", "finack": "F.",
         "synfin": "FS", "null": "none", "xmas": "FPU"}


def capture(lab, seconds, **options):
    """What tcpdump says of the packets of such a flood, a line each."""
    dump = lab.edge.start("tcpdump", "-lnvvi", "eth0", "-c", 200, "dst port 7", name="tcpdump")
    wait_until(lambda: "listening on" in dump.err.read_text(), "tcpdump listens")
    lab.flood(seconds=seconds, **options).result()
    dump.stop()
    return [line for line in re.sub(r"\n\s+", " ", dump.out.read_text()).splitlines() if line]


@pytest.mark.parametrize("destination,prefix", [(f"{EDGE_V4}:7", "172.16.9.0/24"),
                                                (f"[{EDGE_V6}]:7", "2001:db8:4009::/48")])
def test_flood_packets_are_whole(lab, destination, prefix):
    """Every kind arrives as what it is, from its prefix, and no checksum is wrong."""
    for kind in KINDS:
        lines = capture(lab, 0.2, destination=destination, source_prefix=prefix, kind=kind, rate=500)
        assert len(lines) > 50, kind
        for line in lines:
            assert "(correct)" in line or "udp sum ok" in line, line
            source = re.search(r" ([0-9a-f.:]+)\.\d+ > ", line).group(1)
            assert ipaddress.ip_address(source) in ipaddress.ip_network(prefix), line
            if kind != "udp":
                assert f"Flags [{FLAGS[kind]}]" in line, line
    stack = lab.edge.stack()
    assert stack["TcpInCsumErrors"] == stack["UdpInCsumErrors"] == stack["IpInHdrErrors"] == 0


def test_flood_from_anywhere_and_from_few(lab):
    """Forged sources are as many as ordered, and all of them could be somebody's."""
    lines = capture(lab, 0.5, destination=f"{EDGE_V4}:7", source_prefix=DARK_V4, sources=3, rate=500)
    assert {re.search(r" ([0-9.]+)\.\d+ > ", line).group(1) for line in lines} == {
        "172.16.0.1", "172.16.0.2", "172.16.0.3"}
    lines = capture(lab, 0.5, destination=f"{EDGE_V4}:7", source_prefix="0.0.0.0/0", rate=500)
    sources = {re.search(r" ([0-9.]+)\.\d+ > ", line).group(1) for line in lines}
    assert len(sources) > 190
    assert not [s for s in sources if ipaddress.ip_address(s).is_multicast or s.startswith(("0.", "10.", "127."))]


@pytest.mark.parametrize("stack,options", [
    ("linux", ["mss {mss},sackOK,TS val ", "ecr 0,nop,wscale 7], length 0"]),
    ("windows", ["mss {mss},nop,wscale 8,nop,nop,sackOK], length 0"]),
    ("bare", ["options [mss {mss}], length 0"])])
def test_flood_looks_like_clients(lab, stack, options):
    """A forged SYN has the options of a client of its kind, in that client's order."""
    for destination, prefix, mss in ((f"{EDGE_V4}:7", "0.0.0.0/0", 1460), (f"[{EDGE_V6}]:7", "::/0", 1440)):
        lines = capture(lab, 0.2, destination=destination, source_prefix=prefix, stack=stack, rate=500)
        assert len(lines) > 50
        for line in lines:
            assert "Flags [S]" in line and "(correct)" in line, line
            assert all(part.format(mss=mss) in line for part in options), line


def test_flood_sources_have_shapes(lab):
    """One network, many networks, N hosts: what a filter may take for one, and what for many."""
    def sources(prefix, **options):
        lines = capture(lab, 0.4, destination=f"[{EDGE_V6}]:7", source_prefix=prefix, rate=500, **options)
        return [ipaddress.ip_address(re.search(r" ([0-9a-f:]+)\.\d+ > ", line).group(1)) for line in lines]

    def networks(addresses, bits):
        return {ipaddress.ip_network((address, bits), strict=False) for address in addresses}

    subnet, hopping = sources("2001:db8:4009::/48"), sources("2001:db8:4000::/36")
    assert len(networks(subnet, 48)) == 1 and len(networks(subnet, 64)) > 0.9 * len(subnet) > 90
    assert len(networks(hopping, 48)) > 0.9 * len(hopping) > 90
    few = sources("2001:db8:4000::/36", sources=3)
    assert {str(address) for address in few} == {f"2001:db8:4000:{host}::1" for host in (1, 2, 3)}
    anywhere = sources("::/0")
    assert len(networks(anywhere, 16)) > 0.9 * len(anywhere) > 90
    assert networks(anywhere, 3) == {ipaddress.ip_network("2000::/3")}


@pytest.mark.parametrize("prefix,destination", [(DARK_V4, f"{EDGE_V4}:80"),
                                                (DARK_V6, f"[{EDGE_V6}]:80")])
def test_flood_reaches_the_stack(lab, prefix, destination):
    """Without a filter every packet that the wire took is received by the kernel's TCP."""
    before = lab.edge.stack()["TcpInSegs"]
    sent = lab.flood(destination=destination, source_prefix=prefix, rate=20000, seconds=1).result()
    assert 0.9 * 20000 < sent["sent"] + sent["lost"] <= 20000 and sent["sent"] > 2000
    received = lab.edge.stack()["TcpInSegs"] - before
    assert abs(received - sent["sent"]) < 50


@pytest.mark.parametrize("prefix,destination", [(CLIENTS_V4, f"{EDGE_V4}:80"),
                                                (CLIENTS_V6, f"[{EDGE_V6}]:80")])
def test_clients_notice(lab, prefix, destination):
    """Clients succeed with the page, and fail with another page, no server, or a stalled one."""
    server = lab.nginx(["0.0.0.0:80", "[::]:80"])
    options = dict(destination=destination, source_prefix=prefix, sources=500, rate=200, seconds=1)
    assert lab.clients(**options).result()["ok"] == 200
    assert lab.clients(**options, keep_alive=True).result()["ok"] == 200
    assert lab.clients(**options, path="/big").result()["errors"]["body"] == 200
    assert lab.clients(**options, path="/none").result()["errors"]["status"] == 200
    for pid in lab.pids("nginx"):
        os.kill(pid, signal.SIGSTOP)
    stalled = lab.clients(**options, timeout=0.5).result()
    assert stalled["errors"]["response_timeout"] == 200
    assert stalled["p99_ms"] is None and stalled["steady_p99_ms"] is None
    for pid in lab.pids("nginx"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not server.running(), "nginx is gone")
    assert lab.clients(**options).result()["errors"]["refused"] == 200


def test_a_standstill_is_no_lasting_slowness(lab):
    """A server that does nothing for a second makes one attempt in four slow: of all, but not in most half seconds."""
    lab.nginx(["0.0.0.0:80"])
    clients = lab.clients(destination=f"{EDGE_V4}:80", source_prefix=CLIENTS_V4, sources=500, rate=200, seconds=4)
    time.sleep(1)
    with contextlib.ExitStack() as standstill:
        for pid in lab.pids("nginx"):
            standstill.enter_context(frozen(pid))
        time.sleep(1)
    result = clients.result()
    assert result["ok"] == 800
    assert 0 < result["steady_p99_ms"] < result["p99_ms"] / 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(number):
    """However its program ends, a lab's processes, namespaces, cgroup and folder go with it."""
    program = subprocess.Popen(
        [sys.executable, "-c", "import lab, time, signal\n"
         "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
         "with lab.Lab() as made:\n"
         "    made.nginx(['0.0.0.0:80'])\n"
         "    print(made.home, made.cgroup.name, made.edge.holder.pid, flush=True)\n"
         "    time.sleep(60)\n"], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    home, cgroup, holder = program.stdout.readline().split()
    cgroup = cgroup_mount() / cgroup
    members = [pid for side in ("edge", "internet")
               for pid in (cgroup / side / "cgroup.procs").read_text().split()] + [holder]
    assert len(members) >= 3
    time.sleep(0.2)
    program.send_signal(number)
    program.wait(20)
    wait_until(lambda: not cgroup.exists() and not pathlib.Path(home).exists(), "cgroup and folder go")
    wait_until(lambda: not [pid for pid in members if pathlib.Path(f"/proc/{pid}/ns").exists()],
               "processes go")


PROXY = """
filter { cgroup = "@CGROUP@" }
listener web { bind = "127.0.0.1:80" upstream = "nobody" }
upstream nobody { server { address = "127.0.0.1:8000" } }
"""


def crash(lab, number, meant=None):
    """A proxy dies; returns when its supervisor has said so."""
    daemon = lab.floodwalld(PROXY)
    wait_until(lambda: "running: " in daemon.err.read_text(), "it runs")
    if meant:
        lab.means(meant)
    os.kill(int(re.findall(r"proxy: process (\d+) started", daemon.err.read_text())[0]), number)
    wait_until(lambda: f"was killed by signal {number:d}" in daemon.err.read_text(), "that is said")


def test_a_crash_that_no_story_means_is_its_failure():
    with pytest.raises(LabError, match=r"proxy: process \d+ was killed by signal 11 "), Lab() as lab:
        crash(lab, signal.SIGSEGV)
    with pytest.raises(LabError, match="sh-1 was killed by signal 6"), Lab() as lab:
        lab.edge.start("sh", "-c", "kill -ABRT $$").popen.wait(10)
    for number, meant in ((signal.SIGKILL, None), (signal.SIGSEGV, "was killed by signal 11 ")):
        with Lab() as lab:
            crash(lab, number, meant)


def test_a_crash_does_not_hide_what_a_story_says(capfd):
    with pytest.raises(ZeroDivisionError), Lab() as lab:
        crash(lab, signal.SIGSEGV)
        raise ZeroDivisionError
    assert "was killed by signal 11" in capfd.readouterr().err
