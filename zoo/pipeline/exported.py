"""Open exported files: what they say of themselves is checked, then their own runtime runs them, without Keras."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import ArtifactError, RunFolderError, ZooWarning
from zoo.interfaces import Exporter, ImageInput
from zoo.pipeline.loaded_model import LoadedModel
from zoo.recipes.components import default_component, instantiate
from zoo.registry.exported_files import exporter_of
from zoo.runs import record_io
from zoo.runs.export_files import check_files, read_export_record, record_path
from zoo.runs.exports import ExportFileRecord, ExportRecord
from zoo.utils import strict_json
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry

_BATCH_BYTES = 1 << 26  # bytes of pixels that a runtime gets at a time


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported file.

    Args:
        path: The file, or the folder of a format that has folders.
        record: What is recorded beside it: its parity with the model, digests, classes and preprocessing.
    """

    path: Path
    record: ExportFileRecord


def make_exporter(registered: Registered[Entry]) -> Exporter:
    """Create an exporter.

    Raises:
        PluginError: It cannot be imported or created, or is not an exporter.
    """
    made: Exporter = instantiate(default_component(registered), Exporter, "must return a zoo.Exporter")
    return made


def open_exported(path: str | Path, registry: Registry, threads: int | None = None) -> LoadedModel:
    """Open an exported file to predict with it.

    Args:
        path: The file, or the folder of a format that has folders.
        registry: Registry in which the exporter is looked up by the suffix.
        threads: Maximum number of threads of the runtime; None for its default.

    Raises:
        ArtifactError: The file does not exist, is damaged, or was not written by ``zoo export``.
        PluginError: The runtime is not installed, or fails.
    """
    path = Path(path)
    registered = exporter_of(path, registry)
    if registered is None:
        known = ", ".join(sorted(found.item.suffix for found in registry.exporters if found.item.suffix))
        raise ArtifactError(
            f"{path} is not an exported file: no exporter has its suffix. Use one of {known}.", path=path
        )
    if not path.exists():
        raise ArtifactError(f"{path} does not exist. Export a run with `zoo export RUN`.", path=path)
    exporter, title = make_exporter(registered), f"exporter {registered.qualified_name}"
    if exporter.may_contain_code:
        raise ArtifactError(
            f"{path} is not opened: files of this format may contain code. Load it with its own library if you "
            f"trust it, or export the run as ONNX. Received: exporter={registered.qualified_name!r}",
            path=path,
        )
    with plugin_errors(title, f"read {path}"):
        record = read_metadata(exporter, path, str(registered.item.suffix))
    with plugin_errors(title, f"open {path}"):
        run = exporter.open(path, threads)
    form = record.image_input
    return LoadedModel(
        source=path,
        class_names=tuple(record.data.class_names),
        input_shape=record.data.input_shape,
        image_input=ImageInput(
            crop=form.crop,
            background=form.background,
            inverted=form.inverted,
            trimmed=form.trimmed,
            value_range=form.value_range or None,
        ),
        exported=record,
        _predict=predict_with(run, title, path, len(record.data.class_names)),
    )


def find_exported(folder: Path, model_sha256: str | None, registry: Registry) -> list[Exported]:
    """Return the exported files in a folder that have certain weights and can be opened; see `zoo.find_exports`."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        registered = exporter_of(path, registry)
        if registered is None or make_exporter(registered).may_contain_code:
            continue
        try:
            if not record_path(path).exists():
                continue
            record = record_io.read_record(record_path(path), ExportFileRecord)
            if record.export.model_sha256 != model_sha256:
                continue
            check_files(path, str(registered.item.suffix), record)
        except (ArtifactError, RunFolderError) as error:
            warnings.warn(f"An exported file is left out: {error}", ZooWarning, stacklevel=3)
            continue
        found.append(Exported(path=path, record=record))
    return sorted(found, key=lambda each: each.record.export.int8)


def read_metadata(exporter: Exporter, path: Path, suffix: str) -> ExportRecord:
    """Return what an exported file, or the record beside it, says of it.

    Raises:
        ArtifactError: It says nothing, or nothing valid, or the file is not the one that was exported.
    """
    text, record = exporter.read_metadata(path), read_export_record(path, suffix)
    if text is not None:
        return decode_metadata(text, path)
    if record is None:
        raise ArtifactError(
            f"{path} needs the record that zoo writes beside it: {record_path(path).name} is missing. Copy it too, or "
            "export the run again with `zoo export RUN`.",
            path=path,
        )
    return record.export


def decode_metadata(text: str, path: Path) -> ExportRecord:
    """Decode the metadata of an exported file.

    Raises:
        ArtifactError: It is not what ``zoo export`` writes.
    """
    if not text:
        raise ArtifactError(
            f"{path} has no metadata of zoo, so that its classes and its preprocessing are unknown. Use a file that "
            "`zoo export` wrote.",
            path=path,
        )
    try:
        record = msgspec.json.decode(text, type=ExportRecord)
        strict_json.check_keys(text.encode())
        if record.format != record_io.FORMAT:
            raise ValueError(f"it has format {record.format}, and this version of zoo reads {record_io.FORMAT}")
        if len(record.data.class_names) < 2:
            raise ValueError("it has fewer than two classes")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path} was not written by `zoo export`, or it was changed: {error!s:.300}. Export the run again.",
            path=path,
        ) from error
    return record


def predict_with(
    run: Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]], title: str, path: Path, num_classes: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:
    """Return a function that runs a file on any number of images in bounded memory, and checks its answers."""

    def predict(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        import numpy as np

        size = max(1, min(500, _BATCH_BYTES // math.prod(images.shape[1:])))
        found = [np.zeros((0, num_classes), np.float32)]
        with plugin_errors(title, f"run {path}"):
            for start in range(0, len(images), size):
                part = images[start : start + size]
                predicted = np.asarray(run(part))
                if predicted.shape != (len(part), num_classes):
                    raise ArtifactError(
                        f"{path} does not return a probability for each image and class. Export it with an exporter "
                        f"that does. Received: shape={predicted.shape} for {len(part)} images, {num_classes} classes",
                        path=path,
                    )
                if not np.isfinite(predicted).all():
                    raise ArtifactError(
                        f"{path} predicts NaN or infinity. Check the model and the exporter.", path=path
                    )
                found.append(predicted)
        return np.concatenate(found)

    return predict
