"""A job: a resolved recipe, a run folder and a goal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.registry.entries import LOCAL

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.interfaces import Progress
    from zoo.pipeline.initial_weights import InitialWeights
    from zoo.recipes.resolution import ResolvedRecipe
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run
    from zoo.types import Goal


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to carry out, and its options.

    Args:
        recipe: The resolved recipe.
        path: The run folder.
        goal: The status to reach: ``"trained"`` or ``"tested"``.
        registry: Registry that provides the callbacks and trackers.
        data_dir: Folder or file that the dataset reads.
        progress: Notified as the run advances.
        checkpoint_every: Number of steps between checkpoints within an epoch; None to commit after each epoch only.
        track: Qualified names of the trackers; those that the run was started with come first.
        init: The weights to start from; None for random ones.
        earlier: The run to resume; None to start a new one.
    """

    recipe: ResolvedRecipe
    path: Path
    goal: Goal
    registry: Registry
    data_dir: str | Path | None
    progress: Progress
    checkpoint_every: int | None
    track: tuple[str, ...]
    init: InitialWeights | None
    earlier: Run | None

    @property
    def resume_command(self) -> str:
        """What resumes this run after a stop: a command, or a call where a registry in code has its components."""
        if any(component.plugin == LOCAL for component in self.recipe.components):
            return f"zoo.resume({str(self.path)!r}, registry=...)"
        plugins = [str(plugin.file) for plugin in self.registry.plugins.values() if plugin.file]
        options = [part for file in sorted(plugins) for part in ("--plugin", file)]
        data = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        return shlex.join(["zoo", *options, "resume", str(self.path), *data])
