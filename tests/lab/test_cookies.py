# SPDX-License-Identifier: BSD-2-Clause
"""SYN cookies: what a client agrees upon survives, and floods of forged packets cost nobody else.

The server is a real listener that knows nothing of cookies; what its sockets became is what the
kernel says of them (ss). What no stack would send is sent by hand, from addresses nobody has.
"""
import json
import pathlib
import re
import time

import pytest

from lab import CPUS, CLIENTS_V4, CLIENTS_V6, DARK_V4, DARK_V6, EDGE_V4, EDGE_V6, Lab, wait_until

HERE = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"

POLICY = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
service web { bind = {"*:80"} %s }
service echo { bind = {"*:9000"}  challenge { mode = "%s" } }
service closed { bind = {"*:81"}  challenge { mode = "always" } }
"""

MINUTE = 60 * 10**9  # in nanoseconds
BURST = 2000        # challenge.burst's default
FLOOD_RATE = 200000 # packets a second that these two hosts' wire takes without losing any

# Gives back whatever it is sent.
ECHO = """
import socket, threading
def echo(connection):
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except OSError:
        pass
    connection.close()
server = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""

families = pytest.mark.parametrize("edge,clients,dark", [(EDGE_V4, CLIENTS_V4, DARK_V4),
                                                         (EDGE_V6, CLIENTS_V6, DARK_V6)],
                                   ids=["v4", "v6"])
busy_wire = pytest.mark.alone("FLOOD_RATE takes both CPUs, and clients lose none of theirs")


def at(edge, port):
    return f"[{edge}]:{port}" if ":" in edge else f"{edge}:{port}"


def require_own_tier(lab):
    if "bpf_sk_assign_tcp_reqsk" not in lab.edge("cat", "/proc/kallsyms").stdout:
        pytest.skip("this kernel makes no request sockets (bpf_sk_assign_tcp_reqsk, Linux 6.9)")


def protect(lab, web="", echo="always", mode="auto", tier="own"):
    if tier == "own":
        require_own_tier(lab)
    lab.nginx(["0.0.0.0:80", "[::]:80"])
    server = lab.edge.start(PYTHON, "-c", ECHO, name="echo")
    lab.wait_listening(server, ["[::]:9000"])
    lab.floodwall("attach", "--mode", mode, "--tier", tier, "--config", lab.configure(POLICY % (web, echo)))


def service(lab, name):
    return {row["name"]: row for row in lab.status()["services"]}[name]


def sockets(host, port):
    """What ss says of a host's connections on a port, by the client's address and port."""
    lines = host("ss", "-Htino", "state", "established", "sport", "=", f":{port}").stdout
    found = re.findall(r"^\d+\s+\d+\s+\S+\s+\[?(?:::ffff:)?([^]\s]+)\]?:(\d+)\b.*\n\s+(.*)$", lines, re.M)
    return {f"{client} {number}": details for client, number, details in found}


def turn_clock(lab, by):
    """Turns the clock by which cookies are made: by(what it shows) nanoseconds forward."""
    def bpftool(verb, name, index, *rest):
        return lab.edge("bpftool", "-j", "map", verb, "pinned", f"/sys/fs/bpf/floodwall/{name}", "key", "hex",
                        index, 0, 0, 0, *rest).stdout

    meta = json.loads(bpftool("lookup", "meta", 0))["value"]
    current = int(meta[48], 16)  # fw_meta.secret
    value = bytearray(int(byte, 16) for byte in json.loads(bpftool("lookup", "secrets", current))["value"])
    clock = int.from_bytes(value[16:24], "little", signed=True)  # fw_secret.clock_ns
    clock += by(time.monotonic_ns() + clock)
    value[16:24] = clock.to_bytes(8, "little", signed=True)
    bpftool("update", "secrets", current, "value", "hex", *(f"{byte:02x}" for byte in value))


def judged(row):
    """Packets of a service that reached its filter: a busy wire loses some of a flood."""
    return row["answered"] + row["dropped"] + row["passed"]


