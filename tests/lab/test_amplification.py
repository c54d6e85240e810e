# SPDX-License-Identifier: BSD-2-Clause
"""Amplification: what the host asks is answered as ever, whatever is reflected at it meanwhile.

The edge asks real servers, by real clients: dnsmasq by dig and by the C library, chronyd by chronyd.
Beside them come floods of what reflectors send to somebody who asked nothing, far above what the
host takes; each is dropped but for its rate, and counted to the packet.
"""
import os
import pathlib
import shutil
import time

import pytest

from lab import (CLIENTS_V4, CLIENTS_V6, DARK_V4, DARK_V6, EDGE_V4, EDGE_V6, INTERNET_V4, INTERNET_V6,
                 wait_until)

POLICY = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
service web { bind = {"*:80"} }
host { rates { %s } }
"""

RATE = 30000     # packets a second that two loaded CPUs take beside everything else
DNS_NAME = "lab.example"
DNS_SERVER = "10.0.0.53"

families = pytest.mark.parametrize("edge,internet,dark,clients", [
    (EDGE_V4, INTERNET_V4, DARK_V4, CLIENTS_V4), (EDGE_V6, INTERNET_V6, DARK_V6, CLIENTS_V6)],
    ids=["v4", "v6"])


def chronyd():
    """Installed, or unpacked by scripts/setup."""
    found = shutil.which("chronyd", path="/usr/sbin:/var/cache/floodwall-tests")
    assert found, "no chronyd: scripts/setup"
    return found


def protect(lab, **rates):
    text = "  ".join(f"{name} = {rate}" for name, rate in rates.items())
    attached = lab.floodwall("attach", "--config", lab.configure(POLICY % text))
    assert attached["interfaces"][0]["asks"], attached


def at(edge, port):
    return f"[{edge}]:{port}" if ":" in edge else f"{edge}:{port}"


def name_server(lab):
    """dnsmasq on the internet, with an answer of 1,100 bytes."""
    texts = [f"--txt-record={DNS_NAME},{'x' * 250}{i}" for i in range(4)]
    server = lab.internet.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                                "--no-hosts", "--user=root", "--pid-file=", "--edns-packet-max=4096",
                                f"--address=/{DNS_NAME}/192.0.2.80", *texts, name="dnsmasq")
    wait_until(lambda: not server.running() or
               lab.internet("ss", "-Hlun", "sport", "=", ":53").stdout, "dnsmasq listens")
    return server


def dig(lab, server, kind="TXT"):
    """What comes of a query that is sent once."""
    done = lab.edge("dig", f"@{server}", DNS_NAME, kind, "+tries=1", "+timeout=3", "+notcp", "+short",
                    "+ignore", "+bufsize=4096", check=False)
    return done.stdout if done.returncode == 0 else ""


def reflected(lab, edge, dark, port, seconds, kind="udp", **options):
    return lab.flood(destination=at(edge, 40000), source_prefix=dark, kind=kind, source_port=port,
                     rate=RATE, seconds=seconds, **options)


def dropped_but_the_rate(lab, reason, flood, rate):
    """All of a flood, less a second's worth and the rate of its seconds, was dropped for this."""
    result = flood.result()
    dropped = lab.drops()[reason]
    passed = result["sent"] - dropped
    assert 0 <= passed <= rate * (2 + result["seconds"]) * 1.1 + 10, (result, dropped)
    return result


@families
def test_names_resolve_while_dns_is_reflected(lab, edge, internet, dark, clients):
    """Answers that nobody asked for are dropped; dig gets every one of its own, of 1,100 bytes, as resolvers do:
    what the flooded wire itself has lost is asked for once more."""
    protect(lab, unsolicited=100)
    name_server(lab)
    assert len(dig(lab, internet)) > 1000
    flood = reflected(lab, edge, dark, 53, 6)
    wait_until(lambda: lab.drops().get("unsolicited_rate", 0) > RATE / 2, "the flood is dropped")
    asked, end = 0, time.monotonic() + 3
    while time.monotonic() < end:
        asked += 1
        assert len(dig(lab, internet) or dig(lab, internet)) > 1000, asked
    assert asked > 10
    sent = dropped_but_the_rate(lab, "unsolicited_rate", flood, 100)["sent"]
    assert lab.drops()["unsolicited_rate"] > 0.95 * sent


