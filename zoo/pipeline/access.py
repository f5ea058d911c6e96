"""Public functions that read what runs left: models, data, predictions, exported files. Imports are late, for speed."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING

from zoo.errors import DataError, SettingError
from zoo.pipeline.arguments import check_names, check_path, check_run, check_type, registry_or_default
from zoo.recipes import pretrained
from zoo.registry.exported_files import is_exported
from zoo.runs import run_folder
from zoo.runs.run_folder import Run
from zoo.utils.hardware import usable_processors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.interfaces import Split
    from zoo.pipeline.exported import Exported
    from zoo.pipeline.loaded_model import LoadedModel
    from zoo.registry.registry import Registry
    from zoo.runs.predictions import Predictions


def load(run: str | Path | Run, *, threads: int | None = None, registry: Registry | None = None) -> LoadedModel:
    """Load the model of a run, or an exported file.

    The registered builder makes a run's model, and the weights are loaded from the run folder. An exported file is run
    by its own runtime; Keras is not imported.

    Args:
        run: A `Run`, its folder, the name of a recipe that ships with trained weights, or a file that ``zoo export``
            wrote.
        threads: Maximum number of threads of an exported file's runtime, which never has more than the process may use
            CPUs; None for the runtime's default. A run takes none: it uses Keras's backend, which has settings of its
            own.
        registry: As for `zoo.run`.

    Raises:
        SettingError: ``threads`` is not an integer of at least 1, or it is given for a run.
        RunFolderError: It is not a run folder, or the run has no saved model.
        ArtifactError: The weights file or the exported file is damaged, or belongs to another model.
        UnknownNameError: The plugin that builds the model is not installed.
        PluginError: The runtime of an exported file is not installed.
    """
    check_run(run)
    registry = registry_or_default(registry)
    if threads is not None and (type(threads) is not int or threads < 1):
        raise SettingError(
            f"'threads' must be an integer of at least 1, or None. Received: threads={threads!r:.200}",
            name="threads",
            value=threads,
        )
    if not isinstance(run, Run) and is_exported(run, registry):
        from zoo.pipeline.exported import open_exported

        # asked for thousands, some runtimes crash or take minutes
        return open_exported(run, registry, None if threads is None else min(threads, usable_processors()))
    if threads is not None:
        raise SettingError(
            "Only exported files take 'threads'. Limit the CPUs of the process instead, with `taskset` or "
            f"os.sched_setaffinity. Received: threads={threads!r}",
            name="threads",
            value=threads,
        )
    from zoo.pipeline.load import load_model

    return load_model(open_run(run, registry=registry), registry)


def open_run(run: str | Path | Run, *, registry: Registry | None = None) -> Run:
    """Open the run in a folder, or the one that ships with a recipe, without importing Keras.

    Args:
        run: A run folder, or the name of a recipe that ships with trained weights. A `Run` is returned unchanged.
        registry: As for `zoo.run`. Not needed for a folder.

    Raises:
        RunFolderError: There is no such run, or its record is invalid.
        UnknownNameError: It is neither a run folder nor a recipe, but similar to a recipe's name.
    """
    check_run(run)
    if isinstance(run, Run):
        return run
    if run_folder.is_run(Path(run)):
        return run_folder.open_run(Path(run))
    return pretrained.open_run(registry_or_default(registry), run)


def load_data(run: str | Path | Run, *, data_dir: str | Path | None = None, registry: Registry | None = None) -> Split:
    """Load the dataset that a run used, without importing Keras. No validation examples are held out.

    Args:
        run: A `Run`, its folder, the name of a recipe that ships with trained weights, or a file that ``zoo export``
            wrote.
        data_dir: As for `zoo.run`. Pass the folder used for training again: runs do not store it.
        registry: As for `zoo.run`.

    Raises:
        DataError: The data is missing or malformed, or its classes, image size or digests differ from the run's. Data
            sets without digests are not compared by content.
        UnknownNameError: The plugin of the dataset is not installed.
    """
    from zoo.data.loading import load_split
    from zoo.pipeline.evaluate import data_mismatch
    from zoo.recipes.run_recipes import dataset_from_run

    check_path("data_dir", data_dir)
    registry = registry_or_default(registry)
    if not isinstance(run, Run) and is_exported(run, registry):
        from zoo.pipeline.exported_data import load_exported_data

        return load_exported_data(run, registry, data_dir)
    found = open_run(run, registry=registry)
    split = load_split(dataset_from_run(registry, found), data_dir, found.record.data.input_shape)
    if fault := data_mismatch(split, found):
        received = None if data_dir is None else str(data_dir)
        raise DataError(f"{fault} Pass the data that it was trained on (--data-dir). Received: data_dir={received!r}")
    return split


def read_predictions(run: str | Path | Run, *, registry: Registry | None = None) -> Predictions:
    """Read the saved test predictions of a run, without loading its model or data and without importing Keras.

    Args:
        run: A `Run`, its folder, or the name of a recipe that ships with trained weights.
        registry: As for `zoo.run`. Not needed for a folder.

    Raises:
        RunFolderError: The run was not tested, or was tested by a version of zoo that did not save predictions.
        ArtifactError: The file is damaged or belongs to another run.
    """
    from zoo.runs import predictions

    return predictions.read(open_run(run, registry=registry))


def find_exports(run: str | Path | Run, *, registry: Registry | None = None) -> list[Exported]:
    """Return the exported files of a run that `load` opens: those in the folder in which `export` writes by default.

    Float32 files come first, then int8, each sorted by name. Files that belong to other weights, or that `export` did
    not write, are left out; so are damaged ones, with a `ZooWarning` that has the reason.

    Args:
        run: As for `export`.
        registry: As for `zoo.run`.
    """
    from zoo.pipeline.export import exports_folder
    from zoo.pipeline.exported import find_exported

    registry = registry_or_default(registry)
    found = open_run(run, registry=registry)
    return find_exported(exports_folder(found), found.record.model_sha256, registry)


def export(
    run: str | Path | Run,
    formats: str | Sequence[str] = "onnx",
    *,
    int8: bool = False,
    tolerance: float | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    progress: object | None = None,
    registry: Registry | None = None,
) -> list[Exported]:
    """Export the model of a run to files for other runtimes, and compare their answers with the model's.

    A file takes images ``(n, height, width, channels)`` uint8, 0 to 255, for any ``n``, and returns probabilities
    ``(n, num_classes)`` float32: scaling, normalization and averaging over mirror images are part of it. It computes in
    float32, whatever the model was trained in. Each file is run by its own runtime on all test images; one whose
    predictions do not match the model's is not kept. The comparison is recorded in a JSON file beside it.

    Args:
        run: A `Run`, its folder, or the name of a recipe that ships with trained weights.
        formats: Names of registered exporters, or one of them: ``"onnx"``, ``["onnx", "litert"]``.
        int8: Whether the files compute with 8-bit integers, calibrated on training images.
        tolerance: With ``int8``, the largest loss of test accuracy that is allowed; 0.005 by default.
        out: Folder for the files. Defaults to ``exports`` in the run folder or, for weights that ship with a recipe, in
            the current folder. Only earlier exports of the same run are replaced.
        data_dir: As for `zoo.run`.
        progress: As for `zoo.run`.
        registry: As for `zoo.run`.

    Raises:
        ParityError: The predictions of a file do not match the model's.
        ExportError: Some of several formats failed; all were tried.
        RunFolderError: A file would be replaced that is not of an earlier export of the run, or none can be written.
        SettingError: An argument is not allowed, or a format has no 8-bit integers.
        UnknownNameError: A format is not registered.
        ZooError: As for `load`, or the data cannot be read.
    """
    from zoo.pipeline.export import choose_exporters, export_run
    from zoo.training.progress import shown

    check_path("data_dir", data_dir)
    check_path("out", out)
    check_type("int8", int8, (bool,), "True or False")
    check_type("tolerance", tolerance, (int, float, NoneType), "a number or None")
    names = check_names("formats", formats)
    registry = registry_or_default(registry)
    found = open_run(run, registry=registry)
    exporters = choose_exporters(registry, names, int8=int8, tolerance=tolerance)
    with shown(progress) as display:
        return list(
            export_run(
                found,
                registry,
                exporters,
                display,
                int8=int8,
                tolerance=tolerance,
                out=out,
                data_dir=data_dir,
            )
        )
