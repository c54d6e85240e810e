# SPDX-License-Identifier: BSD-2-Clause
"""The daemon as an operator meets it: what it refuses, what it keeps, what it survives, what it tells."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lab import BUILD, EDGE_V4, EDGE_V6, INTERNET_V4, ROOT, wait_until

ADMIN = "127.0.0.1:9180"
# AddressSanitizer must look into its own process: such builds are less closed.
SANITIZED = BUILD.name == "sanitize"
CONFIG = """
filter { cgroup = "@CGROUP@" interfaces = {"eth0"} }
listener web {
	bind = {"0.0.0.0:80", "[::]:80"}
	upstream = "origin"
	source { connections = 0 syn_rate = 0 }
	prefix { syn_rate = 0 }
}
service ssh { bind = "*:22" source { syn_rate = 5 } }
upstream origin { server { address = "127.0.0.1:8000" } }
proxy { threads = 2 }
admin { address = "127.0.0.1:9180" }
"""


class Daemon:
    """A floodwalld in the lab with nginx behind it."""

    def __init__(self, lab, text=CONFIG):
        self.lab = lab
        self.origin = lab.nginx(listen=["127.0.0.1:8000"])
        self.process = lab.floodwalld(text, listen=["0.0.0.0:80", ADMIN])
        self.wait_page()

    def log(self):
        return self.process.err.read_text()

    def child(self, name):
        """The newest process of that name, from the log."""
        found = re.findall(rf"floodwalld: {name}: process (\d+) started", self.log())
        return int(found[-1]) if found else None

    def get(self, url, seconds=10, host=None):
        done = (host or self.lab.edge)("curl", "-sS", "--max-time", seconds, "-w", "\n%{http_code}", url,
                                       check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def page(self, address=EDGE_V4, seconds=3):
        return self.get(f"http://{address}/", seconds, self.lab.internet)[0]

    def wait_page(self):
        wait_until(lambda: self.page() == 200, "the page comes through the proxy")

    def metrics(self):
        status, text = self.get(f"http://{ADMIN}/metrics")
        assert status == 200
        return parse_metrics(text)

    def reload(self, text, says):
        """Writes another configuration and SIGHUPs; waits until the log says so once more."""
        count = self.log().count(says)
        self.lab.configure(text)
        self.process.kill(signal.SIGHUP)
        wait_until(lambda: self.log().count(says) > count, f"the log says {says!r}: {self.log()}")


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?)")


def parse_metrics(text):
    """{(name, labels): value}, by the exposition format at its strictest: every family once, HELP
    and TYPE in front of its samples, no sample twice, _total on counters only."""
    samples, helped, typed = {}, {}, {}
    current = None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if comment:
            kind, name, rest = comment.groups()
            if kind == "HELP":
                assert name not in helped, f"family again: {line}"
                helped[name] = rest
            else:
                assert current != name and name in helped and name not in typed, line
                assert rest in ("counter", "gauge"), line
                assert (rest == "counter") == name.endswith("_total"), line
                typed[name] = rest
                current = name
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, f"not a sample: {line!r}"
        name, labels, value = sample.groups()
        assert name == current, f"outside its family: {line}"
        key = name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels or ""))
        assert key not in samples, f"twice: {line}"
        samples[key] = float(value)
    assert set(helped) == set(typed)
    return samples


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


def status_of(pid):
    return dict(line.split(":\t", 1) for line in
                pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def exists(pid):
    try:
        return status_of(pid)["State"][0] != "Z"
    except OSError:
        return False


# --- before it runs ------------------------------------------------------------------------------

def test_check_says_everything_that_is_wrong_and_changes_nothing(lab):
    path = lab.configure("listener web {\n\tbind = \"0.0.0.0:80\"\n\tupstrem = \"app\"\n}\n"
                         "log { level = \"loud\" }\n")

    done = lab.edge(BUILD / "floodwalld", "--check", "--config", path, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{path}:1: listener web: needs an upstream",
        f"{path}:3: listener web: upstrem: no such option; did you mean upstream?",
        f"{path}:5: log: level: \"loud\" is not error, warning, info or debug"]
    assert "floodwall" not in lab.edge("ls", "/sys/fs/bpf").stdout


def test_check_accepts_the_packaged_file(lab):
    done = lab.edge(BUILD / "floodwalld", "--check", "--config", ROOT / "packaging/floodwall.conf")
    assert "in order: 1 listeners, 1 other services, 1 upstreams" in done.stdout


def test_a_port_that_is_taken_is_named(lab):
    lab.nginx(listen=["0.0.0.0:80"])
    path = lab.configure(CONFIG)

    done = lab.edge(BUILD / "floodwalld", "--config", path, check=False)

    assert done.returncode == 1
    assert "listener web: 0.0.0.0:80: can't be bound: Address already in use" in done.stderr


def test_a_second_daemon_is_refused(lab):
    daemon = Daemon(lab)

    done = lab.edge(BUILD / "floodwalld", "--config", lab.home / "floodwall.conf", check=False)

    assert done.returncode == 1
    assert "another floodwalld runs" in done.stderr
    assert daemon.page() == 200


# --- reload --------------------------------------------------------------------------------------

def test_listeners_that_nobody_serves_are_told(lab):
    """Attached, but no daemon; a daemon whose maps were removed: it could be set, but would not hear."""
    def status():
        return lab.status()["serving"]

    lab.floodwall("attach", "eth0", "--cgroup", lab.edge.cgroup)
    assert status() is None, "there is no listener that somebody would have to serve"
    daemon = Daemon(lab)
    assert status() is True
    assert lab.floodwall("reload")["taken"]
    removed = lab.edge(BUILD / "floodwall", "detach", "--all").stdout
    assert "systemctl restart floodwalld" in removed
    lab.floodwall("attach", "--config", lab.home / "floodwall.conf")
    refused = lab.floodwall("reload", check=False)
    assert not refused["taken"] and "restart floodwalld" in refused["complaints"][0]
    daemon.page()
    wait_until(lambda: "maps were removed" in daemon.process.err.read_text(), "the log says so, too", seconds=15)
    assert daemon.process.stop() == 0
    assert status() is False
    assert "floodwalld does not run" in lab.edge(BUILD / "floodwall", "status", check=False).stdout
    assert "!!" not in lab.edge(BUILD / "floodwall", "detach", "--all").stdout


def test_a_wrong_file_on_reload_keeps_everything(lab):
    daemon = Daemon(lab)
    proxy = daemon.child("proxy")

    daemon.reload(CONFIG.replace("threads = 2", "threads = 99"), says="reload: refused")

    assert f"{lab.home}/floodwall.conf:11: proxy: threads: 99 is above 16" in daemon.log()
    assert daemon.child("proxy") == proxy and exists(proxy)
    assert daemon.page() == 200 and daemon.page(f"[{EDGE_V6}]") == 200
    assert value(daemon.metrics(), "floodwall_reloads_total", result="refused") == 1


def test_a_reload_that_can_not_bind_keeps_everything(lab):
    daemon = Daemon(lab)
    lab.nginx(listen=["0.0.0.0:81"])

    daemon.reload(CONFIG.replace('"[::]:80"', '"0.0.0.0:81"').replace("syn_rate = 5", "syn_rate = 6"),
                  says="reload: refused")

    assert "0.0.0.0:81: can't be bound" in daemon.log()
    assert daemon.page(f"[{EDGE_V6}]") == 200


def test_reload_moves_to_new_bindings_and_drains_the_old_generation(lab):
    daemon = Daemon(lab)
    old = daemon.child("proxy")
    held = hold_connection(lab)

    daemon.reload(CONFIG.replace('"[::]:80"', '"0.0.0.0:8080"'), says="reload: done")

    daemon.wait_page()
    assert daemon.page(f"{EDGE_V4}:8080") == 200
    assert daemon.page(f"[{EDGE_V6}]") == 0, "a binding that went is closed"
    assert exists(old), "the old generation still has a connection to finish"
    assert finish_request(held) == 200
    wait_until(lambda: not exists(old), "the old generation left once its last connection ended")
    assert value(daemon.metrics(), "floodwall_proxy_connections_active", service="web") == 0


def hold_connection(lab):
    """A client that has sent half of a request; a file tells it to send the rest."""
    script = ("import socket,sys,time,os\n"
              "s=socket.create_connection((sys.argv[1],80)); s.sendall(b'GET / HTTP/1.1\\r\\n')\n"
              "print('half', flush=True)\n"
              "while not os.path.exists(sys.argv[2]): time.sleep(0.02)\n"
              "s.sendall(b'Host: x\\r\\nConnection: close\\r\\n\\r\\n')\n"
              "print(s.makefile('rb').readline().split()[1].decode())\n")
    go = lab.home / "go"
    process = lab.internet.start("/usr/bin/python3", "-c", script, EDGE_V4, go, name="half")
    process.go = go
    wait_until(lambda: "half" in process.out.read_text(), "half of a request is sent")
    return process


def finish_request(process):
    process.go.touch()
    process.popen.wait(10)
    return int(process.out.read_text().split()[1])


def test_several_generations_drain_at_once(lab):
    """A connection is not cut off because its generation is not the last; who drains too long is."""
    daemon = Daemon(lab, CONFIG.replace("threads = 2", 'threads = 2 drain = "2s"'))
    first = daemon.child("proxy")
    held = hold_connection(lab)

    for _ in range(3):
        daemon.reload(CONFIG, says="reload: done")

    assert exists(first)
    assert value(daemon.metrics(), "floodwall_generations_draining") >= 1
    assert finish_request(held) == 200
    wait_until(lambda: not exists(first), "the oldest has nothing left to do")
    assert value(daemon.metrics(), "floodwall_proxy_connections_active", service="web") == 0


def test_the_oldest_is_ended_when_there_is_no_room_for_another(lab):
    """Each generation has rows of the board of its own: 16 threads leave room for three that drain."""
    text = CONFIG.replace("threads = 2", "threads = 16")
    daemon = Daemon(lab, text)
    first = daemon.child("proxy")
    held = [hold_connection(lab)]
    for _ in range(3):
        daemon.reload(text, says="reload: done")
        held.append(hold_connection(lab))
    assert exists(first)
    second = [int(pid) for pid in re.findall(r"proxy: process (\d+) started", daemon.log())][1]

    daemon.reload(text, says="reload: done")

    assert not exists(first) and exists(second)
    assert "generation 1 is ended with its connections" in daemon.log()
    daemon.wait_page()
    samples = daemon.metrics()
    assert value(samples, "floodwall_generations_cut_total") == 1
    assert value(samples, "floodwall_generations_draining") == 3
    assert finish_request(held.pop()) == 200
    for process in held:
        process.kill()


def test_access_log_follows_a_rotation(lab):
    log = lab.home / "access.log"
    text = CONFIG.replace("threads = 2", f'threads = 2 access_log = "{log}"')
    daemon = Daemon(lab, text)
    wait_until(lambda: log.read_text(), "the first request is logged")
    assert json.loads(log.read_text().splitlines()[0])

    log.rename(lab.home / "access.log.1")
    daemon.reload(text, says="reload: done")
    daemon.wait_page()

    wait_until(lambda: log.exists() and log.read_text(), "requests are logged to a new file")


def test_reload_takes_the_files_settings_and_a_restart_keeps_tuned_ones(lab):
    daemon = Daemon(lab)

    daemon.reload(CONFIG.replace("syn_rate = 5", "syn_rate = 7"), says="reload: done")
    assert daemon.process.stop() == 0
    lab.configure(CONFIG)  # the file says 5 again, live is 7
    again = lab.edge.start(BUILD / "floodwalld", "--config", lab.home / "floodwall.conf")

    lab.wait_listening(again, ["0.0.0.0:80"])
    assert "ssh.source.syn_rate is 7 live and 5 in the file: kept" in again.err.read_text()


# --- what it survives ----------------------------------------------------------------------------

def test_a_killed_proxy_is_restarted_and_connections_wait_meanwhile(lab):
    daemon = Daemon(lab)
    held = hold_connection(lab)
    wait_until(lambda: value(daemon.metrics(), "floodwall_proxy_connections_active",
                             service="web") == 1, "the held connection is counted")
    proxy = daemon.child("proxy")

    os.kill(proxy, signal.SIGKILL)
    wait_until(lambda: not exists(proxy), "it is gone")
    assert daemon.page() == 200, "a connection made while there is no proxy waits for the next one"

    assert daemon.child("proxy") != proxy
    assert f"proxy: process {proxy} was killed by signal 9" in daemon.log()
    samples = daemon.metrics()
    assert value(samples, "floodwall_process_crashes_total", process="proxy") == 1
    assert value(samples, "floodwall_proxy_connections_active", service="web") == 0
    held.kill()


def test_a_killed_warden_costs_no_client_anything(lab):
    daemon = Daemon(lab)
    proxy, warden = daemon.child("proxy"), daemon.child("warden")

    os.kill(warden, signal.SIGKILL)

    wait_until(lambda: daemon.child("warden") != warden, "another warden started")
    assert daemon.get(f"http://{ADMIN}/healthz") == (200, "ok\n")
    assert daemon.child("proxy") == proxy and daemon.page() == 200


def test_children_leave_when_the_supervisor_is_killed(lab):
    daemon = Daemon(lab)
    proxy, warden = daemon.child("proxy"), daemon.child("warden")

    daemon.process.kill(signal.SIGKILL)

    wait_until(lambda: not exists(proxy) and not exists(warden), "both children are gone")
    again = lab.edge.start(BUILD / "floodwalld", "--config", lab.home / "floodwall.conf")
    lab.wait_listening(again, ["0.0.0.0:80"])
    daemon.wait_page()


def test_sigterm_drains_and_a_second_one_ends_it_at_once(lab):
    daemon = Daemon(lab)
    held = hold_connection(lab)

    daemon.process.kill(signal.SIGTERM)
    wait_until(lambda: "stopping; connections have" in daemon.log(), "it drains")
    wait_until(lambda: daemon.page() == 0, "nobody new is let in")
    assert finish_request(held) == 200, "whoever was in may finish"
    assert daemon.process.popen.wait(5) == 0

    again = lab.edge.start(BUILD / "floodwalld", "--config", lab.home / "floodwall.conf")
    lab.wait_listening(again, ["0.0.0.0:80"])
    held.go.unlink()
    held = hold_connection(lab)
    again.kill(signal.SIGTERM)
    wait_until(lambda: "stopping; connections have" in again.err.read_text(), "it drains")
    assert again.running()
    again.kill(signal.SIGTERM)
    assert again.popen.wait(3) == 0
    held.kill()


# --- what the children may do --------------------------------------------------------------------

def test_children_are_nobody_with_no_rights(lab):
    daemon = Daemon(lab)
    for name in ("proxy", "warden"):
        pid = daemon.child(name)
        status = status_of(pid)
        assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4, name
        assert status["Groups"].strip() == "", name
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind], 16) == 0, (name, kind)
        assert status["NoNewPrivs"] == "1", name
        if not SANITIZED:
            assert status["Seccomp"] == "2", name
            assert os.stat(f"/proc/{pid}/mem").st_uid == 0, f"{name} can be looked into"


def test_children_hold_only_their_own_sockets(lab):
    daemon = Daemon(lab)

    def listens(pid):
        lines = lab.edge("ss", "-Hltnp").stdout.splitlines()
        return {line.split()[3].rsplit(":", 1)[1] for line in lines if f"pid={pid}," in line}

    assert listens(daemon.child("proxy")) == {"80"}
    assert listens(daemon.child("warden")) == {"9180"}


# --- what it tells -------------------------------------------------------------------------------

def test_metrics_are_well_formed_and_true(lab):
    daemon = Daemon(lab)
    before = daemon.metrics()
    for _ in range(5):
        assert daemon.page() == 200

    after = daemon.metrics()

    def grown(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("floodwall_proxy_requests_total", service="web") == 5
    assert grown("floodwall_proxy_responses_2xx_total", service="web") == 5
    assert grown("floodwall_proxy_connections_accepted_total", service="web") == 5
    assert value(after, "floodwall_tracking") == 1
    assert value(after, "floodwall_process_open_fds", process="proxy") > 10
    assert value(after, "floodwall_process_resident_memory_bytes", process="warden") > 1e6
    # Zeros are there: a series must not begin with the attack.
    assert value(after, "floodwall_filter_packets_total", service="ssh", reason="source_syn_rate",
                 action="drop") == 0
    assert value(after, "floodwall_filter_would_packets_total", service="web", reason="blocked",
                 action="drop") == 0
    assert value(after, "floodwall_proxy_verdicts_total", service="web", reason="header_timeout",
                 action="refuse") == 0
    assert value(after, "floodwall_faults_total", service="host", reason="track_full") == 0
    # Rows of the same name exist once, and no label is an address, but a configured server's.
    for _, labels in after:
        for name, text in labels:
            assert name in ("server", "address") or not re.search(r"\d+\.\d+\.\d+\.\d+|::", text), (name, text)
    assert set(before) == set(after), "series come with the configuration, not with traffic"


def test_metrics_follow_the_filter(lab):
    """A blocked source is counted under its reason, told as an event, and forgotten in time."""
    daemon = Daemon(lab)
    lab.floodwall("attach", "--config", lab.home / "floodwall.conf")
    lab.floodwall("block", f"{INTERNET_V4}/32", "--for", "4s")
    assert daemon.page(seconds=1) == 0

    samples = daemon.metrics()
    assert value(samples, "floodwall_table_entries", table="block_hosts") == 1
    assert sum(count for (name, labels), count in samples.items()
               if name == "floodwall_filter_packets_total" and ("reason", "blocked") in labels) > 0
    events = json.loads(daemon.get(f"http://{ADMIN}/events")[1])
    told = [event for event in events if event["reason"] == "blocked"]
    assert told and told[0]["source"] == INTERNET_V4 and told[0]["destination_port"] == 80

    daemon.wait_page()
    wait_until(lambda: value(daemon.metrics(), "floodwall_table_entries", table="block_hosts") == 0,
               "the warden removed the expired entry")
    attached = "floodwall_interface_attached", frozenset({"interface": "eth0", "mode": "native"}.items())
    wait_until(lambda: attached in daemon.metrics(), "the interface is told")


def test_looking_after_the_filter_costs_no_descriptor(lab):
    """The supervisor looks again and again where the filter runs: at each reload, and every five seconds."""
    lab.floodwall("attach", "--config", lab.configure(CONFIG))
    daemon = Daemon(lab)
    supervisor = min(lab.pids("floodwalld"))

    def held():
        return len(list(pathlib.Path(f"/proc/{supervisor}/fd").iterdir()))

    def attached():
        return any(name == "floodwall_interface_attached" for name, _ in daemon.metrics())

    daemon.reload(CONFIG, says="reload: done")
    wait_until(attached, "the metrics know that the filter is attached")
    before = held()
    for _ in range(5):
        daemon.reload(CONFIG, says="reload: done")
        wait_until(lambda: daemon.page() == 200, "the page comes through the new proxy")
    assert held() <= before + 1  # a pipe to whoever still drains
    lab.floodwall("detach")
    wait_until(lambda: not attached(), "and that it is not any more")


def test_admin_pages(lab):
    daemon = Daemon(lab)
    assert daemon.get(f"http://{ADMIN}/healthz") == (200, "ok\n")
    status, text = daemon.get(f"http://{ADMIN}/events?count=5")
    assert status == 200 and isinstance(json.loads(text), list)
    assert daemon.get(f"http://{ADMIN}/")[0] == 404
    assert lab.edge("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", "x=1",
                    f"http://{ADMIN}/metrics").stdout == "405"


def test_a_silent_scraper_is_no_obstacle(lab):
    daemon = Daemon(lab)
    script = ("import socket,time\n"
              "held=[socket.create_connection(('127.0.0.1',9180)) for _ in range(40)]\n"
              "print('held', flush=True); time.sleep(60)\n")
    idle = lab.edge.start("/usr/bin/python3", "-c", script, name="idle")
    wait_until(lambda: "held" in idle.out.read_text(), "40 connections say nothing")

    assert daemon.get(f"http://{ADMIN}/healthz") == (200, "ok\n")
    assert daemon.page() == 200
    idle.kill()


# --- where it is put -----------------------------------------------------------------------------

def test_install_puts_everything_in_its_place_and_keeps_a_configuration(tmp_path):
    def install(goal="install"):
        subprocess.run(["make", "-C", ROOT, goal, f"DESTDIR={tmp_path}", "PREFIX=/opt/fw"],
                       check=True, capture_output=True, timeout=600)

    install()
    config = tmp_path / "etc/floodwall/floodwall.conf"
    assert config.read_text() == (ROOT / "packaging/floodwall.conf").read_text()
    config.write_text("# mine\n")
    install()

    assert config.read_text() == "# mine\n"
    assert os.access(tmp_path / "opt/fw/sbin/floodwalld", os.X_OK)
    for unit in ("floodwall", "floodwalld"):
        text = (tmp_path / f"opt/fw/lib/systemd/system/{unit}.service").read_text()
        assert "ExecStart=/opt/fw/sbin/" in text and "@" not in text
    share = tmp_path / "opt/fw/share"
    assert {page.name for page in (ROOT / "docs").iterdir()} == \
        {page.name for page in (share / "doc/floodwall/docs").iterdir()}
    assert "complete " in (share / "bash-completion/completions/floodwall").read_text()

    install("uninstall")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [config]
