# SPDX-License-Identifier: BSD-2-Clause
"""What else the machine did meanwhile: a busy one measures itself, not the subjects."""
import os
import time

USER_HZ = os.sysconf("SC_CLK_TCK")


class Watch:
    """Tells, since it was made, how much of some CPUs went to work that is not ours."""

    def __init__(self, cores, servers):
        """@servers: those whose work is ours."""
        self.cores, self.servers = cores, servers
        self.start, self.busy, self.own = time.monotonic(), self._busy(), self._own()

    def others(self):
        """Share of the CPUs' time, 0 to 1."""
        elapsed = (time.monotonic() - self.start) * len(self.cores)
        foreign = (self._busy() - self.busy) - (self._own() - self.own)
        return max(0.0, foreign / elapsed)

    def _busy(self):
        names, total = {f"cpu{core}" for core in self.cores}, 0
        with open("/proc/stat") as stat:
            for words in map(str.split, stat):
                if words[0] in names:
                    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
                    total += user + nice + system + irq + softirq + steal
        return total / USER_HZ

    def _own(self):
        """This process, the children it has waited for, and the servers that still run."""
        return sum(os.times()[:4]) + sum(s.cpu_ns() for s in self.servers) / 1e9
