# SPDX-License-Identifier: BSD-2-Clause
"""heads parsed a second: our HTTP/1 parser and http_parser, on the same bytes"""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/parser"
ROUNDS, TURN_MS = 51, 10  # many short turns: a slow spell of the machine hits both alike
QUICK_ROUNDS, QUICK_TURN_MS = 3, 2


def run(record, quick):
    """The program takes turns; here its samples are only handed on."""
    size = (QUICK_ROUNDS, QUICK_TURN_MS) if quick else (ROUNDS, TURN_MS)
    with subprocess.Popen([PROGRAM, *map(str, size)], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            case, subject, metric, value, unit = line.rstrip("\n").split("\t")
            record(case, subject, metric, float(value), unit)
    if child.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit status {child.returncode}")
