# SPDX-License-Identifier: BSD-2-Clause
"""A source whose connections end for cause again and again is kept out, by the proxy and by the filter;
those whom it shares a network with, or its very address, are not (docs/overload.md).
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import time

from host import contents
from lab import CLIENTS_V4, EDGE_V4, wait_until
from test_cookies import first

CONFIG = """
filter {{ interfaces = {{"eth0"}}  cgroup = "@CGROUP@" }}
proxy {{ threads = 1 }}
listener web {{ bind = "0.0.0.0:80"  upstream = "origin"  challenge {{ mode = "never" }}
	source {{ syn_rate = 0  connections = 0  {source} }}  prefix {{ syn_rate = 0 }} }}
upstream origin {{ server {{ address = "127.0.0.1:8000" }} }}
admin {{ address = "127.0.0.1:9180" }}
"""
# A body in chunks of one byte: no honest client sends such a thing, and each is five faults.
ABUSE = {"kind": "tiny-chunks", "path": "/upload", "destination": f"{EDGE_V4}:80", "connections": 2,
         "sources": 1}
HERE = pathlib.Path(__file__).parent
SYS_PIDFD_GETFD = 438
HONEST = {"destination": f"{EDGE_V4}:80", "sources": 1, "timeout": 2}


def pidfd_getfd(pidfd, number):
    got = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    if got < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return got


class Front:
    def __init__(self, lab, source):
        self.lab = lab
        lab.nginx(["127.0.0.1:8000"], extra="location /upload { proxy_pass http://127.0.0.1:8000/; }")
        self.daemon = lab.floodwalld(CONFIG.format(source=source), attach=True)

    def count(self, family, reason="source_conduct"):
        text = self.lab.edge("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
        found = re.search(rf'^floodwall_{family}\{{service="web",reason="{reason}".*\}} (\d+)$', text, re.M)
        return int(found[1]) if found else 0

    def serves(self, source, rate, seconds):
        result = self.lab.clients(**HONEST, source_prefix=source, rate=rate, seconds=seconds).result()
        return result["ok"] == result["attempts"], result


def test_who_abuses_is_kept_out_and_his_neighbour_is_not(lab):
    front = Front(lab, 'faults = 4  fault_time = "2s"  exclusion = "30s"')
    mine, neighbour = f"{first(CLIENTS_V4)}/32", f"{first(CLIENTS_V4)[:-1]}9/32"
    # As long as there is nobody to tell the filter, the proxy does it.
    assert front.count("proxy_verdicts_total") == 0
    front.daemon.kill(signal.SIGSTOP)
    attack = lab.attack(**ABUSE, source_prefix=mine, retry=0.1, rate=0, seconds=60)
    wait_until(lambda: front.count("proxy_verdicts_total"), "the proxy resets it at accept")
    assert front.count("filter_packets_total") == 0
    front.daemon.kill(signal.SIGCONT)
    wait_until(lambda: front.count("filter_packets_total"), "the filter drops its SYNs")
    ended = front.count("proxy_verdicts_total", "chunk_overhead")
    served, result = front.serves(neighbour, 50, 1)
    assert served, result
    assert lab.status()["shut"] == 1
    # While it is kept out it costs the proxy nothing.
    assert front.count("proxy_verdicts_total", "chunk_overhead") <= ended + 2
    # In monitor mode it comes in, and what would be dropped is counted.
    lab.floodwall("rule", "source_conduct", "monitor")
    wait_until(lambda: front.count("proxy_verdicts_total", "chunk_overhead") > ended + 2, "it is let in")
    wait_until(lambda: front.count("filter_would_packets_total"), "what would be dropped is counted")
    lab.floodwall("rule", "source_conduct", "enforce")
    dropped = front.count("filter_packets_total")
    wait_until(lambda: front.count("filter_packets_total") > dropped, "it is kept out again")
    # Who is allowed is let in at once, whatever he did.
    ended = front.count("proxy_verdicts_total", "chunk_overhead")
    lab.floodwall("allow", mine)
    wait_until(lambda: front.count("proxy_verdicts_total", "chunk_overhead") > ended + 10,
               "nothing is asked of who is allowed")
    attack.kill(signal.SIGTERM)


def test_it_is_the_filter_that_they_meet_again(lab):
    """Whoever comes back a tenth of a second after a fault too many never gets as far as the proxy."""
    front = Front(lab, 'faults = 4  fault_time = "5s"  exclusion = "30s"')
    said = json.loads(lab.internet("/usr/bin/python3", HERE / "conduct_return.py", EDGE_V4, 80,
                                   first(CLIENTS_V4), 20, 0.1).stdout)
    assert said["dropped"] == 20, said
    assert lab.status()["shut"] == 20
    assert front.count("filter_packets_total") >= 20
    assert front.count("proxy_verdicts_total") == 0


def control_of(pid):
    """The end of a proxy's pair with its supervisor, as whoever is in command of that proxy has it."""
    held = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            found = socket.socket(fileno=pidfd_getfd(held, int(name)))
            if (found.family, found.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET):
                return found
            found.close()
    finally:
        os.close(held)
    raise AssertionError(f"process {pid} has no such socket")


