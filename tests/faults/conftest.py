"""The run that nothing happens to, with which others are compared."""

from __future__ import annotations

import pytest

from .real_run import Outcome, finish, outcome


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a run that was left alone has come to."""
    out = tmp_path_factory.mktemp("alone") / "run"
    finish(out)
    return outcome(out)
