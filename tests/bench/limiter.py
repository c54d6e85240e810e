# SPDX-License-Identifier: BSD-2-Clause
"""what a limiter does to the innocent: the filter, and an LRU entry for each source"""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/tests/bench/limiter"
UNITS = {"ns": "ns", "attack_pps": "packets/s"}  # the rest are shares of one
PACE = 0.95  # below that a subject was not attacked as the others were


def run(record, quick):
    """One long turn for each: what matters here is what a limiter remembers."""
    size = ["0.2", "0.1"] if quick else ["6"]
    asked, slow = {}, []
    with subprocess.Popen([PROGRAM, *size], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            case, subject, metric, value = line.rstrip("\n").split("\t")
            record(case, subject, metric, float(value), UNITS.get(metric, "share"))
            if metric == "attack_pps":
                asked.setdefault(case, float(value))
                if float(value) < PACE * asked[case]:
                    slow.append(f"{case}: {subject} kept up with {float(value):,.0f} SYNs a second")
    if child.returncode != 0:
        raise RuntimeError(f"{PROGRAM}: exit status {child.returncode}")
    return slow
