"""The cycle: train -> save -> load -> test, and the ways into it."""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import msgspec

from zoo import execution, files, locks, parts, pictures, plan, runs
from zoo.blame import blaming
from zoo.errors import CycleError, DataError, DivergedError, PluginError, RunFolderError, SettingError, ZooWarning
from zoo.execution import Order, Trained
from zoo.loading import LoadedModel, load_model
from zoo.metrics import Scores, evaluate
from zoo.records import Seconds
from zoo.training import Silent

if TYPE_CHECKING:
    import keras

    from zoo.interfaces import Progress, Split, Trainer
    from zoo.plan import Changes
    from zoo.records import Goal
    from zoo.registry import Registry
    from zoo.runs import Run


def train_and_save(
    recipe: str,
    *,
    registry: Registry | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **changes: Unpack[Changes],
) -> Run:
    """Train a recipe and save its best epoch in a run folder.

    Seeds Python's, NumPy's and the backend's global generators (`keras.utils.set_random_seed`).

    Args:
        recipe: Name of a registered recipe.
        registry: Where names are looked up; by default a new one with all installed plugins.
        out: The run folder, which must not hold a run; by default ``runs/<recipe>/<time>-<short id>``.
        resume: If ``out`` holds a run that was stopped, go on with it: what is given besides must be what it was
            started with.
        checkpoint_every: Commit a checkpoint after so many steps of an epoch too, not only after each epoch.
        data_dir: Folder to read the data set from, for data sets that can.
        progress: Is told how far it is.
        changes: ``dataset``, ``model``, ``trainer``, ``epochs``, ``batch_size``, ``validation``, ``seed`` and
            ``settings`` (``{"model.dropout": 0.1}``) in place of the recipe's own.

    Returns:
        The run, with status ``"trained"``.

    Raises:
        ZooError: A name, a setting, the data or the folder is not as it must be, or training diverged.
        StopRequested: A signal asked to end: a `KeyboardInterrupt`. A checkpoint is there.
    """
    registry = registry or _default_registry()
    order = _order(recipe, registry, out, resume, checkpoint_every, data_dir, progress, changes, goal="trained")
    return _carry_out(order)


def load(path: str | Path, *, registry: Registry | None = None) -> LoadedModel:
    """Load the model of a run folder: built by the registered builder, weights from its artifact alone.

    Raises:
        RunFolderError: It is not a run folder, or the run has no saved model.
        ArtifactError: The artifact is damaged or belongs to another model.
        UnknownNameError: The plugin that builds the model is not installed.
    """
    return load_model(runs.open_run(Path(path)), registry or _default_registry())


