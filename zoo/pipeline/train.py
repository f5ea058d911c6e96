"""Carry out a job up to the saved model, in a locked run folder that is kept up to date."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from zoo.data.loading import input_shape, load_split, make_dataset
from zoo.data.split import balanced, cut_fold, cut_validation
from zoo.errors import DataError
from zoo.interfaces import RunContext, TrainingConfig
from zoo.models import weights
from zoo.models.build import build_model, build_with_policy, dtype_policy_of
from zoo.models.size import check_size
from zoo.pipeline import plots
from zoo.pipeline.data_hints import warn_before_training
from zoo.pipeline.initial_weights import take_weights
from zoo.pipeline.run_end import notify_end, record_failure
from zoo.pipeline.run_start import plugin_records, start_or_resume
from zoo.recipes import run_recipes
from zoo.runs import run_folder
from zoo.runs.checkpoints import Checkpoints
from zoo.runs.data_records import MOST_NAMES, DataRecord, SkippedFiles
from zoo.runs.records import Seconds
from zoo.training import loop
from zoo.training.callback_calls import make_callback
from zoo.training.checkpointing import Checkpointer
from zoo.training.first_predictions import check_first_predictions
from zoo.training.history import History
from zoo.training.keras_callbacks import check_schedule
from zoo.training.learning import learning_of
from zoo.training.metrics import names_model
from zoo.training.trackers import Trackers
from zoo.training.trainer import make_trainer
from zoo.utils import files
from zoo.utils.text import printable

if TYPE_CHECKING:
    import contextlib

    import keras

    from zoo.interfaces import Split, Trainer
    from zoo.pipeline.job import Job
    from zoo.recipes.components import Component
    from zoo.runs.records import RunRecord
    from zoo.runs.run_folder import Run


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run with its trained model and the data that it was trained on."""

    run: Run
    trainer: Trainer
    model: keras.Model
    dtype_policy: keras.DTypePolicy
    metrics: tuple[Component, ...]
    split: Split
    checkpoints: Checkpoints
    started: float = field(repr=False)

    @property
    def seconds(self) -> float:
        """Wall seconds of the run so far, including those before it was resumed."""
        return time.perf_counter() - self.started


