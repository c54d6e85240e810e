# SPDX-License-Identifier: BSD-2-Clause
"""What every story starts from: a lab of its own, fresh and soon gone."""
import pytest

from lab import Lab


@pytest.fixture
def lab():
    with Lab() as made:
        yield made
