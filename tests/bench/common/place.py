# SPDX-License-Identifier: BSD-2-Clause
"""Where a suite with servers runs: the namespaces that scripts/bench made, furnished. Nothing of it is seen
outside."""
import pathlib
import subprocess

WORK = pathlib.Path("/mnt")  # a tmpfs of our own mount namespace
CGROUP = WORK / "cgroup/floodwall-bench"


def command(*words):
    subprocess.run(list(map(str, words)), check=True)


def furnish():
    command("mount", "-t", "tmpfs", "tmpfs", WORK)
    (WORK / "cgroup").mkdir()
    command("mount", "-t", "cgroup2", "none", WORK / "cgroup")
    command("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    command("mount", "-t", "tmpfs", "tmpfs", "/run")
    command("ip", "link", "set", "lo", "up")
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65535")
    pathlib.Path("/proc/sys/net/core/somaxconn").write_text("4096")
    CGROUP.mkdir(exist_ok=True)


def make_certificate():
    """WORK/web.pem for web.test, signed by itself, and both.pem with its key."""
    command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-keyout", WORK / "key.pem", "-out", WORK / "web.pem", "-subj", "/CN=web.test", "-addext",
            "subjectAltName=DNS:web.test")
    (WORK / "both.pem").write_text((WORK / "web.pem").read_text() + (WORK / "key.pem").read_text())
