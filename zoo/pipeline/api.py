"""The public functions: what the commands of the shell do, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.loading import load_split
from zoo.errors import DataError
from zoo.pipeline.evaluate import data_mismatch, evaluate_run
from zoo.pipeline.load import LoadedModel, load_model
from zoo.pipeline.run_config import from_run, prepare
from zoo.recipes import pretrained
from zoo.recipes.resolution import dataset_from_run
from zoo.registry.plugins import load_registry
from zoo.runs import predictions, run_folder
from zoo.runs.run_folder import Run
from zoo.training.progress import shown
from zoo.utils import locks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.interfaces import Split
    from zoo.registry.registry import Registry
    from zoo.runs.predictions import Predictions
    from zoo.types import Monitor


def run(
    recipe: str,
    *,
    dataset: str | None = None,
    model: str | None = None,
    trainer: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: int | None = None,
    monitor: Monitor | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    track: Sequence[str] = (),
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Run the whole cycle: train, save, load into a fresh model, test, draw the predictions.

    The loaded model must predict the test split exactly as the trained one. Seeds Python's, NumPy's and the backend's
    global generators (`keras.utils.set_random_seed`).

    Args:
        recipe: Name of a registered recipe.
        dataset: Name of a data set in place of the recipe's.
        model: Name of a model in place of the recipe's.
        trainer: Name of a trainer in place of the recipe's.
        epochs: Passes over the training images.
        batch_size: Images per weight update.
        validation: Images to cut from the training images for validation.
        monitor: Validation metric that the best epoch is chosen by.
        seed: Seed of the initial weights, the order of the images and dropout.
        settings: Settings of the components, ``{"model.dropout": 0.1}``.
        data_dir: Folder or file to read the data set from, for data sets that can.
        out: The run folder, which must not hold a run; by default ``runs/<recipe>/<time>-<short id>``.
        resume: If ``out`` holds a run that was stopped, resume it: what is given besides must be what it was started
            with.
        checkpoint_every: Commit a checkpoint after this many steps of an epoch too, not only after each epoch.
        track: Names of the trackers to notify of the run.
        progress: Is notified of how far the run is: an object with any of the methods of
            `zoo.interfaces.Progress`. In a notebook, progress is printed by default.
        registry: Where names are looked up; by default a new one with all installed plugins.

    Returns:
        The run, with status ``"tested"``.

    Raises:
        CycleError: The loaded model does not predict as the trained one.
        ZooError: A name, a setting, the data or the folder is not as it must be, or training diverged.
        StopRequested: A signal asked to end: a `KeyboardInterrupt`. A checkpoint is kept.
    """
    config = prepare(
        recipe,
        dataset=dataset,
        model=model,
        trainer=trainer,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        monitor=monitor,
        seed=seed,
        settings=settings,
        data_dir=data_dir,
        out=out,
        resume=resume,
        checkpoint_every=checkpoint_every,
        track=track,
        registry=registry,
    )
    return config.run(progress)