def load_and_test(
    path: str | Path,
    *,
    registry: Registry | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Load the model of a run folder and test it on the test split.

    A run that was only trained is completed: the metrics and the picture of predictions go into its folder. One
    that was tested before is left as it is.

    Args:
        path: The run folder.
        registry: As for `train_and_save`.
        data_dir: As for `train_and_save`. The folder that training read is not remembered.
        progress: Is told how far it is.

    Returns:
        The run with the metrics just measured.

    Raises:
        ZooError: As for `load`, or the data cannot be read.
    """
    run = runs.open_run(Path(path))
    return _test_run(run, registry or _default_registry(), data_dir, progress or Silent(), claim=True)


def run(
    recipe: str,
    *,
    registry: Registry | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **changes: Unpack[Changes],
) -> Run:
    """Run the whole cycle: train, save, load into a fresh model, test, draw the predictions.

    Takes what `train_and_save` takes. The loaded model must predict the test split exactly as the trained one.

    Returns:
        The run, with status ``"tested"``.

    Raises:
        CycleError: It does not.
        ZooError: As for `train_and_save`.
    """
    registry = registry or _default_registry()
    order = _order(recipe, registry, out, resume, checkpoint_every, data_dir, progress, changes, goal="tested")
    return _carry_out(order)


def resume(
    path: str | Path,
    *,
    registry: Registry | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Go on with a run that was stopped, with the settings it was started with, to the end it was started for.

    From its newest sound checkpoint it comes to the bits that it would have come to. A run that is finished is returned
    as it is.

    Args:
        path: The run folder.
        registry: As for `train_and_save`.
        data_dir: As for `train_and_save`, and as when it was started: the folder is not remembered.
        progress: Is told how far it is.

    Raises:
        RunFolderError: It is not a run folder, another process is at work in it, or it has no sound checkpoint.
        ZooError: As for `run`.
    """
    registry = registry or _default_registry()
    earlier = runs.open_run(Path(path))
    return _carry_out(
        Order(
            plan=plan.from_record(registry, earlier.record),
            path=earlier.path,
            goal=earlier.record.goal,
            registry=registry,
            data_dir=data_dir,
            progress=progress or Silent(),
            checkpoint_every=earlier.record.checkpoint_every,
            earlier=earlier,
        )
    )


def _order(
    recipe: str,
    registry: Registry,
    out: str | Path | None,
    resume: bool,
    checkpoint_every: int | None,
    data_dir: str | Path | None,
    progress: Progress | None,
    changes: Changes,
    *,
    goal: Goal,
) -> Order:
    """Return what `run` and `train_and_save` are asked for, everything in it checked that can be before the work."""
    if out is not None and not str(out):
        raise RunFolderError("The run folder has no name: give one, or none at all for the default. Received: out=''")
    if resume and out is None:
        raise RunFolderError("Which run to go on with? Give its folder. Received: out=None, resume=True")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise SettingError(f"Steps between checkpoints are 1 or more. Received: checkpoint_every={checkpoint_every!r}")
    path, earlier = Path(out) if out is not None else None, None
    if path is not None and resume and runs.is_run(path):
        earlier = runs.open_run(path)
        resolved = plan.from_record(registry, earlier.record)
        plan.check_same(registry, resolved, recipe, changes)
        if checkpoint_every not in (None, earlier.record.checkpoint_every):
            raise SettingError(
                f"The run was started with checkpoint_every={earlier.record.checkpoint_every}, and goes on with that: "
                f"leave it out. Received: checkpoint_every={checkpoint_every}"
            )
        checkpoint_every = earlier.record.checkpoint_every
    else:
        resolved = plan.resolve(registry, recipe, changes)
        path = path or Path("runs") / resolved.recipe / runs.new_id()
        runs.check_unused(path)  # before the work, and again when the folder is claimed
    return Order(
        plan=resolved,
        path=path,
        goal=goal,
        registry=registry,
        data_dir=data_dir,
        progress=progress or Silent(),
        checkpoint_every=checkpoint_every,
        earlier=earlier,
    )


def _carry_out(order: Order) -> Run:
    with runs.claimed(order.path):
        if order.earlier is not None:
            earlier = runs.open_run(order.path)  # as it is now that nobody else writes
            order = replace(order, earlier=earlier)
            if not os.path.lexists(order.path / runs.CHECKPOINTS):
                if earlier.record.status == "tested" or (order.goal == "trained" and earlier.record.model_sha256):
                    return earlier
                if earlier.record.status == "trained":
                    return _test_run(earlier, order.registry, order.data_dir, order.progress)
        trained = execution.train(order)
        done = trained.run
        if order.goal == "tested":
            with execution.recording_end(order, CycleError, DivergedError, PluginError):
                done = _test_trained(order, trained)
        trained.checkpoints.discard()
        return done


def _test_run(
    run: Run, registry: Registry, data_dir: str | Path | None, progress: Progress, *, claim: bool = False
) -> Run:
    """Load the model of a run and test it; complete one that was only trained, in its folder."""
    started = time.perf_counter()
    progress.stage("loading the model")
    loaded = load_model(run, registry)
    record = loaded.run.record
    progress.stage("loading the data")
    split = parts.load_split(plan.from_record(registry, record).dataset, data_dir, record.data.input_shape)
    _compare_data(split, loaded)
    if record.error is not None:
        warnings.warn(f"The run in {run.path} failed: {record.error}", ZooWarning, stacklevel=3)
    progress.stage("testing")
    scores = _test(loaded.trainer, loaded.model, split, f"model of {run.path}")
    if record.status == "trained":
        try:
            with locks.locked(run.path) if claim else contextlib.nullcontext():
                return _complete(run, split, scores, record.seconds.total + time.perf_counter() - started)
        except RunFolderError as error:
            warnings.warn(f"The result is not recorded in the run folder: {error}", ZooWarning, stacklevel=3)
    return replace(run, record=msgspec.structs.replace(record, test=scores.metrics))


def _test_trained(order: Order, trained: Trained) -> Run:
    """Test the trained model, and the saved one loaded into a fresh model, which must score the same."""
    title = f"model of {order.path}"
    order.progress.stage("testing the trained model")
    expected = _test(trained.trainer, trained.model, trained.split, title)
    order.progress.stage("loading the saved model and testing it")
    loaded = load_model(runs.open_run(order.path), order.registry)
    scores = _test(loaded.trainer, loaded.model, trained.split, title)
    if scores.metrics != expected.metrics:
        raise CycleError(
            "The loaded model does not score what the trained one scored, so the artifact does not hold all of the "
            f"model: check that its state is in Keras variables. Received: trained={expected.metrics}, "
            f"loaded={scores.metrics}"
        )
    return _complete(trained.run, trained.split, scores, trained.seconds)


def _test(trainer: Trainer, model: keras.Model, split: Split, title: str) -> Scores:
    """Return the scores on the test split.

    Raises:
        DivergedError: The loss on it is NaN or infinite.
    """
    with blaming(title, "predict the test images"):
        scores = evaluate(trainer, model, split.test, len(split.class_names))
    if not math.isfinite(scores.metrics.loss):
        raise DivergedError(f"The {title} predicts NaN or infinity for a test image. Try a lower learning rate.")
    return scores


def _complete(run: Run, split: Split, scores: Scores, seconds: float) -> Run:
    """Record the test metrics and draw the predictions."""
    import numpy as np

    record = msgspec.structs.replace(
        run.record,
        status="tested",
        test=scores.metrics,
        seconds=Seconds(train=run.record.seconds.train, total=seconds),
    )
    run = runs.update(run, record)
    shown = np.arange(min(pictures.GRID, len(split.test)))
    images, labels = split.test[shown]
    title = f"{record.recipe.name}: the first {len(shown)} test images, {scores.metrics.accuracy:.2%} of all right"
    with execution.picture(run.path / runs.PREDICTIONS):
        picture = pictures.draw_predictions(images, labels, scores.probabilities[shown], split.class_names, title)
        files.write(run.path / runs.PREDICTIONS, picture)
    return run


def _compare_data(split: Split, loaded: LoadedModel) -> None:
    data = loaded.run.record.data
    if tuple(split.class_names) != loaded.class_names:
        raise DataError(
            f"The data has other classes than the model of {loaded.run.path} was trained for. "
            f"Received: class_names={list(split.class_names)!r:.200}"
        )
    if dict(split.digests) != data.digests:
        warnings.warn(
            f"The data is not the data of the run in {loaded.run.path}: digests differ.", ZooWarning, stacklevel=4
        )


def _default_registry() -> Registry:
    from zoo.plugins import load_registry

    return load_registry()
