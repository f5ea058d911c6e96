"""A plan carried out up to the saved model, in a run folder that is claimed, kept up to date and gone on with."""

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
from zoo.interfaces import RunContext, RunSettings
from zoo.models import weights
from zoo.models.build import build_model, build_with_policy, check_size, dtype_policy_of
from zoo.pipeline import plots
from zoo.recipes import resolution
from zoo.recipes.components import PARTS
from zoo.runs import checkpoints, environment, run_folder
from zoo.runs.checkpoints import Checkpoints
from zoo.runs.record_io import FORMAT
from zoo.runs.records import MOST_NAMES, DataRecord, LeftOutRecord, PluginRecord, ResumeRecord, RunRecord, Seconds
from zoo.training import loop
from zoo.training.checkpointing import Keeping
from zoo.training.trackers import Trackers
from zoo.training.trainer import make_trainer
from zoo.utils import files
from zoo.utils.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import keras

    from zoo.interfaces import Split, Trainer
    from zoo.pipeline.run_config import Order
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


def train(order: Order, ending: contextlib.ExitStack) -> Trained:
    """Train and save, in a run folder that is locked.

    Args:
        order: What to do.
        ending: Left when the work on the run ends, however it does: trackers are told then.

    Raises:
        ZooError: The data, a part or the folder is not as it must be, or training diverged.
        StopRequested: A signal asked to end; the text says how to go on.
    """
    earlier = order.earlier.record if order.earlier else None
    started = time.perf_counter() - (earlier.seconds.total if earlier else 0.0)
    split, data = _load(order)
    trainer, model, dtype_policy = _build(order, data)
    run = _begin(order, data, model.count_params(), dtype_policy.name)
    kept = Checkpoints(run.path, run.record.id)
    context = RunContext(
        path=run.path,
        recipe=order.plan.recipe,
        settings=order.plan.settings() | {"validation": data.validation},  # which the data set may have of its own
        class_names=tuple(data.class_names),
        id=run.record.id,
        track=tuple(run.record.track),
    )
    trackers = Trackers.of(order.registry, context)
    ending.enter_context(_telling_end(order, trackers))

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

    with recording_end(order, Exception):
        callbacks = order.registry.callbacks(context)
        run = run_folder.update(run, msgspec.structs.replace(run.record, plugins=_plugins(order, set(callbacks))))
        history = loop.train(
            trainer,
            model,
            split,
            RunSettings(
                epochs=order.plan.epochs,
                batch_size=order.plan.batch_size,
                seed=order.plan.seed,
                build=partial(
                    build_with_policy,
                    dtype_policy,
                    order.plan.model.to_make(data.input_shape, len(data.class_names)),
                ),
            ),
            title=order.plan.trainer.title,
            callbacks=callbacks,
            progress=order.progress,
            on_epoch=record_epoch,
            keeping=Keeping(checkpoints=kept, every=order.checkpoint_every, resume=earlier is not None),
            best_by=order.plan.best_by,
            trackers=trackers,
        )
        order.progress.stage("saving")
        artifact = weights.encode(model)
        files.write_file(run.path / run_folder.MODEL, artifact)
        record = msgspec.structs.replace(with_history(history), status="trained", model_sha256=files.sha256(artifact))
        run = run_folder.update(run, record)  # from here on the model can be loaded, whatever becomes of the rest
    files.write_file(run.path / run_folder.HISTORY, run_folder.history_csv(record))
    epochs = len(history.epochs)
    title = f"{order.plan.recipe}: {epochs} epoch{'s' if epochs > 1 else ''}"
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


def _load(order: Order) -> tuple[Split, DataRecord]:
    order.progress.stage("loading the data")
    split = cut_validation(load_split(order.plan.dataset, order.data_dir), order.plan.validation)
    data = DataRecord(
        train=len(split.train),
        validation=len(split.validation) if split.validation is not None else 0,
        test=len(split.test),
        input_shape=input_shape(split),
        class_names=list(split.class_names),
        digests=dict(split.digests),
        left_out=_left_out(split),
    )
    if order.earlier is not None and (differs := order.earlier.record.data.differences(data)):
        raise DataError(
            f"The data are not those that the run in {order.path} was started with ({'; '.join(differs)}): give their "
            "folder with --data-dir, if they had one, as it was, or start a new run. "
            f"Received: data_dir={str(order.data_dir) if order.data_dir else None!r}"
        )
    return split, data


def _left_out(split: Split) -> LeftOutRecord | None:
    if not split.left_out:
        return None
    names = [printable(name).encode(errors="backslashreplace").decode() for name in split.left_out[:MOST_NAMES]]
    return LeftOutRecord(count=len(split.left_out), names=names)


