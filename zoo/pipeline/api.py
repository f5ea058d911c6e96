"""The cycle: train -> save -> load -> test, and the ways into it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from zoo.data import loading
from zoo.errors import CycleError, DataError, DivergedError, PluginError, RunFolderError
from zoo.pipeline.evaluate import other_data, score_run, score_trained
from zoo.pipeline.load import LoadedModel, load_model
from zoo.pipeline.run_config import of_recipe, of_run
from zoo.pipeline.train import recording_end, train
from zoo.recipes import pretrained, resolution
from zoo.runs import checkpoints, run_folder
from zoo.runs.checkpoints import Checkpoints
from zoo.training.progress import Silent
from zoo.utils import allocator, hardware
from zoo.utils.signals import StopRequested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.interfaces import Progress, Split
    from zoo.pipeline.run_config import Options, Order
    from zoo.recipes.resolution import Changes
    from zoo.registry.registry import Registry
    from zoo.runs.records import RecipeRecord
    from zoo.runs.run_folder import Run
    from zoo.types import Goal


def train_and_save(recipe: str, **options: Unpack[Options]) -> Run:
    """Train a recipe and save its best epoch in a run folder.

    Seeds Python's, NumPy's and the backend's global generators (`keras.utils.set_random_seed`).

    Args:
        recipe: Name of a registered recipe.
        options: What follows, by keyword.
        registry: Where names are looked up; by default a new one with all installed plugins.
        out: The run folder, which must not hold a run; by default ``runs/<recipe>/<time>-<short id>``.
        resume: If ``out`` holds a run that was stopped, go on with it: what is given besides must be what it was
            started with.
        checkpoint_every: Commit a checkpoint after so many steps of an epoch too, not only after each epoch.
        track: Names of the trackers that are to be told of the run.
        data_dir: Folder to read the data set from, for data sets that can.
        progress: Is told how far it is.
        dataset: In place of the recipe's own, as are ``model``, ``trainer``, ``epochs``, ``batch_size``,
            ``validation``, ``best_by``, ``seed`` and ``settings`` (``{"model.dropout": 0.1}``).

    Returns:
        The run, with status ``"trained"``.

    Raises:
        ZooError: A name, a setting, the data or the folder is not as it must be, or training diverged.
        StopRequested: A signal asked to end: a `KeyboardInterrupt`. A checkpoint is there.
    """
    return _carry_out(_order(recipe, options, "trained"))


def resolve_recipe(recipe: str, *, registry: Registry | None = None, **changes: Unpack[Changes]) -> RecipeRecord:
    """Return a recipe as a run of it would record it: parts by name, every setting of its type, nothing left open.

    Nothing is trained, and Keras is not imported: this is how to learn what is wrong with a setting before the work.

    Args:
        recipe: As for `train_and_save`.
        registry: As for `train_and_save`.
        changes: As for `train_and_save`.

    Raises:
        UnknownNameError: The recipe, or a part, is not registered.
        AmbiguousNameError: Several plugins register it.
        SettingError: A setting does not exist or has an impossible value.
        PluginError: A part's target cannot be imported.
    """
    return resolution.to_record(resolution.resolve(registry or _default_registry(), recipe, changes))


def check_data_dir(recipe: RecipeRecord, data_dir: str | Path | None, *, registry: Registry | None = None) -> None:
    """Check what can be told of the data of a recipe before they are read, without importing Keras.

    Args:
        recipe: What `resolve_recipe` returns.
        data_dir: As for `train_and_save`.
        registry: As for `train_and_save`.

    Raises:
        DataError: The folder or file does not exist or has not what the data set reads, or one is needed.
        PluginError: The data set cannot be made, or fails.
    """
    resolved = resolution.of_record(registry or _default_registry(), recipe, {})
    loading.check_data_dir(resolved.dataset, data_dir)


def open_run(path: str | Path, *, registry: Registry | None = None) -> Run:
    """Return the run in a folder, or the one that ships with a recipe, without importing Keras.

    Args:
        path: The run folder, or the name of a recipe that comes with trained weights.
        registry: As for `train_and_save`; not needed for a folder.

    Raises:
        RunFolderError: There is no such run, or its record is not valid.
        UnknownNameError: It is neither a folder nor a recipe, but close to one.
    """
    if os.path.lexists(path):
        return run_folder.open_run(Path(path))
    return pretrained.open_run(registry or _default_registry(), path)


def load_data(run: Run, *, registry: Registry | None = None, data_dir: str | Path | None = None) -> Split:
    """Return the data set that a run was made with, without importing Keras: no validation part is cut.

    Args:
        run: The run.
        registry: As for `train_and_save`.
        data_dir: As for `train_and_save`. The folder that training read is not remembered.

    Raises:
        DataError: The data are not what they should be, or have other classes or another size of images than those of
            the run, or the digests of their files are others. A data set without digests is taken at its word.
        UnknownNameError: The plugin of the data set is not installed.
    """
    part = resolution.dataset_of_run(registry or _default_registry(), run)
    split = loading.load_split(part, data_dir, run.record.data.input_shape)
    if fault := other_data(split, run):
        received = None if data_dir is None else str(data_dir)
        raise DataError(f"{fault} Give the folder that it was trained on. Received: data_dir={received!r}")
    return split


def load(path: str | Path, *, registry: Registry | None = None) -> LoadedModel:
    """Load the model of a run: built by the registered builder, weights from its artifact alone.

    Args:
        path: The run folder, or the name of a recipe that comes with trained weights.
        registry: As for `train_and_save`.

    Raises:
        RunFolderError: It is not a run folder, or the run has no saved model.
        ArtifactError: The artifact is damaged or belongs to another model.
        UnknownNameError: The plugin that builds the model is not installed.
    """
    registry = registry or _default_registry()
    return load_model(pretrained.open_run(registry, path), registry)


def load_and_test(
    path: str | Path,
    *,
    registry: Registry | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Load the model of a run folder and test it on the test split.

    A run that was only trained is completed: the metrics, the predictions and their picture go into its folder. One
    that was tested before is left as it is, but for predictions that an older version of zoo did not keep. What other
    data than the run's come to, by their digests, is returned, with a warning, and not recorded.

    Args:
        path: The run folder, or the name of a recipe that comes with trained weights.
        registry: As for `train_and_save`.
        data_dir: As for `train_and_save`. The folder that training read is not remembered.
        progress: Is told how far it is.

    Returns:
        The run with the metrics just measured.

    Raises:
        ZooError: As for `load`, or the data cannot be read.
    """
    registry = registry or _default_registry()
    run = pretrained.open_run(registry, path)
    is_shipped = run.path != Path(path)
    return score_run(run, registry, data_dir, progress or Silent(), is_shipped=is_shipped)


