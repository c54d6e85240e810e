# SPDX-License-Identifier: BSD-2-Clause
"""nanoseconds a packet in XDP: the filter, a program that only returns, xdp-filter"""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/packet"
# Many short turns: a slow spell of the machine hits all subjects of a case alike. And every case
# again and again, some minutes apart: none is measured in one spell alone.
PASSES, ROUNDS, PACKETS = 5, 41, 40_000
QUICK_PASSES, QUICK_ROUNDS, QUICK_PACKETS = 1, 3, 20_000


def measure(record, rounds, packets):
    """The program takes turns and checks verdicts; here its samples are only handed on."""
    with subprocess.Popen([PROGRAM, str(rounds), str(packets)], stdout=subprocess.PIPE,
                          text=True) as child:
        for line in child.stdout:
            case, subject, ns = line.rstrip("\n").split("\t")
            record(case, subject, "ns", float(ns), "ns")
    if child.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit status {child.returncode}")


def run(record, quick):
    passes, *size = ((QUICK_PASSES, QUICK_ROUNDS, QUICK_PACKETS) if quick
                     else (PASSES, ROUNDS, PACKETS))
    for _ in range(passes):
        measure(record, *size)
