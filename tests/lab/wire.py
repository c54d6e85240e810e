# SPDX-License-Identifier: BSD-2-Clause
"""The addresses on both sides, and the wires between them: pairs of veth interfaces that behave as NICs do.

A veth leaves checksums out, receives in the sender's own time, and loses what comes back by XDP_TX
unless the other end runs a program too. Here it does none of that.
"""
import contextlib
import fcntl
import os
import pathlib

from host import BUILD, cgroup_mount, contents, go_first

CPUS = sorted(os.sched_getaffinity(0))

# The wire: the range set aside for benchmarks (RFC 2544), and the one for documentation (RFC 3849).
EDGE_V4, INTERNET_V4 = "198.18.0.1", "198.18.0.2"
EDGE_V6, INTERNET_V6 = "2001:db8::1", "2001:db8::2"
# Addresses of the internet that answer: every one of them is a host of its own to the edge.
LIVE_V4, LIVE_V6 = "10.0.0.0/8", "2001:db8:1000::/36"
# Addresses that are routed to, but nobody has: what a flood forges, so that no RST comes back.
DARK_V4, DARK_V6 = "172.16.0.0/12", "2001:db8:4000::/36"
# Where stories take their honest clients from.
CLIENTS_V4, CLIENTS_V6 = "10.1.0.0/16", "2001:db8:1001::/48"


class Wire:
    """A wire from a host's interface `near` to the internet's `far`."""

    def __init__(self, host, internet, near="eth0", far=None, program="internet"):
        """@program: of flood.bpf.c, at the internet's end."""
        self.host, self.internet, self.near, self.far = host, internet, near, far or near
        self.receivers = []  # threads that receive for the host
        host("ip", "link", "add", near, "type", "veth", "peer", "name", self.far, "netns",
             internet.holder.pid)
        host.sysctl(**{f"net__ipv4__conf__{near}__rp_filter": 2})
        for end, name in self.ends():
            # No wait for duplicate addresses on a wire with two ends.
            end.sysctl(**{f"net__ipv6__conf__{name}__accept_dad": 0,
                          f"net__ipv6__conf__{name}__accept_ra": 0})
            end("ethtool", "-K", name, "tx", "off", "gro", "on")
            end("ip", "link", "set", name, "up")
        internet("ip", "link", "set", "dev", self.far, "xdpdrv", "object",
                 BUILD / "bpf/flood.bpf.o", "program", program)

    def ends(self):
        return (self.host, self.near), (self.internet, self.far)

    def number(self):
        """Both ends get their addresses."""
        for (end, name), v4, v6 in zip(self.ends(), (EDGE_V4, INTERNET_V4), (EDGE_V6, INTERNET_V6)):
            end("ip", "addr", "add", f"{v4}/30", "dev", name)
            end("ip", "addr", "add", f"{v6}/64", "dev", name)

    def introduce(self):
        """The neighbours know each other, as if for long: a lost ARP answer is no lost connection."""
        (host, near), (internet, far) = self.ends()
        for address in (INTERNET_V4, INTERNET_V6):
            host("ip", "neigh", "replace", address, "lladdr", internet.mac(far), "dev", near)
        for address in (EDGE_V4, EDGE_V6):
            internet("ip", "neigh", "replace", address, "lladdr", host.mac(near), "dev", far)

    def receive_in_threads(self, urgent, far_cpu=None):
        """Polls the host's interface in a thread, on another CPU than floods are sent from.

        Else a veth's sender does its receiver's work too, and an attack slows down with its victim.
        @urgent: the thread goes before programs, as a NIC's interrupt does; else it takes turns with
        them, as the kernel's own does when there is more to receive than can be done.
        @far_cpu: where the internet's interface is polled likewise; else the host pays for what the
        internet receives.
        """
        self.receivers = self._thread(self.host, self.near, CPUS[-1], urgent)
        if far_cpu is not None:
            self._thread(self.internet, self.far, far_cpu, urgent)

    @staticmethod
    def _thread(end, name, cpu, urgent):
        """Polls the interface in a thread on @cpu, and returns who that is."""
        def threads():
            return {int(pid) for pid in os.listdir("/proc") if pid.isdigit()
                    and contents(pathlib.Path(f"/proc/{pid}/comm")).startswith(f"napi/{name}")}

        # Nothing says whose a thread is, but that it was not there before: one lab at a time.
        with alone_on(cgroup_mount()):
            before = threads()
            end("unshare", "--mount", "sh", "-c",
                f"mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/{name}/threaded")
            made = threads() - before
        for pid in made:
            os.sched_setaffinity(pid, {cpu})
            if urgent:
                go_first(pid)
        return made

    def receiving_ns(self):
        """CPU time so far of the threads that receive for the host, with all they do at once."""
        return sum(int(contents(pathlib.Path(f"/proc/{pid}/schedstat")).split()[0])
                   for pid in self.receivers)


@contextlib.contextmanager
def alone_on(folder):
    """No other lab on this machine does meanwhile what it does alone on this folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
