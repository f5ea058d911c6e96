"""A job carried out up to the saved model, in a run folder that is locked and kept up to date."""

from __future__ import annotations

import contextlib
import time
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from zoo.data.loading import input_shape, load_split
from zoo.data.split import cut_validation
from zoo.errors import DataError, RunFolderError, ZooError, ZooWarning
from zoo.interfaces import RunContext, TrainingConfig
from zoo.models import weights
from zoo.models.build import build_model, build_with_policy, check_size, dtype_policy_of
from zoo.pipeline import plots
from zoo.recipes import resolution
from zoo.recipes.components import COMPONENT_KINDS
from zoo.runs import checkpoints, environment, run_folder
from zoo.runs.checkpoints import Checkpoints
from zoo.runs.record_io import FORMAT
from zoo.runs.records import MOST_NAMES, DataRecord, PluginRecord, ResumeRecord, RunRecord, Seconds, SkippedFiles
from zoo.training import loop
from zoo.training.checkpointing import Checkpointer
from zoo.training.trackers import Trackers
from zoo.training.trainer import make_trainer
from zoo.utils import files
from zoo.utils.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import keras

    from zoo.interfaces import Split, Trainer
    from zoo.pipeline.job import Job
    from zoo.runs.records import EnvironmentRecord
    from zoo.runs.run_folder import Run
    from zoo.training.history import History


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run with its model as trained and the data it was trained on."""

    run: Run
    trainer: Trainer
    model: keras.Model
    dtype_policy: keras.DTypePolicy
    split: Split
    checkpoints: Checkpoints
    started: float = field(repr=False)

    @property
    def seconds(self) -> float:
        """Wall seconds of the run so far, of all its sessions."""
        return time.perf_counter() - self.started


def train(job: Job, ending: contextlib.ExitStack) -> Trained:
    """Train and save, in a run folder that is locked.

    Args:
        job: What to do.
        ending: Left when the work on the run ends, however it does: trackers are told then.

    Raises:
        ZooError: The data, a part or the folder is not as it must be, or training diverged.
        StopRequested: A signal asked to end; the text says how to go on.
    """
    earlier = job.earlier.record if job.earlier else None
    started = time.perf_counter() - (earlier.seconds.total if earlier else 0.0)
    split, data = _load(job)
    trainer, model, dtype_policy = _build(job, data)
    run = _start_or_resume(job, data, model.count_params(), dtype_policy.name)
    kept = Checkpoints(run.path, run.record.id)
    context = RunContext(
        path=run.path,
        recipe=job.recipe.name,
        settings=job.recipe.settings() | {"validation": data.validation},  # which the data set may have of its own
        class_names=tuple(data.class_names),
        id=run.record.id,
        track=tuple(run.record.track),
    )
    trackers = Trackers.of(job.registry, context)
    ending.enter_context(_notify_trackers(job, trackers))

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

    with record_failure(job, Exception):
        callbacks = job.registry.callbacks(context)
        run = run_folder.update(run, msgspec.structs.replace(run.record, plugins=_plugins(job, set(callbacks))))
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
            ),
            title=job.recipe.trainer.title,
            callbacks=callbacks,
            progress=job.progress,
            on_epoch=record_epoch,
            checkpointer=Checkpointer(checkpoints=kept, every=job.checkpoint_every, resume=earlier is not None),
            monitor=job.recipe.monitor,
            trackers=trackers,
        )
        job.progress.stage("saving")
        artifact = weights.encode(model)
        files.write_file(run.path / run_folder.MODEL, artifact)
        record = msgspec.structs.replace(with_history(history), status="trained", model_sha256=files.sha256(artifact))
        run = run_folder.update(run, record)  # from here on the model can be loaded, whatever becomes of the rest
    files.write_file(run.path / run_folder.HISTORY, run_folder.history_csv(record))
    epochs = len(history.epochs)
    title = f"{job.recipe.name}: {epochs} epoch{'s' if epochs > 1 else ''}"
    with picture(run.path / run_folder.CURVES):
        files.write_file(run.path / run_folder.CURVES, plots.draw_curves(history.epochs, history.best_epoch, title))
    return Trained(
        run=run,
        trainer=trainer,
        model=model,
        dtype_policy=dtype_policy,
        split=split,
        checkpoints=kept,
        started=started,
    )


def _load(job: Job) -> tuple[Split, DataRecord]:
    job.progress.stage("loading the data")
    split = cut_validation(load_split(job.recipe.dataset, job.data_dir), job.recipe.validation)
    data = DataRecord(
        train=len(split.train),
        validation=len(split.validation) if split.validation is not None else 0,
        test=len(split.test),
        input_shape=input_shape(split),
        class_names=list(split.class_names),
        digests=dict(split.digests),
        skipped_files=_skipped_files(split),
    )
    if job.earlier is not None and (differs := job.earlier.record.data.differences(data)):
        raise DataError(
            f"The data are not those that the run in {job.path} was started with ({'; '.join(differs)}): give their "
            "folder with --data-dir, if they had one, as it was, or start a new run. "
            f"Received: data_dir={str(job.data_dir) if job.data_dir else None!r}",
            path=job.path,
        )
    return split, data


def _skipped_files(split: Split) -> SkippedFiles | None:
    if not split.skipped_files:
        return None
    names = [printable(name).encode(errors="backslashreplace").decode() for name in split.skipped_files[:MOST_NAMES]]
    return SkippedFiles(count=len(split.skipped_files), names=names)


def _build(job: Job, data: DataRecord) -> tuple[Trainer, keras.Model, keras.DTypePolicy]:
    """Return the trainer, the model, and the dtype policy that it was built with."""
    job.progress.stage("building the model")
    import keras

    shape, num_classes = data.input_shape, len(data.class_names)
    with resolution.record_context(job.earlier):
        check_size(job.recipe.model, shape, num_classes)
        trainer = make_trainer(job.recipe.trainer)
        keras.utils.set_random_seed(job.recipe.seed)
        # a run that is resumed computes as it did, whatever is fast here
        recorded = job.earlier.record.environment.dtype_policy if job.earlier else None
        with dtype_policy_of(trainer, recorded) as policy:
            return trainer, build_model(job.recipe.model, shape, num_classes), policy


def _start_or_resume(job: Job, data: DataRecord, parameters: int, dtype_policy: str) -> Run:
    """Write the first ``run.json``, or take the one that is there."""
    now = environment.describe(dtype_policy)
    if job.earlier is None:
        return run_folder.create(
            job.path,
            RunRecord(
                format=FORMAT,
                id=run_folder.new_id(),
                started=run_folder.now(),
                goal=job.goal,
                status="training",
                recipe=resolution.to_record(job.recipe),
                checkpoint_every=job.checkpoint_every,
                track=list(job.track),
                data=data,
                parameters=parameters,
                plugins={},
                environment=now,
                seconds=Seconds(train=0.0, total=0.0),
            ),
        )
    earlier = job.earlier.record
    if (backend := earlier.environment.backend) != now.backend:
        raise RunFolderError(
            f"The run in {job.path} was started on Keras's backend {backend}, and its checkpoints fit no other: set "
            f"KERAS_BACKEND={backend}. Received: KERAS_BACKEND={now.backend}",
            path=job.path,
        )
    if parameters != earlier.parameters:
        raise RunFolderError(
            f"The model of {job.path} had {earlier.parameters:,} parameters, and its builder makes {parameters:,} "
            "now: install the version of the plugin that the run was started with.",
            path=job.path,
        )
    if earlier.history and not checkpoints.numbers_in(job.path):
        warnings.warn(
            f"The run in {job.path} had {len(earlier.history)} epochs, and its checkpoints are gone: it is trained "
            "from the start.",
            ZooWarning,
            stacklevel=4,
        )
    if changes := _differences(job, earlier, now):
        warnings.warn(
            f"The run in {job.path} was started in another environment, so its bits may differ from those of a run "
            f"that was not stopped: {', '.join(changes)}.",
            ZooWarning,
            stacklevel=4,
        )
    return run_folder.update(
        job.earlier,
        msgspec.structs.replace(
            earlier,
            goal=job.goal,
            status="training",
            error=None,
            track=list(job.track),
            resumed=[*earlier.resumed, ResumeRecord(time=run_folder.now(), environment_changes=changes)],
        ),
    )


def _plugins(job: Job, others: set[str]) -> dict[str, PluginRecord]:
    names = {job.recipe.plugin, *(getattr(job.recipe, kind).plugin for kind in COMPONENT_KINDS), *others}
    known, before = job.registry.plugins, job.earlier.record.plugins if job.earlier else {}
    now = {
        name: PluginRecord(package=known[name].package, version=known[name].version)
        if name in known
        else PluginRecord(package=None, version="unknown")
        for name in names
    }
    return dict(sorted((now | before).items()))  # as it was started


def _differences(job: Job, earlier: RunRecord, now: EnvironmentRecord) -> list[str]:
    """Return what differs from when the run was started that its bits may depend on."""
    plugins = job.registry.plugins
    return environment.differences(earlier.environment, now) + [
        f"plugin {name} {was.version} -> {plugins[name].version}"
        for name, was in earlier.plugins.items()
        if name in plugins and plugins[name].version != was.version
    ]


@contextlib.contextmanager
def picture(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a picture into a warning: a run is not lost for it."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, ZooError) else one_line(error)
        warnings.warn(f"There is no picture {path.name}: {reason}", ZooWarning, stacklevel=3)


@contextlib.contextmanager
def _notify_trackers(job: Job, trackers: Trackers) -> Iterator[None]:
    """Tell the trackers how a run ended; around `record_failure`, so that they see what it wrote."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            trackers.finish(_with_final_status(run_folder.open_run(job.path), error))
        raise
    with contextlib.suppress(RunFolderError):
        trackers.finish(run_folder.open_run(job.path))


def _with_final_status(run: Run, error: BaseException) -> Run:
    """Return a run that an error ended, its status that of its end.

    In its folder, one that was stopped on its way to be tested stays ``trained``: its model can be used.
    """
    if run.record.status not in ("training", "trained") or run.record.status == run.record.goal:
        return run
    if isinstance(error, Exception):
        return replace(run, record=msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
    return replace(run, record=msgspec.structs.replace(run.record, status="interrupted"))


@contextlib.contextmanager
def record_failure(job: Job, *kinds: type[Exception]) -> Iterator[None]:
    """Write into ``run.json`` that a run failed with such an error or was interrupted."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            run = run_folder.open_run(job.path)
            if isinstance(error, kinds):
                run_folder.update(run, msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
            elif run.record.status == "training" and not isinstance(error, Exception):
                run_folder.update(run, msgspec.structs.replace(run.record, status="interrupted"))
        raise
