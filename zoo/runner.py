"""The cycle: train -> save -> load -> test."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import msgspec

from zoo import environment, parts, pictures, plan, runs, training, weights
from zoo.blame import blaming, one_line
from zoo.errors import CycleError, DataError, DivergedError, PluginError, RunFolderError, ZooError, ZooWarning
from zoo.examples import cut_validation
from zoo.interfaces import RunContext, RunSettings, Split, Trainer
from zoo.loading import LoadedModel, load_model
from zoo.metrics import Scores, evaluate
from zoo.records import FORMAT, DataRecord, RunRecord, Seconds
from zoo.training import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

    from zoo.interfaces import Progress
    from zoo.plan import Changes, Plan
    from zoo.registry import Registry
    from zoo.runs import Run
    from zoo.training import History


def train_and_save(
    recipe: str,
    *,
    registry: Registry | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **changes: Unpack[Changes],
) -> Run:
    """Train a recipe and save its best epoch in a new run folder.

    Seeds Python's, NumPy's and the backend's global generators (`keras.utils.set_random_seed`).

    Args:
        recipe: Name of a registered recipe.
        registry: Where names are looked up; by default a new one with all installed plugins.
        out: The run folder, which must not hold a run; by default ``runs/<recipe>/<time>-<short id>``.
        data_dir: Folder to read the data set from, for data sets that can.
        progress: Is told how far it is.
        changes: ``dataset``, ``model``, ``trainer``, ``epochs``, ``batch_size``, ``validation``, ``seed`` and
            ``settings`` (``{"model.dropout": 0.1}``) in place of the recipe's own.

    Returns:
        The run, with status ``"trained"``.

    Raises:
        ZooError: A name, a setting, the data or the folder is not as it must be, or training diverged.
    """
    return _train(recipe, registry, out, data_dir, progress or Silent(), changes).run


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
    progress = progress or Silent()
    registry = registry or _default_registry()
    started = time.perf_counter()
    progress.stage("loading the model")
    loaded = load_model(runs.open_run(Path(path)), registry)
    record = loaded.run.record
    progress.stage("loading the data")
    split = parts.load_split(plan.from_record(registry, record.recipe).dataset, data_dir, record.data.input_shape)
    _compare_data(split, loaded)
    if record.error is not None:
        warnings.warn(f"The run in {loaded.run.path} failed: {record.error}", ZooWarning, stacklevel=2)
    progress.stage("testing")
    scores = _test(loaded.trainer, loaded.model, split, f"model of {loaded.run.path}")
    if record.status == "trained":
        try:
            return _complete(loaded.run, split, scores, record.seconds.total + time.perf_counter() - started)
        except RunFolderError as error:
            warnings.warn(f"The result is not recorded in the run folder: {error}", ZooWarning, stacklevel=2)
    return runs.Run(path=loaded.run.path, record=msgspec.structs.replace(record, test=scores.metrics))


def run(
    recipe: str,
    *,
    registry: Registry | None = None,
    out: str | Path | None = None,
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
    started = time.perf_counter()
    progress = progress or Silent()
    registry = registry or _default_registry()
    trained = _train(recipe, registry, out, data_dir, progress, changes)
    with _recording_failure(trained.run.path, CycleError, DivergedError, PluginError):
        title = f"model of {trained.run.path}"
        progress.stage("testing the trained model")
        expected = _test(trained.trainer, trained.model, trained.split, title)
        progress.stage("loading the saved model and testing it")
        loaded = load_model(runs.open_run(trained.run.path), registry)
        scores = _test(loaded.trainer, loaded.model, trained.split, title)
        if scores.metrics != expected.metrics:
            raise CycleError(
                "The loaded model does not score what the trained one scored, so the artifact does not hold all of the "
                f"model: check that its state is in Keras variables. Received: trained={expected.metrics}, "
                f"loaded={scores.metrics}"
            )
        return _complete(trained.run, trained.split, scores, time.perf_counter() - started)


@dataclass(frozen=True, kw_only=True)
class _Trained:
    run: Run
    trainer: Trainer
    model: keras.Model
    split: Split


def _train(
    recipe: str,
    registry: Registry | None,
    out: str | Path | None,
    data_dir: str | Path | None,
    progress: Progress,
    changes: Changes,
) -> _Trained:
    started = time.perf_counter()
    registry = registry or _default_registry()
    resolved = plan.resolve(registry, recipe, changes)
    run_id = runs.new_id()
    if out is not None and not str(out):
        raise RunFolderError("The run folder has no name: give one, or none at all for the default. Received: out=''")
    path = Path(out) if out is not None else Path("runs") / resolved.recipe / run_id
    runs.check_unused(path)  # before the work, and again when the folder is claimed

    progress.stage("loading the data")
    split = cut_validation(parts.load_split(resolved.dataset, data_dir), resolved.validation)
    input_shape = parts.input_shape(split)
    progress.stage("building the model")
    import keras

    keras.utils.set_random_seed(resolved.seed)
    model = parts.build_model(resolved.model, input_shape, len(split.class_names))
    trainer = parts.make_trainer(resolved.trainer)
    run = runs.create(
        path,
        RunRecord(
            format=FORMAT,
            id=run_id,
            started=runs.now(),
            status="training",
            recipe=plan.to_record(resolved),
            data=DataRecord(
                train=len(split.train),
                validation=len(split.validation) if split.validation is not None else 0,
                test=len(split.test),
                input_shape=input_shape,
                class_names=list(split.class_names),
                digests=dict(split.digests),
            ),
            parameters=model.count_params(),
            plugins={},
            environment=environment.describe(),
            seconds=Seconds(train=0.0, total=0.0),
        ),
    )

    def with_history(history: History) -> RunRecord:
        return msgspec.structs.replace(
            run.record,
            history=list(history.epochs),
            best_epoch=history.best_epoch,
            validation=history.validation,
            seconds=Seconds(train=history.seconds, total=time.perf_counter() - started),
        )

    def record_epoch(history: History) -> None:
        runs.update(run, with_history(history))

    context = RunContext(
        path=path, recipe=resolved.recipe, settings=resolved.settings(), class_names=tuple(split.class_names)
    )
    with _recording_failure(path, Exception):
        callbacks = registry.callbacks(context)
        run = runs.update(
            run, msgspec.structs.replace(run.record, plugins=_versions(registry, resolved, set(callbacks)))
        )
        history = training.train(
            trainer,
            model,
            split,
            RunSettings(epochs=resolved.epochs, batch_size=resolved.batch_size, seed=resolved.seed),
            title=resolved.trainer.title,
            callbacks=callbacks,
            progress=progress,
            on_epoch=record_epoch,
        )
        progress.stage("saving")
        artifact = weights.encode(model)
        runs.write(path / runs.MODEL, artifact)
        record = msgspec.structs.replace(
            with_history(history), status="trained", model_sha256=hashlib.sha256(artifact).hexdigest()
        )
        run = runs.update(run, record)  # from here on the model can be loaded, whatever becomes of the rest
    runs.write(path / runs.HISTORY, runs.history_csv(record))
    title = f"{resolved.recipe}: {len(history.epochs)} epoch{'s' if len(history.epochs) > 1 else ''}"
    with _picture(path / runs.CURVES):
        runs.write(path / runs.CURVES, pictures.draw_curves(history.epochs, history.best_epoch, title))
    return _Trained(run=run, trainer=trainer, model=model, split=split)


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
    with _picture(run.path / runs.PREDICTIONS):
        picture = pictures.draw_predictions(images, labels, scores.probabilities[shown], split.class_names, title)
        runs.write(run.path / runs.PREDICTIONS, picture)
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
            f"The data is not the data of the run in {loaded.run.path}: digests differ.", ZooWarning, stacklevel=3
        )


def _versions(registry: Registry, resolved: Plan, others: set[str]) -> dict[str, str]:
    names = {resolved.plugin, *(getattr(resolved, kind).plugin for kind in plan.PARTS), *others}
    return {name: registry.plugins[name].version if name in registry.plugins else "unknown" for name in sorted(names)}


def _default_registry() -> Registry:
    from zoo.plugins import load_registry

    return load_registry()


@contextlib.contextmanager
def _picture(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a picture into a warning: a run is not lost for it."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, ZooError) else one_line(error)
        warnings.warn(f"There is no picture {path.name}: {reason}", ZooWarning, stacklevel=3)


@contextlib.contextmanager
def _recording_failure(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Write into ``run.json`` how a run ended, if it ended with such an error or was interrupted."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            run = runs.open_run(path)
            if isinstance(error, kinds):
                runs.update(run, msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
            elif run.record.status == "training" and not isinstance(error, Exception):
                runs.update(run, msgspec.structs.replace(run.record, status="interrupted"))
        raise
