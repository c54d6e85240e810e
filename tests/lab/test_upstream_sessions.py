# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 towards servers: how many connections there are, whose, and what is counted of them."""
import pytest

from authority import Authority
from edge import Edge
from lab import BUILD, Lab, wait_until
from origin import Client, Origin, inside
from origin2 import echo, in_order

THREADS = 4
ONE, OTHER, TIGHT, CHOOSES, STAYS, WARM, WARM_CHOOSES, WARM_STAYS, FAILS = range(80, 89)
PLAIN, SECURE, SECURE_OLD = 8002, 8444, 8445  # nginx: HTTP/2, HTTP/2 over TLS, HTTP/1 over TLS
LISTENER = """
listener {name} {{{{ bind = "127.0.0.1:{port}" upstream = "{name}" http2 {{{{ cleartext = on }}}}
	timeouts {{{{ connect = "500ms" }}}}
	source {{{{ connections = 0 syn_rate = 0 requests = 0 }}}} prefix {{{{ syn_rate = 0 }}}} }}}}
upstream {name} {{{{ server {{{{ address = "127.0.0.1:{server}" }}}} {options} }}}}
"""
TLS = 'http2 = "auto" tls {{ ca = "@ca@" name = "app.test" }} '
CONFIG = 'filter {{ cgroup = "@CGROUP@" }}\n' + "".join(
    LISTENER.format(name=name, port=port, server=server, options=options) for name, port, server, options in (
        ("one", ONE, 8010, 'http2 = "on"'),
        ("other", OTHER, 8011, 'http2 = "on"'),
        ("tight", TIGHT, PLAIN, f'http2 = "on" max_connections = {THREADS}'),
        ("chooses", CHOOSES, SECURE, TLS),
        ("stays", STAYS, SECURE_OLD, TLS),
        ("warm", WARM, PLAIN, f'http2 = "on" prewarm = {THREADS}'),
        ("warm_chooses", WARM_CHOOSES, SECURE, TLS + f"prewarm = {2 * THREADS}"),
        ("warm_stays", WARM_STAYS, SECURE_OLD, 'prewarm = 6 tls {{ ca = "@ca@" name = "app.test" }}'),
        ("fails", FAILS, 8012, TLS + "ejection {{ max_ejected = 0 }}"),
    )) + f"""
proxy {{{{ threads = {THREADS} access_log = "{{log}}" }}}}
admin {{{{ address = "127.0.0.1:9180" }}}}
"""


class Sessions(Edge):
    def __init__(self, lab):
        authority = Authority(lab.home)
        app = authority.issue("app", ["app.test"])
        secure = f"ssl_certificate {app.pem}; ssl_certificate_key {app.key};"
        lab.nginx(["127.0.0.1:8005"], extra=f"listen {PLAIN} http2; listen {SECURE} ssl http2; {secure}"
                  "keepalive_requests 100000;")
        lab.nginx(["127.0.0.1:8006"], extra=f"listen {SECURE_OLD} ssl; {secure} keepalive_requests 100000;")
        super().__init__(lab, text=CONFIG.replace("@ca@", str(authority.pem)), ports=range(ONE, FAILS + 1))

    def connects(self, service):
        return self.metric("proxy_upstream_connects_total", service)

    def asked(self, upstream):
        """Requests of its server; all rows of an instant are written together."""
        return self._metric("upstream_server_requests_total", upstream=upstream)

    def open_to(self, upstream):
        return self._metric("upstream_server_open", upstream=upstream)

    def load(self, port, requests, *options):
        done = self.lab.edge("h2load", "-n", requests, *options, f"http://127.0.0.1:{port}/")
        assert f"{requests} succeeded, 0 failed, 0 errored" in done.stdout, done.stdout


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Sessions(made)


def ask(port):
    with Client(port) as client:
        client.get()
        return client.response()[0]


# --- what is counted ------------------------------------------------------------------------------

def test_each_request_counts_once(edge):
    """The one for which a connection was made, too."""
    before = edge.asked("one")
    with Origin(8010, in_order(echo)), Origin(8011, in_order(echo)):
        assert [ask(ONE) for _ in range(3)] == [200] * 3
        assert ask(OTHER) == 200
        wait_until(lambda: edge.asked("other"), "what came before is published")
    assert edge.asked("one") == before + 3


# --- how many there are ---------------------------------------------------------------------------

