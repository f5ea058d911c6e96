"""Public functions that train and test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import SettingError
from zoo.pipeline.access import open_run
from zoo.pipeline.arguments import check_path, check_run, registry_or_default
from zoo.pipeline.evaluate import evaluate_run
from zoo.pipeline.preparation import from_run, prepare
from zoo.registry.exported_files import is_exported
from zoo.runs import run_folder
from zoo.runs.run_folder import Run
from zoo.training.progress import shown
from zoo.utils import locks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.registry.registry import Registry


def run(
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
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Run a recipe: train, save, load the weights into a fresh model, test it and plot predictions.

    The loaded model must score exactly what the trained model scores. The global random generators of Python, NumPy
    and the backend are seeded with `keras.utils.set_random_seed`.

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
        progress: Object with any of the methods of `zoo.interfaces.Progress`, which are called as the run advances. By
            default, progress is printed in a notebook and nowhere else.
        registry: Registry in which names are looked up. Defaults to a new one with all installed plugins.

    Returns:
        The run, with status ``"tested"``.

    Raises:
        CycleError: The loaded model does not score exactly what the trained model scores.
        ZooError: A name, a setting, the data or the folder is invalid, or training diverged.
        StopRequested: Ctrl-C or another signal requested a stop. It is a `KeyboardInterrupt`. If the run folder exists,
            the message contains the command that continues the run.
    """
    config = prepare(
        recipe,
        dataset=dataset,
        model=model,
        trainer=trainer,
        optimizer=optimizer,
        schedule=schedule,
        loss=loss,
        augmentations=augmentations,
        metrics=metrics,
        callbacks=callbacks,
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
        init=init,
        init_partial=init_partial,
        registry=registry,
    )
    return config.run(progress)


def train(
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
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Train a recipe and save the weights of the best epoch in a run folder. The test split is not read.

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
        progress: Object with any of the methods of `zoo.interfaces.Progress`, which are called as the run advances. By
            default, progress is printed in a notebook and nowhere else.
        registry: Registry in which names are looked up. Defaults to a new one with all installed plugins.

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
        optimizer=optimizer,
        schedule=schedule,
        loss=loss,
        augmentations=augmentations,
        metrics=metrics,
        callbacks=callbacks,
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
        init=init,
        init_partial=init_partial,
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
    """Resume a stopped run with the settings and the goal that it was started with.

    The run continues from its newest intact checkpoint; on a CPU, with the same machine and versions, its results are
    bit-identical to those of an uninterrupted run. A finished run is returned unchanged.

    Args:
        run: A `Run` or its folder.
        track: Names of trackers to add to those that the run was started with.
        data_dir: As for `zoo.run`. Pass the same folder as at the start: runs do not store it.
        progress: As for `zoo.run`.
        registry: As for `zoo.run`.

    Raises:
        RunFolderError: It is not a run folder, another process is using it, or none of its checkpoints is intact.
        ZooError: As for `zoo.run`.
    """
    check_run(run)
    check_path("data_dir", data_dir)
    found = run if isinstance(run, Run) else run_folder.open_run(Path(run))
    locks.check_free(found.path)
    config = from_run(found, registry_or_default(registry), track=track, data_dir=data_dir)
    return config.train(progress) if found.record.goal == "trained" else config.run(progress)


def test(
    run: str | Path | Run,
    *,
    data_dir: str | Path | None = None,
    progress: object | None = None,
    registry: Registry | None = None,
) -> Run:
    """Load the model of a run and evaluate it on the test split.

    If the run was only trained, this completes it: the metrics, the predictions and a plot of them are saved in its
    folder. A run that was tested before is not changed, except to add predictions that an older version of zoo did
    not save. If the digests of the data differ from the run's, the metrics are returned with a warning and not
    recorded.

    Args:
        run: A `Run`, its folder, or the name of a recipe that ships with trained weights.
        data_dir: As for `zoo.run`. Pass the folder used for training again: runs do not store it.
        progress: As for `zoo.run`.
        registry: As for `zoo.run`.

    Returns:
        The run, with the metrics just measured.

    Raises:
        ZooError: As for `load`, or the data cannot be read.
    """
    check_path("data_dir", data_dir)
    registry = registry_or_default(registry)
    if isinstance(run, str | Path) and is_exported(run, registry):
        raise SettingError(
            "zoo.test tests runs. Test an exported file with `zoo test FILE`, or predict zoo.load_data(FILE).test with "
            f"zoo.load(FILE). Received: run={str(run)!r}",
            name="run",
            value=run,
        )
    found = open_run(run, registry=registry)
    with shown(progress) as display:
        return evaluate_run(found, registry, data_dir, display)[0]
