"""What tests share, and what they start."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support.golden")

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]
