# SPDX-License-Identifier: BSD-2-Clause
"""Hosts behind the edge that serve a port on which the edge has a listener of its own.

Pressure on the edge's service must not cost them anything: the filter can't know their connections.
"""
import contextlib
import os
import pathlib

import pytest

from lab import DARK_V4, EDGE_V4, INTERNET_V4, wait_until

PYTHON = "/usr/bin/python3"
POLICY = """
filter { interfaces = {"eth0"}  cgroup = "@CGROUP@" }
service web { bind = {"*:80"} }
"""
BRIDGED = "198.18.7.2"  # a machine with an address of its own

# Gives back whatever it is sent, behind its name.
ECHO = """
import socket, sys, threading
def echo(connection):
    try:
        while data := connection.recv(65536):
            connection.sendall(sys.argv[1].encode() + data)
    except OSError:
        pass
server = socket.create_server(("0.0.0.0", 80), backlog=64)
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""

# One connection before the pressure that lives on, and three newcomers during it.
CLIENTS = """
import socket, sys
def connect(number):
    connection = socket.create_connection((sys.argv[1], 80), 3, (f"10.1.0.{number}", 0))
    connection.settimeout(3)
    return connection
def ask(connection):
    connection.sendall(b"?")
    return connection.recv(100).decode()
old = connect(1)
print(ask(old), flush=True)
sys.stdin.readline()
print(ask(old), *(ask(connect(2 + i)) for i in range(3)), flush=True)
"""

# Published by NAT; the edge's own listener is what a container engine keeps on such a port.
CONTAINER = f"""
ip link add box type veth peer name eth0 netns @FAR@
ip addr add 172.31.0.1/24 dev box; ip link set box up
@INSIDE@ ip addr add 172.31.0.2/24 dev eth0; @INSIDE@ ip link set eth0 up
@INSIDE@ ip route add default via 172.31.0.1
sysctl -q -w net.ipv4.ip_forward=1
nft add table ip nat
nft 'add chain ip nat in {{ type nat hook prerouting priority -100; }}'
nft add rule ip nat in ip daddr {EDGE_V4} tcp dport 80 dnat to 172.31.0.2:80
"""

# Beside the edge on a bridge, which forwards nothing by IP.
MACHINE = f"""
ip addr flush dev eth0 scope global
ip link add br0 type bridge
ip link set eth0 master br0; ip link set br0 up
ip addr add {EDGE_V4}/30 dev br0; ip route add default via {INTERNET_V4}
ip link add tap type veth peer name eth0 netns @FAR@
ip link set tap master br0; ip link set tap up
@INSIDE@ ip addr add {BRIDGED}/24 dev eth0; @INSIDE@ ip link set eth0 up
@INSIDE@ ip route add default via 198.18.7.1
sysctl -q -w net.ipv4.ip_forward=0
"""


@contextlib.contextmanager
def behind(lab, commands):
    """A network namespace behind the edge; gives what runs a command there."""
    far = f"/run/floodwall-behind-{os.getpid()}"
    inside = ["nsenter", f"--net={far}"]
    commands = commands.replace("@FAR@", far).replace("@INSIDE@", " ".join(inside))
    try:
        lab.edge("sh", "-ec", f"touch {far}; unshare --net={far} true\n{commands}")
        yield inside
    finally:
        lab.edge("umount", far, check=False)
        pathlib.Path(far).unlink(missing_ok=True)


@pytest.mark.parametrize("commands,address", [(CONTAINER, EDGE_V4), (MACHINE, BRIDGED)],
                         ids=["container", "machine"])
def test_pressure_does_not_concern_them(lab, commands, address):
    lab.internet("ip", "addr", "add", "198.18.7.1/24", "dev", "eth0")
    with behind(lab, commands) as inside:
        there = lab.edge.start(*inside, PYTHON, "-c", ECHO, "there")
        here = lab.edge.start(PYTHON, "-c", ECHO, "here")
        lab.wait_listening(here, ["0.0.0.0:80"])
        wait_until(lambda: there.running() and lab.edge(*inside, "ss", "-Hltn", "sport", "=", ":80").stdout,
                   "the server behind listens")
        lab.floodwall("attach", "--config", lab.configure(POLICY))
        pressed = lab.home / "pressed"
        os.mkfifo(pressed)
        clients = lab.internet.start("sh", "-c", f'exec {PYTHON} -c "$0" {address} <>{pressed}', CLIENTS)
        wait_until(lambda: clients.out.read_text() or not clients.running(), "a client is connected")
        assert clients.out.read_text() == "there?\n", clients.err.read_text()
        lab.flood(destination=f"{EDGE_V4}:80", source_prefix=DARK_V4, seconds=1, rate=5000).result()
        assert {row["name"]: row for row in lab.status()["services"]}["web"]["pressure"]["on"]
        with pressed.open("w") as pipe:
            pipe.write("go on\n")
        clients.popen.wait(20)
        assert clients.out.read_text().split() == ["there?"] * 5, clients.err.read_text()
        assert "bad_cookie" not in lab.drops()
