# SPDX-License-Identifier: BSD-2-Clause
"""What every story starts from: a lab of its own, fresh and soon gone."""
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
