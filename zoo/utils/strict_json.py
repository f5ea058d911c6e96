"""Strict JSON: no duplicate keys, and unchanged since it was sealed. Imports nothing that is slow to import."""

from __future__ import annotations

import json
import re
from typing import Any

_SEAL = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')


def verified_content(data: bytes) -> bytes | None:
    """Return a JSON object without the digest at its end, or None unless the digest matches the content."""
    import hashlib

    seal = _SEAL.search(data)
    if seal is None or hashlib.sha256(data[: seal.start()]).hexdigest() != seal[1].decode():
        return None
    return data[: seal.start()] + b"\n}"


def check_keys(text: bytes) -> None:
    """Raise `ValueError` unless a text is JSON without duplicate keys, of which parsers silently use only one."""
    json.loads(text, object_pairs_hook=_check_pairs)


def _check_pairs(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"duplicate key {name!r:.100}")
        seen.add(name)
