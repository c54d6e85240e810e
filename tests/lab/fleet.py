# SPDX-License-Identifier: BSD-2-Clause
"""A lab with two edge hosts behind one address, and an internet that changes its mind.

The second host has its own wire (the internet's eth1), namespaces and BPF file system, and the same
addresses as the first. Between the two the internet chooses by segment: handshakes begin at the
first host, and with `moved()` whatever follows the SYN goes to the second, as after a change of an
anycast route.
"""
import contextlib
import json

from lab import BUILD, EDGE_V4, EDGE_V6, INTERNET_V4, INTERNET_V6, Lab, wait_until

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
        second("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns",
               internet.holder.pid)
        second.sysctl(net__ipv4__tcp_syncookies=1, net__ipv4__conf__all__rp_filter=0,
                      net__ipv4__conf__eth0__rp_filter=2)
        internet.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__eth0__rp_filter=0,
                        net__ipv4__conf__eth1__rp_filter=0)
        for host, interface in ((second, "eth0"), (internet, "eth1")):
            host.sysctl(**{f"net__ipv6__conf__{interface}__accept_dad": 0})
            host("ethtool", "-K", interface, "tx", "off", "gro", "on")
            host("ip", "link", "set", interface, "up")
        internet("ip", "link", "set", "dev", "eth1", "xdpdrv", "object",
                 BUILD / "bpf/flood.bpf.o", "program", "internet")
        second("ip", "addr", "add", f"{EDGE_V4}/30", "dev", "eth0")
        second("ip", "addr", "add", f"{EDGE_V6}/64", "dev", "eth0")
        for address, server, version in ((INTERNET_V4, EDGE_V4, "-4"), (INTERNET_V6, EDGE_V6, "-6")):
            second("ip", "neigh", "replace", address, "lladdr", internet.mac("eth1"), "dev", "eth0")
            second("ip", version, "route", "add", "default", "via", address)
            internet("ip", "neigh", "replace", server, "lladdr", second.mac(), "dev", "eth1")
            internet("ip", version, "route", "add", server, "dev", "eth1", "table", TABLE)
            internet("ip", version, "rule", "add", "fwmark", 1, "table", TABLE)

    @contextlib.contextmanager
    def moved(self):
        self.internet("nft", "-f", "-", text=MOVED)
        try:
            yield
        finally:
            self.internet("nft", "delete", "table", "inet", "fleet")

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

