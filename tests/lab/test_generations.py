# SPDX-License-Identifier: BSD-2-Clause
"""Many generations: of a proxy whose clients never leave, whose addresses change, which dies at once, and what is
left of all of them."""
import os
import re
import signal
import socket

from lab import BUILD, wait_until
from origin import inside
from test_reload import House, exists

REST = b"GET / HTTP/1.1\r\nHost: a\r\n"  # a request that does not end


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def stay(port=81):
    """A client who is relayed, and never leaves."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REST)
    return client


def is_there(client):
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_the_oldest_goes_where_there_is_no_room_for_another(lab):
    """Of 64 rows sixteen are each generation's; the clients of those that are younger stay."""
    house = House(lab)
    text = house.text.replace("threads = 2", "threads = 16").replace('drain = "20s"', 'drain = "60s"')
    with inside(lab.edge):
        assert house.reload(text=text)[0] == 0
        clients = []
        for _ in range(8):
            clients.append(stay())
            assert house.reload()[0] == 0
            assert house.metric("generations_draining") <= 3
        assert house.metric("generations_cut_total") >= 2
        wait_until(lambda: not is_there(clients[0]), "the oldest one's client is cut off")
        there = [is_there(client) for client in clients]
        assert there == sorted(there) and there[-1], there
        assert "drain and the board has no rows for another" in house.log()
        for client in clients:
            client.close()
        wait_until(lambda: house.metric("generations_draining") == 0, "who is left alone leaves")


def test_nothing_is_left_of_two_hundred(lab):
    """Of other addresses, other numbers of threads, and files that are refused: no descriptor, no socket, no process."""
    house = House(lab)

    def text(number):
        return house.text.replace("0.0.0.0:81", f"0.0.0.0:{8100 + number % 7}").replace(
            "threads = 2", f"threads = {1 + number % 2}").replace('drain = "20s"', 'drain = "100ms"')

    def listening():
        return sorted(re.findall(r":(81\d\d) ", lab.edge("ss", "-Hltn").stdout))

    def held():
        wait_until(lambda: len(lab.pids("floodwalld")) == 3, "one proxy and one warden are left", seconds=20)
        return listening()

    for number in range(200):
        assert house.reload(text=text(number))[0] == 0
        if number == 13:
            before, least = held(), descriptors(house.daemon.pid)
        if number % 50 == 20:
            assert house.reload(text="nonsense")[0] == 1
            assert house.reload(text=text(number).replace("0.0.0.0:80", "192.0.2.1:80"))[0] == 1
    assert house.reload(text=text(13))[0] == 0
    assert held() == before
    wait_until(lambda: descriptors(house.daemon.pid) <= least, "there are no more than after the first few")


def test_it_dies_as_soon_as_it_serves(lab):
    """A crash right after the change: the file that it serves by stays, and the next one is there at once."""
    house = House(lab)
    with inside(lab.edge):
        client = stay()
        for _ in range(3):
            assert house.reload()[0] == 0
            os.kill(house.proxies()[-1], signal.SIGKILL)
        wait_until(lambda: house.metric('process_crashes_total{process="proxy"}') == 3, "all were seen to die")
        wait_until(lambda: exists(house.proxies()[-1]), "another one is there")
        wait_until(lambda: lab.edge("curl", "-sS", "-o", "/dev/null", "--max-time", "5", "http://127.0.0.1/",
                                    check=False).returncode == 0, "and serves")
        assert is_there(client), "who is with one that drains notices nothing"


def test_a_storm_of_reloads_and_upgrades(lab):
    """Many who ask at once, for one thing and the other, while generations drain and a load is served: each is told
    how it went, and no request is lost."""
    house = House(lab)
    load = house.load("keepalive", "new", "relay")
    for _ in range(3):
        asking = [lab.edge.start(BUILD / "floodwall", "reload", "--json", *(["--binary"] if number % 3 == 2 else []))
                  for number in range(9)]
        house.daemon.kill(signal.SIGHUP)
        assert all(process.result()["taken"] for process in asking)
    seen = house.result(load)
    assert all(tally["ok"] and not tally["failed"] for tally in seen.values()), seen
    assert house.metric('process_crashes_total{process="proxy"}') == 0
    assert house.metric('reloads_total{result="taken"}') >= 27
