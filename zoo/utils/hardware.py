"""The hardware: the CPU and its fast float types, the accelerator, and how much of them this process may use."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import resource
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESSOR = Path("/proc/cpuinfo")
_OWN_MEMORY = Path("/proc/self/statm")
_OWN_GROUPS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# CPU flags in /proc/cpuinfo by which floating-point libraries select code, with the level of ONEDNN_MAX_CPU_ISA that
# each requires
_X86_LEVELS = (
    "sse41",
    "avx",
    "avx2",
    "avx2_vnni",
    "avx2_vnni_2",
    "avx512_core",
    "avx512_core_vnni",
    "avx512_core_bf16",
    "avx512_core_fp16",
    "avx512_core_amx",
    "avx512_core_amx_fp16",
)
_X86_FLAGS = {
    "avx": "avx",
    "avx2": "avx2",
    "fma": "avx2",
    "avx_vnni": "avx2_vnni",
    "avx_ne_convert": "avx2_vnni_2",
    "avx512f": "avx512_core",
    "avx512bw": "avx512_core",
    "avx512dq": "avx512_core",
    "avx512vl": "avx512_core",
    "avx512_vnni": "avx512_core_vnni",
    "avx512_bf16": "avx512_core_bf16",
    "avx512_fp16": "avx512_core_fp16",
    "amx_tile": "avx512_core_amx",
    "amx_int8": "avx512_core_amx",
    "amx_bf16": "avx512_core_amx",
    "amx_fp16": "avx512_core_amx_fp16",
}
_ARM_FLAGS = ("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "svebf16")
ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_BFLOAT16_SETS = frozenset(("avx512_bf16", "amx_bf16"))
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_ENABLED_BY_TENSORFLOW = {"avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"}
_MAPPED = 2 << 30  # address space that TensorFlow was measured to take beyond the memory that it uses: 1.9 GiB
_AMPERE = (8, 0)  # the first NVIDIA GPUs with bfloat16 units


def processor_name() -> str:
    """Return the name of the CPU as reported by the system, empty if unknown."""
    with contextlib.suppress(OSError), _PROCESSOR.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()


def accelerator_name() -> str | None:
    """Return the name of the GPU or TPU that Keras's backend computes on: empty if there is none, None if unknown."""
    import keras

    backend = keras.backend.backend()
    library: Any = sys.modules.get(backend)  # Keras has imported it: the core imports no backend
    try:
        return _ACCELERATORS[backend](library)
    except Exception:  # another backend, or a driver error: a missing name must not fail a run
        return None


def _of_tensorflow(tensorflow: Any) -> str:
    devices = [each for each in tensorflow.config.get_visible_devices() if each.device_type != "CPU"]
    if not devices:
        return ""
    details = tensorflow.config.experimental.get_device_details(devices[0])
    return str(details.get("device_name") or devices[0].device_type)


def _of_jax(jax: Any) -> str | None:
    first = jax.devices()[0]
    return "" if first.platform == "cpu" else str(first.device_kind) or None


def _of_torch(torch: Any) -> str | None:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0)) or None
    others = (torch.backends.mps, torch.xpu)  # Keras can compute on them, but they have no common way to get a name
    return None if any(each.is_available() for each in others) else ""


_ACCELERATORS = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}


def instruction_sets() -> tuple[str, ...] | None:
    """Return the instruction sets that floating-point libraries can use here, with their Linux names, sorted.

    These are the CPU's, without those that ``ONEDNN_MAX_CPU_ISA`` excludes. None if the system does not report them.
    """
    flags = _processor_flags()
    if flags is None:
        return None
    allowed = _allowed_levels()
    known = [flag for flag, level in _X86_FLAGS.items() if level in allowed]
    return tuple(sorted(flags & {*known, *_ARM_FLAGS}))


def _processor_flags() -> set[str] | None:
    """Return the CPU flags, with their Linux names, or None if the system does not report them."""
    with contextlib.suppress(OSError), _PROCESSOR.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return set(value.split())
    return None


def _allowed_levels() -> tuple[str, ...]:
    """Return the x86 levels that oneDNN may use: all, or up to the one named by an environment variable."""
    named = next((value for name in ISA_VARIABLES if (value := os.environ.get(name))), "all").lower()
    return _X86_LEVELS[: _X86_LEVELS.index(named) + 1] if named in _X86_LEVELS else _X86_LEVELS


def why_bfloat16_is_slow(backend: str) -> str | None:
    """Return why a Keras backend computes slower in bfloat16 than in float32 on this CPU, or None if it does not.

    TensorFlow and PyTorch are faster in bfloat16 on CPUs with AVX512-BF16 or AMX, through oneDNN. On other CPUs,
    bfloat16 is emulated, which is several times slower.
    """
    if backend not in ("tensorflow", "torch"):
        return f"{backend} has no fast bfloat16 on CPUs"
    if backend == "tensorflow" and _is_off(os.environ.get(ONEDNN)):
        return f"{ONEDNN}={os.environ[ONEDNN]}"
    if _BFLOAT16_SETS.isdisjoint(_processor_flags() or ()):
        return "no AVX512-BF16, no AMX"
    if _BFLOAT16_SETS.isdisjoint(instruction_sets() or ()):
        return next(f"{name}={os.environ[name]}" for name in ISA_VARIABLES if os.environ.get(name))
    return None


