# SPDX-License-Identifier: BSD-2-Clause
"""SYNs of every shape, and what each is answered with, run on the internet by test_handshakes.py.

    cookie_shapes.py EDGE EDGE-MAC PORT PREFIX COUNT

Each comes from an address and port of its own, which nobody has: PREFIX with a number behind it.
Prints as JSON what was asked and answered, in packets and bytes, and which answers were longer than
what they answer.
"""
import json
import random
import sys
import time

from scapy.all import Ether, IP, IPv6, Raw, TCP, get_if_hwaddr

from ears import Ears

OPTIONS = [b"", b"\x02\x04\x05\xb4", b"\x01\x01\x01\x00", b"\x03\x03\x07\x00", b"\x04\x02\x00\x00",
           b"\x08\x0a\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00", b"\x02\x04\x05\xb4\x01\x03\x03\x08\x01\x01\x04\x02",
           b"\x02\x04\x05\xb4\x04\x02\x08\x0a\x01\x02\x03\x04\x00\x00\x00\x00\x01\x03\x03\x07",
           b"\x02\x04\x05\xb4\x01\x03\x03\x06\x01\x01\x08\x0a\x01\x02\x03\x04\x00\x00\x00\x00\x04\x02\x00\x00",
           b"\x22\x02\x03\x03\x07\x01\x01\x01", b"\x1e\x0c\x00\x81" + b"\x05" * 8, b"\x03\x00\x03\x03"]


def main(edge, mac, port, prefix, count):
    random.seed(7)
    network = IPv6 if ":" in edge else IP
    frames = {}
    for number in range(count):
        source = prefix + (f"{number:x}" if ":" in prefix else str(1 + number % 250))
        options = random.choice(OPTIONS) if number % 2 else random.randbytes(4 * random.randrange(11))
        tcp = TCP(sport=1024 + number, dport=port, seq=random.getrandbits(32), dataofs=5 + len(options) // 4,
                  flags=random.choice(["S", "SEC", "SP"]))
        data = random.choice([b"", b"", b"x", b"x" * 500])
        frames[tcp.sport] = bytes(Ether(dst=mac, src=get_if_hwaddr("eth0"))
                                  / network(src=source, dst=edge) / tcp / Raw(options + data))
    with Ears("eth0") as ears:
        ears.send(frames.values())
        time.sleep(1.5)
        answers = [(segment.dport, length) for length, segment in ears.heard(edge, port)]
    print(json.dumps({
        "asked": len(frames), "answered": len(answers), "ports": len({number for number, _ in answers}),
        "bytes_asked": sum(map(len, frames.values())), "bytes_answered": sum(size for _, size in answers),
        "longer": [number for number, size in answers if size > len(frames[number])]}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
