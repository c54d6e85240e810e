# SPDX-License-Identifier: BSD-2-Clause
"""what deadlines cost: the timing wheel, and a red-black tree"""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/timers"
UNITS = {"ns": "ns", "cpu": "share"}


def run(record, quick):
    with subprocess.Popen([PROGRAM, "1" if quick else "5"], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            case, subject, metric, value = line.rstrip("\n").split("\t")
            record(case, subject, metric, float(value), UNITS[metric])
    if child.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit status {child.returncode}")
    return []