def enable_onednn() -> None:
    """Make TensorFlow use oneDNN on x86 CPUs with AVX2, where it does not do so by default.

    By default, TensorFlow uses oneDNN only on CPUs with AVX512-VNNI, AVX-VNNI or newer instructions for neural
    networks. This function sets ``TF_ENABLE_ONEDNN_OPTS``, unless that is already set or TensorFlow has been imported.
    """
    if tensorflow_lacks_onednn() and "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, "1")


def tensorflow_lacks_onednn() -> bool:
    """Return whether oneDNN is fast on this x86 CPU but TensorFlow does not use it by default."""
    sets = set(instruction_sets() or ())
    return {"avx2", "fma"} <= sets and sets.isdisjoint(_ENABLED_BY_TENSORFLOW)


def _is_off(value: str | None) -> bool:
    return value is not None and value.lower() in ("0", "false")


def computes_bfloat16() -> bool:
    """Return whether Keras's backend computes faster in bfloat16 than in float32 on this hardware.

    True for TPUs, NVIDIA GPUs since Ampere, and CPUs for which `why_bfloat16_is_slow` returns None; False if unknown.
    """
    import keras

    name = accelerator_name()
    backend = keras.backend.backend()
    if name == "":
        return why_bfloat16_is_slow(backend) is None
    try:
        return _BFLOAT16[backend](sys.modules.get(backend))
    except Exception:  # another backend, or a driver error: float32 always works
        return False


def _tensorflow_bfloat16(tensorflow: Any) -> bool:
    device = next(each for each in tensorflow.config.get_visible_devices() if each.device_type != "CPU")
    if device.device_type == "TPU":
        return True
    capability = tensorflow.config.experimental.get_device_details(device)["compute_capability"]
    return tuple(capability) >= _AMPERE


def _jax_bfloat16(jax: Any) -> bool:
    device = jax.devices()[0]
    return device.platform == "tpu" or tuple(map(int, device.compute_capability.split("."))) >= _AMPERE


def _torch_bfloat16(torch: Any) -> bool:
    return bool(torch.cuda.get_device_capability(0) >= _AMPERE)


_BFLOAT16 = {"tensorflow": _tensorflow_bfloat16, "jax": _jax_bfloat16, "torch": _torch_bfloat16}


def usable_processors() -> int:
    """Return the number of CPUs that this process may use, which is also TensorFlow's number of threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processors_allowed() -> int:
    """Return the number of CPUs of which this process may use the time: a limit of its control groups can be lower.

    That of a container is one: ``docker run --cpus=2``.
    """
    found = [usable_processors()]
    for path in _group_files("cpu", "cpu.cfs_quota_us", "cpu.max"):
        with contextlib.suppress(OSError, ValueError):  # no such file, or its content is "max"
            quota, *period = path.read_text(encoding="ascii").split()
            every = period[0] if period else path.with_name("cpu.cfs_period_us").read_text(encoding="ascii")
            if int(quota) > 0:  # -1: no limit
                found.append(math.ceil(int(quota) / int(every)))
    return min(found)


def usable_memory() -> int:
    """Return the memory that this process may use, in bytes.

    This is the machine's, or a lower limit of its control groups, or of its address space (``ulimit -v``), of which a
    backend takes some without using the memory.
    """
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        sizes.append(max(limit - _MAPPED, limit // 4))
    for path in _group_files("memory", "memory.limit_in_bytes", "memory.max"):
        with contextlib.suppress(OSError, ValueError):  # no such file, or its content is "max"
            sizes.append(int(path.read_text(encoding="ascii")))
    return min(sizes)


def memory_used() -> int:
    """Return the resident memory of this process, in bytes; 0 if the system does not report it."""
    return _own_memory(1)


def data_used() -> int:
    """Return the memory that this process has asked for, used or not, in bytes; 0 if the system does not report it."""
    return _own_memory(5)


def _own_memory(field: int) -> int:
    try:
        pages = int(_OWN_MEMORY.read_text(encoding="ascii").split()[field])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _group_files(controller: str, old: str, new: str) -> Iterator[Path]:
    """Iterate over the files that may contain limits of this process: those of its control groups and their parents.

    Args:
        controller: Name of the controller.
        old: Name of the file in version 1 of control groups.
        new: Its name in version 2.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root, name = (controller, old) if controllers else ("", new)
            inner = PurePosixPath(group)
            for each in (inner, *inner.parents):
                yield _GROUPS / root / str(each).lstrip("/") / name
