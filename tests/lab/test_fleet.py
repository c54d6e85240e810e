# SPDX-License-Identifier: BSD-2-Clause
"""Several hosts behind one address, one secret: a handshake that begins at one ends at another."""
import json

import pytest

from fleet import Fleet, floodwall, serve
from lab import BUILD, CLIENTS_V4, CLIENTS_V6, EDGE_V4, EDGE_V6, wait_until
from test_cookies import ECHO, HERE, PYTHON, at, first, sockets

POLICY = """
filter {{ interfaces = {{"eth0"}}  cgroup = "{cgroup}"  cookie_secret = "{secret}" }}
service echo {{ bind = {{"*:9000"}}  challenge {{ mode = "{mode}" }} }}
"""

CLIENT = f"""
import socket, sys
with socket.create_connection(("{EDGE_V4}", 9000), 3, ("10.1.0." + sys.argv[1], 0)) as connection:
    connection.sendall(b"hello")
    print(connection.recv(5).decode())
"""

families = pytest.mark.parametrize("edge,clients", [(EDGE_V4, CLIENTS_V4), (EDGE_V6, CLIENTS_V6)],
                                   ids=["v4", "v6"])


@pytest.fixture
def fleet():
    with Fleet() as made:
        yield made


def configure(fleet, host, secret, mode):
    path = fleet.home / f"{host.name}.conf"
    path.write_text(POLICY.format(cgroup=host.cgroup, secret=secret, mode=mode))
    return path


def protect(fleet, modes=("always", "auto")):
    """The filter on both hosts; only the first is under pressure, unless `modes` says otherwise."""
    secret = fleet.home / "cookie.key"
    floodwall(fleet.edge, "rekey", "--write", secret)
    for host, mode in zip(fleet.both(), modes):
        serve(fleet, host, ECHO, 9000)
        attached = floodwall(host, "attach", "--config", configure(fleet, host, secret, mode))
        if attached["interfaces"][0]["tier"] != "own":
            pytest.skip(f"no cookies on this kernel: {attached['interfaces'][0]['tier_why']}")
    return secret


def status(host):
    return json.loads(host(BUILD / "floodwall", "status", "--json", check=False).stdout)


def echo(host):
    return {row["name"]: row for row in status(host)["services"]}["echo"]


def secret_of(host):
    return status(host)["secret"]


def forget(fleet, host):
    """Another secret, and so many before it that the fleet's is not accepted any more."""
    other = fleet.home / "other.key"
    for _ in range(4):
        floodwall(host, "rekey", "--write", other)
        assert floodwall(host, "rekey", other, "--force")["changed"]


def newcomer(fleet, number):
    """Whether somebody gets back what he sends; a number has connected before, or not."""
    done = fleet.internet(PYTHON, "-c", CLIENT, number, check=False)
    return done.stdout == "hello\n"


@families
@pytest.mark.parametrize("modes", [("always", "auto"), ("always", "always")], ids=["calm", "pressed"])
def test_a_handshake_moves_to_another_host(fleet, edge, clients, modes):
    """The first host answers the SYN, the second gets the rest, and nothing is lost of what both
    ends agreed upon; the second counts the connections as its own."""
    protect(fleet, modes)
    assert secret_of(fleet.edge)["shared"]
    assert secret_of(fleet.edge)["fingerprint"] == secret_of(fleet.second)["fingerprint"]
    with fleet.moved():
        client = fleet.internet.start(PYTHON, HERE / "cookie_client.py", edge, 9000, first(clients), 60,
                                      name="client")
        wait_until(lambda: client.out.read_text() or not client.running(), "all have connected", 30)
        said = json.loads(client.out.read_text() or client.err.read_text())
        found = sockets(fleet.second, 9000)
    assert sockets(fleet.edge, 9000) == {}
    assert len(said["options"]) == 16 and all(row["same"] for row in said["options"])
    for row in said["options"]:
        details = found[row["client"]].split()
        assert ("ts" in details) == bool(row["tcp_timestamps"]), (row, details)
        assert ("sack" in details) == bool(row["tcp_sack"]), (row, details)
        assert ("ecn" in details) == bool(row["tcp_ecn"]), (row, details)
        scales = [word for word in details if word.startswith("wscale:")]
        assert len(scales) == row["tcp_window_scaling"], (row, details)
    assert all(said["special"].values())
    one, other = echo(fleet.edge), echo(fleet.second)
    assert one["answered"] >= 16 and other["answered"] == 0
    assert other["connections"] == len(found)
    assert other["faults"] == {} and other["reasons"] == {}


