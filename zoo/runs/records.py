"""Types for the content of ``run.json``, a checkpoint's ``manifest.json`` and a recipe's recorded results."""

from __future__ import annotations

from typing import Annotated

import msgspec

from zoo.runs.data_records import DataRecord  # noqa: TC001  # msgspec evaluates them
from zoo.runs.fields import Count, Duration, Name, Number, Setting, Share, Text
from zoo.types import Goal, Status  # noqa: TC001  # msgspec evaluates them


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base class of records. Unknown keys are refused."""


class Metrics(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """Metrics of predictions.

    Args:
        loss: Mean categorical cross-entropy, in nats.
        accuracy: Fraction of examples whose most probable class is the true class, 0 to 1.
        others: The values of the recipe's metrics by name.
    """

    loss: Number
    accuracy: Share
    others: dict[Name, Number] = {}

    def value(self, name: str) -> float:
        """Return a metric by name.

        Raises:
            KeyError: There is none with that name.
        """
        return getattr(self, name) if name in ("loss", "accuracy") else self.others[name]


def _check_loss(split: str, metrics: Metrics | None) -> None:
    """Raise `ValueError` if a cross-entropy is negative. A loss in training may be: plugins register others."""
    if metrics is not None and metrics.loss < 0:
        raise ValueError(f"the {split} loss must not be negative. Received: loss={metrics.loss}")


def _check_history(history: list[EpochRecord], best_epoch: int | None) -> None:
    """Raise `ValueError` if no run has these epochs, or if the best is not one of them."""
    if any(each.epoch != number for number, each in enumerate(history, start=1)):
        raise ValueError("the epochs of its history must be numbered from 1")
    if best_epoch is not None and not min(len(history), 1) <= best_epoch <= len(history):
        raise ValueError(f"its best epoch must be one of its {len(history)} epochs. Received: best_epoch={best_epoch}")


class EpochRecord(_Record, frozen=True, kw_only=True, omit_defaults=True):
    """One epoch.

    Args:
        epoch: Its number, from 1.
        train: Mean training metrics during the epoch.
        validation: Validation metrics after it; None without validation images.
        seconds: Wall seconds, including validation.
        logs: What callbacks added to the epoch's logs, such as ``"learning_rate"``.
    """

    epoch: Count
    train: Metrics
    validation: Metrics | None
    seconds: Duration
    logs: dict[Name, Number] = {}

    def __post_init__(self) -> None:
        """Refuse a negative validation loss."""
        _check_loss("validation", self.validation)


class ComponentRecord(_Record, frozen=True, kw_only=True):
    """A component that a run used, such as its model: its name, its plugin and all of its settings."""

    name: Name
    plugin: Name
    settings: dict[Name, Setting]


class RecipeRecord(_Record, frozen=True, kw_only=True):
    """A resolved recipe: all values are explicit, including defaults."""

    name: Name
    plugin: Name
    dataset: ComponentRecord
    model: ComponentRecord
    trainer: ComponentRecord
    optimizer: ComponentRecord | None = None
    schedule: ComponentRecord | None = None
    loss: ComponentRecord | None = None
    augmentations: list[ComponentRecord] = []
    metrics: list[ComponentRecord] = []
    callbacks: list[ComponentRecord] = []
    epochs: Count
    batch_size: Count
    validation: Count
    monitor: Name = "loss"
    seed: Count
    fold: tuple[Count, Count] | None = None

    def components(self) -> dict[str, list[ComponentRecord]]:
        """Return the components by the field that has them, in order: ``{"model": [...], "metrics": [...]}``."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        several = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
        return {
            name: found
            for name, found in several.items()
            if found and all(isinstance(each, ComponentRecord) for each in found)
        }

    def choices(self) -> dict[str, str]:
        """Return the qualified names of the components by field: ``{"augmentations": "keras/shift,keras/flip"}``."""
        return {
            name: ",".join(f"{each.plugin}/{each.name}" for each in found) for name, found in self.components().items()
        }

    def settings(self) -> dict[str, Setting]:
        """Return every setting, keyed by the name that ``--set`` takes."""
        settings: dict[str, Setting] = {name: getattr(self, name) for name in _OWN_SETTINGS}
        settings |= {"fold": list(self.fold)} if self.fold is not None else {}
        for name, found in self.components().items():
            for each in found:
                prefix = f"{_OF_MANY[name]}.{each.name}" if name in _OF_MANY else name
                settings |= {f"{prefix}.{setting}": value for setting, value in each.settings.items()}
        return settings


_OWN_SETTINGS = ("epochs", "batch_size", "validation", "monitor", "seed")
_OF_MANY = {"augmentations": "augmentation", "metrics": "metric", "callbacks": "callback"}
"""The kinds of which a recipe has several, by their fields."""


class EnvironmentRecord(_Record, frozen=True, kw_only=True):
    """Everything, besides its settings, that may affect whether a run's results are bit-identical.

    Args:
        python: Python version.
        platform: Operating system and architecture.
        processor: Name of the CPU.
        instruction_sets: Instruction sets of the CPU that floating-point libraries could use, with their Linux names;
            None if unknown, as in older records.
        processors: Number of CPUs that the process could use.
        accelerator: Name of the GPU or TPU that the backend computed on; empty if there was none, None if unknown, as
            in older records.
        backend: Keras backend.
        float_type: Keras's default float type.
        dtype_policy: Keras dtype policy that the model was built with; with precision ``auto``, the one it selected.
        packages: Package versions by name.
        variables: Environment variables that were set, by name.
    """

    python: Name
    platform: Name
    processor: Name
    instruction_sets: list[Name] | None = None
    processors: Count
    accelerator: Name | None = None
    backend: Name
    float_type: Name
    dtype_policy: Name
    packages: dict[Name, Name]
    variables: dict[Name, Text]

    @property
    def hardware(self) -> str:
        """The hardware of the run: ``"NVIDIA H100, 16 x AMD EPYC"``, or only the CPUs."""
        processors = f"{self.processors} x {self.processor}"
        return f"{self.accelerator}, {processors}" if self.accelerator else processors