def test_the_first_of_a_burst_finds_out_for_all(edge):
    """That the server speaks HTTP/2: the others wait for its handshake, and need none of their own."""
    edge.load(CHOOSES, 90, "-c", "1", "-m", "90")
    assert edge.connects("chooses") == 1
    assert edge.metric("proxy_upstream_tls_handshakes_total", "chooses") == 1
    assert edge.metric("proxy_upstream_http2_streams_total", "chooses") == 90
    wait_until(lambda: edge.asked("chooses") >= 90, "they are published")
    assert edge.asked("chooses") == 90


def test_or_that_it_does_not(edge):
    """They ask for connections of their own then; which after that nobody waits for."""
    edge.load(STAYS, 90, "-c", "1", "-m", "90")
    wait_until(lambda: edge.asked("stays") >= 90, "they are published")
    assert edge.asked("stays") == 90
    assert edge.metric("proxy_upstream_http2_streams_total", "stays") == 0
    assert edge.metric("proxy_upstream_failures_total", "stays") == 0
    edge.load(STAYS, 400, "-c", "8", "-m", "10")


def stall(peer):
    peer.socket.recv(1)
    peer.socket.recv(100000)
    peer.socket.recv(1)


def answer_in_plain(peer):
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("answer", [stall, answer_in_plain])
def test_who_waits_for_a_handshake_that_fails_is_told_in_time(edge, answer):
    """All of them, each in its own time to connect; and nobody's time is the next one's, too."""
    failed = edge.metric("proxy_upstream_tls_handshakes_failed_total", "fails")
    with Origin(8012, answer) as origin:
        done = edge.lab.edge("h2load", "-n", "40", "-c", "1", "-m", "40", f"http://127.0.0.1:{FAILS}/", seconds=10)
        assert "40 done, 0 succeeded, 40 failed" in done.stdout and "40 5xx" in done.stdout, done.stdout
        assert origin.connections <= 4
    wait_until(lambda: edge.metric("proxy_upstream_tls_handshakes_failed_total", "fails") > failed, "it is counted")
    assert edge.metric("proxy_upstream_tls_handshakes_failed_total", "fails") - failed <= 4
    wait_until(lambda: edge._metric("upstream_server_active", upstream="fails") == 0, "it is busy with nothing")
    assert edge.open_to("fails") == 0


def test_each_thread_has_its_part_of_a_cap(edge):
    """A thread can't use another's: nobody takes so many that there is none for somebody else."""
    edge.load(TIGHT, 500, "-c", "1", "-m", "120")  # more than one connection carries: some wait
    assert edge.connects("tight") == 1
    edge.load(TIGHT, 4000, "-c", "32", "-m", "4")
    assert edge.connects("tight") <= THREADS


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_a_cap_that_leaves_a_thread_without_is_no_cap_for_http2(edge, mode):
    """It is refused; where servers choose, they are not offered HTTP/2."""
    path = edge.lab.home / "tight.conf"
    path.write_text(f"""proxy {{ threads = 4 }}
listener web {{ bind = "127.0.0.1:80" upstream = "app" }}
upstream app {{ server {{ address = "127.0.0.1:1" max_connections = 3 }}
    http2 = "{mode}" tls {{ verify = off }} }}
""")
    done = edge.lab.edge(BUILD / "floodwalld", "--check", "--config", path, check=False)
    if mode == "on":
        assert done.returncode != 0
        assert f"{path}:4: upstream app: http2: each of the 4 threads (proxy.threads) has a connection of its own to " \
            "each server, for which max_connections = 3 leaves no room" in done.stderr
    else:
        assert done.returncode == 0
        assert "warning: upstream app: http2: each of the 4 threads would have a connection of its own to each " \
            "server, for which max_connections leaves no room: HTTP/1.1 is spoken instead" in done.stdout


# --- ahead of whoever needs them ------------------------------------------------------------------

@pytest.mark.parametrize("name, port, count", [("warm", WARM, THREADS), ("warm_chooses", WARM_CHOOSES, THREADS),
                                               ("warm_stays", WARM_STAYS, 6)])
def test_connections_are_kept_ready(edge, name, port, count):
    """Of HTTP/2 one for each thread, whatever is asked for; over TLS, handshake and all."""
    wait_until(lambda: edge.open_to(name) == count, f"{count} connections are ready (now {edge.open_to(name)})")
    before = edge.connects(name)
    for _ in range(20):
        assert ask(port) == 200
    assert edge.connects(name) == before
    assert edge.open_to(name) == count
    assert edge.metric("proxy_upstream_tls_handshakes_total", name) == 0
