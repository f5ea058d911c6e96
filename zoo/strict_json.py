"""JSON as it should be: no key twice."""

from __future__ import annotations

import json
from typing import Any


def check_keys(text: bytes) -> None:
    """Raise `ValueError` unless a text is JSON and no object in it has a key twice: parsers take one of the two."""
    json.loads(text, object_pairs_hook=_check_pairs)


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the key {name!r:.100} is there twice")
        seen.add(name)
