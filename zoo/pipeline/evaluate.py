"""Test the model of a run on the test split, and record the results in the run folder."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from zoo.data.loading import load_split
from zoo.errors import CycleError, DataError, DivergedError, RunFolderError, ZooWarning
from zoo.pipeline import plots
from zoo.pipeline.data_hints import warn_after_test
from zoo.pipeline.load import load_model
from zoo.recipes import run_recipes
from zoo.runs import predictions
from zoo.runs.checkpoints import Checkpoints
from zoo.runs.data_records import differing_names
from zoo.runs.records import Seconds
from zoo.runs.run_folder import PREDICTIONS, open_run, update
from zoo.training.metrics import Evaluation, evaluate, names_model
from zoo.utils import files, locks
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import keras

    from zoo.interfaces import Progress, Split, Trainer
    from zoo.pipeline.train import Trained
    from zoo.recipes.components import Component
    from zoo.registry.registry import Registry
    from zoo.runs.records import RunRecord
    from zoo.runs.run_folder import Run


def evaluate_run(
    run: Run,
    registry: Registry,
    data_dir: str | Path | None,
    progress: Progress,
    *,
    is_locked: bool = False,
) -> tuple[Run, Evaluation]:
    """Load the model of a run, test it, and return the run with the predictions.

    If the run was only trained, it is completed in its folder.

    If the run was tested before but has no saved predictions, they are added if they reproduce its recorded metrics.
    If the digests of the data differ from the run's, the results are returned with a warning and not recorded.

    Args:
        run: The run.
        registry: Registry in which names are looked up.
        data_dir: Folder or file that the dataset reads.
        progress: Notified as the test advances.
        is_locked: Whether the caller holds the lock on the folder.

    Raises:
        DataError: The data has other classes than the run's, or other digests while the caller holds the lock to
            complete the run.
        ZooError: The model cannot be loaded or the data cannot be read.
    """
    started = time.perf_counter()
    progress.stage("loading the model")
    # complete a run in the precision that it records
    policy = run.record.environment.dtype_policy if run.record.status in ("trained", "imported") else None
    loaded = load_model(run, registry, policy)
    record = loaded.run.record
    progress.stage("loading the data")
    recipe = run_recipes.from_run(registry, run)
    split = load_split(run_recipes.dataset_from_run(registry, run), data_dir, record.data.input_shape)
    fault = data_mismatch(split, loaded.run)
    if fault and is_locked:
        raise DataError(
            f"{fault} Pass the data that it was trained on with --data-dir. "
            f"Received: data_dir={data_dir and str(data_dir)!r}",
            path=data_dir,
        )
    if fault:
        warnings.warn(f"{fault} The result is not recorded in the run folder.", ZooWarning, stacklevel=3)
    if record.error is not None:
        warnings.warn(f"The run in {run.path} failed: {record.error}", ZooWarning, stacklevel=3)
    progress.stage("testing")
    evaluation = _test(loaded.trainer, loaded.model, split, run, recipe.metrics)
    is_untested = record.status in ("trained", "imported")
    if not (run.is_pretrained or fault) and (is_untested or _lacks_predictions(record, evaluation)):
        try:
            with contextlib.nullcontext() if is_locked else locks.locked(run.path):
                if open_run(run.path).record != record:
                    raise RunFolderError("another process changed it in the meantime. Test the run again.")
                if record.status == "tested":
                    return _keep_predictions(run, record, evaluation), evaluation
                done = _complete(run, split, evaluation, record.seconds.total + time.perf_counter() - started)
                with contextlib.suppress(RunFolderError):  # no longer needed, and harmless if they stay
                    Checkpoints(run.path, record.id).discard()
                return done, evaluation
        except RunFolderError as error:
            if is_locked:
                raise
            warnings.warn(f"The result is not recorded in the run folder: {error}", ZooWarning, stacklevel=3)
    data = msgspec.structs.replace(record.data, test=len(split.test))
    return replace(run, record=msgspec.structs.replace(record, data=data, test=evaluation.metrics)), evaluation


def verify_saved_model(trained: Trained, registry: Registry, progress: Progress) -> Run:
    """Test the trained model and a fresh model with the saved weights, which must score the same.

    Raises:
        CycleError: Their metrics differ.
        DivergedError: The loss is NaN or infinite.
    """
    run = trained.run
    progress.stage("testing the trained model")
    expected = _test(trained.trainer, trained.model, trained.split, run, trained.metrics)
    progress.stage("loading the saved model and testing it")
    loaded = load_model(open_run(run.path), registry, trained.dtype_policy.name)
    evaluation = _test(loaded.trainer, loaded.model, trained.split, run, trained.metrics)
    if evaluation.metrics != expected.metrics:
        raise CycleError(
            "The loaded model does not score exactly what the trained one scored: the saved weights do not contain "
            f"all of its state. Keep all state of the model in Keras variables. Received: trained={expected.metrics}, "
            f"loaded={evaluation.metrics}",
            trained=expected.metrics,
            loaded=evaluation.metrics,
        )
    return _complete(run, trained.split, evaluation, trained.seconds)


def _test(trainer: Trainer, model: keras.Model, split: Split, run: Run, metrics: Sequence[Component]) -> Evaluation:
    """Evaluate the model of a run on the test split.

    Raises:
        DivergedError: The loss or a probability is NaN or infinite.
        PluginError: The trainer cannot predict, or the predictions are not probabilities.
    """
    import numpy as np

    title = f"model of {run.path}"
    with plugin_errors(title, "predict the test images"), names_model(run.record.recipe.model):
        evaluation = evaluate(trainer, model, split.test, len(split.class_names), metrics=metrics, with_digest=True)
    if not (math.isfinite(evaluation.metrics.loss) and np.isfinite(evaluation.probabilities).all()):
        raise DivergedError(f"The {title} predicts NaN or infinity for a test image. Lower the learning rate.")
    return evaluation


def _complete(run: Run, split: Split, evaluation: Evaluation, seconds: float) -> Run:
    """Record the test metrics, and save and plot the predictions."""
    import numpy as np

    data = run.record.data
    if run.record.status == "imported":  # it may have been imported without data
        data = msgspec.structs.replace(data, test=len(split.test), digests=dict(split.digests))
    record = msgspec.structs.replace(
        run.record,
        status="tested",
        data=data,
        test=evaluation.metrics,
        seconds=Seconds(train=run.record.seconds.train, total=max(seconds, run.record.seconds.train)),
    )
    run = _keep_predictions(run, record, evaluation)
    warn_after_test(evaluation.metrics, evaluation.labels, split.class_names)
    shown = np.arange(min(plots.GRID, len(split.test)))
    images, labels = split.test[shown]
    title = f"{record.recipe.name}: first {len(shown)} test images (test accuracy: {evaluation.metrics.accuracy:.2%})"
    with plots.optional_picture(run.path / PREDICTIONS):
        drawn = plots.draw_predictions(images, labels, evaluation.probabilities[shown], split.class_names, title)
        files.write_file(run.path / PREDICTIONS, drawn)
    return run


def _lacks_predictions(record: RunRecord, evaluation: Evaluation) -> bool:
    """Return whether a tested run has no saved predictions and the new ones reproduce its recorded metrics.

    Another CPU may round differently; its predictions are then not those that were recorded.
    """
    return record.status == "tested" and record.predictions_sha256 is None and record.test == evaluation.metrics


def _keep_predictions(run: Run, record: RunRecord, evaluation: Evaluation) -> Run:
    """Write the test predictions, then the record with their digest."""
    digest = predictions.write(run.path, evaluation.probabilities, evaluation.labels)
    changed = msgspec.structs.replace(
        record, predictions_sha256=digest, test_examples_sha256=evaluation.examples_sha256
    )
    return update(run, changed)


def check_classes(split: Split, run: Run) -> None:
    """Raise `DataError` if the classes of the data differ from those of a run."""
    if list(split.class_names) != run.record.data.class_names:
        raise DataError(
            f"The classes of the data differ from those that the model of {run.path} was trained on. Pass data with "
            f"the same classes in the same order. Received: class_names={list(split.class_names)!r:.200}",
            path=run.path,
        )


def data_mismatch(split: Split, run: Run) -> str | None:
    """Return a sentence that says how the digests of the data differ from those of a run, or None if they agree.

    Raises:
        DataError: The data has other classes.
    """
    check_classes(split, run)
    if run.record.status == "imported" and not run.record.data.digests:
        return None
    if names := differing_names(run.record.data.digests, split.digests):
        return f"The data differs from the data of the run in {run.path}: the digests do not match ({names})."
    return None