def first(prefix):
    """The first address of a prefix."""
    return prefix.split("/")[0]


def served(lab, edge, clients, seconds=3, rate=100):
    return lab.clients(destination=at(edge, 80), source_prefix=clients, sources=500, rate=rate,
                       seconds=seconds).result()


def segments_of_no_connection(lab, edge, clients, dark, kind, reason):
    """Amid a flood of them clients are served as ever; each is dropped, and for this reason."""
    assert served(lab, edge, clients, seconds=0.5)["ok"] > 0
    before = lab.edge.stack()["TcpInSegs"]
    flood = lab.flood(destination=at(edge, 80), source_prefix=dark, kind=kind, rate=30000, seconds=3)
    wait_until(lambda: lab.drops().get(reason), "the flood has begun")
    result = served(lab, edge, clients, seconds=2)
    sent = flood.result()["sent"]
    assert result["ok"] >= 0.99 * result["attempts"]
    # What a busy wire loses of the clients' segments counts as lost by the flood; and one
    # acknowledgment in eight million hits upon a cookie (bpf/cookie.h).
    drops = lab.drops()
    assert sent - 3 <= drops[reason] and sum(drops.values()) <= 1.01 * sent, (sent, drops)
    assert lab.edge.stack()["TcpInSegs"] - before < 0.1 * sent


def segments_in_disorder(lab, edge, a_minute_later=lambda: None):
    """What cookie_segments.py tells."""
    nobody, go = "2001:db8:f000::5" if ":" in edge else "192.0.2.5", lab.home / "go"
    client = lab.internet.start(PYTHON, HERE / "cookie_segments.py", edge, lab.gateway, 9000, nobody, CPUS[-1],
                                go, name="segments")
    wait_until(lambda: client.out.read_text() or not client.running(), "all but the last is said", 60)
    a_minute_later()
    go.touch()
    assert client.popen.wait(20) == 0, client.err.read_text()
    return json.loads(client.out.read_text().splitlines()[1])


@families
def test_every_option_survives(lab, edge, clients, dark):
    """Sixteen clients that differ in what they can do: each gets all of it, and data flows."""
    protect(lab)
    client = lab.internet.start(PYTHON, HERE / "cookie_client.py", edge, 9000, first(clients), 60, name="client")
    wait_until(lambda: client.out.read_text() or not client.running(), "all have connected", 30)
    said = json.loads(client.out.read_text() or client.err.read_text())
    found = sockets(lab.edge, 9000)
    scale = int(re.search(r"wscale:\d+,(\d+)", " ".join(found.values()))[1])
    assert len(said["options"]) == 16
    for row in said["options"]:
        details = found[row["client"]].split()
        assert row["same"], row
        assert ("ts" in details) == bool(row["tcp_timestamps"]), (row, details)
        assert ("sack" in details) == bool(row["tcp_sack"]), (row, details)
        assert ("ecn" in details) == bool(row["tcp_ecn"]), (row, details)
        scales = [word for word in details if word.startswith("wscale:")]
        assert len(scales) == row["tcp_window_scaling"], (row, details)
        for word in scales:  # the client's own machine has the same buffers, so the same scale
            assert word == f"wscale:{scale},{scale}"
        advertised = int(re.search(r"advmss:(\d+)", found[row["client"]])[1])
        assert advertised == (1440 if ":" in edge else 1460) - 12 * row["tcp_timestamps"]
    assert all(said["special"].values()) and "fastopen" in said["special"]
    echo = service(lab, "echo")
    assert echo["answered"] >= 16 + len(said["special"])
    assert echo["reasons"] == {} and echo["faults"] == {}


def test_behind_the_driver_too(lab):
    """In generic mode cookies work the same."""
    protect(lab, mode="generic")
    client = lab.internet.start(PYTHON, HERE / "cookie_client.py", EDGE_V6, 9000, first(CLIENTS_V6),
                                60, name="client")
    wait_until(lambda: client.out.read_text() or not client.running(), "all have connected", 30)
    assert all(row["same"] for row in json.loads(client.out.read_text())["options"])
    assert service(lab, "echo")["answered"] >= 16


