"""Exported files for tests, with the JSON file that `zoo export` writes beside them."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import msgspec

import zoo
from zoo import Registry
from zoo.models.inference import inference_model
from zoo.pipeline.exported import make_exporter
from zoo.pipeline.load import load_model
from zoo.runs.export_files import record_path
from zoo.runs.exports import ExportFileRecord, ExportRecord, ImageInputRecord, ParityRecord
from zoo.runs.record_io import write_record
from zoo.runs.records import FileRecord


def export_record(run: zoo.Run, *, exporter: str = "export/onnx", int8: bool = False) -> ExportRecord:
    """Return what an exported file of a run says of itself."""
    record = run.record
    return ExportRecord(
        exporter=exporter,
        int8=int8,
        recipe=record.recipe.name,
        run=record.id,
        model=record.recipe.model,
        model_sha256=record.model_sha256 or "",
        dtype_policy=record.environment.dtype_policy,
        data=record.data,
        dataset=record.recipe.dataset,
        image_input=ImageInputRecord(crop="center", background=0, inverted=True, trimmed=True),
        plugins=record.plugins,
        packages={},
    )


def write_beside(path: Path, export: ExportRecord, accuracy: float) -> None:
    """Write the JSON file beside an exported file."""
    content = path.read_bytes()
    record = ExportFileRecord(
        export=export,
        files={path.suffix: FileRecord(size=len(content), sha256=hashlib.sha256(content).hexdigest())},
        parity=ParityRecord(
            images=100,
            largest_difference=1e-6,
            tolerance=1e-4,
            different_predictions=0,
            accuracy=accuracy,
            model_accuracy=accuracy,
            run_accuracy=None,
        ),
        seconds=1.0,
    )
    write_record(record_path(path), record)


def export_onnx(run: zoo.Run, path: Path, registry: Registry, *, accuracy: float | None = None) -> Path:
    """Export the model of a run to an ONNX file; without an accuracy, without the JSON file beside it."""
    loaded = load_model(run, registry, in_float32=True)
    export = export_record(run)
    exporter = make_exporter(registry.exporters.get("onnx"))
    model = inference_model(loaded.model, loaded.trainer, loaded.input_shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's copy of tf2onnx looks for names of old versions of NumPy
        exporter.export(model, path, msgspec.json.encode(export).decode(), None)
    if accuracy is not None:
        write_beside(path, export, accuracy)
    return path