def _build(order: Order, data: DataRecord) -> tuple[Trainer, keras.Model, keras.DTypePolicy]:
    """Return the trainer, the model, and the dtype policy that it was built with."""
    order.progress.stage("building the model")
    import keras

    shape, num_classes = data.input_shape, len(data.class_names)
    with resolution.asked_by(order.earlier):
        check_size(order.plan.model, shape, num_classes)
        trainer = make_trainer(order.plan.trainer)
        keras.utils.set_random_seed(order.plan.seed)
        # a run that is resumed computes as it did, whatever is fast here
        recorded = order.earlier.record.environment.dtype_policy if order.earlier else None
        with dtype_policy_of(trainer, recorded) as policy:
            return trainer, build_model(order.plan.model, shape, num_classes), policy


def _begin(order: Order, data: DataRecord, parameters: int, dtype_policy: str) -> Run:
    """Write the first ``run.json``, or take the one that is there."""
    now = environment.describe(dtype_policy)
    if order.earlier is None:
        return run_folder.create(
            order.path,
            RunRecord(
                format=FORMAT,
                id=run_folder.new_id(),
                started=run_folder.now(),
                goal=order.goal,
                status="training",
                recipe=resolution.to_record(order.plan),
                checkpoint_every=order.checkpoint_every,
                track=list(order.track),
                data=data,
                parameters=parameters,
                plugins={},
                environment=now,
                seconds=Seconds(train=0.0, total=0.0),
            ),
        )
    earlier = order.earlier.record
    if (backend := earlier.environment.backend) != now.backend:
        raise RunFolderError(
            f"The run in {order.path} was started on Keras's backend {backend}, and its checkpoints fit no other: set "
            f"KERAS_BACKEND={backend}. Received: KERAS_BACKEND={now.backend}"
        )
    if parameters != earlier.parameters:
        raise RunFolderError(
            f"The model of {order.path} had {earlier.parameters:,} parameters, and its builder makes {parameters:,} "
            "now: install the version of the plugin that the run was started with."
        )
    if earlier.history and not checkpoints.numbers_in(order.path):
        warnings.warn(
            f"The run in {order.path} had {len(earlier.history)} epochs, and its checkpoints are gone: it is trained "
            "from the start.",
            ZooWarning,
            stacklevel=4,
        )
    if differs := _differences(order, earlier, now):
        warnings.warn(
            f"The run in {order.path} was started in another environment, so its bits may differ from those of a run "
            f"that was not stopped: {', '.join(differs)}.",
            ZooWarning,
            stacklevel=4,
        )
    return run_folder.update(
        order.earlier,
        msgspec.structs.replace(
            earlier,
            goal=order.goal,
            status="training",
            error=None,
            track=list(order.track),
            resumed=[*earlier.resumed, ResumeRecord(time=run_folder.now(), differs=differs)],
        ),
    )


def _plugins(order: Order, others: set[str]) -> dict[str, PluginRecord]:
    names = {order.plan.plugin, *(getattr(order.plan, kind).plugin for kind in PARTS), *others}
    known, before = order.registry.plugins, order.earlier.record.plugins if order.earlier else {}
    now = {
        name: PluginRecord(package=known[name].package, version=known[name].version)
        if name in known
        else PluginRecord(package=None, version="unknown")
        for name in names
    }
    return dict(sorted((now | before).items()))  # as it was started


def _differences(order: Order, earlier: RunRecord, now: EnvironmentRecord) -> list[str]:
    """Return what differs from when the run was started that its bits may depend on."""
    plugins = order.registry.plugins
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
def _telling_end(order: Order, trackers: Trackers) -> Iterator[None]:
    """Tell the trackers how a run ended; around `recording_end`, so that they see what it wrote."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            trackers.finish(_as_it_ended(run_folder.open_run(order.path), error))
        raise
    with contextlib.suppress(RunFolderError):
        trackers.finish(run_folder.open_run(order.path))


def _as_it_ended(run: Run, error: BaseException) -> Run:
    """Return a run that an error ended, its status that of its end.

    In its folder, one that was stopped on its way to be tested stays ``trained``: its model can be used.
    """
    if run.record.status not in ("training", "trained") or run.record.status == run.record.goal:
        return run
    if isinstance(error, Exception):
        return replace(run, record=msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
    return replace(run, record=msgspec.structs.replace(run.record, status="interrupted"))


@contextlib.contextmanager
def recording_end(order: Order, *kinds: type[Exception]) -> Iterator[None]:
    """Write into ``run.json`` that a run failed with such an error or was interrupted."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            run = run_folder.open_run(order.path)
            if isinstance(error, kinds):
                run_folder.update(run, msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
            elif run.record.status == "training" and not isinstance(error, Exception):
                run_folder.update(run, msgspec.structs.replace(run.record, status="interrupted"))
        raise
