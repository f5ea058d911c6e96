"""A prepared run, and how it is carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.data.loading import check_data_dir
from zoo.errors import SettingError
from zoo.pipeline.cycle import carry_out
from zoo.pipeline.job import Job
from zoo.recipes import run_recipes
from zoo.runs import checkpoints
from zoo.training.progress import shown

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.pipeline.initial_weights import InitialWeights
    from zoo.recipes.resolution import ResolvedRecipe
    from zoo.registry.registry import Registry
    from zoo.runs.records import RecipeRecord
    from zoo.runs.run_folder import Run
    from zoo.types import Goal


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run that is ready to start: names are resolved, settings complete and the run folder is free.

    `zoo.prepare` returns one.

    Args:
        recipe: The resolved recipe: its components and every setting.
        path: The run folder. It is created when the run starts.
        registry: Registry in which names were looked up.
        data_dir: Folder or file that the dataset reads; None for the dataset's own data.
        checkpoint_every: Number of steps between checkpoints within an epoch; None to commit after each epoch only.
        track: Qualified names of the trackers.
        init: The weights to start from; None for random ones.
        earlier: The run to resume; None to start a new one.
    """

    recipe: ResolvedRecipe
    path: Path
    registry: Registry = field(repr=False)
    data_dir: str | Path | None
    checkpoint_every: int | None
    track: tuple[str, ...]
    init: InitialWeights | None
    earlier: Run | None

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, keyed by the name that ``--set`` takes."""
        return self.recipe.settings()

    def to_record(self) -> RecipeRecord:
        """Return the recipe as it will be recorded in ``run.json``."""
        return run_recipes.to_record(self.recipe)

    def run(self, progress: object | None = None) -> Run:
        """Train, save, load the weights into a fresh model, and test it.

        Args:
            progress: Object with any of the methods of `zoo.interfaces.Progress`, which are called as the run advances.
                By default, progress is printed in a notebook and nowhere else.

        Returns:
            The run, with status ``"tested"``.

        Raises:
            CycleError: The loaded model does not score exactly what the trained model scores.
            ZooError: The data or a component is invalid, or training diverged.
            StopRequested: Ctrl-C or another signal requested a stop. It is a `KeyboardInterrupt`. If the run folder
                exists, the message contains the command that continues the run.
        """
        return self._carry_out("tested", progress)

    def train(self, progress: object | None = None) -> Run:
        """Train and save the weights of the best epoch. The test split is not read.

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
        """Check what can be checked about the data before it is read.

        Raises:
            DataError: The folder or file does not exist or lacks what the dataset reads, or the dataset needs one.
            PluginError: The dataset cannot be created, or fails.
        """
        if self.earlier is None or not checkpoints.is_finished(self.earlier):  # a finished run reads no data
            check_data_dir(self.recipe.dataset, self.data_dir)

    def check_goal(self, goal: Goal) -> None:
        """Raise `SettingError` if the run to resume was started with another goal."""
        if self.earlier is not None and self.earlier.record.goal != goal:
            started = "train" if self.earlier.record.goal == "trained" else "run"
            raise SettingError(
                f"This run was started with `zoo {started}`. Continue it with `zoo resume` or `zoo {started} --resume`."
                f" Received: goal={goal!r}"
            )

    def _carry_out(self, goal: Goal, progress: object | None) -> Run:
        self.check_goal(goal)
        if self.earlier is not None:  # `prepare` checked a new one
            self.check_data()
        with shown(progress, self.recipe.monitor) as display:
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
                    init=self.init,
                    earlier=self.earlier,
                )
            )
