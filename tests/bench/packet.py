# SPDX-License-Identifier: BSD-2-Clause
"""nanoseconds a packet in XDP: the filter, a program that only returns, xdp-filter"""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/packet"
ROUNDS, PACKETS = 201, 40_000  # many short turns: a slow spell of the machine hits all alike
QUICK_ROUNDS, QUICK_PACKETS = 3, 20_000


def run(record, quick):
    """The program takes turns and checks verdicts; here its samples are only handed on."""
    size = (QUICK_ROUNDS, QUICK_PACKETS) if quick else (ROUNDS, PACKETS)
    with subprocess.Popen([PROGRAM, *map(str, size)], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            case, subject, ns = line.rstrip("\n").split("\t")
            record(case, subject, "ns", float(ns), "ns")
    if child.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit status {child.returncode}")
