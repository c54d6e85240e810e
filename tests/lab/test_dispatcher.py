# SPDX-License-Identifier: BSD-2-Clause
"""Beside other XDP programs: where the kernel can, libxdp's dispatcher runs several on an interface."""
import glob
import json
import re

import pytest

from lab import BUILD, EDGE_V4, INTERNET_V4

FILTER = (10, "floodwall_filter")


def chain(lab):
    """What runs on eth0, in this order: [(priority, name), ...]."""
    text = lab.edge("xdp-loader", "status", "eth0").stdout
    return [(int(priority), name) for priority, name in re.findall(r"=> +(\d+) +(\S+)", text)]


def floodwall(lab, *arguments, check=True):
    return lab.edge(BUILD / "floodwall", *arguments, check=check)


def connects(lab):
    return lab.internet("timeout", 2, "bash", "-c", f"exec 3<>/dev/tcp/{EDGE_V4}/80",
                        check=False).returncode == 0


@pytest.fixture(params=[5, 50], ids=["before", "behind"])
def neighbour(lab, request):
    """A program of xdp-tools that passes everything, at a priority before ours or behind."""
    program = glob.glob("/usr/lib/*/bpf/xdpfilt_alw_all.o")[0]
    lab.edge("xdp-loader", "load", "-m", "native", "-P", request.param, "eth0", program)
    if not chain(lab):
        pytest.skip("this kernel has no freplace (BPF_PROG_TYPE_EXT): libxdp has no dispatcher here")
    return request.param, "xdpfilt_alw_all"


def test_the_filter_shares_its_interface(lab, neighbour):
    """Attached, exchanged, refused and detached, and the neighbour runs on; what ours drops, is."""
    lab.nginx(["0.0.0.0:80"])
    both = sorted([FILTER, neighbour])
    for _ in range(2):  # the second exchanges the program
        floodwall(lab, "attach", "eth0", "--cgroup", lab.edge.cgroup)
        assert chain(lab) == both
    status = json.loads(floodwall(lab, "status", "--json").stdout)
    found = [(row["name"], row["mode"]) for row in status["interfaces"]]
    assert found == [("eth0", "native")] and status["tracking"]

    refused = floodwall(lab, "attach", "eth0", "--mode", "generic", check=False)
    assert refused.returncode == 3 and "other programs run there in native mode" in refused.stderr
    assert chain(lab) == both

    assert connects(lab)
    floodwall(lab, "block", INTERNET_V4)
    assert not connects(lab)
    blocked = json.loads(floodwall(lab, "blocks", "--json").stdout)[0]
    assert blocked["packets"] > 0

    floodwall(lab, "detach", "--all")
    assert chain(lab) == [neighbour] and connects(lab)
