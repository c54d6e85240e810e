# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 towards servers: how many connections there are, whose, and what is counted of them."""
import pytest

from edge import Edge
from lab import Lab, wait_until
from origin import Client, Origin, inside
from origin2 import echo, in_order

ONE, OTHER = 80, 81
CONFIG = """
filter {{ cgroup = "@CGROUP@" }}
listener one   {{ bind = "127.0.0.1:80" upstream = "one" @FREE@ }}
listener other {{ bind = "127.0.0.1:81" upstream = "other" @FREE@ }}
upstream one   {{ server {{ address = "127.0.0.1:8010" }} http2 = "on" }}
upstream other {{ server {{ address = "127.0.0.1:8011" }} http2 = "on" }}
proxy {{ threads = 1 access_log = "{log}" }}
admin {{ address = "127.0.0.1:9180" }}
""".replace("@FREE@", "source {{ connections = 0 syn_rate = 0 }} prefix {{ syn_rate = 0 }}")


@pytest.fixture(scope="module")
def edge():
    with Lab() as made, inside(made.edge):
        yield Edge(made, text=CONFIG, ports=(ONE, OTHER))


def asked(edge, upstream):
    """Requests of its server; all rows of an instant are written together."""
    return edge._metric("upstream_server_requests_total", upstream=upstream)


def ask(port):
    with Client(port) as client:
        client.get()
        return client.response()[0]


def test_each_request_counts_once(edge):
    """The one for which a connection was made, too."""
    before = asked(edge, "one")
    with Origin(8010, in_order(echo)) as origin, Origin(8011, in_order(echo)):
        assert [ask(ONE) for _ in range(3)] == [200] * 3
        assert origin.connections == 1
        assert ask(OTHER) == 200
        wait_until(lambda: asked(edge, "other"), "what came before is published")
    assert asked(edge, "one") == before + 3