def test_in_a_vlan(lab):
    """The filter runs on the wire, the server is reached through a tagged network."""
    for host, address in ((lab.edge, "198.18.5.1/24"), (lab.internet, "198.18.5.2/24")):
        # A driver that keeps tags apart from packets would hide them from the filter.
        host("ethtool", "-K", "eth0", "txvlan", "off", "rxvlan", "off")
        made = host("ip", "link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", 5,
                    check=False)
        if "Unknown device type" in made.stderr:
            pytest.skip("this kernel has no VLANs (8021q)")
        host("ip", "address", "add", address, "dev", "eth0.5")
        host("ip", "link", "set", "eth0.5", "up")
    protect(lab)
    client = lab.internet.start(PYTHON, HERE / "cookie_client.py", "198.18.5.1", 9000,
                                first(CLIENTS_V4), 60, name="client")
    wait_until(lambda: client.out.read_text() or not client.running(), "all have connected", 30)
    assert all(row["same"] for row in json.loads(client.out.read_text())["options"])
    assert service(lab, "echo")["answered"] >= 16


@families
def test_segments_lost_and_overtaken(lab, edge, clients, dark):
    """Retransmitted SYNs, lost ACKs, data that overtakes data, a port that is used again, a batch of
    segments that bring the first cookie, a minute that ends meanwhile."""
    protect(lab)
    turn_clock(lab, lambda shown: -shown % MINUTE)
    assert segments_in_disorder(lab, edge, lambda: turn_clock(lab, lambda shown: MINUTE)) == {
        "same_again": True, "other_isn_other_cookie": True, "second_half_first": 0, "first_half": "hello",
        "first_half_again": "", "second_half": "world", "reborn": "again", "two": "two", "one": "one",
        "burst": True, "early": "early"}
    assert service(lab, "echo")["reasons"] == {"bad_cookie": 1}


@families
def test_closed_ports_stay_closed(lab, edge, clients, dark):
    """Nobody listens: the client is refused at once, however suspicious the filter is."""
    protect(lab)
    begun = time.monotonic()
    done = lab.internet("curl", "-s", "--max-time", 5, f"http://{at(edge, 81)}/", check=False)
    assert done.returncode == 7 and time.monotonic() - begun < 2
    assert service(lab, "closed")["answered"] == 0


@families
@busy_wire
def test_spoofed_flood(lab, edge, clients, dark):
    """SYNs from forged addresses, as many as the wire takes: newcomers connect as ever."""
    protect(lab)
    flood = lab.flood(destination=at(edge, 80), source_prefix=dark, rate=FLOOD_RATE, seconds=6)
    wait_until(lambda: service(lab, "web")["answered"] > 10000, "the filter answers in its place")
    result = served(lab, edge, clients)
    sent = flood.result()["sent"]
    web = service(lab, "web")
    assert result["ok"] >= 0.99 * result["attempts"], (result, web)
    assert web["faults"] == {}
    # But for the burst before the pressure began, the stack saw nothing of it.
    assert web["answered"] > 0.98 * (judged(web) - BURST) and judged(web) > sent / 2, (sent, web)
    assert lab.edge.stack()["TcpExtSyncookiesSent"] <= BURST


@families
@pytest.mark.parametrize("kind,reason", [("ack", "bad_cookie"), ("rst", "no_socket"),
                                         ("synack", "no_socket"), ("finack", "bad_cookie")])
def test_other_floods_die_under_pressure(lab, edge, clients, dark, kind, reason):
    """Segments of no connection are dropped under pressure; those of a connection never are."""
    protect(lab, web='challenge { mode = "always" }')
    segments_of_no_connection(lab, edge, clients, dark, kind, reason)


