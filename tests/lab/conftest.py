# SPDX-License-Identifier: BSD-2-Clause
"""What every story starts from: a lab of its own, fresh and soon gone; and who may run beside whom.

scripts/test tells several stories at once (pytest-xdist), as most of their time is spent waiting.
Some can't be told beside others: they claim what a machine does that does nothing else, or leave
nothing of it to anybody. Those say so, and why, and come one by one when the others are through:

    @pytest.mark.alone("the flood takes both CPUs")
"""
import fcntl

import pytest

from edge import Counted, Edge
from lab import Lab
from origin import inside


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def edge():
    """A floodwalld for all stories of a file, which are told on its host."""
    with Lab() as made, inside(made.edge):
        yield Edge(made)


@pytest.fixture
def counted(edge):
    return Counted(edge)


# --- who may run beside whom ----------------------------------------------------------------------

def pytest_configure(config):
    config.addinivalue_line("markers", "alone(reason): nothing else may run meanwhile")


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("alone"):
            if not mark.args:
                raise pytest.UsageError(f"{item.nodeid}: alone needs a reason")
    items.sort(key=is_alone)


def is_alone(item):
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Workers share a lock on this file, but for who is alone: with fixtures, setup to teardown."""
    with open(__file__, encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        yield
