"""Export a run's model to files for other runtimes; a file whose predictions do not match the model's is not kept."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import tempfile
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.data.loading import check_data_dir, load_split
from zoo.errors import ArtifactError, PluginError, RunFolderError, SettingError, ZooWarning
from zoo.models.inference import inference_model
from zoo.pipeline.evaluate import check_classes, data_mismatch
from zoo.pipeline.exported import Exported, make_exporter
from zoo.pipeline.load import load_model
from zoo.pipeline.parity import MAX_ACCURACY_LOSS, PARITY_TOLERANCE, check_parity, measure_parity
from zoo.recipes.run_recipes import dataset_from_run, recorded_dataset
from zoo.registry.entries import check_name
from zoo.registry.exported_files import exporter_of
from zoo.runs import record_io
from zoo.runs.export_files import describe_files, read_export_record, record_path
from zoo.runs.exports import ExportFileRecord, ExportRecord, ImageInputRecord
from zoo.training.metrics import evaluate, names_model
from zoo.utils import files, locks
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

EXPORTS = "exports"
"""Folder for exported files: in the run folder or, for weights that ship with a recipe, in the current one."""
_CALIBRATION_IMAGES = 500  # more change the ranges of activations little
_PACKAGES = ("keras-zoo", "keras", "numpy")


def exports_folder(run: Run) -> Path:
    """Return the folder in which the files that are exported from a run are by default."""
    return Path(EXPORTS) if run.is_pretrained else run.path / EXPORTS


def choose_exporters(
    registry: Registry, formats: Sequence[str], *, int8: bool, tolerance: float | None
) -> list[Registered[Entry]]:
    """Return the exporters with these names, once each.

    Raises:
        UnknownNameError: An exporter is not registered.
        AmbiguousNameError: Another exporter has the same suffix.
        SettingError: There is none, one of them has no int8, or the tolerance is not allowed.
        PluginError: A package that one of them needs is not installed.
    """
    if tolerance is not None and not int8:
        raise SettingError(
            "A tolerance is for int8: a float32 file must predict what the model predicts. Use int8, or leave out the "
            f"tolerance. Received: tolerance={tolerance}",
            name="tolerance",
            value=tolerance,
        )
    if tolerance is not None and not (math.isfinite(tolerance) and 0 <= tolerance <= 1):
        raise SettingError(
            f"The tolerance must be a number from 0 to 1. Received: tolerance={tolerance}",
            name="tolerance",
            value=tolerance,
        )
    chosen = {found.qualified_name: found for found in map(registry.exporters.get, formats)}
    if not chosen:
        raise SettingError("Pass at least one format. Received: formats=[]", name="formats", value=formats)
    for name, found in chosen.items():
        exporter_of(f"name{found.item.suffix}", registry)  # raises an error if two have the suffix
        exporter = make_exporter(found)
        exporter.check_installed()
        if int8 and not exporter.has_int8:
            able = [each.name for each in registry.exporters if make_exporter(each).has_int8]
            raise SettingError(
                f"Exporter {name} has no int8. Use one of {', '.join(able)}, or leave out int8. "
                f"Received: format={found.name!r}",
                name="format",
                value=found.name,
            )
    return list(chosen.values())


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
        tolerance: With ``int8``, the largest loss of test accuracy that is allowed; None for `MAX_ACCURACY_LOSS`.
        out: Folder for the files; None for `exports_folder`.
        data_dir: As for `zoo.run`.

    Raises:
        ParityError: The predictions of a file do not match the model's. It is removed.
        ZooError: The model cannot be loaded, the data cannot be read, or a file cannot be written.
    """
    record = run.record
    check_name(record.recipe.name, "recipe")  # a stranger's record may have a path there
    folder = exports_folder(run) if out is None else Path(out)
    stem = f"{record.recipe.name}{'-int8' if int8 else ''}"
    targets = [folder / f"{stem}{registered.item.suffix}" for registered in exporters]
    dataset = dataset_from_run(registry, run)
    check_data_dir(dataset, data_dir)
    files.make_folder(folder)
    for target, registered in zip(targets, exporters, strict=True):
        files.check_writable(record_path(target))
        _check_replaceable(target, registered, record.id)
    progress.stage("loading Keras")
    import_keras()
    progress.stage("loading the model")
    loaded = load_model(run, registry, in_float32=True)
    progress.stage("loading the data")
    split = load_split(dataset, data_dir, record.data.input_shape)
    check_classes(split, run)
    fault = data_mismatch(split, run)
    if fault:
        warnings.warn(f"{fault} The exported file is compared on this data.", ZooWarning, stacklevel=2)
    progress.stage("testing the model in float32")
    with plugin_errors(f"model of {run.path}", "predict the test images"), names_model(record.recipe.model):
        expected = evaluate(loaded.trainer, loaded.model, split.test, len(split.class_names))
    calibration = _calibration_images(split) if int8 else None
    for target, registered in zip(targets, exporters, strict=True):
        started = time.perf_counter()
        exporter, title = make_exporter(registered), f"exporter {registered.qualified_name}"
        export = _describe(run, loaded, registered, exporter, int8=int8)
        with _new_folder(folder) as temporary:
            written = temporary / target.name
            progress.stage(f"exporting {target.name}")
            model = inference_model(loaded.model, loaded.trainer, loaded.input_shape)
            with plugin_errors(title, f"export {target.name}"), _disk_errors(target):
                exporter.export(model, written, msgspec.json.encode(export).decode(), calibration)
            if not written.exists():
                raise PluginError(
                    f"The {title} wrote nothing to the path that it was given. Received: path={str(written)!r}",
                    plugin=registered.plugin,
                )
            progress.stage(f"comparing {target.name} with the model")
            parity = measure_parity(
                exporter,
                title,
                written,
                split,
                expected,
                tolerance=(MAX_ACCURACY_LOSS if tolerance is None else tolerance) if int8 else PARITY_TOLERANCE,
                run_accuracy=record.test.accuracy if record.test and not fault else None,
            )
            check_parity(parity, target.name, int8=int8)
            done = ExportFileRecord(
                export=export,
                files=describe_files(written, str(registered.item.suffix)),
                parity=parity,
                is_run_data=not fault,
                seconds=time.perf_counter() - started,
            )
            with locks.locked(folder):
                _check_replaceable(target, registered, record.id)
                _publish(temporary, target, done)
        progress.stage(f"wrote {target}")
        yield Exported(path=target, record=done)


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    """Report a full or read-only disk as that, not as a fault of the exporter."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        with files.translate_os_errors("write", target):
            raise


def _check_replaceable(target: Path, registered: Registered[Entry], run: str) -> None:
    """Raise `RunFolderError` unless a path is free, or has an earlier export of the same run."""
    if not os.path.lexists(target):
        return
    try:
        record = read_export_record(target, str(registered.item.suffix))
    except (ArtifactError, RunFolderError):  # a damaged one of the same name is replaced
        record = None
        if record_path(target).exists():
            return
    if record is None or record.export.run != run:
        raise RunFolderError(
            f"{target} is not an export of this run, so it is not replaced. Remove it, or choose another folder. "
            f"Received: out={str(target.parent)!r}",
            path=target,
        )


def _describe(
    run: Run, loaded: LoadedModel, registered: Registered[Entry], exporter: Exporter, *, int8: bool
) -> ExportRecord:
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
        dataset=recorded_dataset(record),
        image_input=ImageInputRecord(
            crop=form.crop,
            background=form.background,
            inverted=form.inverted,
            trimmed=form.trimmed,
            value_range=form.value_range or msgspec.UNSET,
        ),
        plugins=record.plugins,
        packages={name: found for name in (*_PACKAGES, *exporter.packages) if (found := _version(name))},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _calibration_images(split: Split) -> NDArray[np.uint8]:
    """Return training images, drawn at random with a fixed seed."""
    import numpy as np

    count = min(_CALIBRATION_IMAGES, len(split.train))
    chosen = np.sort(np.random.default_rng(0).choice(len(split.train), count, replace=False))
    return split.train[chosen][0]


@contextlib.contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    with files.translate_os_errors("write", parent):
        folder = Path(tempfile.mkdtemp(prefix=".export-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(temporary: Path, target: Path, record: ExportFileRecord) -> None:
    """Move what was written to its place; the record last, since it vouches for the rest.

    If this is interrupted, there is no record, so that the files of two exports are never taken for one.
    """
    beside = record_path(target)
    with files.translate_os_errors("write", target):
        for written in temporary.rglob("*"):
            if written.is_file():
                with written.open("rb") as file:
                    os.fsync(file.fileno())
        beside.unlink(missing_ok=True)
        files.sync_folder(target.parent)
        for written in sorted(temporary.iterdir()):
            place = target.parent / written.name
            if place.is_dir() and not place.is_symlink():
                files.discard_folder(place)
            os.replace(written, place)
    files.write_file(beside, record_io.encode(record))
