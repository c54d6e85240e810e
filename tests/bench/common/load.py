# SPDX-License-Identifier: BSD-2-Clause
"""Load on a server for some seconds, by wrk or h2load: what they counted, in one form."""
import json
import pathlib
import re
import subprocess
import typing

HERE = pathlib.Path(__file__).resolve().parent


class Load(typing.NamedTuple):
    requests: int  # answered in full
    bytes: int  # received: by wrk all of a response, by h2load bodies
    seconds: float
    p99_ms: float
    errors: int


def run(cores, words):
    return subprocess.run(["taskset", "-c", ",".join(map(str, cores)), *map(str, words)], check=True, text=True,
                          capture_output=True).stdout


def by_wrk(url, cores, seconds, connections, headers=()):
    """Closed loop: each connection asks again as soon as it is answered. One thread for each core."""
    words = ["wrk", f"-t{len(cores)}", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "load.lua"]
    for header in headers:
        words += ["-H", header]
    said = json.loads(run(cores, [*words, url]).strip().splitlines()[-1])
    return Load(said["requests"], said["bytes"], said["duration_us"] / 1e6, said["p99_us"] / 1e3, said["errors"])


def by_h2load(url, cores, seconds, connections, log, options):
    """@options: of h2load, such as how many streams or how many requests a second. @log: a file to use."""
    log.unlink(missing_ok=True)
    said = run(cores, ["h2load", f"-c{connections}", f"-D{seconds}", f"--log-file={log}", *options, url])
    done, succeeded, failed, errored = map(int, re.search(
        r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", said).groups())
    good = int(re.search(r"status codes: (\d+) 2xx", said).group(1))
    body_bytes = int(re.search(r"\((\d+)\) data", said).group(1))
    times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    p99_us = times[len(times) * 99 // 100] if times else 0
    return Load(succeeded, body_bytes, seconds, p99_us / 1e3, failed + errored + abs(done - good))
