# SPDX-License-Identifier: BSD-2-Clause
"""Handshakes begun one by one and completed all at once, run on the internet by test_handshakes.py.

    cookie_hoard.py EDGE EDGE-MAC PORT SOURCE COUNT

Talks from an address that nobody has, so that no stack answers in between. Prints as JSON how many
SYNs were answered.
"""
import json
import sys
import time

from scapy.all import Ether, IP, IPv6, TCP, get_if_hwaddr

from ears import Ears

FIRST_PORT, ISN = 20000, 1000


def main(edge, mac, port, source, count):
    network = IPv6 if ":" in edge else IP
    start = Ether(dst=mac, src=get_if_hwaddr("eth0")) / network(src=source, dst=edge)
    syns = [bytes(start / TCP(sport=FIRST_PORT + number, dport=port, seq=ISN, flags="S", options=[("MSS", 1460)]))
            for number in range(count)]
    with Ears("eth0") as ears:
        ears.send(syns)
        time.sleep(0.5)
        answers = {segment.dport: segment.seq for _, segment in ears.heard(edge, port)}
        acks = [bytes(start / TCP(sport=number, dport=port, seq=ISN + 1, ack=(isn + 1) & 0xffffffff, flags="A"))
                for number, isn in answers.items()]
        ears.send(acks)
    print(json.dumps({"answered": len(answers)}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
