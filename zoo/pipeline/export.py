"""Export a run's model to files for other runtimes; a file whose predictions do not match the model's is not kept."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.data.loading import check_data_dir, load_split
from zoo.errors import ExportError, PluginError, SettingError, ZooError, ZooWarning
from zoo.models.inference import inference_model
from zoo.pipeline.evaluate import check_classes, data_mismatch
from zoo.pipeline.export_folder import Target, check_replaceable, disk_errors, made_folder, new_folder, publish
from zoo.pipeline.exported import Exported, make_exporter
from zoo.pipeline.load import load_model
from zoo.pipeline.parity import MAX_ACCURACY_LOSS, PARITY_TOLERANCE, check_parity, measure_parity
from zoo.recipes.run_recipes import dataset_from_run, recorded_dataset
from zoo.registry.entries import check_name
from zoo.registry.exported_files import exporter_of
from zoo.runs.export_files import describe_files, record_path
from zoo.runs.exports import ExportFileRecord, ExportRecord, ImageInputRecord
from zoo.training.metrics import evaluate, names_model
from zoo.utils import files
from zoo.utils.keras_import import import_keras
from zoo.utils.plugin_errors import plugin_errors, plugin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Progress, Split
    from zoo.pipeline.loaded_model import LoadedModel
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run
    from zoo.training.metrics import Evaluation

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
    is_share = isinstance(tolerance, (int, float)) and not isinstance(tolerance, bool) and 0 <= tolerance <= 1
    if tolerance is not None and not is_share:
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
        ExportError: Some of several formats failed. It is raised when all were tried.
        ZooError: The model cannot be loaded, the data cannot be read, or a file cannot be written.
    """
    record = run.record
    check_name(record.recipe.name, "recipe")  # a stranger's record may have a path there
    if out is not None and not os.fspath(out):
        raise SettingError("'out' must be the path of a folder. Received: out=''", name="out", value=out)
    folder = exports_folder(run) if out is None else Path(out)
    stem = f"{record.recipe.name}{'-int8' if int8 else ''}"
    targets = [
        Target(
            path=folder / f"{stem}{registered.item.suffix}",
            suffix=str(registered.item.suffix),
            exporter=make_exporter(registered),
            exporter_name=registered.qualified_name,
            run=record.id,
        )
        for registered in exporters
    ]
    dataset = dataset_from_run(registry, run)
    check_data_dir(dataset, data_dir)
    with made_folder(folder):
        for target in targets:
            files.check_writable(record_path(target.path))
            check_replaceable(target)
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
        source = _Source(
            run=run,
            loaded=loaded,
            split=split,
            expected=expected,
            is_run_data=not fault,
            calibration=_calibration_images(split) if int8 else None,
            tolerance=(MAX_ACCURACY_LOSS if tolerance is None else tolerance) if int8 else PARITY_TOLERANCE,
        )
        exported: list[Exported] = []
        errors: dict[str, ZooError] = {}
        for target in targets:
            try:
                exported.append(Exported(path=target.path, record=_export(source, target, progress)))
            except ZooError as error:
                if len(targets) == 1:
                    raise
                errors[target.exporter_name] = error
                progress.stage(f"{target.path.name} failed")
                continue
            progress.stage(f"wrote {target.path}")
            yield exported[-1]
    if errors:
        reasons = "; ".join(f"{name}: {error}" for name, error in errors.items())
        raise ExportError(
            f"{len(errors)} of {len(targets)} formats failed: {reasons}", exported=exported, errors=errors
        ) from next(iter(errors.values()))


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What every format is exported from and compared with."""

    run: Run
    loaded: LoadedModel
    split: Split
    expected: Evaluation
    is_run_data: bool
    calibration: NDArray[np.uint8] | None
    tolerance: float


def _export(source: _Source, target: Target, progress: Progress) -> ExportFileRecord:
    """Export a model to one format and compare it."""
    started = time.perf_counter()
    path, exporter, title = target.path, target.exporter, f"exporter {target.exporter_name}"
    record, int8 = source.run.record, source.calibration is not None
    export = _describe(source.run, source.loaded, target, int8=int8)
    with new_folder(target) as folder:
        written = folder / path.name
        progress.stage(f"exporting {path.name}")
        model = inference_model(source.loaded.model, source.loaded.trainer, source.loaded.input_shape)
        with plugin_errors(title, f"export {path.name}"), disk_errors(path, 4 * model.count_params()):
            exporter.export(model, written, msgspec.json.encode(export).decode(), source.calibration)
        if not written.exists():
            raise PluginError(
                f"The {title} wrote nothing to the path that it was given. Received: path={str(written)!r}",
                plugin=plugin_of(title),
            )
        progress.stage(f"comparing {path.name} with the model")
        parity = measure_parity(
            exporter,
            title,
            written,
            source.split,
            source.expected,
            tolerance=source.tolerance,
            run_accuracy=record.test.accuracy if record.test and source.is_run_data else None,
        )
        check_parity(parity, path.name, int8=int8)
        done = ExportFileRecord(
            export=export,
            files=describe_files(written, target.suffix),
            parity=parity,
            is_run_data=source.is_run_data,
            seconds=time.perf_counter() - started,
        )
        publish(folder, target, done)
    return done


def _describe(run: Run, loaded: LoadedModel, target: Target, *, int8: bool) -> ExportRecord:
    record, form = run.record, loaded.image_input
    return ExportRecord(
        exporter=target.exporter_name,
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
        packages={name: found for name in (*_PACKAGES, *target.exporter.packages) if (found := _version(name))},
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
