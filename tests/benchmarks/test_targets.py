"""The targets of speed and memory, each beside the least that could do the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .whole import TARGETS, Target


@pytest.mark.parametrize("measure", TARGETS, ids=lambda measure: measure.__name__)
def test_target_is_met(measure: Callable[[], Target]) -> None:
    target = measure()
    print(f"{target.what}: {target.ratio:.2f} times {target.beside}, at most {target.limit}")
    assert target.ratio <= target.limit, target
