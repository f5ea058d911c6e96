"""What is to be carried out, checked as far as it can be before the work begins."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import RunFolderError, SettingError
from zoo.recipes import resolution
from zoo.runs.run_folder import check_unused, is_run, new_id, open_run
from zoo.training.trackers import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.interfaces import Progress
    from zoo.recipes.resolution import Plan
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run
    from zoo.types import Goal


class Options(resolution.Changes, total=False):
    """What a caller may say of a run, besides what changes of the recipe: `zoo.train_and_save` tells what it means."""

    registry: Registry | None
    out: str | Path | None
    resume: bool
    checkpoint_every: int | None
    track: Sequence[str]
    data_dir: str | Path | None
    progress: Progress | None


_NO_CHANGES = set(Options.__annotations__) - set(resolution.Changes.__annotations__)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be carried out, and how.

    Args:
        plan: The recipe as resolved.
        path: The run folder.
        goal: How far the run is meant to go.
        registry: Where callbacks come from.
        data_dir: Folder to read the data set from.
        progress: Is told how far it is.
        checkpoint_every: Commit a checkpoint after so many steps of an epoch too.
        track: Qualified names of the trackers, those that it was started with first.
        earlier: The run to go on with; None for a new one.
    """

    plan: Plan
    path: Path
    goal: Goal
    registry: Registry
    data_dir: str | Path | None
    progress: Progress
    checkpoint_every: int | None
    track: tuple[str, ...]
    earlier: Run | None

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run when it was stopped."""
        plugins = [str(plugin.file) for plugin in self.registry.plugins.values() if plugin.file]
        options = [part for file in sorted(plugins) for part in ("--plugin", file)]
        data = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        return shlex.join(["zoo", *options, "resume", str(self.path), *data])


def of_recipe(recipe: str, registry: Registry, progress: Progress, options: Options, *, goal: Goal) -> Order:
    """Return the order to run a recipe: anew, or on from where the run in ``out`` was stopped.

    Args:
        recipe: Its name.
        registry: Where names are looked up.
        progress: Is told how far it is.
        options: What the caller has given besides.
        goal: How far the run is meant to go.

    Raises:
        SettingError: A setting is wrong, or not what the run was started with.
        RunFolderError: The folder holds another run, or is in use.
        TypeError: There is no such option.
        UnknownNameError: The recipe, a part or a tracker is not registered.
    """
    resolution.check_arguments(options, Options)
    changes: Any = {name: value for name, value in options.items() if name not in _NO_CHANGES}
    out, resume, checkpoint_every = options.get("out"), options.get("resume", False), options.get("checkpoint_every")
    if out is not None and not str(out):
        raise RunFolderError("The run folder has no name: give one, or none at all for the default. Received: out=''")
    if resume and out is None:
        raise RunFolderError("Which run to go on with? Give its folder. Received: out=None, resume=True")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise SettingError(f"Steps between checkpoints are 1 or more. Received: checkpoint_every={checkpoint_every!r}")
    asked = check(registry, options.get("track") or ())
    path, earlier = Path(out) if out is not None else None, None
    if path is not None and resume and is_run(path):
        earlier = open_run(path)
        resolved = resolution.of_run(registry, earlier)
        resolution.check_same(registry, resolved, recipe, changes)
        if earlier.record.goal != goal:
            raise SettingError(
                f"The run was started to be {earlier.record.goal}, and goes on to that: use `zoo resume`, or the "
                f"command that started it. Received: {goal!r} as its end"
            )
        if checkpoint_every not in (None, earlier.record.checkpoint_every):
            was = earlier.record.checkpoint_every
            how = "without checkpoint_every" if was is None else f"with checkpoint_every={was}"
            raise SettingError(
                f"The run was started {how}, and goes on with that: leave it out, or start a new run. "
                f"Received: checkpoint_every={checkpoint_every}"
            )
        checkpoint_every = earlier.record.checkpoint_every
    else:
        resolved = resolution.resolve(registry, recipe, changes)
        path = path or Path("runs") / resolved.recipe / new_id()
        check_unused(path)  # before the work, and again when the folder is claimed
    return Order(
        plan=resolved,
        path=path,
        goal=goal,
        registry=registry,
        data_dir=options.get("data_dir"),
        progress=progress,
        checkpoint_every=checkpoint_every,
        track=_joined(earlier, asked),
        earlier=earlier,
    )


def of_run(
    path: Path, registry: Registry, track: Sequence[str], data_dir: str | Path | None, progress: Progress
) -> Order:
    """Return the order to go on with the run in a folder, to the end it was started for.

    Raises:
        RunFolderError: There is none, or its record is not valid.
        UnknownNameError: A plugin that it needs is not there.
    """
    run = open_run(path)
    return Order(
        plan=resolution.of_run(registry, run),
        path=run.path,
        goal=run.record.goal,
        registry=registry,
        data_dir=data_dir,
        progress=progress,
        checkpoint_every=run.record.checkpoint_every,
        track=_joined(run, check(registry, track)),
        earlier=run,
    )


def _joined(earlier: Run | None, asked: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(earlier.record.track if earlier else ()), *asked]))
