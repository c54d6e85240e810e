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
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

from host import BUILD, ROOT, Host, LabError, cgroup_mount, contents, frozen, go_first, wait_until  # noqa: F401
from wire import (CLIENTS_V4, CLIENTS_V6, CPUS, DARK_V4, DARK_V6, EDGE_V4, EDGE_V6,  # noqa: F401
                  INTERNET_V4, INTERNET_V6, LIVE_V4, LIVE_V6, Wire)

# What a supervisor says of a child that ended of itself, or that hung. SIGKILL is what stories use.
CRASHED = re.compile(r".*process \d+ (?:was killed by signal (?:4|6|7|8|11|31) |ended by itself, status [1-9]"
                     r"|has not answered for ).*")
CRASHES = {4, 6, 7, 8, 11, 31}  # signals: of who does what he can't or may not

# What sockets hold is the whole machine's, on which other stories are told: only who sets less is to notice it.
SOCKET_MEMORY = 'socket_memory = "1024g"'

BODY = "The origin is here, and it answers with exactly 64 bytes: hi. \r\n"
BIG_SIZE = 32 << 20
assert len(BODY) == 64

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


class Lab:
    """Both hosts, and the programs that people and attackers run on them."""

    numbers = itertools.count(1)
    HOSTS = ("edge", "internet")

    def __init__(self, apart=False):
        """@apart: the clients have a wire of their own, and each host has a CPU of its own, where
        the clients go before the attackers. What they see then tells of the edge alone."""
        self.apart = apart
        self.wires = []
        self.meant = []

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
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        crashes = self._crashes()
        for host in self.hosts:  # all that runs ends with the first
            host.release()
        # The first host does this; only when it could not be made is there anything left.
        shutil.rmtree(self.home, ignore_errors=True)
        for folder in (*(self.cgroup / name for name in self.HOSTS), self.cgroup):
            if folder.exists():
                folder.rmdir()
        if crashes and kind:  # what is under way says more
            print(*crashes, sep="\n", file=sys.stderr)
        elif crashes:
            raise LabError("\n".join(["nobody meant this to happen:", *crashes]))

    def means(self, words):
        """The story means a child of the daemon's to end or hang: the supervisor says so in these words."""
        self.meant.append(words)

    def _crashes(self):
        """Who died here of what no story meant: programs, and children of which a supervisor says it."""
        said = [line for path in sorted(self.home.glob("*.err"))
                for line in CRASHED.findall(path.read_text(errors="replace"))]
        died = [f"{process.name} was killed by signal {-process.popen.returncode}: "
                f"{process.err.read_text(errors='replace')[-2000:]}"
                for host in self.hosts for process in host.processes
                if not process.running() and -process.popen.returncode in CRASHES]
        return [line for line in said if not any(words in line for words in self.meant)] + died

    def _host(self, name, janitor):
        host = Host(name, self.home, self.cgroup / name, janitor)
        self.hosts.append(host)
        return host

    def _join(self):
        edge, internet = self.edge, self.internet
        # A network namespace takes over what the machine has set; these are Debian's own.
        edge.sysctl(net__ipv4__tcp_syncookies=1, net__ipv4__conf__all__rp_filter=0)
        wire = self._lay("eth0", "deaf" if self.apart else "internet", urgent=not self.apart)
        wire.number()
        # The internet has every live address (AnyIP), and none of the dark ones.
        for prefix in (LIVE_V4, LIVE_V6):
            internet("ip", "route", "add", "local", prefix, "dev", "lo")
        internet.sysctl(net__ipv4__ip_nonlocal_bind=1, net__ipv6__ip_nonlocal_bind=1)
        self.gateway = edge.mac()
        wire.introduce()
        # A way back to every address there is: without it the kernel would drop forged SYNs early.
        edge("ip", "route", "add", "default", "via", INTERNET_V4)
        edge("ip", "-6", "route", "add", "default", "via", INTERNET_V6)
        if self.apart:
            self._lay_clients_wire()

    def _lay(self, name, program, urgent):
        wire = Wire(self.edge, self.internet, name, program=program)
        wire.receive_in_threads(urgent, self.internet.cpu)
        self.wires.append(wire)
        return wire

    def _lay_clients_wire(self):
        """The live addresses come and go by a wire of their own, to the same address of the edge.

        As on a NIC with several queues: what a flood's queue has no room for is not theirs, and a
        queue with little in it soon has its turn.
        """
        edge, internet = self.edge, self.internet
        self._lay("eth1", "internet", urgent=True).introduce()
        for address, live, via in ((EDGE_V4, LIVE_V4, INTERNET_V4), (EDGE_V6, LIVE_V6, INTERNET_V6)):
            internet("ip", "route", "add", address, "dev", "eth1")
            edge("ip", "route", "add", via, "dev", "eth1", "metric", 1)
            edge("ip", "route", "add", live, "via", via, "dev", "eth1", "onlink")

    def receiving_ns(self):
        """CPU time so far of the threads that receive for the edge, with all they do at once."""
        return sum(wire.receiving_ns() for wire in self.wires)

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
            go_first(process.pid)
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
        return [int(pid) for pid in contents(self.edge.cgroup / "cgroup.procs").split()
                if contents(pathlib.Path(f"/proc/{pid}/comm")).strip() == name[:15]]

    def floodwall(self, *arguments, check=True):
        """Runs the CLI with --json; returns what it printed, or None if that was nothing."""
        done = self.edge(BUILD / "floodwall", *arguments, "--json", check=check)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def configure(self, text):
        """Writes the configuration file, "@CGROUP@" standing for the edge's; returns its path."""
        path = self.home / "floodwall.conf"
        text, count = re.subn(r"^host {", f"host {{ {SOCKET_MEMORY} ", text, flags=re.M)
        if not count:
            text += f"\nhost {{ {SOCKET_MEMORY} }}\n"
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
