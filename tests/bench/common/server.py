# SPDX-License-Identifier: BSD-2-Clause
"""A server process of a suite: started on one core, ready when its port answers, always stopped."""
import os
import pathlib
import socket
import subprocess
import time

READY_SECONDS = 15
STOP_SECONDS = 10


class Server:
    def __init__(self, name, command, port, core, log, cgroup=None):
        """@log: file for what it says. @cgroup: directory of the cgroup it shall run in."""
        self.name, self.port, self.log = name, port, log
        enter = f"echo $$ > {cgroup}/cgroup.procs && " if cgroup else ""
        script = f'{enter}exec taskset -c {core} "$@"'
        with log.open("w") as out:
            self.process = subprocess.Popen(["/bin/sh", "-c", script, "sh", *map(str, command)],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def wait_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: "
                                   f"{self.log.read_text().strip()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not listen on port {self.port} after "
                           f"{READY_SECONDS} s: {self.log.read_text().strip()[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu_ns(self):
        """CPU time so far of the process and its living descendants, all threads."""
        total = 0
        for pid in self.family():
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(task.read_text().split()[0])
        return total

    def resident_bytes(self):
        """Memory of all its processes; what several of them share counts once."""
        total = 0
        for pid in self.family():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) << 10
        return total

    def family(self):
        """Process numbers: its own, and those of its living descendants."""
        children = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2]
            except OSError:  # it has just ended
                continue
            children.setdefault(int(rest.split()[1]), []).append(pid)
        family = [self.process.pid]
        for pid in family:
            family += children.get(pid, [])
        return family
