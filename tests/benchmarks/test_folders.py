"""Memory stays flat as a folder of images grows tenfold."""

from __future__ import annotations

from .folders import memory_of_folders


def test_memory_does_not_grow_with_a_folder() -> None:
    target = memory_of_folders()
    print(f"{target.what}: {target.ratio:.2f} times {target.beside}, at most {target.limit}")
    assert target.ratio <= target.limit, target
