"""Exports models as files for other runtimes, with proof that they answer alike, and runs such files."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_exporters() -> list[Entry]:
    """Return the exporters."""
    return [
        Entry(
            name="keras",
            target="zoo_export.keras_file:KerasFile",
            suffix=".keras",
            summary="A .keras file, for Keras without zoo.",
        ),
        Entry(
            name="litert",
            target="zoo_export.litert:LiteRt",
            suffix=".tflite",
            summary="LiteRT (TensorFlow Lite), for phones and small machines (extra: litert).",
        ),
        Entry(
            name="onnx",
            target="zoo_export.onnx_file:Onnx",
            suffix=".onnx",
            summary="ONNX, for ONNX Runtime; runs without TensorFlow (extra: onnx).",
        ),
        Entry(
            name="openvino",
            target="zoo_export.openvino_ir:OpenVino",
            suffix=".xml",
            summary="OpenVINO, for Intel's processors (extra: openvino).",
        ),
        Entry(
            name="saved-model",
            target="zoo_export.saved_model:SavedModel",
            suffix=".saved-model",
            summary="A SavedModel folder, for TensorFlow Serving.",
        ),
    ]


@hookimpl
def register_commands() -> list[Entry]:
    """Return the command ``export``."""
    return [
        Entry(
            name="export",
            target="zoo_export.command:export",
            summary="Export a trained model for other runtimes, and compare its answers.",
        )
    ]
