"""What a process may use, and what it computes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
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


def of_tensorflow(name: str | None, kind: str = "GPU") -> Any:
    """Return a stand-in for TensorFlow on a machine with such an accelerator, or none."""
    devices = [SimpleNamespace(device_type="CPU"), *[SimpleNamespace(device_type=kind)] * (name is not None)]
    details = SimpleNamespace(get_device_details=lambda _: {"device_name": name} if name else {})
    visible = SimpleNamespace(
        get_visible_devices=lambda kind=None: [each for each in devices if kind in (None, each.device_type)],
        experimental=details,
    )
    return SimpleNamespace(config=visible)


def of_jax(name: str | None, kind: str = "gpu") -> Any:
    device = SimpleNamespace(platform="cpu" if name is None else kind, device_kind="cpu" if name is None else name)
    return SimpleNamespace(devices=lambda: [device])


def of_torch(name: str | None, *others: str) -> Any:
    cuda = SimpleNamespace(is_available=lambda: name is not None and not others, get_device_name=lambda _: name)
    mps, xpu = (SimpleNamespace(is_available=lambda kind=kind: kind in others) for kind in ("mps", "xpu"))
    return SimpleNamespace(cuda=cuda, backends=SimpleNamespace(mps=mps), xpu=xpu)


@pytest.mark.parametrize(("backend", "make"), [("tensorflow", of_tensorflow), ("jax", of_jax), ("torch", of_torch)])
@pytest.mark.parametrize("name", ["NVIDIA H100 PCIe", None])
def test_accelerator_is_named_by_the_backend(
    monkeypatch: pytest.MonkeyPatch, backend: str, make: Callable[[str | None], Any], name: str | None
) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    monkeypatch.setitem(sys.modules, backend, make(name))
    assert environment.accelerator_name() == (name or "")


@pytest.mark.parametrize(
    ("backend", "library", "expected"),
    [
        ("tensorflow", of_tensorflow("", "TPU"), "TPU"),
        ("tensorflow", of_tensorflow(""), "GPU"),
        ("jax", of_jax("TPU v4", "tpu"), "TPU v4"),
        ("jax", of_jax(""), None),
        ("torch", of_torch(""), None),
        ("torch", of_torch("", "mps"), None),
        ("torch", of_torch("", "xpu"), None),
    ],
)
def test_accelerator_without_a_name_is_not_none(
    monkeypatch: pytest.MonkeyPatch, backend: str, library: Any, expected: str | None
) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    monkeypatch.setitem(sys.modules, backend, library)
    assert environment.accelerator_name() == expected


def test_accelerator_that_cannot_be_asked_for_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("driver and library do not fit")

    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=fail))
    assert environment.accelerator_name() is None
    monkeypatch.setattr("keras.backend.backend", lambda: "another")
    assert environment.accelerator_name() is None


def test_accelerator_is_part_of_the_hardware_and_of_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "accelerator_name", lambda: "")
    plain = environment.describe()
    assert plain.hardware == f"{plain.processors} x {plain.processor}"
    monkeypatch.setattr(environment, "accelerator_name", lambda: "NVIDIA H100 PCIe")
    faster = environment.describe()
    assert faster.hardware == f"NVIDIA H100 PCIe, {plain.hardware}"
    assert environment.differences(plain, faster) == ["accelerator none -> NVIDIA H100 PCIe"]
    older = msgspec.structs.replace(plain, accelerator=None)  # recorded before there was such a field
    assert environment.differences(older, faster) == environment.differences(faster, older) == []
