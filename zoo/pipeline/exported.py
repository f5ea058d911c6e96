"""Open exported files: what they say of themselves is checked, then their own runtime runs them, without Keras."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import ArtifactError
from zoo.interfaces import Exporter, ImageInput
from zoo.pipeline.loaded_model import LoadedModel
from zoo.recipes.components import default_component, instantiate
from zoo.registry.exported_files import exporter_of
from zoo.runs import record_io
from zoo.runs.exports import ExportFileRecord, ExportRecord
from zoo.utils import files, strict_json
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry

_BATCH_BYTES = 1 << 26  # bytes of pixels that a runtime gets at a time


def make_exporter(registered: Registered[Entry]) -> Exporter:
    """Create an exporter.

    Raises:
        PluginError: It cannot be imported or created, or is not an exporter.
    """
    made: Exporter = instantiate(default_component(registered), Exporter, "must return a zoo.Exporter")
    return made


def record_path(path: Path) -> Path:
    """Return the path of the JSON file beside an exported file."""
    return path.with_name(path.name + ".json")


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
    if exporter.has_programs:
        raise ArtifactError(
            f"{path} is not opened: files of this format may contain programs. Load it with its own library if you "
            f"trust it, or export the run as ONNX. Received: exporter={registered.qualified_name!r}",
            path=path,
        )
    with plugin_errors(title, f"read {path}"):
        record = read_metadata(exporter, path)
    with plugin_errors(title, f"open {path}"):
        run = exporter.open(path, threads)
    form = record.image_input
    return LoadedModel(
        source=path,
        class_names=tuple(record.data.class_names),
        input_shape=record.data.input_shape,
        image_input=ImageInput(
            crop=form.crop, background=form.background, inverted=form.inverted, trimmed=form.trimmed
        ),
        exported=record,
        _predict=predict_with(run, title, path, len(record.data.class_names)),
    )


def read_metadata(exporter: Exporter, path: Path) -> ExportRecord:
    """Return what an exported file, or the JSON file beside it, says of it.

    Raises:
        ArtifactError: It says nothing, or nothing valid.
    """
    text, beside = exporter.read_metadata(path), record_path(path)
    if beside.exists():
        record = record_io.read_record(beside, ExportFileRecord)
        _check_digests(path, record)
        if text is None:
            return record.export
    if text is None:
        raise ArtifactError(
            f"{path} needs the file that zoo writes beside it: {beside.name} is missing. Copy it too, or export the "
            "run again with `zoo export RUN`.",
            path=path,
        )
    return decode_metadata(text, path)


def _check_digests(path: Path, record: ExportFileRecord) -> None:
    """Raise `ArtifactError` unless files have the digests that are recorded beside them."""
    for name, recorded in record.files.items():
        file = path.with_name(Path(name).name)  # whatever folder the record names
        if not file.is_file() or files.sha256_of(file) != recorded.sha256:
            raise ArtifactError(
                f"{file} is not what zoo wrote: its digest differs from the one in {record_path(path).name}. Restore it "
                "from a copy, or export the run again.",
                path=file,
            )


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
                        f"{path} does not fit its metadata: it returns {predicted.shape[1:]} values an image for "
                        f"{num_classes} classes. Export the run again.",
                        path=path,
                    )
                found.append(predicted)
        return np.concatenate(found)

    return predict
