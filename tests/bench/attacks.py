# SPDX-License-Identifier: BSD-2-Clause
"""what clients see of each attack of the catalogue (tests/lab/catalogue.py): floodwall, nginx, HAProxy

Besides an oracle: Floodwall, told beforehand who attacks. What clients see of that is the least that there can be to see here.

Every turn is a lab of its own: an edge host on one CPU, with the subject, one thread, in front of the
same origin; on the other CPU an internet of honest clients, each a newcomer, and of attackers. The
clients ask before the attack begins ("unloaded"), soon after ("legit"), and when it has lasted for a while
("settled"): the first time tells what the others are compared with. Configurations are in tests/bench/attacks/; what is compared is in docs/attacks.md.
"""
import collections
import os
import pathlib
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "tests/bench/attacks"
sys.path.append(str(ROOT / "tests/lab"))

from authority import Authority  # noqa: E402
from catalogue import ATTACKERS, CATALOGUE, Range  # noqa: E402
from lab import BUILD, CPUS, LabError  # noqa: E402

CLIENT_RATE = 400  # connections a second
LEAD_SECONDS, QUICK_LEAD_SECONDS = 1.5, 0.5  # since the attack began
SETTLED_SECONDS, QUICK_SETTLED_SECONDS = 6, 1  # likewise: by then a deadline has cut off whom it was to; floods wait for none
CLIENT_SECONDS, QUICK_SECONDS = 3.5, 0.5  # seven half seconds, of 200 attempts each
PATIENCE_SECONDS = 2  # of clients: what a failed attempt took, at least
QUIET = 0.5  # programs that run besides
PORTS = ["0.0.0.0:80", "0.0.0.0:443"]
# To see that the suite works.
QUICK = {"slow_header", "slowhttptest_read", "h2_rapid_reset"}


def configure(lab, name):
    """A file of tests/bench/attacks, with the places of this lab in it."""
    path = lab.home / name
    path.write_text((CONFIGS / name).read_text().replace("@HOME@", str(lab.home))
                    .replace("@CGROUP@", str(lab.edge.cgroup)))
    return path


def start_floodwall(lab):
    path = configure(lab, "floodwall.conf")
    lab.floodwall("attach", "--config", path)
    return lab.edge.start(BUILD / "floodwalld", "--config", path)


def start_oracle(lab):
    process = start_floodwall(lab)
    lab.floodwall("block", ATTACKERS)
    return process


def start_nginx(lab):
    return lab.edge.start("nginx", "-p", lab.home, "-e", lab.home / "proxy.log", "-c",
                          configure(lab, "nginx.conf"), name="proxy")


def start_haproxy(lab):
    return lab.edge.start("haproxy", "-db", "-f", configure(lab, "haproxy.cfg"), name="proxy")


SUBJECTS = {"floodwall": start_floodwall, "nginx": start_nginx, "haproxy": start_haproxy, "oracle": start_oracle}


class Busy:
    """What a CPU does from here on, whoever it does it for."""

    def __init__(self, cpu):
        self.cpu = cpu
        self.before = self._ticks()

    def _ticks(self):
        """(busy, all) since the machine was started."""
        line = next(line for line in pathlib.Path("/proc/stat").read_text().splitlines()
                    if line.startswith(f"cpu{self.cpu} "))
        user, nice, system, idle, waiting, *rest = map(int, line.split()[1:9])
        busy = user + nice + system + sum(rest)
        return busy, busy + idle + waiting

    def share(self):
        busy, whole = (now - before for now, before in zip(self._ticks(), self.before))
        return busy / max(whole, 1)


class Watch:
    """The subject's processes meanwhile: whether they live, and the most memory that they had.

    What several of them share is divided among them (Pss), which the kernel walks through all their
    memory for, under a lock that they wait for, too: that is asked once, before the attack. Then it is
    their RSS that is looked at, a figure that the kernel has at hand, less what was shared.
    """

    def __init__(self, process):
        self.pids, self.peak_kb, self.over = [process.pid], 0, threading.Event()
        for pid in self.pids:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
            self.pids += map(int, children.split())
        self.shared_kb = sum(self._resident_kb(pid) - self._memory_kb(pid) for pid in self.pids)
        self.crashed = False
        self.thread = threading.Thread(target=self._look)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _look(self):
        while not self.over.wait(0.2):
            try:
                self.peak_kb = max(self.peak_kb, sum(map(self._resident_kb, self.pids)) - self.shared_kb)
            except (OSError, StopIteration):  # a zombie has no memory
                self.crashed = True

    @staticmethod
    def _resident_kb(pid):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    @staticmethod
    def _memory_kb(pid):
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


