# SPDX-License-Identifier: BSD-2-Clause
"""what clients see of a SYN flood from forged addresses: the filter, SYN cookies, synproxy, nothing

Every turn is a lab of its own (tests/lab/lab.py, clients apart): an edge host with nginx on one CPU;
on the other an internet of honest clients, a newcomer for every connection, and a generator whose
sources are drawn from all unicast addresses. The attack comes by one interface of the edge and the
clients by another, both with the same protection, as by two queues of a NIC. What is compared, and
what counts as handled, is in docs/bench.md.
"""
import itertools
import json
import os
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/lab"))

from lab import BUILD, EDGE_V4, EDGE_V6, Lab, LabError, wait_until  # noqa: E402

# name → destination, where the flood is from, where the clients of a lab's n-th flood are from
FAMILIES = {"v4": (f"{EDGE_V4}:80", "0.0.0.0/0", "10.{}.0.0/16"),
            "v6": (f"[{EDGE_V6}]:80", "::/0", "2001:db8:100{}::/48")}
# SYNs a second besides full speed. Every round measures full speed and one of these.
SWEEP = [125_000, 250_000, 500_000, 1_000_000]
ROUNDS = len(SWEEP)
LEAD_SECONDS = 0.7  # of attack before the first client comes
CLIENT_SECONDS, QUICK_CLIENT_SECONDS = 2, 0.5
CLIENT_RATE = 1000  # connections a second
QUIET = 0.5  # programs that run besides
PATIENCE_SECONDS = 3  # client.c's default: what a failed attempt took, at least

POLICY = """
filter { interfaces = {"eth0", "eth1"}  cgroup = "@CGROUP@" }
service web { bind = {"*:80"} }
"""
# As nft(8) and the wiki of nftables have it; MSS and window scale are the server's own.
SYNPROXY = """
table inet flood {
	chain raw { type filter hook prerouting priority raw;
		tcp dport 80 tcp flags syn notrack; }
	chain input { type filter hook input priority filter;
		meta nfproto ipv4 tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm;
		meta nfproto ipv6 tcp dport 80 ct state invalid,untracked synproxy mss 1440 wscale 7 timestamp sack-perm;
		ct state invalid drop; }
}
"""


class Subject:
    """A protection: how the edge gets it, and what it says that it has handled so far."""

    def __init__(self, lab):
        self.lab, self.floods = lab, itertools.count(1)

    def handled(self):
        """SYNs of the attack that were answered: what went out by its wire, but for repetitions."""
        wire, stack = self.lab.edge.wire("eth0")["tx"], self.lab.edge.stack()
        return wire["packets"] + wire["dropped"] - stack["TcpRetransSegs"]


class Floodwall(Subject):
    def __init__(self, lab):
        super().__init__(lab)
        attached = lab.floodwall("attach", "--config", lab.configure(POLICY))["interfaces"]
        if any(interface["tier"] != "own" for interface in attached):
            raise LabError(f"no SYN cookies in XDP on this kernel: {attached[0]['tier_why']}")

    def handled(self):
        """Answered or dropped for a reason."""
        web = {row["name"]: row for row in self.lab.status()["services"]}["web"]
        return web["answered"] + sum(web["reasons"].values())


class Oracle(Subject):
    PINS = "/sys/fs/bpf"

    def __init__(self, lab):
        super().__init__(lab)
        lab.edge("bpftool", "prog", "load", BUILD / "bpf/oracle.bpf.o", f"{self.PINS}/oracle",
                 "pinmaps", self.PINS)
        for name in ("eth0", "eth1"):
            lab.edge("ip", "link", "set", "dev", name, "xdpdrv", "pinned", f"{self.PINS}/oracle")

    def handled(self):
        """Dropped."""
        dump = self.lab.edge("bpftool", "-j", "map", "dump", "pinned", f"{self.PINS}/oracle_dropped")
        return sum(cpu["value"] for cpu in json.loads(dump.stdout)[0]["formatted"]["values"])


class KernelSyncookies(Subject):
    """Debian's default; the queue of nginx' listeners is nginx' default too, 511."""

    def __init__(self, lab):
        super().__init__(lab)
        lab.edge.sysctl(net__ipv4__tcp_syncookies=1)


class NftSynproxy(Subject):
    def __init__(self, lab):
        super().__init__(lab)
        lab.edge("nft", "-f", "-", text=SYNPROXY)
        lab.edge.sysctl(net__netfilter__nf_conntrack_tcp_loose=0)


class Nothing(Subject):
    def __init__(self, lab):
        super().__init__(lab)
        lab.edge.sysctl(net__ipv4__tcp_syncookies=0)


