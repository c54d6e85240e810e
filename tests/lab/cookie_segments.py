# SPDX-License-Identifier: BSD-2-Clause
"""Segments that no stack would send in that order, run on the internet by test_cookies.py.

    cookie_segments.py EDGE EDGE-MAC PORT SOURCE CPU FILE

Talks from an address that nobody has, so that no stack answers in between. Says
"a minute later", waits until FILE is there, and prints as JSON what the edge answered at each step.
CPU: where the edge receives.
"""
import contextlib
import json
import os
import pathlib
import sys
import time

from scapy.all import (AsyncSniffer, Ether, IP, IPv6, Raw, TCP, conf, get_if_hwaddr)

conf.verb = 0
INTERFACE, ISN, PATIENCE = "eth0", 0xfffffffa, 0.4


@contextlib.contextmanager
def before_the_edge(cpu):
    """What is sent meanwhile waits on the wire until the end, and is received in one go."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    with contextlib.suppress(PermissionError):  # a container without real-time priorities
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    yield
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.sched_setaffinity(0, cpus)


def main(edge, mac, port, source, cpu, later):
    network = IPv6 if ":" in edge else IP
    wire = conf.L2socket(iface=INTERFACE)
    start = Ether(dst=mac, src=get_if_hwaddr(INTERFACE)) / network(src=source, dst=edge)

    def segment(source_port, data=b"", **fields):
        return bytes(start / TCP(sport=source_port, dport=port, window=8192, **fields) / Raw(data))

    def say_at_once(source_port, frames):
        """Sends segments as one batch; returns the TCP layers of what comes back to that port."""
        sniffer = AsyncSniffer(iface=INTERFACE, filter=f"src host {edge} and tcp dst port {source_port}")
        sniffer.start()
        time.sleep(0.1)
        with before_the_edge(cpu):
            for frame in frames:
                wire.outs.send(frame)
        time.sleep(PATIENCE)
        return [packet[TCP] for packet in sniffer.stop()]

    def say(source_port, data=b"", **fields):
        return say_at_once(source_port, [segment(source_port, data, **fields)])

    def heard(segments):
        return b"".join(bytes(segment.payload) for segment in segments).rstrip(b"\0").decode()

    said = {}
    early = say(30006, flags="S", seq=ISN)
    options = [("MSS", 1400), ("SAckOK", b""), ("WScale", 5)]
    first = say(30001, flags="S", seq=ISN, options=options)
    again = say(30001, flags="S", seq=ISN, options=options)
    said["same_again"] = [first[0].seq] == [segment.seq for segment in again]
    other = say(30001, flags="S", seq=ISN + 1, options=options)
    said["other_isn_other_cookie"] = other[0].seq != first[0].seq

    # The ACK is lost, and of the data the second half overtakes the first.
    cookie = {"ack": (first[0].seq + 1) & 0xffffffff, "flags": "PA"}
    said["second_half_first"] = len(say(30001, b"world", seq=ISN + 6 & 0xffffffff, **cookie))
    said["first_half"] = heard(say(30001, b"hello", seq=ISN + 1, **cookie))
    cookie["ack"] = (cookie["ack"] + 5) & 0xffffffff
    said["first_half_again"] = heard(say(30001, b"hello", seq=ISN + 1, **cookie))
    said["second_half"] = heard(say(30001, b"world", seq=ISN + 6 & 0xffffffff, **cookie))

    # The client vanishes, and another one gets its port: first a reset, then a SYN.
    say(30001, flags="R", seq=ISN + 11 & 0xffffffff)
    reborn = say(30001, flags="S", seq=77, options=options)
    said["reborn"] = heard(say(30001, b"again", seq=78, flags="PA", ack=reborn[0].seq + 1))

    # Two handshakes of one client at once, crossed.
    one, two = (say(number, flags="S", seq=number, options=[]) for number in (30003, 30004))
    said["two"] = heard(say(30004, b"two", seq=30005, flags="PA", ack=two[0].seq + 1))
    said["one"] = heard(say(30003, b"one", seq=30004, flags="PA", ack=one[0].seq + 1))

    # An upload: the ACK and a first window's data, before the edge has looked at any of it.
    burst = say(30005, flags="S", seq=0, options=options)
    cookie = {"ack": burst[0].seq + 1, "flags": "A"}
    parts = [bytes([ord("a") + number]) * 1000 for number in range(8)]
    back = say_at_once(30005, [segment(30005, seq=1, **cookie)] + [
        segment(30005, part, seq=1 + 1000 * number, **cookie) for number, part in enumerate(parts)])
    said["burst"] = heard(back) == b"".join(parts).decode()

    # The minute in which this cookie was made is over.
    print("a minute later", flush=True)
    while not later.exists():
        time.sleep(0.02)
    said["early"] = heard(say(30006, b"early", seq=ISN + 1, flags="PA", ack=early[0].seq + 1))
    print(json.dumps(said))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), pathlib.Path(sys.argv[6]))