def test_the_c_library_resolves(lab):
    """getaddrinfo by the edge's resolv.conf, while the very name server's address is forged."""
    protect(lab, unsolicited=1)
    name_server(lab)
    conf = lab.home / "resolv.conf"
    conf.write_text(f"nameserver {DNS_SERVER}\noptions timeout:2 attempts:1\n")
    lab.edge("mount", "--bind", conf, "/etc/resolv.conf")
    flood = lab.flood(destination=at(EDGE_V4, 40000), source_prefix=f"{DNS_SERVER}/32", kind="udp",
                      source_port=53, rate=RATE, seconds=4)
    wait_until(lambda: lab.drops().get("unsolicited_rate", 0) > RATE / 2, "the flood is dropped")
    for _ in range(10):
        done = lab.edge("getent", "ahostsv4", DNS_NAME, check=False)
        assert done.stdout.startswith("192.0.2.80"), done
    dropped_but_the_rate(lab, "unsolicited_rate", flood, 1)


@families
def test_time_is_told_while_ntp_is_reflected(lab, edge, internet, dark, clients):
    """chronyd asks chronyd, in the burst that it starts with; the clock is only compared."""
    protect(lab, unsolicited=100)
    conf = lab.home / "chrony.conf"
    conf.write_text(f"local stratum 3\nallow all\nport 123\ncmdport 0\nbindcmdaddress /\n"
                    f"pidfile {lab.home}/chronyd.pid\n")
    server = lab.internet.start(chronyd(), "-x", "-d", "-u", "root", "-f", conf, name="chronyd")
    wait_until(lambda: not server.running() or
               lab.internet("ss", "-Hlun", "sport", "=", ":123").stdout, "chronyd serves")
    flood = reflected(lab, edge, dark, 123, 10)
    wait_until(lambda: lab.drops().get("unsolicited_rate", 0) > RATE / 2, "the flood is dropped")
    for source_port in (0, 123):  # of any port, and from the server's own
        done = lab.edge(chronyd(), "-Q", "-t", "8", "-u", "root", f"pidfile {lab.home}/query.pid",
                        "cmdport 0", "bindcmdaddress /", f"acquisitionport {source_port}",
                        f"server {internet} iburst maxsamples 1", check=False)
        assert "System clock wrong by" in done.stdout + done.stderr, done
    flood.kill(2)
    dropped_but_the_rate(lab, "unsolicited_rate", flood, 100)


@families
@pytest.mark.parametrize("port", [11211, 1900, 389])
def test_other_reflectors(lab, edge, internet, dark, clients, port):
    """memcached, SSDP, CLDAP: all but the rate is dropped, none of it reaches a socket."""
    protect(lab, unsolicited=10)
    result = dropped_but_the_rate(lab, "unsolicited_rate", reflected(lab, edge, dark, port, 1), 10)
    assert lab.drops() == {"unsolicited_rate": lab.drops()["unsolicited_rate"]} and result["sent"] > 1000


@families
def test_reflected_handshakes(lab, edge, internet, dark, clients):
    """SYN-ACKs that nobody waits for are not answered beyond the rate; connections out succeed."""
    protect(lab, syn_ack=100)
    server = lab.internet.start("/usr/bin/python3", "-m", "http.server", "--bind", "::", "8080",
                                "--directory", lab.home, name="http")
    wait_until(lambda: not server.running() or
               lab.internet("ss", "-Hltn", "sport", "=", ":8080").stdout, "the far server listens")
    before = lab.edge.stack()["TcpOutRsts"]
    flood = reflected(lab, edge, dark, 443, 5, kind="synack")
    wait_until(lambda: lab.drops().get("syn_ack_rate", 0) > RATE / 2, "the flood is dropped")
    for _ in range(20):
        done = lab.edge("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "3",
                        f"http://{at(internet, 8080)}/", check=False)
        assert done.stdout == "200", done
    dropped_but_the_rate(lab, "syn_ack_rate", flood, 100)
    assert lab.edge.stack()["TcpOutRsts"] - before <= 100 * 8