def times_woken(pid):
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", contents(pathlib.Path(f"/proc/{pid}/status")), re.M)[1])


def test_a_proxy_that_talks_without_end_keeps_nobody_busy(lab):
    """In somebody else's hands: the supervisor hears what it says now and then, and does the rest as ever."""
    front = Front(lab, "")
    started = wait_until(lambda: re.search(r"proxy: process (\d+) started.*running", front.daemon.err.read_text(), re.S),
                         "it serves")
    control, supervisor = control_of(int(started[1])), front.daemon.pid
    control.setblocking(False)
    before, begun, said = times_woken(supervisor), time.monotonic(), 0
    while time.monotonic() < begun + 1:
        for word in (b"l", b"a", b"?"):
            with contextlib.suppress(BlockingIOError):
                control.send(word.ljust(8, b"\0"))
                said += 1
    assert said > 1000
    assert times_woken(supervisor) - before < 600 * (time.monotonic() - begun)
    # Nor at its end, which is there to be read for ever.
    control.shutdown(socket.SHUT_RDWR)
    before, begun = times_woken(supervisor), time.monotonic()
    time.sleep(0.5)
    assert times_woken(supervisor) - before < 600 * (time.monotonic() - begun)
    assert lab.floodwall("reload") is not None
    served, result = front.serves(f"{first(CLIENTS_V4)}/32", 50, 0.5)
    assert served, result


def test_who_asks_what_cannot_be_served_without_end_is_kept_out(lab):
    """A target that never ends, and again as soon as it is refused: an eighth of a fault each."""
    front = Front(lab, 'faults = 4')
    mine = f"{first(CLIENTS_V4)}/32"
    attack = lab.attack(kind="big-target", destination=f"{EDGE_V4}:80", source_prefix=mine, sources=1,
                        connections=4, retry=0, rate=0, seconds=60)
    wait_until(lambda: front.count("filter_packets_total"), "the filter drops its SYNs")
    refused = front.count("proxy_verdicts_total", "target_too_long")
    assert refused > 4 * 8
    served, result = front.serves(f"{first(CLIENTS_V4)[:-1]}9/32", 50, 0.5)
    assert served, result
    # Some few a second are forgiven, so that it is back soon, and does not get far.
    assert front.count("proxy_verdicts_total", "target_too_long") < refused + 40
    attack.kill(signal.SIGTERM)


def test_a_browser_whose_cookies_are_too_large_is_not(lab):
    """Three pages, each with fifty things in it that are refused, six connections at once; once the cookies are forgotten
    everything is served."""
    front = Front(lab, "")
    mine = f"{first(CLIENTS_V4)}/32"
    cookies = "cookie: " + "; ".join(f"c{i}={i}" for i in range(400))
    for _ in range(3):
        things = [word for i in range(50) for word in ("-o", "/dev/null", f"http://{EDGE_V4}/?{i}")]
        said = lab.internet("curl", "-sS", "--interface", first(CLIENTS_V4), "--parallel", "--parallel-max", 6,
                            "-H", cookies, "-w", "%{http_code}\n", *things)
        assert said.stdout.split() == ["431"] * 50
    assert front.count("proxy_verdicts_total", "too_many_cookies") == 150
    served, result = front.serves(mine, 20, 0.5)
    assert served, result
    assert front.count("proxy_verdicts_total") == front.count("filter_packets_total") == 0


def test_those_who_are_served_speak_for_an_address(lab):
    """Many behind one address, and one of them who abuses: forty good connections a second, and two of his."""
    front = Front(lab, 'faults = 20  fault_time = "5s"')
    shared = f"{first(CLIENTS_V4)}/32"
    served, result = front.serves(shared, 40, 1)
    assert served, result
    attack = lab.attack(**ABUSE, source_prefix=shared, retry=0.1, rate=2, seconds=30)
    served, result = front.serves(shared, 40, 4)
    assert served, result
    assert front.count("proxy_verdicts_total", "chunk_overhead") >= 5
    assert front.count("proxy_verdicts_total") == 0
    attack.kill(signal.SIGTERM)
