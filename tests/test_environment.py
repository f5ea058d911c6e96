"""What a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import zoo
from zoo import environment

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": "1048576\n"}, 2**20),
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        ("0::/system/mine\n", {"system/memory.max": "4096\n", "system/mine/memory.max": "max\n"}, 4096),
        ("0::/not/seen/here\n", {"memory.max": "8192\n"}, 8192),
        ("7:cpu,cpuacct:/a\n5:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "12288\n"}, 12288),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("no such line\n", {"memory.max": "4096\n"}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_memory_is_the_least_of_machine_and_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    (own := tmp_path / "own").write_text(groups)
    monkeypatch.setattr(environment, "_OWN_GROUPS", own)
    monkeypatch.setattr(environment, "_GROUPS", tmp_path / "cgroup")
    for name, content in limits.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert zoo.usable_memory() == expected
