# SPDX-License-Identifier: BSD-2-Clause
"""A lab with two edge hosts behind one address, and an internet that changes its mind.

The second host has its own wire (the internet's eth1), namespaces and BPF file system, and the same
addresses as the first. Between the two the internet chooses by segment: handshakes begin at the
first host, and with `moved()` whatever follows the SYN goes to the second, as after a change of an
anycast route.
"""
import json

from lab import BUILD, EDGE_V4, EDGE_V6, INTERNET_V4, INTERNET_V6, Lab, wait_until
from wire import Wire

TABLE = 100

# What opens no connection is for the second host. It is marked as it is sent: a socket's own route
# to the first one, however fresh, is looked up again.
MOVED = """
table inet fleet {
	chain moved {
		type route hook output priority mangle;
		oifname != lo tcp flags & syn == 0 meta mark set 1
	}
}
"""


class Fleet(Lab):
    HOSTS = (*Lab.HOSTS, "second")

    def _join(self):
        super()._join()
        self.second = self._host("second", janitor=False)
        second, internet = self.second, self.internet
        second.sysctl(net__ipv4__tcp_syncookies=1, net__ipv4__conf__all__rp_filter=0)
        wire = Wire(second, internet, near="eth0", far="eth1")
        second("ip", "addr", "add", f"{EDGE_V4}/30", "dev", "eth0")
        second("ip", "addr", "add", f"{EDGE_V6}/64", "dev", "eth0")
        wire.introduce()
        internet.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__eth0__rp_filter=0,
                        net__ipv4__conf__eth1__rp_filter=0)
        for address, server, version in ((INTERNET_V4, EDGE_V4, "-4"), (INTERNET_V6, EDGE_V6, "-6")):
            second("ip", version, "route", "add", "default", "via", address)
            internet("ip", version, "route", "add", server, "dev", "eth1", "table", TABLE)
            internet("ip", version, "rule", "add", "fwmark", 1, "table", TABLE)

    def moved(self):
        """For a while, whatever follows a SYN goes to the second host."""
        return self.internet.nft(MOVED)

    def both(self):
        return self.edge, self.second


def floodwall(host, *arguments, check=True):
    """Runs the CLI on a host; its answer."""
    done = host(BUILD / "floodwall", *arguments, "--json", check=check)
    return json.loads(done.stdout) if done.stdout.strip() else None


def serve(lab, host, server, port):
    """Starts a program that listens on a host."""
    process = host.start("/usr/bin/python3", "-c", server, name="server")
    wait_until(lambda: f":{port} " in host("ss", "-Hltn").stdout, f"{host.name} listens")
    return process