def test_hosts_that_differ_take_nothing_of_each_other(fleet):
    """Another secret, or other sysctls: nothing half agreed upon is opened, and the fingerprints tell."""
    protect(fleet)
    with fleet.moved():
        assert newcomer(fleet, 1)
        fleet.second.sysctl(net__ipv4__tcp_sack=0)
        floodwall(fleet.second, "attach", "--config", fleet.home / "second.conf")
        assert secret_of(fleet.edge)["fingerprint"] != secret_of(fleet.second)["fingerprint"]
        assert not newcomer(fleet, 2)
        fleet.second.sysctl(net__ipv4__tcp_sack=1)
        floodwall(fleet.second, "attach", "--config", fleet.home / "second.conf")
        assert secret_of(fleet.edge)["fingerprint"] == secret_of(fleet.second)["fingerprint"]
        assert newcomer(fleet, 3)
        forget(fleet, fleet.second)
        assert not newcomer(fleet, 4)


def test_rekey_of_a_fleet_one_host_after_the_other(fleet):
    """While hosts have different secrets each serves those that stay with it, and afterwards all."""
    secret = protect(fleet)
    assert not floodwall(fleet.edge, "rekey", "--config", fleet.home / "edge.conf")["changed"]
    floodwall(fleet.edge, "rekey", "--write", secret)
    assert floodwall(fleet.edge, "rekey", "--config", fleet.home / "edge.conf")["changed"]
    assert newcomer(fleet, 5), "the first host by itself"
    with fleet.moved():
        assert not newcomer(fleet, 6)
        assert floodwall(fleet.second, "rekey", "--config", fleet.home / "second.conf")["changed"]
        assert newcomer(fleet, 7)


def test_a_secret_that_others_can_read_is_refused(fleet):
    """Nothing is attached with a file that is not as it should be; what to do is said."""
    secret = fleet.home / "cookie.key"
    config = configure(fleet, fleet.edge, secret, "auto")
    for text, mode, complaint in ((None, 0, "rekey --write"), ("0" * 31 + "1\n", 0o644, "chmod 600"),
                                  ("0" * 31 + "x\n", 0o600, "32 hexadecimal digits"),
                                  ("0" * 31 + "12\n", 0o600, "32 hexadecimal digits"),
                                  ("", 0o600, "32 hexadecimal digits"),
                                  ("0" * 32, 0o600, "32 hexadecimal digits")):
        if text is not None:
            secret.write_text(text)
            secret.chmod(mode)
        answer = floodwall(fleet.edge, "attach", "--config", config, check=False)
        assert str(secret) in answer["error"] and complaint in answer["error"]
        checked = floodwall(fleet.edge, "check", config)
        assert checked["valid"] and any(complaint in line for line in checked["warnings"])
    assert fleet.edge("ls", "/sys/fs/bpf/floodwall", check=False).returncode != 0
    secret.write_text("0" * 31 + "1")
    assert floodwall(fleet.edge, "attach", "--config", config)["interfaces"]


def test_who_leaves_the_fleet_has_a_secret_of_its_own(fleet):
    protect(fleet)
    config = configure(fleet, fleet.second, "/nonesuch", "auto")
    config.write_text(config.read_text().replace('cookie_secret = "/nonesuch"', ""))
    floodwall(fleet.second, "attach", "--config", config)
    assert not secret_of(fleet.second)["shared"]
    with fleet.moved():
        assert newcomer(fleet, 8), "what is under way is taken"
        for _ in range(3):
            floodwall(fleet.second, "rekey", "--config", config, "--force")
        assert not newcomer(fleet, 9)
    assert newcomer(fleet, 10)
