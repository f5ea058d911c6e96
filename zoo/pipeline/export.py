"""Export a run's model to files for other runtimes; a file that does not answer like the model is not kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.data.examples import batches
from zoo.data.loading import load_split
from zoo.errors import ParityError, SettingError
from zoo.models.inference import inference_model
from zoo.pipeline.evaluate import check_classes, data_mismatch
from zoo.pipeline.exported import make_exporter, predict_with, record_path
from zoo.pipeline.load import load_model
from zoo.recipes.resolution import dataset_from_run
from zoo.runs.exports import ExportFileRecord, ExportRecord, ImageInputRecord, ParityRecord
from zoo.runs.record_io import encode
from zoo.runs.records import FileRecord
from zoo.training.metrics import evaluate, names_model
from zoo.utils import files
from zoo.utils.keras_import import import_keras
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Exporter, Progress, Split
    from zoo.pipeline.loaded_model import LoadedModel
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run
    from zoo.training.metrics import Evaluation

EXPORTS = "exports"
DIFFERENCE = 1e-4
"""Largest difference between a probability of a float32 file and one of the model that is allowed."""
LOSS_OF_ACCURACY = 0.005
"""Largest loss of test accuracy by 8-bit integers that is allowed by default."""
_CALIBRATION = 500  # training images; more change the ranges of activations little
_PACKAGES = (
    "keras-zoo",
    "keras",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorflow",
    "tf2onnx",
    "ai-edge-litert",
)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported file.

    Args:
        path: The file, or the folder of a format that has folders.
        record: What is recorded beside it: its parity with the model, digests, classes and preprocessing.
    """

    path: Path
    record: ExportFileRecord


def choose_exporters(registry: Registry, formats: Sequence[str], *, int8: bool) -> dict[str, Registered[Entry]]:
    """Return the exporters with these names, once each.

    Raises:
        UnknownNameError: An exporter is not registered.
        SettingError: One of them cannot write 8-bit integers, but that is wanted.
        PluginError: A package that one of them needs is not installed.
    """
    chosen = {found.qualified_name: found for found in map(registry.exporters.get, formats)}
    for name, found in chosen.items():
        exporter = make_exporter(found)
        exporter.check_installed()
        if int8 and not exporter.has_int8:
            able = [each.name for each in registry.exporters if make_exporter(each).has_int8]
            raise SettingError(
                f"Exporter {name} cannot write 8-bit integers. Use one of {', '.join(able)}, or leave out int8. "
                f"Received: format={found.name!r}",
                name="format",
                value=found.name,
            )
    return chosen