@families
def test_floods_of_strays_are_pressure(lab, edge, clients, dark):
    """Segments of no connection and no SYN among them: what the stack resets gives them away."""
    protect(lab)
    before = lab.edge.stack()["TcpOutRsts"]
    flood = lab.flood(destination=at(edge, 80), source_prefix=dark, kind="ack", rate=30000, seconds=3)
    wait_until(lambda: lab.drops().get("bad_cookie"), "the filter looks at segments")
    result = served(lab, edge, clients, seconds=1)
    sent = flood.result()["sent"]
    assert result["ok"] == result["attempts"], result
    # But for the burst, and what the rate adds to it until both CPUs know.
    assert lab.edge.stack()["TcpOutRsts"] - before < 2 * BURST < sent / 2 < lab.drops()["bad_cookie"]


@families
def test_pressure_comes_and_goes(lab, edge, clients, dark):
    """No newcomer is challenged in peace; above the rate each is, until the hold is over."""
    protect(lab, web='challenge { rate = 100  burst = 100  hold = "1s" }')
    served(lab, edge, clients, seconds=0.5, rate=20)
    assert service(lab, "web")["answered"] == 0
    lab.flood(destination=at(edge, 80), source_prefix=dark, rate=5000, seconds=1).result()
    during = service(lab, "web")["answered"]
    assert during > 3000
    time.sleep(1.2)
    lab.internet("curl", "-s", "--max-time", 5, f"http://{at(edge, 80)}/")
    assert service(lab, "web")["answered"] == during


@families
def test_never_means_never(lab, edge, clients, dark):
    """A service that challenges nobody drops what is over its limits, as before."""
    protect(lab, web='syn_rate = 100  syn_burst = 100  challenge { mode = "never" }')
    sent = lab.flood(destination=at(edge, 80), source_prefix=dark, rate=5000, seconds=1).result()["sent"]
    web = service(lab, "web")
    assert web["answered"] == 0
    assert sent - 400 < web["reasons"]["service_syn_rate"] < sent


def test_off_what_the_host_does_not_do(lab):
    """An option that the edge's sysctls forbid is not offered, and the connection opens without it."""
    lab.edge.sysctl(net__ipv4__tcp_timestamps=0, net__ipv4__tcp_sack=0)
    protect(lab)
    client = lab.internet.start(PYTHON, HERE / "cookie_client.py", EDGE_V4, 9000, first(CLIENTS_V4),
                                60, name="client")
    wait_until(lambda: client.out.read_text() or not client.running(), "all have connected", 30)
    assert all(row["same"] for row in json.loads(client.out.read_text())["options"])
    for details in sockets(lab.edge, 9000).values():
        assert "ts" not in details.split() and "sack" not in details.split()
    assert service(lab, "echo")["faults"] == {}


def test_no_cookies_where_the_kernel_takes_none_back(lab):
    """tcp_syncookies = 0: attach says so, and newcomers over a limit are dropped."""
    lab.edge.sysctl(net__ipv4__tcp_syncookies=0)
    lab.nginx(["0.0.0.0:80"])
    attached = lab.floodwall("attach", "--config", lab.configure(POLICY % ("", "auto")))
    assert attached["interfaces"][0]["tier"] == "drop"
    assert "tcp_syncookies" in attached["interfaces"][0]["tier_why"]
    assert lab.status()["interfaces"][0]["tier"] == "drop"


def test_detach_takes_admission_along(lab):
    protect(lab)
    assert lab.status()["interfaces"][0]["tier"] == "own"
    pins = lab.edge("ls", "/sys/fs/bpf/floodwall").stdout
    assert "link_admit_" in pins
    lab.floodwall("detach")
    assert "link_admit_" not in lab.edge("ls", "/sys/fs/bpf/floodwall").stdout
    lab.floodwall("attach", "eth0")
    lab.floodwall("attach", "eth0")  # in the place of itself
    assert served(lab, EDGE_V4, CLIENTS_V4, seconds=0.5)["ok"] > 0