def train(job: Job, ending: contextlib.ExitStack) -> Trained:
    """Train and save the model, in a locked run folder.

    Args:
        job: The job.
        ending: Exit stack that the caller closes when the run ends, however it ends; callbacks and trackers are
            notified then.

    Raises:
        ZooError: The data, a component or the folder is invalid, or training diverged.
        StopRequested: Ctrl-C or another signal requested a stop; the message says where the training stopped.
    """
    earlier = job.earlier.record if job.earlier else None
    started = time.perf_counter() - (earlier.seconds.total if earlier else 0.0)
    split, data = _load(job)
    trainer, model, dtype_policy = _build(job, data)
    init = take_weights(job.init, model, job.recipe.model, job.registry, job.progress) if job.init else None
    if job.earlier is None:
        check_first_predictions(trainer, model, split.train, len(data.class_names), job.recipe.model)
    run = start_or_resume(job, data, model.count_params(), dtype_policy.name, init)
    if job.earlier is None:
        warn_before_training(job.recipe, data, make_dataset(job.recipe.dataset))
    kept = Checkpoints(run.path, run.record.id)
    context = RunContext(
        path=run.path,
        recipe=job.recipe.name,
        settings=job.recipe.settings() | {"validation": data.validation},  # a dataset may include a validation split
        class_names=tuple(data.class_names),
        id=run.record.id,
        track=tuple(run.record.track),
    )
    trackers = Trackers.of(job.registry, context)
    callbacks: dict[str, keras.callbacks.Callback] = {}
    ending.enter_context(notify_end(job, callbacks, trackers))

    def with_history(history: History) -> RunRecord:
        return msgspec.structs.replace(
            run.record,
            history=list(history.epochs),
            best_epoch=history.best_epoch,
            validation=history.validation,
            seconds=Seconds(train=history.seconds, total=max(history.seconds, time.perf_counter() - started)),
        )

    def record_epoch(history: History) -> None:
        run_folder.update(run, with_history(history))

    with record_failure(job, Exception), names_model(run.record.recipe.model):
        run = run_folder.update(
            run, msgspec.structs.replace(run.record, plugins=plugin_records(job.recipe, job.registry, job.earlier))
        )
        for component in job.recipe.callbacks:
            callbacks[component.qualified_name] = make_callback(component, context)
        check_schedule(callbacks, job.recipe, -(-len(split.train) // job.recipe.batch_size))
        history = loop.train(
            trainer,
            model,
            split,
            TrainingConfig(
                epochs=job.recipe.epochs,
                batch_size=job.recipe.batch_size,
                seed=job.recipe.seed,
                build=partial(
                    build_with_policy,
                    dtype_policy,
                    job.recipe.model.to_make(data.input_shape, len(data.class_names)),
                ),
                learning=learning_of(job.recipe),
            ),
            title=job.recipe.trainer.title,
            callbacks=callbacks,
            progress=job.progress,
            on_epoch=record_epoch,
            checkpointer=Checkpointer(
                checkpoints=kept, every=job.checkpoint_every, resume=earlier is not None, at_start=init is not None
            ),
            history=History(monitor=job.recipe.monitor, mode=job.recipe.monitor_mode),
            metrics=job.recipe.metrics,
            trackers=trackers,
        )
        job.progress.stage("saving")
        artifact = weights.encode(model)
        files.write_file(run.path / run_folder.MODEL, artifact)
        record = msgspec.structs.replace(with_history(history), status="trained", model_sha256=files.sha256(artifact))
        run = run_folder.update(run, record)  # from here on the model can be loaded, even if a later step fails
    files.write_file(run.path / run_folder.HISTORY, run_folder.history_csv(record))
    epochs = len(history.epochs)
    title = f"{job.recipe.name}: {epochs} epoch{'s' if epochs > 1 else ''}"
    with plots.optional_picture(run.path / run_folder.CURVES):
        files.write_file(run.path / run_folder.CURVES, plots.draw_curves(history.epochs, history.best_epoch, title))
    return Trained(
        run=run,
        trainer=trainer,
        model=model,
        dtype_policy=dtype_policy,
        metrics=job.recipe.metrics,
        split=split,
        checkpoints=kept,
        started=started,
    )


def _load(job: Job) -> tuple[Split, DataRecord]:
    job.progress.stage("loading the data")
    split, fold = load_split(job.recipe.dataset, job.data_dir), job.recipe.fold
    split = cut_validation(split, job.recipe.validation) if fold is None else cut_fold(split, *fold)
    data = describe_data(split)
    if job.earlier is not None and (differs := job.earlier.record.data.differences(data)):
        raise DataError(
            f"The data differs from the data that the run in {job.path} was started with ({'; '.join(differs)}). Pass "
            "the original --data-dir with unchanged content, if there was one, or start a new run. "
            f"Received: data_dir={str(job.data_dir) if job.data_dir else None!r}",
            path=job.path,
        )
    return balanced(split), data


def describe_data(split: Split) -> DataRecord:
    """Return what ``run.json`` records of the data."""
    return DataRecord(
        train=len(split.train),
        validation=len(split.validation) if split.validation is not None else 0,
        test=len(split.test),
        input_shape=input_shape(split),
        class_names=list(split.class_names),
        digests=dict(split.digests),
        skipped_files=_skipped_files(split),
        settings={name: list(value) if isinstance(value, tuple) else value for name, value in split.settings.items()}
        or msgspec.UNSET,
    )


def _skipped_files(split: Split) -> SkippedFiles | None:
    if not split.skipped_files:
        return None
    names = [printable(name).encode(errors="backslashreplace").decode() for name in split.skipped_files[:MOST_NAMES]]
    return SkippedFiles(count=len(split.skipped_files), names=names)


def _build(job: Job, data: DataRecord) -> tuple[Trainer, keras.Model, keras.DTypePolicy]:
    """Return the trainer, the model, and the dtype policy that the model was built with."""
    job.progress.stage("building the model")
    import keras

    shape, num_classes = data.input_shape, len(data.class_names)
    with run_recipes.record_context(job.earlier):
        check_size(job.recipe.model, shape, num_classes, is_recorded=job.earlier is not None)
        trainer = make_trainer(job.recipe.trainer)
        keras.utils.set_random_seed(job.recipe.seed)
        # a resumed run keeps its precision, even if another is faster on this machine
        recorded = job.earlier.record.environment.dtype_policy if job.earlier else None
        with dtype_policy_of(trainer, recorded) as policy:
            return trainer, build_model(job.recipe.model, shape, num_classes), policy
