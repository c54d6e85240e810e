# SPDX-License-Identifier: BSD-2-Clause
"""A proxy that is never down: reloads, upgrades and crashes under constant load of every kind."""
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import threading
import time

from authority import Authority
from lab import BUILD, EDGE_V4, wait_until

PYTHON = "/usr/bin/python3"
LOAD = pathlib.Path(__file__).with_name("load.py")
RELOADS = 100
PAUSE = 0.1  # so that clients who take some seconds meet a few of them, not all
FREE = "source { connections = 0 syn_rate = 0 handshake_rate = 0 } prefix { syn_rate = 0 connection_rate = 0 }"
CONFIG = """
filter { cgroup = "@CGROUP@" }
listener web    { bind = "0.0.0.0:80"  upstream = "origin" http2 { cleartext = on } @FREE@ }
listener secure { bind = "0.0.0.0:443" upstream = "origin" @FREE@ tls { certificate = "@PEM@" key = "@KEY@" } }
listener relay  { bind = "0.0.0.0:81"  protocol = "tcp" upstream = "origin" @FREE@ }
upstream origin { server { address = "127.0.0.1:8000" } }
proxy { threads = 2 drain = "20s" }
admin { address = "127.0.0.1:9180" }
""".replace("@FREE@", FREE)


class House:
    """A floodwalld with an origin behind it and, once there is load, people in front of it."""

    def __init__(self, lab, program=None, *command):
        self.lab, self.authority = lab, Authority(lab.home)
        web = self.authority.issue("web", ["web.test"])
        self.certificate, self.key = lab.home / "web.pem", lab.home / "web.key"
        self.use(web)
        self.text = CONFIG.replace("@PEM@", str(self.certificate)).replace("@KEY@", str(self.key))
        self.origin = lab.edge.start(PYTHON, LOAD, "origin", 8000, name="origin")
        lab.wait_listening(self.origin, ["127.0.0.1:8000"])
        path = lab.configure(self.text)
        self.daemon = lab.edge.start(*command, program or BUILD / "floodwalld", "--config", path)
        wait_until(lambda: "running:" in self.log() or not self.daemon.running(), "floodwalld serves")
        assert self.daemon.running(), self.log()

    def use(self, certificate):
        shutil.copy(certificate.pem, self.certificate)
        shutil.copy(certificate.key, self.key)

    def log(self):
        return self.daemon.err.read_text()

    def proxies(self):
        return [int(pid) for pid in re.findall(r"floodwalld: proxy: process (\d+) started", self.log())]

    def reload(self, *options, text=None):
        """floodwall reload: its exit status, and what it said."""
        if text:
            self.lab.configure(text)
        done = self.lab.edge(BUILD / "floodwall", "reload", "--json", *options, check=False)
        return done.returncode, json.loads(done.stdout)

    def metric(self, name):
        text = self.lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
        return float(re.search(rf"^floodwall_{re.escape(name)} (\S+)$", text, re.M)[1])

    def load(self, *kinds, seconds=60):
        process = self.lab.internet.start("sh", "-c", 'exec "$@" <"$0"', self.pipe(), PYTHON, LOAD, "clients", EDGE_V4,
                                          self.authority.pem, seconds, *kinds, name="load")
        wait_until(lambda: "begun" in process.out.read_text() or not process.running(), "the load has begun")
        time.sleep(0.3)
        return process

    def pipe(self):
        path = self.lab.home / "stop"
        if not path.exists():
            os.mkfifo(path)
            self.stop_load = os.open(path, os.O_RDWR)
        return path

    def result(self, load):
        """What the people lived to see, once they have stopped."""
        os.write(self.stop_load, b"stop\n")
        assert load.popen.wait(60) == 0, load.err.read_text()
        return json.loads(load.out.read_text().splitlines()[-1])


def assert_nothing_lost(seen):
    lost = {kind: tally["why"] for kind, tally in seen.items() if tally["failed"]}
    assert not lost, lost
    assert all(tally["ok"] for tally in seen.values()), seen