def export_run(
    run: Run,
    registry: Registry,
    exporters: Sequence[Registered[Entry]],
    progress: Progress,
    *,
    int8: bool = False,
    tolerance: float | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Iterator[Exported]:
    """Export the model of a run, and yield each file when it has been compared with the model on all test images.

    Args:
        run: The run.
        registry: Registry in which names are looked up.
        exporters: The exporters to use, in order.
        progress: Notified as the export advances.
        int8: Whether the files compute with 8-bit integers.
        tolerance: With ``int8``, the largest loss of test accuracy that is allowed; None for `LOSS_OF_ACCURACY`.
        out: Folder for the files; None for ``exports`` in the run folder or, for weights that ship with a recipe, in
            the current folder.
        data_dir: As for `zoo.run`.

    Raises:
        ParityError: A file does not answer like the model. It is removed.
        ZooError: The model cannot be loaded, the data cannot be read, or a file cannot be written.
    """
    folder = Path(out) if out is not None else Path(EXPORTS) if run.is_pretrained else run.path / EXPORTS
    progress.stage("loading Keras")
    import_keras()
    progress.stage("loading the model")
    loaded = load_model(run, registry, in_float32=True)
    progress.stage("loading the data")
    split = load_split(dataset_from_run(registry, run), data_dir, run.record.data.input_shape)
    check_classes(split, run)
    is_same_data = data_mismatch(split, run) is None
    progress.stage("testing the model in float32")
    with plugin_errors(f"model of {run.path}", "predict the test images"), names_model(run.record.recipe.model):
        expected = evaluate(loaded.trainer, loaded.model, split.test, len(split.class_names))
    files.make_folder(folder)
    for registered in exporters:
        started = time.perf_counter()
        export = _describe(run, loaded, registered, int8=int8)
        name = f"{run.record.recipe.name}{'-int8' if int8 else ''}{registered.item.suffix}"
        exporter = make_exporter(registered)
        title = f"exporter {registered.qualified_name}"
        with _new_folder(folder) as temporary:
            progress.stage(f"exporting {name}")
            calibration = _calibration_images(split) if int8 else None
            model = inference_model(loaded.model, loaded.trainer, loaded.input_shape)
            with plugin_errors(title, f"export {name}"):
                exporter.export(model, temporary / name, msgspec.json.encode(export).decode(), calibration)
            progress.stage(f"comparing {name} with the model")
            found = _predict(exporter, title, temporary / name, split)
            recorded = run.record.test.accuracy if run.record.test and is_same_data else None
            parity = _compare(found, expected, recorded, _tolerance(tolerance, int8=int8))
            _check(parity, name, int8=int8)
            record = ExportFileRecord(
                export=export,
                files={file: FileRecord(size=size, sha256=digest) for file, size, digest in _digests(temporary)},
                parity=parity,
                seconds=time.perf_counter() - started,
            )
            _publish(temporary, folder, name, encode(record))
        yield Exported(path=folder / name, record=record)


def _tolerance(given: float | None, *, int8: bool) -> float:
    return (LOSS_OF_ACCURACY if given is None else given) if int8 else DIFFERENCE


def _describe(run: Run, loaded: LoadedModel, registered: Registered[Entry], *, int8: bool) -> ExportRecord:
    record, form = run.record, loaded.image_input
    return ExportRecord(
        exporter=registered.qualified_name,
        int8=int8,
        recipe=record.recipe.name,
        run=record.id,
        model=record.recipe.model,
        model_sha256=record.model_sha256 or "",
        dtype_policy=record.environment.dtype_policy,
        data=record.data,
        dataset=record.recipe.dataset,
        image_input=ImageInputRecord(
            crop=form.crop, background=form.background, inverted=form.inverted, trimmed=form.trimmed
        ),
        plugins=record.plugins,
        packages={name: found for name in _PACKAGES if (found := _version(name))},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _calibration_images(split: Split) -> NDArray[np.uint8]:
    """Return training images, drawn at random with a fixed seed."""
    import numpy as np

    count = min(_CALIBRATION, len(split.train))
    chosen = np.sort(np.random.default_rng(0).choice(len(split.train), count, replace=False))
    return split.train[chosen][0]


def _predict(exporter: Exporter, title: str, path: Path, split: Split) -> NDArray[np.floating[Any]]:
    """Return the probabilities of a file, in its own runtime, for all test images."""
    import numpy as np

    with plugin_errors(title, f"open {path.name}"):
        predict = predict_with(exporter.open(path), title, path, len(split.class_names))
    return np.concatenate([predict(images) for images, _ in batches(split.test, 500)])


def _compare(
    found: NDArray[np.floating[Any]], expected: Evaluation, recorded: float | None, tolerance: float
) -> ParityRecord:
    import numpy as np

    difference = float(np.abs(found - expected.probabilities).max())
    answers, labels = found.argmax(axis=1), expected.labels
    return ParityRecord(
        images=len(labels),
        largest_difference=difference if np.isfinite(difference) else 1e30,
        tolerance=tolerance,
        different_answers=int((answers != expected.probabilities.argmax(axis=1)).sum()),
        accuracy=float((answers == labels).mean()),
        model_accuracy=expected.metrics.accuracy,
        run_accuracy=recorded,
    )


def _check(parity: ParityRecord, name: str, *, int8: bool) -> None:
    """Raise `ParityError` if a file's answers differ too much from the model's."""
    loss = parity.model_accuracy - parity.accuracy
    if int8 and loss > parity.tolerance:
        raise ParityError(
            f"8-bit integers cost {name} more accuracy than allowed, so it is not kept. Export it without int8, or "
            f"allow more with a higher tolerance. Received: accuracy={parity.accuracy:.4f}, in float32 "
            f"{parity.model_accuracy:.4f}, tolerance={parity.tolerance}",
            parity=parity,
        )
    if not int8 and parity.largest_difference > parity.tolerance:
        raise ParityError(
            f"{name} does not predict what the model predicts, so it is not kept. Use another format, and report this "
            f"to the exporter's author. Received: largest difference {parity.largest_difference:.2g}, tolerance "
            f"{parity.tolerance}, {parity.different_answers} of {parity.images} answers differ",
            parity=parity,
        )


@contextlib.contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    with files.translate_os_errors("write", parent):
        folder = Path(tempfile.mkdtemp(prefix=".export-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _digests(folder: Path) -> list[tuple[str, int, str]]:
    """Return the name, size and digest of each file in a folder and its subfolders."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), path.stat().st_size, files.sha256_of(path)) for path in found]


def _publish(temporary: Path, folder: Path, name: str, record: bytes) -> None:
    """Move what was written to its place; the record last, since it vouches for the rest."""
    final = record_path(folder / name)
    with files.translate_os_errors("write", folder / name):
        final.unlink(missing_ok=True)
        for written in sorted(temporary.iterdir()):
            target = folder / written.name
            if target.is_dir() and not target.is_symlink():
                files.discard_folder(target)
            os.replace(written, target)
    files.write_file(final, record)