class Seconds(_Record, frozen=True, kw_only=True):
    """Wall-clock seconds of training, including validation, and of the whole run."""

    train: Duration
    total: Duration


class PluginRecord(_Record, frozen=True, kw_only=True):
    """A plugin that a run used: the distribution that contains it, if any, and its version."""

    package: Name | None
    version: Name


class InitRecord(_Record, frozen=True, kw_only=True):
    """The weights that a run was started from, or that were imported.

    Args:
        source: The run folder, recipe or file, as it was given.
        format: What the source is: ``"run"``, or a file format such as ``"PyTorch"``.
        sha256: Digest of the weights file.
        taken: Number of weights that took a value from it.
        new: Weights that took none, such as those of a new head: ``"dense/kernel"``.
        unused: Arrays of the source that no weight took.
    """

    source: Text
    format: Name
    sha256: Name
    taken: Count
    new: list[Text]
    unused: list[Text]


class ResumeRecord(_Record, frozen=True, kw_only=True):
    """The time at which a run was resumed, and how the environment differed from the one at its start."""

    time: Name
    environment_changes: list[Text]


class RunRecord(_Record, frozen=True, kw_only=True):
    """The content of ``run.json``."""

    format: int
    id: Name
    started: Name
    goal: Goal
    status: Status
    error: Text | None = None
    recipe: RecipeRecord
    checkpoint_every: Count | None = None
    track: list[Name] = []
    data: DataRecord
    parameters: Count
    plugins: dict[Name, PluginRecord]
    environment: EnvironmentRecord
    init: InitRecord | None = None
    resumed: list[ResumeRecord] = []
    history: list[EpochRecord] = []
    best_epoch: Count | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    model_sha256: Name | None = None
    predictions_sha256: Name | None = None
    test_examples_sha256: Name | None = None  # of the test images and labels themselves, not of their files
    seconds: Seconds

    def __post_init__(self) -> None:
        """Refuse a history that no run has, and negative losses."""
        _check_history(self.history, self.best_epoch)
        _check_loss("validation", self.validation)
        _check_loss("test", self.test)


class SeedRecord(_Record, frozen=True, kw_only=True):
    """The results of one run of a recipe.

    Args:
        seed: Random seed of the run.
        best_epoch: The epoch whose weights were kept, from 1.
        validation: Validation metrics of that epoch, None without a validation split.
        test: Test metrics.
        test_variants: Test accuracies of the same weights under other ways of predicting, keyed by variant.
        model_sha256: Digest of the weights file.
        seconds: Seconds of training, including validation.
        started: Start time, in UTC.
        environment: Machine and versions.
    """

    seed: Count
    best_epoch: Count | None
    validation: Metrics | None
    test: Metrics
    test_variants: dict[Name, Share] = {}
    model_sha256: Name
    seconds: Duration
    started: Name
    environment: EnvironmentRecord

    def __post_init__(self) -> None:
        """Refuse negative losses."""
        _check_loss("validation", self.validation)
        _check_loss("test", self.test)


class RecipeResults(_Record, frozen=True, kw_only=True):
    """A recipe's results across multiple seeds: the content of a file that `Recipe.results` names.

    Args:
        format: Version of the file layout.
        recipe: The resolved recipe, with the first seed.
        plugins: The plugins that it used.
        data: The data that it was trained and tested on.
        parameters: Number of the model's weights.
        multiply_adds: Multiply-adds of the forward pass of one image; None if the model has a layer that cannot be
            counted.
        seeds: The results of each run, ordered by seed.
    """

    format: int
    recipe: RecipeRecord
    plugins: dict[Name, PluginRecord]
    data: DataRecord
    parameters: Count
    multiply_adds: Count | None
    seeds: Annotated[list[SeedRecord], msgspec.Meta(min_length=1)]


class FileRecord(_Record, frozen=True, kw_only=True):
    """A file of a checkpoint: its size in bytes and its digest."""

    size: Count
    sha256: Name


CallbackState = dict[Name, bool | int | float | Text | None]


class CallbackRecord(_Record, frozen=True, kw_only=True):
    """The state of a callback: the name of its class, and the values that its decisions depend on."""

    kind: Name
    state: CallbackState


class CheckpointRecord(_Record, frozen=True, kw_only=True):
    """The content of a checkpoint's ``manifest.json``.

    Args:
        format: Version of the checkpoint layout.
        run: Id of the run that the checkpoint belongs to.
        epoch: Number of completed epochs.
        step: Number of completed steps in the epoch after those.
        seconds: Wall-clock seconds of that epoch so far.
        stopped: Whether a callback requested to stop training.
        history: A record for each completed epoch.
        best_epoch: The best completed epoch, from 1; 0 if there is none yet.
        callbacks: The states of the callbacks, by qualified name.
        training: The file with the state of the training.
        best: The file with the weights of the best epoch, None if there is none yet.
    """

    format: int
    run: Name
    epoch: Count
    step: Count
    seconds: Duration
    stopped: bool
    history: list[EpochRecord]
    best_epoch: Count
    callbacks: dict[Name, CallbackRecord]
    training: FileRecord
    best: FileRecord | None

    def __post_init__(self) -> None:
        """Refuse a history that no run has."""
        _check_history(self.history, self.best_epoch)