SUBJECTS = {"floodwall": Floodwall, "oracle": Oracle, "kernel-syncookies": KernelSyncookies,
            "nft-synproxy": NftSynproxy, "none": Nothing}


class Reading:
    """What the counters say at one moment, or in the time between two."""

    def __init__(self, subject):
        self.handled, self.cpu_ns = subject.handled(), subject.lab.receiving_ns()
        self.received = subject.lab.edge.wire("eth0")["rx"]["packets"]

    def __sub__(self, earlier):
        span = object.__new__(Reading)
        for name, value in vars(self).items():
            setattr(span, name, value - getattr(earlier, name))
        return span


def measure(subject, family, rate, seconds):
    """One flood and the clients meanwhile: {metric: (value, unit)}."""
    destination, forged, honest = FAMILIES[family]
    attempts = int(CLIENT_RATE * seconds)
    before = Reading(subject)
    flood = subject.lab.flood(destination=destination, source_prefix=forged, rate=rate,
                              seconds=LEAD_SECONDS + seconds + PATIENCE_SECONDS + 1)
    wait_until(lambda: subject.lab.edge.wire("eth0")["rx"]["packets"] > before.received + 1000,
               "the flood arrives")
    time.sleep(LEAD_SECONDS)
    clients = subject.lab.clients(destination=destination, rate=CLIENT_RATE, seconds=seconds,
                                  source_prefix=honest.format(next(subject.floods)),
                                  sources=attempts).result()
    flood.kill(signal.SIGTERM)
    sent = flood.result()
    span = Reading(subject) - before
    if clients["attempts"] != attempts or clients["errors"]["local"]:
        raise RuntimeError(f"{destination}: the clients failed by themselves: {clients}")
    # Newcomers all: a filter that answers counts them too.
    handled = max(0, span.handled - (attempts if isinstance(subject, Floodwall) else 0))
    if handled > 1.01 * span.received:
        raise RuntimeError(f"{destination}: {handled} SYNs handled, {span.received} received")
    latency = {name: PATIENCE_SECONDS * 1e3 if clients[name] is None else clients[name]
               for name in ("p50_ms", "p99_ms")}
    return {"legit_success": (clients["ok"] / attempts, "share"),
            "legit_p50_ms": (latency["p50_ms"], "ms"), "legit_p99_ms": (latency["p99_ms"], "ms"),
            "syn_handled_per_s": (handled / sent["seconds"], "1/s"),
            "syn_cpu_ns": (span.cpu_ns / max(handled, 1), "ns"),
            "received_pps": (span.received / sent["seconds"], "1/s"),
            "offered_pps": (sent["offered_pps"], "1/s")}


def case(family, rate):
    return f"spoofed_{family}" + (f"_{rate // 1000}k" if rate else "")


def clients_lost(lab):
    """Packets that the clients' wire had no room for, either way."""
    edge, internet = lab.edge.wire("eth1"), lab.internet.wire("eth1")
    return edge["rx"]["dropped"] + edge["tx"]["dropped"] + internet["tx"]["dropped"]


def notes(load, absent, lost):
    """What a reader of the table must know: what it does not show, and what else was in it."""
    if load > QUIET:
        yield f"{load:.1f} other programs ran when this began: measure again on a quiet machine"
    for name, error in absent.items():
        yield f"{name}: NOT MEASURED: {error}"
    for name, count in lost.items():
        if count:
            yield f"{name}: the clients' own wire lost {count} packets, for want of CPU"


def turn(subject, rates, seconds, record):
    """One subject's turn, in its lab."""
    for rate in rates:
        for family in FAMILIES:
            for metric, (value, unit) in measure(subject, family, rate, seconds).items():
                record(case(family, rate), metric, value, unit)


def run(record, quick):
    seconds = QUICK_CLIENT_SECONDS if quick else CLIENT_SECONDS
    load, absent, lost = os.getloadavg()[0], {}, dict.fromkeys(SUBJECTS, 0)
    for extra in SWEEP[:1] if quick else SWEEP:
        for name, protect in SUBJECTS.items():
            if name in absent:
                continue
            with Lab(apart=True) as lab:
                lab.nginx(["0.0.0.0:80", "[::]:80"])
                try:
                    subject = protect(lab)
                except LabError as error:
                    absent[name] = error
                    continue
                try:
                    turn(subject, (None,) if quick else (extra, None), seconds,
                         lambda row, *figure: record(row, name, *figure))
                except (AssertionError, LabError) as error:
                    raise RuntimeError(f"{name}: {error}") from error
                lost[name] += clients_lost(lab)
    return list(notes(load, absent, lost))
