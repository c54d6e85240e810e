# SPDX-License-Identifier: BSD-2-Clause
"""Our units under a real systemd: start, reload, sockets, crash, watchdog, stop, and what they may do."""
import re

import pytest

from host import LabError
from lab import ROOT, wait_until
from machine import Machine

CAP_SYS_MODULE = 16
CONFIG = """
filter {{ interfaces = {{"eth0"}} mode = "generic" }}
listener web {{ bind = "0.0.0.0:80" route "/" {{ respond {{ status = 200 body = "{body}" }} }} }}
proxy {{ threads = 1 drain = "1s" }}
admin {{ address = "127.0.0.1:9180" }}
"""
FILES = {
    "etc/floodwall/floodwall.conf": CONFIG.format(body="one"),
    "etc/systemd/system/floodwalld.socket": (ROOT / "packaging/floodwalld.socket").read_text(),
    "etc/systemd/system/floodwalld.service.d/lab.conf": "[Service]\nWatchdogSec=2s\n",
}


@pytest.fixture
def machine(lab):
    try:
        made = Machine(lab, FILES)
    except LabError as error:
        pytest.skip(f"no systemd of one's own can be had here: {error}")
    with made:
        yield made


def ask(machine):
    return machine("curl", "-sS", "--max-time", "10", "http://127.0.0.1/", check=False).stdout


def write(machine, text):
    machine("sh", "-c", 'printf %s "$1" >/etc/floodwall/floodwall.conf', "sh", text)


def main_pid(machine):
    return machine.show("floodwalld", "MainPID")


def test_the_units_do_what_they_say(machine):
    for unit in ("floodwall.service", "floodwalld.service", "floodwalld.socket"):
        done = machine("systemd-analyze", "verify", unit)
        assert done.stdout + done.stderr == "", unit

    # Started when it serves, not before; the filter first, and on its own.
    machine("systemctl", "start", "floodwalld")
    assert ask(machine) == "one"
    assert machine.show("floodwall", "ActiveState") == "active"
    assert machine("floodwall", "status").returncode == 0
    first = main_pid(machine)
    assert machine("stat", "-c", "%a %U", "/run/floodwall").stdout == "700 root\n"

    # What the unit takes away is gone, from the supervisor as well.
    status = machine("cat", f"/proc/{first}/status").stdout
    assert "NoNewPrivs:\t1" in status
    assert not int(re.search(r"CapBnd:\t(\S+)", status)[1], 16) >> CAP_SYS_MODULE & 1
    machine("nsenter", "--target", first, "--mount", "--", "sh", "-c", "! touch /etc/x /usr/x 2>/dev/null")

    # A reload says what is wrong, and is no restart.
    write(machine, CONFIG.format(body="two"))
    machine("systemctl", "reload", "floodwalld")
    assert ask(machine) == "two" and main_pid(machine) == first
    write(machine, "nonsense")
    assert machine("systemctl", "reload", "floodwalld", check=False).returncode != 0
    assert "floodwall.conf:1" in machine.journal()
    assert machine.show("floodwalld", "ActiveState") == "active" and ask(machine) == "two"
    write(machine, CONFIG.format(body="three"))
    machine("floodwall", "reload", "--binary")
    assert ask(machine) == "three" and main_pid(machine) == first

    # Killed, it comes back by itself, and there is no moment in which nobody answers.
    machine("kill", "-KILL", first)
    answers = []
    def is_back():
        answers.append(ask(machine))
        return main_pid(machine) not in ("0", first) and machine.show("floodwalld", "ActiveState") == "active"
    wait_until(is_back, "another one runs", seconds=20)
    assert set(answers) == {"three"}, answers

    # Standing still, it is found out.
    second = main_pid(machine)
    machine("kill", "-STOP", second)
    wait_until(lambda: main_pid(machine) not in ("0", second), "the watchdog has it replaced", seconds=20)
    wait_until(lambda: machine.show("floodwalld", "ActiveState") == "active", "it runs", seconds=20)
    assert machine.show("floodwalld", "NRestarts") == "2"
    assert ask(machine) == "three"

    # An end leaves the filter, and nothing else: the proxy of who was killed just now goes, too.
    machine("systemctl", "stop", "floodwalld")
    wait_until(lambda: ask(machine) == "", "nobody serves")
    assert machine("floodwall", "status").returncode == 0
    assert machine("ls", "-d", "/run/floodwall", check=False).returncode != 0


def test_sockets_outlive_the_daemon(machine):
    """Who comes while there is none waits for the next; the one who comes first starts it. Nobody is held up by
    what systemd does to a socket that the old proxy still accepts from."""
    machine("systemctl", "start", "floodwalld.socket")
    assert main_pid(machine) == "0"
    assert ask(machine) == "one", machine.journal()
    first = main_pid(machine)
    for signal in ("-TERM", "-KILL"):
        machine("kill", signal, main_pid(machine))
        assert ask(machine) == "one", "it has waited"
        answers = []
        def is_back():
            answers.append(ask(machine))
            return main_pid(machine) not in ("0", first)
        wait_until(is_back, "another one runs")
        assert set(answers) == {"one"}, machine.journal()
        first = main_pid(machine)
    machine("systemctl", "restart", "floodwalld")
    assert ask(machine) == "one", machine.journal()
