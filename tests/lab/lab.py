# SPDX-License-Identifier: BSD-2-Clause
"""The lab: an edge host and "the internet", joined by one wire, on one machine.

    with Lab() as lab:
        lab.nginx(listen=["0.0.0.0:80", "[::]:80"])
        lab.floodwall("attach", "eth0")
        flood = lab.flood(destination=EDGE_V4 + ":80", source_prefix=DARK_V4, seconds=5)
        print(lab.clients(destination=EDGE_V4 + ":80", seconds=5).result(), flood.result())

Nothing of it can stay behind. Both hosts are namespaces without a name, which end with the process
that holds them open; the edge's bpffs (so: every pin) is mounted in a private mount namespace and
ends with it; every process started here is in the lab's own cgroup. The holder waits for the end of
a pipe from this program, however that ends (return, exception, Ctrl-C, kill -9), then kills the
cgroup and removes it and the lab's folder. Labs don't see each other: any number may run at once.

Left out: what is done in a lab (test_*.py, demo.py, tests/bench).
"""
import collections
import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("FLOODWALL_BUILD", ROOT / "build")).resolve()

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

BODY = "The origin is here, and it answers with exactly 64 bytes: hi. \r\n"
BIG_SIZE = 32 << 20
assert len(BODY) == 64

# Nobody is there to ask for names: who asks is to hear that at once.
HOLDER = """
[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf
mount -t bpf bpf /sys/fs/bpf && ip link set lo up && echo ready || exit 1
read -r _
[ -n "$1" ] || exit 0
echo 1 >"$1/cgroup.kill"
tries=0
until rmdir "$1"/*/ "$1" 2>/dev/null || [ ! -e "$1" ] || [ $tries -ge 100 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
rm -rf "$2"
"""

# As Debian 12 ships it, but for paths and what it listens on.
NGINX = """
user www-data;
worker_processes auto;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{
	worker_connections {worker_connections};
}}
http {{
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	access_log {home}/access.log;
	gzip on;
	client_body_temp_path {home}/body;
	proxy_temp_path {home}/proxy;
	fastcgi_temp_path {home}/fastcgi;
	uwsgi_temp_path {home}/uwsgi;
	scgi_temp_path {home}/scgi;
	server {{
		{listen}
		root {home}/root;
		index index.html;
		{extra}
	}}
}}
"""


class LabError(Exception):
    """The lab itself could not do what it was asked."""


def wait_until(condition, what, seconds=10.0, pause=0.02):
    """Returns what `condition` returns, once that is true; fails with `what` if it never is."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not so: {what} (last: {value!r})")
        time.sleep(pause)


def _read(path):
    """A file of /proc; empty when its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""


def cgroup_mount():
    """Where cgroup v2 is mounted, whatever the machine's layout."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return pathlib.Path(fields[1])
    raise LabError("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup")


@contextlib.contextmanager
def _alone_on(folder):
    """No other lab on this machine does meanwhile what it does alone on this folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _go_first(pid):
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
        self.numbers = itertools.count(1)
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
        return Process(self.command(*command), self.home, name)

    def sysctl(self, **settings):
        """sysctl(net__ipv4__tcp_syncookies=1)"""
        for name, value in settings.items():
            self("sysctl", "-q", "-w", f"{name.replace('__', '.')}={value}")

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


