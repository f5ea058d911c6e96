"""The typed content of ``run.json`` and of a checkpoint's ``manifest.json``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec

from zoo.types import Goal, Monitor, Status  # noqa: TC001  # msgspec looks them up

if TYPE_CHECKING:
    from collections.abc import Mapping

Setting = bool | int | float | str | None | list[bool | int | float | str | None]

# bounds far beyond what a run can have: what is read from a file must not make anybody compute with absurd numbers
Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Loss = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-6)]  # a mean in float32 may round up
MOST_VALUES = 1 << 26
"""How many values an image may have, all channels together."""
MOST_NAMES = 100
"""How many names of files that are left out are recorded."""
_NAMED = 5  # in a message
Duration = Annotated[float, msgspec.Meta(ge=0, le=1e10)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that refuses keys it does not know."""


class Metrics(_Record, frozen=True, kw_only=True):
    """How well predictions fit the labels.

    Args:
        loss: Mean categorical cross-entropy, in nats.
        accuracy: Share of examples whose most probable class is the true one, 0 to 1.
    """

    loss: Loss
    accuracy: Share


class EpochRecord(_Record, frozen=True, kw_only=True):
    """One epoch: its number from 1, the mean of the training metrics while it ran, validation after it."""

    epoch: Count
    train: Metrics
    validation: Metrics | None
    seconds: Duration


class ComponentRecord(_Record, frozen=True, kw_only=True):
    """A data set, model or trainer as used: its name, the plugin it came from and all of its settings."""

    name: str
    plugin: str
    settings: dict[str, Setting]


class RecipeRecord(_Record, frozen=True, kw_only=True):
    """A recipe as resolved: nothing is left to a default."""

    name: str
    plugin: str
    dataset: ComponentRecord
    model: ComponentRecord
    trainer: ComponentRecord
    epochs: Count
    batch_size: Count
    validation: Count
    monitor: Monitor = "loss"
    seed: Count


class SkippedFiles(_Record, frozen=True, kw_only=True):
    """Files that cannot be used and were left out: how many, and the names of the first `MOST_NAMES`."""

    count: Count
    names: list[str]


class DataRecord(_Record, frozen=True, kw_only=True):
    """The data that a run is about.

    Args:
        train: Number of examples.
        validation: Likewise.
        test: Likewise.
        input_shape: Height, width and channels of an image.
        class_names: Names of the classes.
        digests: Of the files, by their names or by what they are of.
        skipped_files: What could not be used; None if it is nothing, or not known, as in older records.
    """

    train: Count
    validation: Count
    test: Count
    input_shape: tuple[Size, Size, Size]
    class_names: list[str]
    digests: dict[str, str]
    skipped_files: SkippedFiles | None = None

    def __post_init__(self) -> None:
        """Refuse images that nothing here computes with."""
        if math.prod(self.input_shape) > MOST_VALUES:
            raise ValueError(f"an image has at most {MOST_VALUES:,} values. Received: input_shape={self.input_shape}")

    def differences(self, other: DataRecord) -> list[str]:
        """Return in what other data differ from these, a few words for each; what is left out is no difference."""
        told = []
        for part, name in (("train", "training"), ("validation", "validation"), ("test", "test")):
            if (was := getattr(self, part)) != (now := getattr(other, part)):
                told.append(f"{now:,} {name} images, not {was:,}")
        if self.input_shape != other.input_shape:
            told.append(f"images {other.input_shape}, not {self.input_shape}")
        if self.class_names != other.class_names:
            told.append("other classes")
        if names := differing_names(self.digests, other.digests):
            told.append(f"other digests: {names}")
        return told


def differing_names(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return the names that do not stand for the same in both, a few of them: ``"a.npz, b.npz"``."""
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


class EnvironmentRecord(_Record, frozen=True, kw_only=True):
    """What the bits of a run may depend on besides its settings.

    Args:
        python: Version.
        platform: System and architecture.
        processor: Its name.
        instruction_sets: That floating-point libraries used of it, as Linux names them; None if unknown, as in
            older records.
        processors: How many of it the process could use.
        accelerator: Name of the GPU or TPU that the backend computed on, empty if it had none; None if that is not
            known, as in records of before it was recorded.
        backend: Keras's.
        float_type: Keras's.
        dtype_policy: Keras's, that the model was built with: what a precision of ``auto`` resulted in.
        packages: Versions by name.
        variables: Environment variables by name, those that were set.
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
        """What it was computed on: ``"NVIDIA H100, 16 x AMD EPYC"``, or the processors alone."""
        processors = f"{self.processors} x {self.processor}"
        return f"{self.accelerator}, {processors}" if self.accelerator else processors


class Seconds(_Record, frozen=True, kw_only=True):
    """Wall seconds: of training with its validation, and of the whole run."""

    train: Duration
    total: Duration


class PluginRecord(_Record, frozen=True, kw_only=True):
    """A plugin that a run used: the distribution it came with, if any, and its version."""

    package: str | None
    version: str


class ResumeRecord(_Record, frozen=True, kw_only=True):
    """A time at which a run went on, and how its environment differed from that of the start."""

    time: str
    environment_changes: list[str]


class RunRecord(_Record, frozen=True, kw_only=True):
    """All of ``run.json``."""

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
    resumed: list[ResumeRecord] = []
    history: list[EpochRecord] = []
    best_epoch: Count | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    model_sha256: str | None = None
    predictions_sha256: str | None = None
    test_examples_sha256: str | None = None  # of the test images and labels, whatever files they came from
    seconds: Seconds


class SeedRecord(_Record, frozen=True, kw_only=True):
    """What one run of a recipe came to.

    Args:
        seed: Its seed.
        best_epoch: The epoch that was kept, from 1.
        validation: Metrics of that epoch, None without a validation split.
        test: Test metrics.
        test_variants: Further test accuracies of the same weights, by how else they were predicted with.
        model_sha256: Digest of the weights' file.
        seconds: Of training, with its validation.
        started: When, in UTC.
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
    """What a recipe came to with several seeds: all of a file that `Recipe.results` names.

    Args:
        format: Version of the layout.
        recipe: As resolved; its seed is the first one's.
        plugins: Those that it used.
        data: What it was trained and tested on.
        parameters: Of its model.
        multiply_adds: Of one image's forward pass; None where a layer is not one of those that are counted.
        seeds: One for each run, by seed.
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
    """What a callback keeps: its class by name, and what it decides by."""

    kind: str
    state: CallbackState


class CheckpointRecord(_Record, frozen=True, kw_only=True):
    """All of a checkpoint's ``manifest.json``.

    Args:
        format: Version of the layout.
        run: The run that it belongs to, by its id.
        epoch: Epochs that were done.
        step: Steps that were done of the epoch after those.
        seconds: Wall seconds of that epoch so far.
        stopped: Whether a callback had asked to stop.
        history: A record for each epoch that was done.
        best_epoch: The best of them, from 1; 0 if there was none yet.
        callbacks: By plugin, what each of its callbacks asked to keep.
        training: The file that holds the state of the training.
        best: The file that holds the weights of the best epoch, None if there was none yet.
    """

    format: int
    run: str
    epoch: Count
    step: Count
    seconds: Duration
    stopped: bool
    history: list[EpochRecord]
    best_epoch: Count
    callbacks: dict[str, list[CallbackRecord]]
    training: FileRecord
    best: FileRecord | None
