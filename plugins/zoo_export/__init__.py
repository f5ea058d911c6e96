"""Exports models as files for other runtimes, with proof that they answer alike, and runs such files."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_exporters() -> list[Entry]:
    """Return the exporters."""
    return [
        Entry(
            name="onnx",
            target="zoo_export.onnx_file:Onnx",
            suffix=".onnx",
            summary="ONNX, for ONNX Runtime; runs without TensorFlow (extra: onnx).",
        ),
    ]