class Lab:
    """Both hosts, and the programs that people and attackers run on them."""

    numbers = itertools.count(1)
    HOSTS = ("edge", "internet")

    def __init__(self, apart=False):
        """@apart: the clients have a wire of their own, and each host has a CPU of its own, where
        the clients go before the attackers. What they see then tells of the edge alone."""
        self.apart = apart
        self.receivers = []  # threads that receive for the edge

    def __enter__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="floodwall-lab-"))
        self.home.chmod(0o755)
        self.cgroup = cgroup_mount() / f"floodwall-lab-{os.getpid()}-{next(Lab.numbers)}"
        self.hosts = []
        try:
            for name in self.HOSTS:
                (self.cgroup / name).mkdir(parents=True)
            self.edge = self._host("edge", janitor=True)
            self.internet = self._host("internet", janitor=False)
            if self.apart:
                self.edge.cpu, self.internet.cpu = CPUS[-1], CPUS[0]
            self._join()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for host in reversed(self.hosts):
            host.release()
        # The first host does this; only when it could not be made is there anything left.
        shutil.rmtree(self.home, ignore_errors=True)
        for folder in (*(self.cgroup / name for name in self.HOSTS), self.cgroup):
            if folder.exists():
                folder.rmdir()

    def _host(self, name, janitor):
        host = Host(name, self.home, self.cgroup / name, janitor)
        self.hosts.append(host)
        return host

    def _join(self):
        edge, internet = self.edge, self.internet
        # A network namespace takes over what the machine has set; these are Debian's own.
        edge.sysctl(net__ipv4__tcp_syncookies=1, net__ipv4__conf__all__rp_filter=0)
        self._lay_wire("eth0", "deaf" if self.apart else "internet")
        edge("ip", "addr", "add", f"{EDGE_V4}/30", "dev", "eth0")
        edge("ip", "addr", "add", f"{EDGE_V6}/64", "dev", "eth0")
        internet("ip", "addr", "add", f"{INTERNET_V4}/30", "dev", "eth0")
        internet("ip", "addr", "add", f"{INTERNET_V6}/64", "dev", "eth0")
        # The internet has every live address (AnyIP), and none of the dark ones.
        for prefix in (LIVE_V4, LIVE_V6):
            internet("ip", "route", "add", "local", prefix, "dev", "lo")
        internet.sysctl(net__ipv4__ip_nonlocal_bind=1, net__ipv6__ip_nonlocal_bind=1)
        self.gateway = edge.mac()
        self._introduce("eth0")
        # A way back to every address there is: without it the kernel would drop forged SYNs early.
        edge("ip", "route", "add", "default", "via", INTERNET_V4)
        edge("ip", "-6", "route", "add", "default", "via", INTERNET_V6)
        if self.apart:
            self._lay_clients_wire()

    def _lay_wire(self, name, program):
        """A wire between interfaces of this name. The internet's end runs a program of flood.bpf.c:
        what is sent back by XDP_TX arrives only where one does."""
        edge, internet = self.edge, self.internet
        edge("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns",
             internet.holder.pid)
        edge.sysctl(**{f"net__ipv4__conf__{name}__rp_filter": 2})
        for host in (edge, internet):
            # No wait for duplicate addresses on a wire with two ends.
            host.sysctl(**{f"net__ipv6__conf__{name}__accept_dad": 0,
                           f"net__ipv6__conf__{name}__accept_ra": 0})
            # A veth leaves checksums out, and polls for packets only if told: a NIC does neither.
            host("ethtool", "-K", name, "tx", "off", "gro", "on")
            host("ip", "link", "set", name, "up")
        self._receive_in_a_thread(name)
        internet("ip", "link", "set", "dev", name, "xdpdrv", "object",
                 BUILD / "bpf/flood.bpf.o", "program", program)

    def _introduce(self, name):
        """The neighbours know each other, as if for long: a lost ARP answer is no lost connection."""
        for host, addresses, other in ((self.edge, (INTERNET_V4, INTERNET_V6), self.internet),
                                       (self.internet, (EDGE_V4, EDGE_V6), self.edge)):
            for address in addresses:
                host("ip", "neigh", "replace", address, "lladdr", other.mac(name), "dev", name)

    def _lay_clients_wire(self):
        """The live addresses come and go by a wire of their own, to the same address of the edge.

        As on a NIC with several queues: what a flood's queue has no room for is not theirs.
        """
        edge, internet = self.edge, self.internet
        self._lay_wire("eth1", "internet")
        self._introduce("eth1")
        for address, live, via in ((EDGE_V4, LIVE_V4, INTERNET_V4), (EDGE_V6, LIVE_V6, INTERNET_V6)):
            internet("ip", "route", "add", address, "dev", "eth1")
            edge("ip", "route", "add", via, "dev", "eth1", "metric", 1)
            edge("ip", "route", "add", live, "via", via, "dev", "eth1", "onlink")

    def _receive_in_a_thread(self, name):
        """Polls an interface of the edge in a thread, on another CPU than floods are sent from.

        Else a veth's sender does its receiver's work too, and an attack slows down with its victim.
        The thread goes before programs, as a NIC's interrupt does. With the clients apart that is
        so for theirs alone, as a queue with little in it soon has its turn; the other takes turns
        with programs, as the kernel's own does when there is more to receive than can be done.
        """
        def threads():
            return {int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/comm")
                    if _read(path).startswith(f"napi/{name}")}

        # Nothing says whose a thread is, but that it was not there before: one lab at a time.
        with _alone_on(cgroup_mount()):
            before = threads()
            self.edge("unshare", "--mount", "sh", "-c",
                      f"mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/{name}/threaded")
            made = threads() - before
        for pid in made:
            os.sched_setaffinity(pid, {CPUS[-1]})
            if name == "eth1" or not self.apart:
                _go_first(pid)
            self.receivers.append(pid)

    def receiving_ns(self):
        """CPU time so far of the threads that receive for the edge, with all they do at once."""
        return sum(int(_read(pathlib.Path(f"/proc/{pid}/schedstat")).split()[0])
                   for pid in self.receivers)

    # --- on the internet ---------------------------------------------------------------------

    def _program(self, name, options, *wrapper):
        command = [*wrapper, BUILD / "tests/lab" / name, "--json"]
        for option, value in options.items():
            if value is True:
                command.append("--" + option.replace("_", "-"))
            elif value is not None and value is not False:
                command += ["--" + option.replace("_", "-"), value]
        return self.internet.start(*command, name=name)

    def flood(self, **options):
        """Starts a packet flood (flood.c); .result() says what was sent."""
        return self._program("flood", {"interface": "eth0", "gateway": self.gateway, **options},
                             "taskset", "-c", CPUS[0])

    def attack(self, **options):
        """Starts an attack of connections (attack.c)."""
        return self._program("attack", options)

    def clients(self, **options):
        """Starts honest clients (client.c), who expect nginx()'s page."""
        process = self._program("client", {"body_file": self._page(), **options})
        if self.apart:
            _go_first(process.pid)
        return process

    # --- on the edge -------------------------------------------------------------------------

    def _page(self):
        page = self.home / "page"
        if not page.exists():
            page.write_bytes(BODY.encode())
        return page

    def nginx(self, listen, worker_connections=768, extra=""):
        """nginx as Debian ships it, with a page of 64 bytes at / and a large file at /big."""
        home = self.home / f"nginx-{next(self.edge.numbers)}"
        (home / "root").mkdir(parents=True)
        (home / "root/index.html").write_bytes(BODY.encode())
        with (home / "root/big").open("wb") as big:
            big.truncate(BIG_SIZE)
        lines = [f"listen {address}{' ipv6only=on' if '[' in address else ''};" for address in listen]
        (home / "nginx.conf").write_text(NGINX.format(
            home=home, listen=" ".join(lines), worker_connections=worker_connections, extra=extra))
        process = self.edge.start("nginx", "-p", home, "-e", home / "error.log", "-c",
                                  home / "nginx.conf", "-g", "daemon off;", name="nginx")
        self.wait_listening(process, listen)
        return process

    def nginx_alerts(self, text):
        """How many lines of nginx's error logs say `text`."""
        return sum(log.read_text(errors="replace").count(text)
                   for log in self.home.glob("nginx-*/error.log"))

    def wait_listening(self, process, addresses):
        """Until something listens on the ports of all of these "ADDRESS:PORT"."""
        ports = {address.rsplit(":", 1)[1] for address in addresses}

        def listening():
            if not process.running():
                raise LabError(f"{process.name} ended: {process.out.read_text()}"
                               f"{process.err.read_text()}")
            lines = self.edge("ss", "-Hltn").stdout.splitlines()
            return ports <= {line.split()[3].rsplit(":", 1)[1] for line in lines}

        wait_until(listening, f"{process.name} listens on {', '.join(sorted(ports))}")

    def pids(self, name):
        """Processes of the edge whose command is `name`."""
        return [int(pid) for pid in _read(self.edge.cgroup / "cgroup.procs").split()
                if _read(pathlib.Path(f"/proc/{pid}/comm")).strip() == name[:15]]

    def floodwall(self, *arguments, check=True):
        """Runs the CLI with --json; returns what it printed, or None if that was nothing."""
        done = self.edge(BUILD / "floodwall", *arguments, "--json", check=check)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def configure(self, text):
        """Writes the configuration file, "@CGROUP@" standing for the edge's; returns its path."""
        path = self.home / "floodwall.conf"
        path.write_text(text.replace("@CGROUP@", str(self.edge.cgroup)))
        return path

    def floodwalld(self, text, listen=("0.0.0.0:80",), attach=False):
        """Starts the daemon with this configuration, the filter attached first if wanted."""
        path = self.configure(text)
        if attach:
            self.floodwall("attach", "--config", path)
        process = self.edge.start(BUILD / "floodwalld", "--config", path)
        self.wait_listening(process, listen)
        return process

    def status(self):
        """What `floodwall status` says; attached or not."""
        return json.loads(self.edge(BUILD / "floodwall", "status", "--json", check=False).stdout)

    def _sum(self, figure):
        total = collections.Counter()
        for service in self.status()["services"]:
            total.update(service[figure])
        return dict(total)

    def drops(self):
        """What was dropped or refused, by reason, of all services together."""
        return self._sum("reasons")

    def would(self):
        """What rules in monitor mode would have dropped, by reason."""
        return self._sum("would")

    def holders(self, service, by="source"):
        """Who holds connections to this service: {"10.0.0.1": 3, …}, most first."""
        rows = self.floodwall("top", "--once", "--by", by, "-n", 10000)["connections"]
        return {row["source"]: row["connections"] for row in rows if row["service"] == service}
