"""Types for the content of ``run.json``, a checkpoint's ``manifest.json`` and a recipe's recorded results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec

from zoo.types import Goal, Status  # noqa: TC001  # msgspec evaluates them

if TYPE_CHECKING:
    from collections.abc import Mapping

Setting = bool | int | float | str | None | list[bool | int | float | str | None]

# bounds far beyond any real run, so that no one computes with absurd numbers from a damaged or untrusted file
Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Number = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-6)]  # a mean in float32 may round up
MOST_VALUES = 1 << 26
"""Maximum number of values in an image, all channels together."""
MOST_NAMES = 100
"""Maximum number of names of skipped files in a record."""
_NAMED = 5  # maximum number of names in a message
Duration = Annotated[float, msgspec.Meta(ge=0, le=1e10)]


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
    others: dict[str, Number] = {}

    def value(self, name: str) -> float:
        """Return a metric by name.

        Raises:
            KeyError: There is none with that name.
        """
        return getattr(self, name) if name in ("loss", "accuracy") else self.others[name]


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
    logs: dict[str, Number] = {}


class ComponentRecord(_Record, frozen=True, kw_only=True):
    """A component that a run used, such as its model: its name, its plugin and all of its settings."""

    name: str
    plugin: str
    settings: dict[str, Setting]


class RecipeRecord(_Record, frozen=True, kw_only=True):
    """A resolved recipe: all values are explicit, including defaults."""

    name: str
    plugin: str
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
    monitor: str = "loss"
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


class SkippedFiles(_Record, frozen=True, kw_only=True):
    """Unusable files that were left out: their number, and the names of the first `MOST_NAMES`."""

    count: Count
    names: list[str]


class DataRecord(_Record, frozen=True, kw_only=True):
    """The data of a run.

    Args:
        train: Number of training examples.
        validation: Number of validation examples.
        test: Number of test examples.
        input_shape: Height, width and channels of an image.
        class_names: Names of the classes.
        digests: Digests of the data, keyed by file name or by a description of the content.
        skipped_files: Files that could not be used; None if there were none, or if unknown, as in older records.
        settings: Values that loading found for settings of the dataset such as ``auto``; absent if there are none.
    """

    train: Count
    validation: Count
    test: Count
    input_shape: tuple[Size, Size, Size]
    class_names: list[str]
    digests: dict[str, str]
    skipped_files: SkippedFiles | None = None
    settings: dict[str, Setting] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Refuse images that are too large."""
        if math.prod(self.input_shape) > MOST_VALUES:
            raise ValueError(f"images have at most {MOST_VALUES:,} values. Received: input_shape={self.input_shape}")

    def differences(self, other: DataRecord) -> list[str]:
        """Return short descriptions of how other data differ from these. Skipped files are not compared."""
        told = []
        for part, name in (("train", "training"), ("validation", "validation"), ("test", "test")):
            if (was := getattr(self, part)) != (now := getattr(other, part)):
                told.append(f"{now:,} {name} images, not {was:,}")
        if self.input_shape != other.input_shape:
            told.append(f"images {other.input_shape}, not {self.input_shape}")
        if self.class_names != other.class_names:
            told.append("different classes")
        if names := differing_names(self.digests, other.digests):
            told.append(f"different digests: {names}")
        return told


def differing_names(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return the first few names whose values differ between two mappings: ``"a.npz, b.npz"``."""
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


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

    python: str
    platform: str
    processor: str
    instruction_sets: list[str] | None = None
    processors: Count
    accelerator: str | None = None
    backend: str
    float_type: str
    dtype_policy: str
    packages: dict[str, str]
    variables: dict[str, str]

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

    package: str | None
    version: str


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

    source: str
    format: str
    sha256: str
    taken: Count
    new: list[str]
    unused: list[str]


class ResumeRecord(_Record, frozen=True, kw_only=True):
    """The time at which a run was resumed, and how the environment differed from the one at its start."""

    time: str
    environment_changes: list[str]


class RunRecord(_Record, frozen=True, kw_only=True):
    """The content of ``run.json``."""

    format: int
    id: str
    started: str
    goal: Goal
    status: Status
    error: str | None = None
    recipe: RecipeRecord
    checkpoint_every: Count | None = None
    track: list[str] = []
    data: DataRecord
    parameters: Count
    plugins: dict[str, PluginRecord]
    environment: EnvironmentRecord
    init: InitRecord | None = None
    resumed: list[ResumeRecord] = []
    history: list[EpochRecord] = []
    best_epoch: Count | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    model_sha256: str | None = None
    predictions_sha256: str | None = None
    test_examples_sha256: str | None = None  # of the test images and labels themselves, not of their files
    seconds: Seconds


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
    test_variants: dict[str, Share] = {}
    model_sha256: str
    seconds: Duration
    started: str
    environment: EnvironmentRecord


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
    plugins: dict[str, PluginRecord]
    data: DataRecord
    parameters: Count
    multiply_adds: Count | None
    seeds: Annotated[list[SeedRecord], msgspec.Meta(min_length=1)]


class FileRecord(_Record, frozen=True, kw_only=True):
    """A file of a checkpoint: its size in bytes and its digest."""

    size: Count
    sha256: str


CallbackState = dict[str, bool | int | float | str | None]


class CallbackRecord(_Record, frozen=True, kw_only=True):
    """The state of a callback: the name of its class, and the values that its decisions depend on."""

    kind: str
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
    run: str
    epoch: Count
    step: Count
    seconds: Duration
    stopped: bool
    history: list[EpochRecord]
    best_epoch: Count
    callbacks: dict[str, CallbackRecord]
    training: FileRecord
    best: FileRecord | None
