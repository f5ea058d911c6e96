"""One prepared run: checked as far as it can be before Keras is imported, and then carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.loading import check_data_dir
from zoo.errors import RunFolderError, SettingError
from zoo.pipeline.cycle import carry_out
from zoo.pipeline.job import Job
from zoo.recipes import resolution
from zoo.registry.plugins import load_registry
from zoo.runs import checkpoints
from zoo.runs.run_folder import ensure_empty, is_run, new_id, open_run
from zoo.training.progress import shown
from zoo.training.trackers import check_trackers
from zoo.utils import locks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.recipes.resolution import Overrides, ResolvedRecipe
    from zoo.registry.registry import Registry
    from zoo.runs.records import RecipeRecord
    from zoo.runs.run_folder import Run
    from zoo.types import Goal, Monitor


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run that is ready to start: names resolved, settings complete, the folder free. `zoo.prepare` makes one.

    Args:
        recipe: The recipe as resolved: its components and every setting.
        path: The run folder. It is made when the run starts.
        registry: Where names were looked up.
        data_dir: Folder or file to read the data set from, if not its own.
        checkpoint_every: Steps between checkpoints within an epoch; None for one after each epoch only.
        track: Qualified names of the trackers.
        earlier: The run to resume; None for a new one.
    """

    recipe: ResolvedRecipe
    path: Path
    registry: Registry = field(repr=False)
    data_dir: str | Path | None
    checkpoint_every: int | None
    track: tuple[str, ...]
    earlier: Run | None

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by the name that ``--set`` takes."""
        return self.recipe.settings()

    def to_record(self) -> RecipeRecord:
        """Return the recipe as ``run.json`` will have it."""
        return resolution.to_record(self.recipe)

    def run(self, progress: object | None = None) -> Run:
        """Train, save, load into a fresh model, and test.

        Args:
            progress: Is notified of how far the run is: an object with any of the methods of `zoo.interfaces.Progress`.
                In a notebook, progress is printed by default.

        Returns:
            The run, with status ``"tested"``.

        Raises:
            CycleError: The loaded model does not predict the test split exactly as the trained one.
            ZooError: The data or a component is not as it must be, or training diverged.
            StopRequested: A signal asked to end: a `KeyboardInterrupt`. A checkpoint is kept.
        """
        return self._carry_out("tested", progress)

    def train(self, progress: object | None = None) -> Run:
        """Train and save the best epoch; the test split is not read.

        Args:
            progress: As for `run`.

        Returns:
            The run, with status ``"trained"``.

        Raises:
            ZooError: As for `run`.
            StopRequested: As for `run`.
        """
        return self._carry_out("trained", progress)

    def check_data(self) -> None:
        """Check what can be told of the data before they are read.

        Raises:
            DataError: The folder or file does not exist or lacks what the data set reads, or one is needed.
            PluginError: The data set cannot be made, or fails.
        """
        if self.earlier is None or not checkpoints.is_finished(self.earlier):  # which is only shown
            check_data_dir(self.recipe.dataset, self.data_dir)

    def check_goal(self, goal: Goal) -> None:
        """Raise `SettingError` if the run to resume was started for another goal."""
        if self.earlier is not None and self.earlier.record.goal != goal:
            started = "train" if self.earlier.record.goal == "trained" else "run"
            raise SettingError(
                f"This run was started with `zoo {started}`. Continue it with `zoo resume` or with that command. "
                f"Received: goal={goal!r}"
            )

    def _carry_out(self, goal: Goal, progress: object | None) -> Run:
        self.check_goal(goal)
        if self.earlier is not None:  # a new one was checked when it was prepared
            self.check_data()
        with shown(progress) as display:
            return carry_out(
                Job(
                    recipe=self.recipe,
                    path=self.path,
                    goal=goal,
                    registry=self.registry,
                    data_dir=self.data_dir,
                    progress=display,
                    checkpoint_every=self.checkpoint_every,
                    track=self.track,
                    earlier=self.earlier,
                )
            )


def prepare(
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
    check_data: bool = True,
    registry: Registry | None = None,
) -> RunConfig:
    """Prepare a run: resolve names, complete settings, and refuse all that can be refused before Keras is imported.

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
        check_data: Whether to look for the data now; not for a run that another machine will carry out.
        registry: Where names are looked up; by default a new one with all installed plugins.

    Returns:
        The prepared run; its `RunConfig.run` and `RunConfig.train` start it.

    Raises:
        UnknownNameError: The recipe, a component or a tracker is not registered.
        AmbiguousNameError: Several plugins register it.
        SettingError: A setting does not exist, has an impossible value, or is not what the run was started with.
        DataError: The data folder does not exist or lacks what the data set reads, or one is needed.
        RunFolderError: The run folder holds another run, or is in use.
        PluginError: A component cannot be imported or made.
    """
    registry = load_registry() if registry is None else registry
    overrides: Overrides = {
        "dataset": dataset,
        "model": model,
        "trainer": trainer,
        "epochs": epochs,
        "batch_size": batch_size,
        "validation": validation,
        "monitor": monitor,
        "seed": seed,
        "settings": settings,
    }
    if out is not None and not str(out):
        raise RunFolderError("The run folder has no name: give one, or none at all for the default. Received: out=''")
    if resume and out is None:
        raise RunFolderError("Which run should be resumed? Give its folder. Received: out=None, resume=True")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise SettingError(f"Steps between checkpoints are 1 or more. Received: checkpoint_every={checkpoint_every!r}")
    trackers = check_trackers(registry, track)
    path = Path(out) if out is not None else None
    if path is not None and resume and is_run(path):
        locks.check_free(path)
        earlier = open_run(path)
        resolution.check_unchanged(registry, resolution.from_run(registry, earlier), recipe, overrides)
        config = from_run(earlier, registry, track=trackers, data_dir=data_dir)
        if checkpoint_every not in (None, config.checkpoint_every):
            was = config.checkpoint_every
            how = "without checkpoint_every" if was is None else f"with checkpoint_every={was}"
            raise SettingError(
                f"The run was started {how} and is resumed as it was started: leave it out, or start a new run. "
                f"Received: checkpoint_every={checkpoint_every}"
            )
        return config
    resolved = resolution.resolve(registry, recipe, overrides)
    if path is None:
        path = Path("runs") / resolved.name / new_id()
    else:
        ensure_empty(path)  # now, and again when the folder is locked
    config = RunConfig(
        recipe=resolved,
        path=path,
        registry=registry,
        data_dir=data_dir,
        checkpoint_every=checkpoint_every,
        track=trackers,
        earlier=None,
    )
    if check_data:
        config.check_data()
    return config


def from_run(
    run: Run, registry: Registry, *, track: Sequence[str] = (), data_dir: str | Path | None = None
) -> RunConfig:
    """Return the prepared run that resumes one that was stopped.

    Args:
        run: The run.
        registry: Where names are looked up.
        track: Trackers besides those that it was started with.
        data_dir: As for `prepare`; the folder that training read is not remembered.

    Raises:
        UnknownNameError: A plugin that it needs is not installed.
        ZooError: As for `prepare`.
    """
    resolved = resolution.from_run(registry, run)
    trackers = check_trackers(registry, track)
    return RunConfig(
        recipe=resolved,
        path=run.path,
        registry=registry,
        data_dir=data_dir,
        checkpoint_every=run.record.checkpoint_every,
        track=tuple(dict.fromkeys([*run.record.track, *trackers])),
        earlier=run,
    )
