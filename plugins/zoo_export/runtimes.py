"""Imports the runtimes of exported files, without the usage data that they would send to their makers."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def import_onnxruntime() -> Any:
    """Return ONNX Runtime.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at the first import; ONNX Runtime 1.32 sends otherwise
    import onnxruntime

    return onnxruntime


def import_openvino() -> Any:
    """Return OpenVINO.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    with _missing("openvino_telemetry"):  # OpenVINO does without it, and otherwise sends an event at each import
        import openvino

    return openvino


@contextlib.contextmanager
def _missing(name: str) -> Iterator[None]:
    """Let a module that is not imported yet be missing until the block ends."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # how Python marks a module that cannot be imported
    try:
        yield
    finally:
        del sys.modules[name]