def exists(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# --- reload --------------------------------------------------------------------------------------

def test_a_hundred_reloads_lose_nothing(lab):
    """Of keep-alive, TLS, HTTP/2, uploads, websockets, relayed and new connections; with other numbers of
    threads, other certificates, and files that are refused in between."""
    house = House(lab)
    other = house.authority.issue("other", ["web.test"], kind="rsa")
    load = house.load()
    generations = set()

    for number in range(RELOADS):
        text = house.text.replace("threads = 2", f"threads = {1 + number % 3}")
        if number == RELOADS // 2:
            house.use(other)
        status, answer = house.reload(text=text)
        assert status == 0 and answer["taken"] and answer["complaints"] == [], answer
        generations.add(answer["generation"])
        time.sleep(PAUSE)
        if number % 20 == 10:
            status, answer = house.reload(text=text.replace('upstream = "origin"', "upstrem"))
            assert status == 1 and not answer["taken"], answer

    seen = house.result(load)
    print(seen)
    assert_nothing_lost(seen)
    assert len(generations) == RELOADS
    assert house.metric('reloads_total{result="taken"}') == RELOADS
    assert house.metric('process_crashes_total{process="proxy"}') == 0
    assert house.metric("generations_cut_total") == 0
    wait_until(lambda: house.metric("generations_draining") == 0, "all generations but the last have left", seconds=25)


def test_it_says_what_is_wrong_and_hears_nobody_but_root(lab):
    house = House(lab)
    path = lab.configure(house.text.replace("threads = 2", "threads = 99"))

    done = lab.edge(BUILD / "floodwall", "reload", check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [f"{path}:7: proxy: threads: 99 is above 16",
                                        "floodwall reload: refused: the running configuration goes on"]

    lab.configure(house.text)
    done = lab.edge("setpriv", "--reuid=65534", "--clear-groups", "--regid=65534", PYTHON, "-c", ASK)
    assert done.stdout == "nobody else comes near\n"
    assert len(house.proxies()) == 1
    assert "generation 2 serves" in lab.edge(BUILD / "floodwall", "reload").stdout
    house.daemon.kill(signal.SIGKILL)
    done = lab.edge(BUILD / "floodwall", "reload", check=False)
    assert done.returncode == 3 and "left of one that was killed" in done.stderr


ASK = """
import socket
asking = socket.socket(socket.AF_UNIX)
try:
    asking.connect("/run/floodwall/control")
except PermissionError:
    print("nobody else comes near")
"""


def test_where_it_is_asked_mends_itself(lab):
    """A file that somebody removes is there again after the next signal; an end in good order leaves none."""
    house, control = House(lab), "/run/floodwall/control"
    lab.edge("rm", control)
    done = lab.edge(BUILD / "floodwall", "reload", check=False)
    assert done.returncode == 3 and f"there is no {control}" in done.stderr
    house.daemon.kill(signal.SIGHUP)
    wait_until(lambda: lab.edge("test", "-S", control, check=False).returncode == 0, "the file is there again")
    assert house.reload()[0] == 0
    asking = [lab.edge.start(BUILD / "floodwall", "reload", "--json") for _ in range(20)]
    assert all(process.result()["taken"] for process in asking), "who has to wait for others waits"
    assert house.daemon.stop() == 0
    assert lab.edge("ls", "/run/floodwall").stdout == ""


def test_where_nothing_can_be_written_signals_are_heard(lab):
    """As in a unit without RuntimeDirectory=."""
    lab.edge("mount", "-o", "remount,ro", "/run")
    house = House(lab)
    assert "control: /run/floodwall: Read-only file system; floodwall reload will not be heard, SIGHUP is " \
        "(a unit of systemd's needs RuntimeDirectory=floodwall)" in house.log()
    house.daemon.kill(signal.SIGHUP)
    wait_until(lambda: "generation 2 serves" in house.log(), "it is reloaded")


def test_a_session_outlives_reloads_and_upgrades(lab):
    """The keys of tickets are the daemon's, not a generation's nor a program's."""
    house = House(lab)
    ticket, ask = lab.home / "ticket", ["openssl", "s_client", "-connect", f"{EDGE_V4}:443", "-servername", "web.test",
                                        "-tls1_2"]
    lab.internet(*ask, "-sess_out", ticket, text="")

    assert house.reload()[0] == 0 and house.reload("--binary")[0] == 0

    assert "\nReused, " in lab.internet(*ask, "-sess_in", ticket, text="").stdout


# --- another program -----------------------------------------------------------------------------

class Installed(House):
    """Runs a floodwalld of its own, which can be replaced as packages do: by a file of that name."""

    def __init__(self, lab):
        self.program = lab.home / "sbin/floodwalld"
        self.program.parent.mkdir()
        shutil.copy(BUILD / "floodwalld", self.program)
        super().__init__(lab, self.program)

    def install(self, text=None):
        new = self.program.with_suffix(".new")
        if text:
            new.write_text(text)
        else:
            shutil.copy(BUILD / "floodwalld", new)
        new.chmod(0o755)
        new.rename(self.program)

    def runs_installed(self):
        return os.stat(f"/proc/{self.daemon.pid}/exe").st_ino == self.program.stat().st_ino


def test_other_programs_take_over_and_lose_nothing(lab):
    house = Installed(lab)
    load = house.load()
    begun = house.daemon.pid

    for number in range(10):
        house.install()
        assert not house.runs_installed()
        if number % 2:
            house.daemon.kill(signal.SIGUSR2)
            wait_until(house.runs_installed, "the signal does the same")
        status, answer = house.reload("--binary")
        assert status == 0 and answer["binary"], answer
        assert house.runs_installed()
        time.sleep(0.3)

    seen = house.result(load)
    assert_nothing_lost(seen)
    assert house.daemon.pid == begun and house.daemon.running(), "systemd watches the same process"
    assert pathlib.Path(f"/proc/{begun}/comm").read_text() == "floodwalld\n"
    assert house.metric('process_crashes_total{process="proxy"}') == 0
    assert house.metric('reloads_total{result="taken"}') == 15
    wait_until(lambda: house.metric("generations_draining") == 0, "the generations of older programs have left",
               seconds=25)


# A program that says that it could take over, when it is asked; what follows happens when it does.
WOULD = "#!/bin/sh\n[ -n \"$FLOODWALL_REHEARSAL\" ] && echo floodwalld can take over && exit 0\n"
REFUSALS = {
    "says no when asked": ("#!/bin/sh\necho it is the wrong kernel >&2\nexit 1\n", "it is the wrong kernel"),
    "dies when asked": ("#!/bin/sh\nkill -SEGV $$\n", "killed by signal 11"),
    "is something else": ("#!/bin/sh\nexit 0\n", "does not say why"),
    "is no program": ("not a program\n", "Exec format error"),
    "fails in its place": (WOULD + f"exec {BUILD}/floodwalld --config /nowhere.conf\n", "/nowhere.conf"),
}


def test_a_program_that_can_not_leaves_the_old_one_running(lab):
    house = Installed(lab)
    load = house.load()
    proxy = house.proxies()[-1]

    for what, (text, complaint) in REFUSALS.items():
        house.install(text)
        status, answer = house.reload("--binary")
        assert status == 1 and complaint in "\n".join(answer["complaints"]), (what, answer)
        assert house.daemon.running() and not house.runs_installed(), what
        assert exists(proxy), f"{what}: whoever served goes on"
    house.install(f"#!/bin/sh\nexec {BUILD}/floodwalld --config {lab.home}/wrong.conf\n")
    (lab.home / "wrong.conf").write_text("listener web { }\n")
    status, answer = house.reload("--binary")
    assert status == 1 and f"{lab.home}/wrong.conf:1: listener web: needs an upstream" in answer["complaints"]

    assert_nothing_lost(house.result(load))

    # It is none the worse for it: crashes are mended, files taken over, good programs gone over to.
    os.kill(proxy, signal.SIGKILL)
    wait_until(lambda: house.proxies()[-1] != proxy, "a proxy that died is replaced")
    assert house.reload()[0] == 0
    house.install()
    assert house.reload("--binary")[0] == 0 and house.runs_installed()
    assert house.metric('reloads_total{result="refused"}') == len(REFUSALS) + 1


def test_a_generation_that_does_not_come_up_changes_nothing(lab):
    """Neither by a new program nor by a new file; the filter has its policy back, too."""
    house = Installed(lab)
    proxy = house.proxies()[-1]
    # No proxy of it can become its user; nor can a warden, who says so.
    lab.means("ended by itself, status 1")
    house.install(WOULD + f"exec setpriv --bounding-set=-setuid,-setgid {BUILD}/floodwalld \"$@\"\n")

    status, answer = house.reload("--binary")
    assert status == 1 and "did not come up" in answer["complaints"][0], answer
    assert house.daemon.running() and not house.runs_installed() and exists(proxy)

    status, answer = house.reload(text=house.text.replace("syn_rate = 0", "syn_rate = 7"))
    assert status == 1 and "did not come up" in answer["complaints"][0], answer
    assert exists(proxy) and lab.floodwall("get", "web.source.syn_rate")[0]["text"] == "0"
    seen = house.result(house.load("keepalive", "new"))
    assert_nothing_lost(seen)


# --- crashes -------------------------------------------------------------------------------------

def test_a_killed_proxy_costs_only_what_it_was_doing(lab):
    """Who was connected to it has failed, once; newcomers wait in the kernel, and are served."""
    house = House(lab)
    load = house.load()
    open_before = house.metric('proxy_connections_active{service="web"}') + \
        house.metric('proxy_connections_active{service="secure"}') + \
        house.metric('proxy_connections_active{service="relay"}')

    proxy = house.proxies()[-1]
    os.kill(proxy, signal.SIGKILL)
    wait_until(lambda: house.proxies()[-1] != proxy, "another one is started")
    time.sleep(2)

    seen = house.result(load)
    failed = sum(tally["failed"] for tally in seen.values())
    assert 0 < failed <= open_before + 10, seen  # some came between the count and the kill
    assert all(tally["ok"] for tally in seen.values()), seen
    assert seen["new"]["failed"] <= 2, "each of those had its connection accepted"
    assert seen["new"]["longest_gap_ms"] < 3000, "the next proxy was there soon"
    assert house.metric('process_crashes_total{process="proxy"}') == 1


def test_a_killed_supervisor_is_replaced_before_anybody_notices(lab):
    """Its proxy serves for some seconds more, so systemd has time to start another daemon: on sockets of its
    own beside the old ones (SO_REUSEPORT). Then the old proxy drains."""
    house = House(lab)
    old = house.proxies()[-1]
    load = house.load()

    house.daemon.kill(signal.SIGKILL)
    time.sleep(1)  # as systemd does
    house.daemon = lab.edge.start(BUILD / "floodwalld", "--config", lab.home / "floodwall.conf")
    wait_until(house.proxies, "another daemon runs")
    wait_until(lambda: not exists(old), "the proxy of the dead one has drained", seconds=30)

    seen = house.result(load)
    assert_nothing_lost({kind: tally for kind, tally in seen.items() if kind not in ("new", "handshake")})
    # A handshake that is under way to a socket when that is closed can't be completed by another.
    assert seen["new"]["failed"] + seen["handshake"]["failed"] <= 2, seen


def test_a_frozen_proxy_is_replaced_and_systemd_told_how_things_are(lab):
    """The watchdog is fed as long as everything turns; a proxy that does not is killed within ten seconds."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(lab.home / "notify"))
    texts = queue.SimpleQueue()

    def listen():
        while text := told.recv(4096).decode():
            texts.put(text)

    def hear(words):
        while words not in (text := texts.get(timeout=20)):
            pass
        return text

    threading.Thread(target=listen, daemon=True).start()
    house = House(lab, None, "env", f"NOTIFY_SOCKET={lab.home}/notify", "WATCHDOG_USEC=1500000")
    assert f"MAINPID={house.daemon.pid}" in hear("READY=1")
    assert house.reload()[0] == 0
    assert "MONOTONIC_USEC=" in hear("RELOADING=1")
    hear("READY=1")
    hear("WATCHDOG=1")

    frozen = house.proxies()[-1]
    lab.means(f"proxy: process {frozen} has not answered for 10 s")
    os.kill(frozen, signal.SIGSTOP)

    wait_until(lambda: not exists(frozen), "it is killed", seconds=20)
    assert f"proxy: process {frozen} has not answered for 10 s" in house.log()
    assert_nothing_lost(house.result(house.load("new")))
    house.daemon.kill(signal.SIGTERM)
    assert "EXTEND_TIMEOUT_USEC=25000000" in hear("STOPPING=1")


# --- sockets of systemd's ------------------------------------------------------------------------

ACTIVATE = """
import os, socket, sys
given = [socket.create_server(place) for place in
         (("0.0.0.0", 80), ("0.0.0.0", 443), ("127.0.0.1", 9180), ("0.0.0.0", 99))]
for number, listener in enumerate(given):
    os.dup2(listener.fileno(), 10 + number, inheritable=False)
for number in range(len(given)):
    os.dup2(10 + number, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)), LISTEN_FDNAMES="web:secure:admin:other")
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_sockets_of_systemd_are_used_and_kept(lab):
    """By address; both threads accept from the one socket; what is not among them is opened as ever."""
    house = House(lab, None, PYTHON, "-c", ACTIVATE)
    sockets = lab.edge("ss", "-Hltne").stdout.splitlines()

    def of(port):
        return {re.search(r"ino:(\d+)", line)[1] for line in sockets if line.split()[3].endswith(f":{port}")}

    assert [len(of(port)) for port in (80, 443, 81, 9180)] == [1, 1, 2, 1]
    assert "0.0.0.0:99: no listener is bound there" in house.log() and not of(99)
    assert "its unit needs NonBlocking=yes" in house.log()
    load = house.load("new", "handshake", "relay", "keepalive")
    kept = of(80) | of(443)

    assert house.reload()[0] == 0 and house.reload("--binary")[0] == 0
    house.reload(text=house.text.replace("threads = 2", "threads = 3"))

    assert_nothing_lost(house.result(load))
    sockets = lab.edge("ss", "-Hltne").stdout.splitlines()
    assert of(80) | of(443) == kept and len(of(81)) == 3
