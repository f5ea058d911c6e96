"""What is measured is what users have: the pictures of runs are drawn."""

from __future__ import annotations

import os

os.environ.pop("ZOO_TESTS_PICTURES", None)
