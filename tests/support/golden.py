"""The wording of messages, in files that one command rewrites: tests assert on types and attributes.

`pytest --snapshot-update` (CONTRIBUTING.md has the whole line) rewrites the files under `__snapshots__`, so that a
changed sentence is one reviewed diff.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.support import ROOT
from zoo.errors import DataHint

_MASKS = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?", "<time>"),
    (r"\b\d(\.\d+)?e\+(0[89]|[1-9]\d)\b", "<number>"),  # sizes of memory and disks
    (rf"\bprocess {os.getpid()}\b", "process <pid>"),
    (r"(\btest_\w+\.py, line )\d+", r"\1<line>"),
    (rf" on '{re.escape(platform.node())}'", " on '<host>'"),
)


class Golden:
    """Compares what a program says with what it said before.

    Args:
        snapshot: What was said before, for this test.
        tmp_path: Folder of this test, which is another in each session.
    """

    def __init__(self, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
        self._snapshot = snapshot
        self._folders = {str(tmp_path): "<tmp>", str(tmp_path.parent): "<session>", str(ROOT): "<root>"}

    def masked(self, text: str) -> str:
        """Return a text without what differs from session to session, and from machine to machine."""
        for folder, name in self._folders.items():
            text = text.replace(folder, name)
        for pattern, name in _MASKS:
            text = re.sub(pattern, name, text)
        return text

    def says(self, text: str) -> None:
        """Compare a text."""
        assert self.masked(text) == self._snapshot

    @contextlib.contextmanager
    def raises(self, kind: type[BaseException], /, **facts: Any) -> Iterator[pytest.ExceptionInfo[Any]]:
        """Expect an error of exactly this type, with these attributes, and compare its message."""
        with pytest.raises(kind) as raised:
            yield raised
        assert type(raised.value) is kind
        assert {name: getattr(raised.value, name) for name in facts} == facts
        self.says(str(raised.value))

    @contextlib.contextmanager
    def warns(self, kind: type[Warning], count: int = 1) -> Iterator[list[warnings.WarningMessage]]:
        """Expect so many warnings of a type, and compare their messages; others and hints on data are passed on."""
        told: list[warnings.WarningMessage] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield told
        told += [
            each
            for each in caught
            if issubclass(each.category, kind) and (kind is DataHint or each.category is not DataHint)
        ]
        assert len(told) == count
        self.says("\n".join(str(each.message) for each in told))
        for each in caught:
            if each not in told:
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
