# SPDX-License-Identifier: BSD-2-Clause
"""floodwall rekey: handshakes under way go on, and so does everything else."""
import json
import time

import pytest

from lab import BUILD, CLIENTS_V4, CLIENTS_V6, EDGE_V4, EDGE_V6, wait_until
from test_cli import FAILED, NO, USAGE, cli  # cli is a fixture
from test_cookies import PYTHON, at, first, protect, service

ALWAYS = 'challenge { mode = "always"  answers = 100000  prefix_answers = 100000 }'

# What answers a SYN-ACK is lost on its way, again and again: the client believes it is connected.
MUTE = """
table inet mute {
	chain out {
		type filter hook output priority 0;
		tcp dport 9000 tcp flags & (syn | rst) == 0 drop
	}
}
"""

CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], 9000), 20, (sys.argv[2], 0)) as connection:
    connection.settimeout(20)
    connection.sendall(b"hello")
    print(connection.recv(5).decode())
"""


@pytest.mark.parametrize("edge,clients", [(EDGE_V4, CLIENTS_V4), (EDGE_V6, CLIENTS_V6)],
                         ids=["v4", "v6"])
def test_between_syn_ack_and_ack(lab, cli, edge, clients):
    """Three new secrets while a client's ACK is on its way: it still opens the connection."""
    protect(lab)
    with lab.internet.nft(MUTE):
        client = lab.internet.start(PYTHON, "-c", CLIENT, edge, first(clients), name="client")
        wait_until(lambda: service(lab, "echo")["answered"] == 1, "the SYN is answered")
        fingerprints = {cli("rekey")["fingerprint"] for _ in range(3)}
        assert client.running()
    assert client.popen.wait(20) == 0 and client.out.read_text() == "hello\n"
    assert len(fingerprints) == 3
    echo = service(lab, "echo")
    assert echo["answered"] == 1 and echo["reasons"] == {} and echo["faults"] == {}


def test_a_forgotten_secret_is_no_secret(lab, cli):
    """The fourth is refused, as there is no room for it; forced, it costs who came with the oldest."""
    protect(lab)
    with lab.internet.nft(MUTE):
        client = lab.internet.start(PYTHON, "-c", CLIENT, EDGE_V4, first(CLIENTS_V4), name="client")
        wait_until(lambda: service(lab, "echo")["answered"] == 1, "the SYN is answered")
        for accepted in (1, 2, 3):
            assert cli("rekey")["accepted"] == accepted
        before = lab.status()["secret"]
        refused = lab.edge(BUILD / "floodwall", "rekey", "--json", check=False)
        assert refused.returncode == NO and "--force" in json.loads(refused.stdout)["error"]
        after = lab.status()["secret"]
        assert after["fingerprint"] == before["fingerprint"]
        assert cli("rekey", "--force")["accepted"] == 3
    # Its data are dropped: to the filter they are a guess.
    wait_until(lambda: service(lab, "echo")["reasons"].get("bad_cookie"), "the old cookie is refused")
    client.kill()


def test_ten_rekeys_under_load(lab, cli):
    """Newcomers at a steady rate, each of them challenged: not one notices ten new secrets."""
    protect(lab, web=ALWAYS)
    clients = lab.clients(destination=at(EDGE_V4, 80), source_prefix=CLIENTS_V4, sources=60000, rate=200,
                          seconds=6)
    fingerprints = set()
    for _ in range(10):
        time.sleep(0.5)
        fingerprints.add(cli("rekey", "--force")["fingerprint"])
    result = clients.result()
    web = service(lab, "web")
    assert len(fingerprints) == 10
    assert result["attempts"] > 1000 and result["ok"] == result["attempts"], (result, web)
    assert web["answered"] > 0.9 * result["attempts"]
    assert web["reasons"] == {} and web["faults"] == {}


def test_at_the_same_time(lab, cli):
    """Of several who do it at once each does it, one after the other."""
    protect(lab)
    running = [lab.edge.start(BUILD / "floodwall", "rekey", "--json") for _ in range(3)]
    answers = [process.result() for process in running]
    assert all(answer["changed"] for answer in answers)
    assert lab.status()["secret"]["accepted"] == 3
    late = [lab.edge.start(BUILD / "floodwall", "rekey", "--json") for _ in range(2)]
    assert [process.popen.wait(20) for process in late] == [NO, NO]


def test_what_it_says_and_refuses(lab, cli):
    cli("rekey", status=FAILED)  # nothing is attached
    protect(lab)
    path = lab.home / "key"
    assert cli("rekey", "--write", path) == {"written": str(path)}
    assert oct(path.stat().st_mode & 0o777) == "0o600" and len(path.read_text()) == 33
    first_key = path.read_text()
    cli("rekey", "--write", path)
    assert path.read_text() != first_key and list(lab.home.glob("key*")) == [path]
    taken = cli("rekey", path)
    assert taken["changed"] and taken["file"] == str(path)
    assert not cli("rekey", path)["changed"]
    said = lab.status()["secret"]
    assert said["shared"] and said["fingerprint"] == taken["fingerprint"] and said["age"] < 10
    assert path.read_text().strip() not in json.dumps(lab.status())
    assert "no file is named" in cli("rekey", status=USAGE)["error"]
    cli("rekey", "--write", path, "--force", status=USAGE)
    cli("rekey", path, path, status=USAGE)
    cli("rekey", lab.home / "nonesuch", status=FAILED)
    cli("rekey", "--write", lab.home / "no/such/folder", status=FAILED)
    text = lab.edge(BUILD / "floodwall", "status", check=False).stdout
    assert "shared with other hosts" in text and said["fingerprint"] in text