def train(
    recipe: str,
    *,
    dataset: str | None = None,
    model: str | None = None,
    trainer: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: int | None = None,
    monitor: Monitor | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    track: Sequence[str] = (),
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Train a recipe and save its best epoch in a run folder. The test split is not read.

    Args:
        recipe: Name of a registered recipe.
        dataset: Name of a data set in place of the recipe's.
        model: Name of a model in place of the recipe's.
        trainer: Name of a trainer in place of the recipe's.
        epochs: Passes over the training images.
        batch_size: Images per weight update.
        validation: Images to cut from the training images for validation.
        monitor: Validation metric that the best epoch is chosen by.
        seed: Seed of the initial weights, the order of the images and dropout.
        settings: Settings of the components, ``{"model.dropout": 0.1}``.
        data_dir: Folder or file to read the data set from, for data sets that can.
        out: The run folder, which must not hold a run; by default ``runs/<recipe>/<time>-<short id>``.
        resume: If ``out`` holds a run that was stopped, resume it: what is given besides must be what it was started
            with.
        checkpoint_every: Commit a checkpoint after this many steps of an epoch too, not only after each epoch.
        track: Names of the trackers to notify of the run.
        progress: Is notified of how far the run is: an object with any of the methods of
            `zoo.interfaces.Progress`. In a notebook, progress is printed by default.
        registry: Where names are looked up; by default a new one with all installed plugins.

    Returns:
        The run, with status ``"trained"``.

    Raises:
        ZooError: As for `run`.
        StopRequested: As for `run`.
    """
    config = prepare(
        recipe,
        dataset=dataset,
        model=model,
        trainer=trainer,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        monitor=monitor,
        seed=seed,
        settings=settings,
        data_dir=data_dir,
        out=out,
        resume=resume,
        checkpoint_every=checkpoint_every,
        track=track,
        registry=registry,
    )
    return config.train(progress)


def resume(
    run: str | Path | Run,
    *,
    track: Sequence[str] = (),
    data_dir: str | Path | None = None,
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Resume a run that was stopped, with the settings and to the end that it was started with.

    From its newest sound checkpoint it reaches bit-identical results. A run that is finished is returned as it is.

    Args:
        run: The run, or its folder.
        track: Trackers besides those that it was started with.
        data_dir: As for `zoo.run`, and as when it was started: the folder is not remembered.
        progress: As for `zoo.run`.
        registry: As for `zoo.run`.

    Raises:
        RunFolderError: It is not a run folder, another process is at work in it, or it has no sound checkpoint.
        ZooError: As for `zoo.run`.
    """
    found = run if isinstance(run, Run) else run_folder.open_run(Path(run))
    locks.check_free(found.path)
    config = from_run(found, registry or load_registry(), track=track, data_dir=data_dir)
    return config.train(progress) if found.record.goal == "trained" else config.run(progress)


def test(
    run: str | Path | Run,
    *,
    data_dir: str | Path | None = None,
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Load the model of a run and test it on the test split.

    A run that was only trained is completed: the metrics, the predictions and their picture go into its folder. One
    that was tested before is left as it is, but for predictions that an older version of zoo did not keep. Metrics on
    other data than the run's, by their digests, are returned, with a warning, and not recorded.

    Args:
        run: The run, its folder, or the name of a recipe that comes with trained weights.
        data_dir: As for `zoo.run`. The folder that training read is not remembered.
        progress: As for `zoo.run`.
        registry: As for `zoo.run`.

    Returns:
        The run with the metrics just measured.

    Raises:
        ZooError: As for `load`, or the data cannot be read.
    """
    registry = registry or load_registry()
    found = open_run(run, registry=registry)
    with shown(progress) as display:
        return evaluate_run(found, registry, data_dir, display)


def load(run: str | Path | Run, *, registry: Registry | None = None) -> LoadedModel:
    """Load the model of a run: built by the registered builder, weights from its artifact alone.

    Args:
        run: The run, its folder, or the name of a recipe that comes with trained weights.
        registry: As for `zoo.run`.

    Raises:
        RunFolderError: It is not a run folder, or the run has no saved model.
        ArtifactError: The artifact is damaged or belongs to another model.
        UnknownNameError: The plugin that builds the model is not installed.
    """
    registry = registry or load_registry()
    return load_model(open_run(run, registry=registry), registry)


def open_run(run: str | Path | Run, *, registry: Registry | None = None) -> Run:
    """Return the run in a folder, or the one that ships with a recipe, without importing Keras.

    Args:
        run: The run folder, or the name of a recipe that comes with trained weights; a `Run` is returned as it is.
        registry: As for `zoo.run`; not needed for a folder.

    Raises:
        RunFolderError: There is no such run, or its record is not valid.
        UnknownNameError: It is neither a folder nor a recipe, but close to one.
    """
    if isinstance(run, Run):
        return run
    if run_folder.is_run(Path(run)):
        return run_folder.open_run(Path(run))
    return pretrained.open_run(registry or load_registry(), run)


def load_data(run: str | Path | Run, *, data_dir: str | Path | None = None, registry: Registry | None = None) -> Split:
    """Return the data set that a run was made with, without importing Keras: no validation part is cut.

    Args:
        run: The run, its folder, or the name of a recipe that comes with trained weights.
        data_dir: As for `zoo.run`. The folder that training read is not remembered.
        registry: As for `zoo.run`.

    Raises:
        DataError: The data are not what they should be, or have other classes or another size of images than those of
            the run, or the digests of their files are others. A data set without digests is taken at its word.
        UnknownNameError: The plugin of the data set is not installed.
    """
    registry = registry or load_registry()
    found = open_run(run, registry=registry)
    split = load_split(dataset_from_run(registry, found), data_dir, found.record.data.input_shape)
    if fault := data_mismatch(split, found):
        received = None if data_dir is None else str(data_dir)
        raise DataError(f"{fault} Give the folder that it was trained on. Received: data_dir={received!r}")
    return split


def read_predictions(run: str | Path | Run, *, registry: Registry | None = None) -> Predictions:
    """Return the test predictions of a run, without loading its model or its data, and without importing Keras.

    Args:
        run: The run, its folder, or the name of a recipe that comes with trained weights.
        registry: As for `zoo.run`; not needed for a folder.

    Raises:
        RunFolderError: The run was not tested, or by a version of zoo that did not keep predictions.
        ArtifactError: The file is damaged or belongs to another run.
    """
    return predictions.read(open_run(run, registry=registry))
