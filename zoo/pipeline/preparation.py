"""Prepare a run: resolve names, complete settings, and check as far as possible before Keras is imported."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, SupportsIndex

from zoo.errors import RunFolderError, SettingError
from zoo.pipeline.arguments import check_path, check_type, registry_or_default
from zoo.pipeline.initial_weights import find_again, find_weights
from zoo.pipeline.run_config import RunConfig
from zoo.recipes import resolution, run_recipes
from zoo.runs.run_folder import Run, ensure_empty, is_run, new_id, open_run
from zoo.training.callback_calls import check_callback
from zoo.training.trackers import check_trackers
from zoo.utils import locks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.recipes.choices import Overrides
    from zoo.registry.registry import Registry


def prepare(
    recipe: str,
    *,
    dataset: str | None = None,
    model: str | None = None,
    trainer: str | None = None,
    optimizer: str | None = None,
    schedule: str | None = None,
    loss: str | None = None,
    augmentations: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    callbacks: Sequence[str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: int | None = None,
    monitor: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    track: Sequence[str] = (),
    init: str | Path | Run | None = None,
    init_partial: bool = False,
    check_data: bool = True,
    registry: Registry | None = None,
) -> RunConfig:
    """Prepare a run: resolve names, complete settings, and report every error that does not require importing Keras.

    Args:
        recipe: Name of a registered recipe.
        dataset: Name of the dataset to use instead of the recipe's.
        model: Name of the model to use instead of the recipe's.
        trainer: Name of the trainer to use instead of the recipe's.
        optimizer: Name of the optimizer to use instead of the recipe's.
        schedule: Name of the learning rate schedule to use instead of the recipe's.
        loss: Name of the loss to use instead of the recipe's.
        augmentations: Names of the augmentations to apply, in order, instead of the recipe's; ``[]`` for none.
        metrics: Names of the metrics to compute besides loss and accuracy, instead of the recipe's.
        callbacks: Names of the callbacks to attach instead of the recipe's.
        epochs: Number of passes over the training images.
        batch_size: Number of images per weight update.
        validation: Number of training images to hold out for validation.
        monitor: Validation metric that selects the best epoch: ``"loss"``, ``"accuracy"`` or a registered metric.
        seed: Seed for the initial weights, the order of the images and dropout.
        settings: Settings of the components: ``{"model.dropout": 0.1}``.
        data_dir: Folder or file that the dataset reads, for datasets that accept one.
        out: Run folder. It must not contain a run, except with ``resume``. Defaults to
            ``runs/<recipe>/<time>-<short id>``.
        resume: Whether to resume the run in ``out`` if there is one. Settings passed along must match those that the
            run was started with.
        checkpoint_every: Also commit a checkpoint within an epoch, each time this many steps are completed. By default,
            checkpoints are committed after each epoch only.
        track: Names of trackers to attach to the run.
        init: Weights to start from instead of random ones: a `Run` or its folder, a recipe with trained weights, or a
            weights file. A head for another number of classes is new; everything else must fit.
        init_partial: Whether to take what fits of `init`, and leave the rest random.
        check_data: Whether to check the data folder now. Pass False for a run that another machine carries out.
        registry: Registry in which names are looked up. Defaults to a new one with all installed plugins.

    Returns:
        The prepared run. Start it with `RunConfig.run` or `RunConfig.train`.

    Raises:
        UnknownNameError: The recipe, a component or a tracker is not registered.
        AmbiguousNameError: More than one plugin registers it.
        SettingError: A setting does not exist, its value is not allowed, or it differs from what the run was started
            with.
        DataError: The data folder does not exist or lacks what the dataset reads, or the dataset needs one.
        RunFolderError: The run folder contains another run or other files, or is in use.
        PluginError: A component cannot be imported or created.
    """
    registry = registry_or_default(registry)
    check_path("out", out)
    check_path("data_dir", data_dir)
    check_type("checkpoint_every", checkpoint_every, (SupportsIndex, NoneType), "an integer or None")
    overrides: Overrides = {
        "dataset": dataset,
        "model": model,
        "trainer": trainer,
        "optimizer": optimizer,
        "schedule": schedule,
        "loss": loss,
        "augmentations": augmentations,
        "metrics": metrics,
        "callbacks": callbacks,
        "epochs": epochs,
        "batch_size": batch_size,
        "validation": validation,
        "monitor": monitor,
        "seed": seed,
        "settings": settings,
    }
    if out is not None and not str(out):
        raise RunFolderError(
            "The path of the run folder is empty. Pass a path, or omit it to use the default. Received: out=''"
        )
    if resume and out is None:
        raise RunFolderError(
            "There is no folder to resume a run in. Pass the run folder as out (--out). Received: out=None, resume=True"
        )
    if checkpoint_every is not None and checkpoint_every < 1:
        raise SettingError(
            "The number of steps between checkpoints must be at least 1. "
            f"Received: checkpoint_every={checkpoint_every!r}"
        )
    init = init.path if isinstance(init, Run) else init
    check_path("init", init)
    if init is not None and not os.fspath(init):
        raise SettingError("The weights to start from are empty. Received: init=''", name="init", value=init)
    if init_partial and init is None:
        raise SettingError(
            "There is nothing to take in part. Pass the weights to start from (--init). Received: init_partial=True",
            name="init_partial",
            value=True,
        )
    trackers = check_trackers(registry, track)
    path = Path(out) if out is not None else None
    if path is not None and resume and is_run(path):
        locks.check_free(path)
        earlier = open_run(path)
        _check_unchanged(registry, earlier, recipe, overrides, init, checkpoint_every)
        return from_run(earlier, registry, track=trackers, data_dir=data_dir)
    resolved = resolution.resolve(registry, recipe, overrides)
    for callback in resolved.callbacks:
        check_callback(callback.title, callback.target)
    if path is None:
        path = Path("runs") / resolved.name / new_id()
    else:
        ensure_empty(path)  # checked again when the folder is locked
    weights = None if init is None else find_weights(registry, init, is_partial=init_partial)
    config = RunConfig(
        recipe=resolved,
        path=path,
        registry=registry,
        data_dir=data_dir,
        checkpoint_every=checkpoint_every,
        track=trackers,
        init=weights,
        earlier=None,
    )
    if check_data:
        config.check_data()
    return config


def _check_unchanged(
    registry: Registry,
    earlier: Run,
    recipe: str,
    overrides: Overrides,
    init: str | Path | None,
    checkpoint_every: int | None,
) -> None:
    """Raise `SettingError` if what was passed to resume a run differs from what it was started with."""
    record, epochs = earlier.record, overrides.get("epochs")
    if isinstance(epochs, int) and epochs > record.recipe.epochs and record.model_sha256 is not None:
        raise SettingError(
            f"The run in {earlier.path} is finished. To train its model longer, start a new run from it: "
            f"`--init {shlex.quote(str(earlier.path))} --epochs {epochs}`. Received: epochs={epochs}",
            name="epochs",
            value=epochs,
        )
    resolution.check_unchanged(registry, run_recipes.from_run(registry, earlier), recipe, overrides)
    source = record.init.source if record.init else None
    if init is not None and os.fspath(init) != source:
        raise SettingError(
            f"The run was started with init={source!r}, which cannot change when it is resumed. Leave it out, or start "
            f"a new run. Received: init={os.fspath(init)!r}",
            name="init",
            value=init,
        )
    if checkpoint_every not in (None, record.checkpoint_every):
        was = record.checkpoint_every
        how = "without checkpoint_every" if was is None else f"with checkpoint_every={was}"
        raise SettingError(
            f"The run was started {how}, which cannot change when it is resumed. Leave checkpoint_every out, or start "
            f"a new run. Received: checkpoint_every={checkpoint_every}"
        )


def from_run(
    run: Run, registry: Registry, *, track: Sequence[str] = (), data_dir: str | Path | None = None
) -> RunConfig:
    """Return a prepared run that resumes a stopped one.

    Args:
        run: The run to resume.
        registry: Registry in which names are looked up.
        track: Names of trackers to add to those that the run was started with.
        data_dir: As for `prepare`. Pass the same folder as at the start: runs do not store it.

    Raises:
        UnknownNameError: A plugin that the run needs is not installed.
        ZooError: As for `prepare`.
    """
    if run.record.status == "imported":
        raise RunFolderError(
            f"The run in {run.path} was imported, so there is no training to resume. Start one from it: "
            f"`zoo run {run.record.recipe.name} --init {shlex.quote(str(run.path))}`. Received: status='imported'",
            path=run.path,
        )
    resolved = run_recipes.from_run(registry, run)
    trackers = check_trackers(registry, track)
    return RunConfig(
        recipe=resolved,
        path=run.path,
        registry=registry,
        data_dir=data_dir,
        checkpoint_every=run.record.checkpoint_every,
        track=tuple(dict.fromkeys([*run.record.track, *trackers])),
        init=find_again(registry, run),
        earlier=run,
    )