def run(recipe: str, **options: Unpack[Options]) -> Run:
    """Run the whole cycle: train, save, load into a fresh model, test, draw the predictions.

    Takes what `train_and_save` takes. The loaded model must predict the test split exactly as the trained one.

    Returns:
        The run, with status ``"tested"``.

    Raises:
        CycleError: It does not.
        ZooError: As for `train_and_save`.
    """
    return _carry_out(_order(recipe, options, "tested"))


def _order(recipe: str, options: Options, goal: Goal) -> Order:
    registry, progress = options.get("registry") or _default_registry(), options.get("progress") or Silent()
    return of_recipe(recipe, registry, progress, options, goal=goal)


def resume(
    path: str | Path,
    *,
    registry: Registry | None = None,
    track: Sequence[str] = (),
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Go on with a run that was stopped, with the settings it was started with, to the end it was started for.

    From its newest sound checkpoint it comes to the bits that it would have come to. A run that is finished is returned
    as it is.

    Args:
        path: The run folder.
        registry: As for `train_and_save`.
        track: Trackers besides those that it was started with.
        data_dir: As for `train_and_save`, and as when it was started: the folder is not remembered.
        progress: Is told how far it is.

    Raises:
        RunFolderError: It is not a run folder, another process is at work in it, or it has no sound checkpoint.
        ZooError: As for `run`.
    """
    return _carry_out(of_run(Path(path), registry or _default_registry(), track, data_dir, progress or Silent()))


def _carry_out(order: Order) -> Run:
    if (
        order.earlier is not None
        and not os.path.lexists(order.path / run_folder.CHECKPOINTS)  # nothing is to be tidied up either
        and checkpoints.is_finished(order.earlier)
    ):
        return order.earlier
    allocator.keep_freed_memory()
    hardware.enable_onednn()
    with run_folder.claimed(order.path):
        try:
            return _work(order)
        except StopRequested as error:
            if not run_folder.is_run(order.path):
                raise
            how = "Go on with" if _is_kept(order.path) else "Nothing is kept yet; begin again with"
            text = f"{error} {how}: {order.resume_command}"
            raise StopRequested(error.signal_number, text) from None


def _work(order: Order) -> Run:
    """Carry an order out in its folder, which is locked."""
    if order.earlier is not None:
        earlier = run_folder.open_run(order.path)  # as it is now that nobody else writes
        order = replace(order, earlier=earlier)
        if not checkpoints.numbers_in(order.path):
            Checkpoints(order.path, earlier.record.id).discard()  # what may be left of their folder
            if checkpoints.is_finished(earlier):
                return earlier
            if earlier.record.status == "trained":
                return score_run(earlier, order.registry, order.data_dir, order.progress, is_locked=True)
    with contextlib.ExitStack() as ending:
        trained = train(order, ending)
        done = trained.run
        if order.goal == "tested":
            with recording_end(order, CycleError, DivergedError, PluginError):
                done = score_trained(trained, order.registry, order.progress)
        trained.checkpoints.discard()  # last of all: a run that has none left, and is tested, is finished
    return done


def _is_kept(path: Path) -> bool:
    """Return whether there is something to go on from."""
    with contextlib.suppress(RunFolderError):
        return bool(checkpoints.numbers_in(path)) or run_folder.open_run(path).record.status in ("trained", "tested")
    return False


def _default_registry() -> Registry:
    from zoo.registry.plugins import load_registry

    return load_registry()
