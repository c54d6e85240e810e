# SPDX-License-Identifier: BSD-2-Clause
"""what it costs to find a request's route among many, and a list that is gone through"""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/routes"


def run(record, quick):
    with subprocess.Popen([PROGRAM, "10000" if quick else "300000"], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            case, subject, metric, value = line.rstrip("\n").split("\t")
            record(case, subject, metric, float(value), "ns")
    if child.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit status {child.returncode}")
    return []
