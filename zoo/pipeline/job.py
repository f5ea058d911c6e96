"""What is carried out: a resolved recipe, in a run folder, up to a goal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.interfaces import Progress
    from zoo.recipes.resolution import ResolvedRecipe
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run
    from zoo.types import Goal


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is carried out, and how.

    Args:
        recipe: The recipe as resolved.
        path: The run folder.
        goal: How far the run is meant to go.
        registry: Where callbacks come from.
        data_dir: Folder to read the data set from.
        progress: Is notified of how far the run is.
        checkpoint_every: Commit a checkpoint after this many steps of an epoch too.
        track: Qualified names of the trackers, those that the run was started with first.
        earlier: The run to resume; None for a new one.
    """

    recipe: ResolvedRecipe
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
        """The command that resumes this run once it was stopped."""
        plugins = [str(plugin.file) for plugin in self.registry.plugins.values() if plugin.file]
        options = [part for file in sorted(plugins) for part in ("--plugin", file)]
        data = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        return shlex.join(["zoo", *options, "resume", str(self.path), *data])
