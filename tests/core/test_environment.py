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
from zoo.runs import environment
from zoo.utils import hardware


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that stands in for ``/``, as far as files of ``/proc`` and ``/sys`` are read."""
    opened = Path.open

    def open_(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.is_relative_to("/proc") or path.is_relative_to("/sys"):
            path = tmp_path / path.relative_to("/")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_)
    return tmp_path


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


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
    system: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    put(system / "proc/self/cgroup", groups)
    for name, content in limits.items():
        put(system / "sys/fs/cgroup" / name, content)
    assert zoo.utils.usable_memory() == expected


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "10000"}, 5),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "10000"}, 8),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "50000"}, 8),
        ("0::/\n", {}, 8),
    ],
)
def test_processors_are_as_many_as_control_groups_allow(
    system: Path, monkeypatch: pytest.MonkeyPatch, groups: str, limits: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    put(system / "proc/self/cgroup", groups)
    for name, content in limits.items():
        put(system / "sys/fs/cgroup" / name, content)
    assert zoo.utils.processors_allowed() == expected


@pytest.mark.parametrize(("limit", "expected"), [(6 << 30, 4 << 30), (1 << 30, 1 << 28), (1 << 62, MACHINE)])
def test_memory_is_bounded_by_the_address_space(
    system: Path, monkeypatch: pytest.MonkeyPatch, limit: int, expected: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))
    assert zoo.utils.usable_memory() == min(expected, MACHINE)


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
    assert hardware.accelerator_name() == (name or "")


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
    assert hardware.accelerator_name() == expected


def test_accelerator_that_cannot_be_asked_for_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("driver and library do not fit")

    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=fail))
    assert hardware.accelerator_name() is None
    monkeypatch.setattr("keras.backend.backend", lambda: "another")
    assert hardware.accelerator_name() is None


def test_accelerator_is_part_of_the_hardware_and_of_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "accelerator_name", lambda: "")
    plain = environment.describe("float32")
    assert plain.hardware == f"{plain.processors} x {plain.processor}"
    monkeypatch.setattr(hardware, "accelerator_name", lambda: "NVIDIA H100 PCIe")
    faster = environment.describe("float32")
    assert faster.hardware == f"NVIDIA H100 PCIe, {plain.hardware}"
    assert environment.differences(plain, faster) == ["accelerator none -> NVIDIA H100 PCIe"]
    older = msgspec.structs.replace(plain, accelerator=None)  # recorded before there was such a field
    assert environment.differences(older, faster) == environment.differences(faster, older) == []


CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx {flags}\n\nprocessor\t: 1\n"


def on_processor(monkeypatch: pytest.MonkeyPatch, system: Path, flags: str, **variables: str) -> None:
    """Stand in for another processor."""
    put(system / "proc/cpuinfo", CPUINFO.format(flags=flags))
    for name in (*hardware.ISA_VARIABLES, "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


ZEN_4 = "avx2 fma avx512f avx512_vnni avx512_bf16"


@pytest.mark.parametrize(
    ("flags", "variables", "sets", "to_blame"),
    [
        ("avx2 fma sha_ni", {}, "avx avx2 fma", "AVX512-BF16"),
        (ZEN_4, {}, "avx avx2 avx512_bf16 avx512_vnni avx512f fma", None),
        (
            ZEN_4,
            {"TF_ENABLE_ONEDNN_OPTS": "0"},
            "avx avx2 avx512_bf16 avx512_vnni avx512f fma",
            "TF_ENABLE_ONEDNN_OPTS=0",
        ),
        (ZEN_4, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "avx avx2 fma", "ONEDNN_MAX_CPU_ISA=AVX2"),
        (ZEN_4, {"DNNL_MAX_CPU_ISA": "avx512_core"}, "avx avx2 avx512f fma", "DNNL_MAX_CPU_ISA=avx512_core"),
        (ZEN_4, {"ONEDNN_MAX_CPU_ISA": "ALL"}, "avx avx2 avx512_bf16 avx512_vnni avx512f fma", None),
        (ZEN_4, {"ONEDNN_MAX_CPU_ISA": "no such"}, "avx avx2 avx512_bf16 avx512_vnni avx512f fma", None),
        ("avx2 amx_tile amx_bf16", {}, "amx_bf16 amx_tile avx avx2", None),
    ],
)
def test_instruction_sets_decide_what_is_fast(
    monkeypatch: pytest.MonkeyPatch,
    system: Path,
    flags: str,
    variables: dict[str, str],
    sets: str,
    to_blame: str | None,
) -> None:
    on_processor(monkeypatch, system, flags, **variables)
    assert hardware.instruction_sets() == tuple(sets.split())
    why_slow = hardware.why_bfloat16_is_slow("tensorflow")
    assert why_slow is None if to_blame is None else to_blame in str(why_slow)
    assert hardware.why_bfloat16_is_slow("jax") is not None
    monkeypatch.setattr(hardware, "accelerator_name", lambda: "")
    assert hardware.computes_bfloat16() is (why_slow is None)


def test_nothing_is_known_of_a_processor_without_cpuinfo(system: Path) -> None:
    assert hardware.instruction_sets() is None
    assert hardware.why_bfloat16_is_slow("tensorflow") is not None
    assert environment.describe("float32").instruction_sets is None


def test_two_processors_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch, system: Path) -> None:
    on_processor(monkeypatch, system, "avx2 fma")
    one = environment.describe("float32")
    on_processor(monkeypatch, system, ZEN_4)
    other = environment.describe("mixed_bfloat16")
    assert one.processor == other.processor == "AMD EPYC"
    assert [line.partition(" ")[0] for line in environment.differences(one, other)] == [
        "dtype_policy",
        "instruction_sets",
    ]
    older = msgspec.structs.replace(one, instruction_sets=None)  # recorded before there was such a field
    assert environment.differences(older, other) == ["dtype_policy float32 -> mixed_bfloat16"]


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0), None])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_gpus_since_ampere_compute_bfloat16(
    monkeypatch: pytest.MonkeyPatch, backend: str, capability: tuple[int, int] | None
) -> None:
    if backend == "tensorflow":
        library = of_tensorflow("GPU")
        details = {} if capability is None else {"compute_capability": capability}
        library.config.experimental.get_device_details = lambda _: {"device_name": "GPU"} | details
    elif backend == "jax":
        library = of_jax("GPU")
        if capability is not None:
            library.devices()[0].compute_capability = ".".join(map(str, capability))
    else:
        library = of_torch("GPU")
        if capability is not None:
            library.cuda.get_device_capability = lambda _: capability
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    monkeypatch.setitem(sys.modules, backend, library)
    assert hardware.computes_bfloat16() is (capability is not None and capability >= (8, 0))


@pytest.mark.parametrize(
    ("backend", "library"), [("tensorflow", of_tensorflow("TPU", "TPU")), ("jax", of_jax("TPU v4", "tpu"))]
)
def test_tpus_compute_bfloat16(monkeypatch: pytest.MonkeyPatch, backend: str, library: Any) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    monkeypatch.setitem(sys.modules, backend, library)
    assert hardware.computes_bfloat16()


@pytest.mark.parametrize(
    ("flags", "variable", "expected"),
    [
        ("avx2 fma", None, "1"),
        ("avx2 fma avx512f avx512bw avx512vl", None, "1"),
        ("avx2 fma", "0", "0"),
        ("avx2", None, None),
        ("", None, None),
        (ZEN_4, None, None),
        ("avx2 fma avx_vnni", None, None),
    ],
)
def test_onednn_is_enabled_where_tensorflow_does_not(
    monkeypatch: pytest.MonkeyPatch, system: Path, flags: str, variable: str | None, expected: str | None
) -> None:
    on_processor(monkeypatch, system, flags)
    monkeypatch.setitem(os.environ, hardware.ONEDNN, "")  # so that it is put back
    del os.environ[hardware.ONEDNN]
    if variable is not None:
        os.environ[hardware.ONEDNN] = variable
    hardware.enable_onednn()
    assert os.environ.get(hardware.ONEDNN) == variable  # TensorFlow has been imported already
    monkeypatch.delitem(sys.modules, "tensorflow")
    hardware.enable_onednn()
    assert os.environ.get(hardware.ONEDNN) == expected
