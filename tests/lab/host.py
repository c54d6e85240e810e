# SPDX-License-Identifier: BSD-2-Clause
"""A host of the lab: its namespaces, its cgroup, and the programs that run there.

    done = host("ip", "link")                  # waits for the end; LabError if that is not well
    server = host.start("nginx", "-g", ...)    # a Process: .running(), .kill(), .stop(), .result()
    host.sysctl(net__ipv4__tcp_syncookies=1)
    host.stack()["TcpInSegs"]; host.wire()["rx"]["packets"]

A host's namespaces have no name: they end with the process that holds them open (HOLDER), and so
does whatever was mounted or pinned in them.
"""
import contextlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("FLOODWALL_BUILD", ROOT / "build")).resolve()

# Nobody is there to ask for names: who asks is to hear that at once. What sockets still hold to send that nobody
# will take any more would be the machine's memory for TCP for minutes, and so the next lab's.
HOLDER = """
[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf
mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs run /run && ip link set lo up && echo ready || exit 1
read -r _
if [ -z "$1" ]; then
	ss --kill --all --tcp >/dev/null
	exit 0
fi
echo 1 >"$1/cgroup.kill"
tries=0
until rmdir "$1"/*/ "$1" 2>/dev/null || [ ! -e "$1" ] || [ $tries -ge 100 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
ss --kill --all --tcp >/dev/null
rm -rf "$2"
"""


class LabError(Exception):
    """The lab itself could not do what it was asked."""


# How much longer everything may take on a machine that is so much slower: an emulated CPU.
PATIENCE = float(os.environ.get("TEST_PATIENCE", 1))


def wait_until(condition, what, seconds=10.0, pause=0.02):
    """Returns what `condition` returns, once that is true; fails with `what` if it never is."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not so: {what} (last: {value!r})")
        time.sleep(pause)


def contents(path):
    """A file of /proc; empty when its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


@contextlib.contextmanager
def frozen(pid):
    """A process does nothing meanwhile. A signal reaches one of its threads, which stops the others in its own time: so it
    is waited for until each has stopped."""
    def stopped():
        return all(contents(task / "stat").rpartition(")")[2].split()[:1] == ["T"]
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir())

    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(stopped, f"process {pid} has stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cgroup_mount():
    """Where cgroup v2 is mounted, whatever the machine's layout."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return pathlib.Path(fields[1])
    raise LabError("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup")


def go_first(pid):
    """Before all that is not urgent, as far as this machine allows it."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:  # a container without real-time priorities
        os.setpriority(os.PRIO_PROCESS, pid, -20)


class Process:
    """A program that runs in the lab, its output kept in files."""

    def __init__(self, command, home, name):
        self.name = name
        self.out, self.err = home / f"{name}.out", home / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=err, start_new_session=True)
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def kill(self, number=signal.SIGKILL):
        """Sends a signal, and with SIGKILL waits for the end."""
        if self.running():
            self.popen.send_signal(number)
        if number == signal.SIGKILL:
            self.popen.wait(10)

    def stop(self, seconds=20):
        """Asks it to end, and returns its exit status."""
        self.kill(signal.SIGTERM)
        return self.popen.wait(seconds)

    def result(self, seconds=120):
        """Waits for the end, and returns what it printed as JSON."""
        status = self.popen.wait(seconds)
        text = self.out.read_text()
        if status != 0:
            raise LabError(f"{self.name}: exit status {status}: {text}{self.err.read_text()}")
        return json.loads(text)


class Host:
    """One side of the wire: runs commands there. `host("ip", "link")` waits for the end."""

    def __init__(self, name, home, cgroup, janitor):
        self.name, self.home, self.cgroup, self.cpu = name, home, cgroup, None
        self.numbers, self.processes = itertools.count(1), []
        arguments = [str(cgroup.parent), str(home)] if janitor else ["", ""]
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", HOLDER, "holder"]
            + arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        if self.holder.stdout.readline() != b"ready\n":
            raise LabError(f"can't make the namespaces of {name}: run as root")

    def command(self, *command):
        """The command line that runs `command` on this host, in its cgroup, on its CPU if it has one."""
        pinned = [] if self.cpu is None else ["taskset", "-c", str(self.cpu)]
        return [*pinned, "nsenter", "--target", str(self.holder.pid), "--mount", "--net", "--",
                "sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.cgroup / "cgroup.procs"),
                *map(str, command)]

    def __call__(self, *command, check=True, seconds=60, text=None):
        done = subprocess.run(self.command(*command), input=text, capture_output=True, text=True,
                              timeout=seconds, start_new_session=True)
        if check and done.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(map(str, command))}: exit status "
                           f"{done.returncode}: {done.stdout}{done.stderr}".rstrip())
        return done

    def start(self, *command, name=None):
        name = f"{self.name}-{name or pathlib.Path(command[0]).name}-{next(self.numbers)}"
        self.processes.append(Process(self.command(*command), self.home, name))
        return self.processes[-1]

    def sysctl(self, **settings):
        """sysctl(net__ipv4__tcp_syncookies=1)"""
        for name, value in settings.items():
            self("sysctl", "-q", "-w", f"{name.replace('__', '.')}={value}")

    @contextlib.contextmanager
    def nft(self, table):
        """A table of nftables is in force for a while: "table inet NAME { … }"."""
        self("nft", "-f", "-", text=table)
        try:
            yield
        finally:
            self("nft", "delete", "table", *table.split()[1:3])

    def stack(self):
        """The kernel's own counters of this host: {"TcpExtListenDrops": 3, …}."""
        counters = {}
        for file in ("snmp", "netstat"):
            lines = self("cat", f"/proc/net/{file}").stdout.splitlines()
            for names, values in zip(lines[::2], lines[1::2]):
                kind = names.split(":")[0]
                counters.update((kind + name, int(value)) for name, value in
                                zip(names.split()[1:], values.split()[1:]))
        return counters

    def wire(self, name="eth0"):
        """An interface's counters: {"rx": {"packets": …, "dropped": …}, "tx": …}."""
        return json.loads(self("ip", "-j", "-s", "link", "show", "dev", name).stdout)[0]["stats64"]

    def mac(self, name="eth0"):
        return json.loads(self("ip", "-j", "link", "show", "dev", name).stdout)[0]["address"]

    def release(self):
        self.holder.stdin.close()
        self.holder.wait(30)