Served = collections.namedtuple("Served", "success p99 steady_p99")  # a share; ms


def clients(lab, attack, seconds):
    """One round of honest clients: which share is served, and two 99th percentiles: of all, and the median of those of
    each half second."""
    result = lab.legitimate(attack, rate=CLIENT_RATE, seconds=seconds,
                            timeout=PATIENCE_SECONDS).result()
    if result["errors"]["local"]:
        raise RuntimeError(f"{attack}: the clients failed by themselves: {result}")
    return Served(result["ok"] / result["attempts"],
                  *(PATIENCE_SECONDS * 1e3 if result[name] is None else result[name]
                    for name in ("p99_ms", "steady_p99_ms")))


def measure(attack, start, quick, blocked=False):
    """One subject under one attack: {metric: (value, unit)}. @blocked: no attacker is to come through."""
    lead = QUICK_LEAD_SECONDS if quick else LEAD_SECONDS
    settled_after = 0 if attack.floods else QUICK_SETTLED_SECONDS if quick else SETTLED_SECONDS
    seconds = QUICK_SECONDS if quick else CLIENT_SECONDS
    with Range() as lab:
        certificate = Authority(lab.home).issue("web", ["web.test"])
        (lab.home / "both.pem").write_text(certificate.pem.read_text() + certificate.key.read_text())
        lab.origin()
        process = start(lab)
        lab.wait_listening(process, PORTS)
        clients(lab, attack, QUICK_SECONDS)  # the first ones find everything cold
        with Watch(process) as watch:  # which takes time of the clients' CPU, before the attack as well
            unloaded = clients(lab, attack, seconds)
            if unloaded.success < 0.99:
                raise RuntimeError(f"{attack}: {unloaded.success:.2%} are served before the attack begins")
            begun = time.monotonic()
            attackers = attack.start(lab, settled_after + 2 * (seconds + PATIENCE_SECONDS) + 1, 0.1 if quick else 1)
            time.sleep(lead)
            edge, internet = Busy(lab.edge.cpu), Busy(lab.internet.cpu)
            legit = clients(lab, attack, seconds)
            edge_busy, internet_busy = edge.share(), internet.share()
            time.sleep(max(0, begun + settled_after - time.monotonic()))
            settled = clients(lab, attack, seconds)
            said = attack.stop(attackers)
            if blocked and said.get("established"):
                raise RuntimeError(f"{attack}: attackers who are blocked have had connections: {said}")
    return {**{f"{phase}_{metric}": (value, unit)
               for phase, served in (("legit", legit), ("unloaded", unloaded), ("settled", settled))
               for metric, value, unit in (("success", served.success, "share"), ("p99_ms", served.p99, "ms"),
                                           ("steady_p99_ms", served.steady_p99, "ms"))},
            "rss_mb": (watch.peak_kb / 1024, "MB"),
            "crashed": (int(watch.crashed), "crashes"),
            "edge_busy": (edge_busy, "share"), "internet_busy": (internet_busy, "share")}


def run(record, quick):
    load = os.getloadavg()[0]
    os.sched_setaffinity(0, {CPUS[0]})  # what this program does itself is not done on the edge
    for attack in CATALOGUE:
        if quick and attack.name not in QUICK:
            continue
        for name, start in SUBJECTS.items():
            try:
                figures = measure(attack, start, quick, blocked=start is start_oracle)
            except (AssertionError, LabError) as error:
                raise RuntimeError(f"{attack}: {name}: {error}") from error
            for metric, (value, unit) in figures.items():
                record(attack.name, name, metric, value, unit)
    return [f"{load:.1f} other programs ran when this began: measure again on a quiet machine"] * (load > QUIET)