@families
@pytest.mark.parametrize("kind,setting", [("echo", "icmp"), ("unreachable", "icmp_error"),
                                          ("toobig", "path_mtu")])
def test_icmp_floods(lab, edge, internet, dark, clients, kind, setting):
    """ICMP beyond its rate is dropped; what the edge pings answers all the same."""
    protect(lab, **{setting: 100})
    flood = reflected(lab, edge, dark, 0, 4, kind=kind)
    wait_until(lambda: lab.drops().get(f"{setting}_rate", 0) > RATE / 2, "the flood is dropped")
    done = lab.edge("ping", "-c", 10, "-i", "0.1", "-W", "2", internet, check=False)
    assert " 0% packet loss" in done.stdout, done.stdout
    dropped_but_the_rate(lab, f"{setting}_rate", flood, 100)


@families
def test_path_mtu_is_found(lab, edge, internet, dark, clients):
    """Behind a narrow hop, amid forged packet-too-big messages: the download arrives at once."""
    protect(lab, path_mtu=1)
    lab.nginx(["0.0.0.0:80", "[::]:80"])
    # The internet hands the client's packets on by a wire of 1,300 bytes: it says so of larger ones.
    client = "198.51.100.2" if edge == EDGE_V4 else "2001:db8:77::2"
    hop = "198.51.100.1" if edge == EDGE_V4 else "2001:db8:77::1"
    length = 24 if edge == EDGE_V4 else 64
    far = ["nsenter", f"--net=/run/floodwall-far-{os.getpid()}"]
    lab.internet("sh", "-ec", f"""
        touch {far[1][6:]}; unshare --net={far[1][6:]} true
        ip link add narrow type veth peer name eth0 netns {far[1][6:]}
        ip link set narrow mtu 1300 up
        {' '.join(far)} ip link set eth0 up
        ip addr add {hop}/{length} dev narrow nodad 2>/dev/null || ip addr add {hop}/{length} dev narrow
        {' '.join(far)} sysctl -q -w net.ipv6.conf.eth0.accept_dad=0
        {' '.join(far)} ip addr add {client}/{length} dev eth0
        {' '.join(far)} ip route add default via {hop}
        sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        """)
    try:
        flood = reflected(lab, edge, dark, 0, 6, kind="toobig")
        wait_until(lambda: lab.drops().get("path_mtu_rate", 0) > RATE / 2, "the flood is dropped")
        done = lab.internet(*far, "curl", "-s", "-o", "/dev/null", "-w", "%{size_download}",
                            "--max-time", 5, "-r", "0-2000000", f"http://{at(edge, 80)}/big", check=False)
        assert done.stdout == "2000001", done
        route = lab.edge("ip", "route", "get", client).stdout
        assert "mtu 1300" in route, route
        flood.result()
    finally:
        lab.internet("umount", far[1][6:], check=False)
        pathlib.Path(far[1][6:]).unlink(missing_ok=True)


def test_monitor_mode(lab):
    """A monitored rate counts what it would have dropped; the stack gets it all."""
    protect(lab, unsolicited=1)
    lab.floodwall("rule", "unsolicited_rate", "monitor")
    sent = reflected(lab, EDGE_V4, DARK_V4, 53, 0.5).result()["sent"]
    assert lab.drops() == {} and sent - 3 <= lab.would()["unsolicited_rate"] <= sent


def test_containers_are_answered(lab):
    """What leaves by NAT is noted as it leaves: names resolve behind it, and connections open."""
    protect(lab, unsolicited=1, syn_ack=1)
    name_server(lab)
    far = f"/run/floodwall-container-{os.getpid()}"
    inside = ["nsenter", f"--net={far}"]
    server = lab.internet.start("/usr/bin/python3", "-m", "http.server", "8080", "--directory", lab.home,
                                name="http")
    wait_until(lambda: not server.running() or
               lab.internet("ss", "-Hltn", "sport", "=", ":8080").stdout, "the far server listens")
    lab.edge("sh", "-ec", f"""
        touch {far}; unshare --net={far} true
        ip link add box type veth peer name eth0 netns {far}
        ip addr add 172.31.0.1/24 dev box; ip link set box up
        {' '.join(inside)} ip link set eth0 up
        {' '.join(inside)} ip addr add 172.31.0.2/24 dev eth0
        {' '.join(inside)} ip route add default via 172.31.0.1
        sysctl -q -w net.ipv4.ip_forward=1
        nft add table ip nat
        nft 'add chain ip nat out {{ type nat hook postrouting priority 100; }}'
        nft add rule ip nat out oifname eth0 masquerade
        """)
    try:
        floods = [reflected(lab, EDGE_V4, DARK_V4, 53, 5),
                  reflected(lab, EDGE_V4, DARK_V4, 443, 5, kind="synack")]
        wait_until(lambda: lab.drops().get("unsolicited_rate", 0) > 1000 and
                   lab.drops().get("syn_ack_rate", 0) > 1000, "the floods are dropped")
        for _ in range(5):
            done = lab.edge(*inside, "dig", f"@{INTERNET_V4}", DNS_NAME, "A", "+tries=1", "+timeout=2",
                            "+short", check=False)
            assert done.stdout.strip() == "192.0.2.80", done
            done = lab.edge(*inside, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                            "--max-time", "3", f"http://{INTERNET_V4}:8080/", check=False)
            assert done.stdout == "200", done
        for flood in floods:
            flood.result()
    finally:
        lab.edge("umount", far, check=False)
        pathlib.Path(far).unlink(missing_ok=True)


def test_a_client_from_a_reflectors_port(lab):
    """A client whose port is a reflector's gets in within the rate; once answered, it is known."""
    protect(lab, unsolicited=2)
    echo = lab.edge.start("/usr/bin/python3", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4433))
while True:
    data, who = s.recvfrom(2048)
    s.sendto(data, who)
""", name="echo")
    wait_until(lambda: not echo.running() or
               lab.edge("ss", "-Hlun", "sport", "=", ":4433").stdout, "the server listens")
    done = lab.internet("/usr/bin/python3", "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 11211))
s.settimeout(3)
for i in range(50):
    s.sendto(b"%d" % i, ("{EDGE_V4}", 4433))
    assert s.recv(2048) == b"%d" % i
""", check=False)
    assert done.returncode == 0, done.stderr
    assert lab.drops() == {}


def test_a_forger_opens_no_door(lab):
    """A server here is made to answer a reflector, and goes on answering whatever is reflected: it comes within
    a rate, while the edge's own questions to the same port are answered as ever."""
    protect(lab, unsolicited=100, caller=200)
    name_server(lab)
    server = lab.edge.start("/usr/bin/python3", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4433))
while True:
    data, who = s.recvfrom(2048)
    s.sendto(b"?", who)
""", name="server")
    wait_until(lambda: not server.running() or
               lab.edge("ss", "-Hlun", "sport", "=", ":4433").stdout, "the server listens")
    flood = lab.flood(destination=at(EDGE_V4, 4433), source_prefix="10.77.0.0/16", sources=1, kind="udp",
                      source_port=53, rate=RATE, seconds=4)
    wait_until(lambda: lab.drops().get("caller_rate", 0) > RATE / 2, "the flood is dropped")
    for _ in range(10):
        assert len(dig(lab, INTERNET_V4)) > 1000
    result = flood.result()
    drops = lab.drops()
    passed = result["sent"] - sum(drops.values())
    assert 0 <= passed <= 300 * (result["seconds"] + 2), (result, drops)


def test_detach_takes_it_along(lab):
    protect(lab)
    pins = lab.edge("ls", "/sys/fs/bpf/floodwall").stdout
    assert "link_questions_" in pins
    lab.floodwall("detach")
    assert "link_questions_" not in lab.edge("ls", "/sys/fs/bpf/floodwall").stdout
    lab.floodwall("attach", "eth0")
    lab.floodwall("attach", "eth0")  # in the place of itself
    assert lab.status()["interfaces"][0]["asks"]
