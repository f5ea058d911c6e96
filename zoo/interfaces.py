"""Base classes of a plugin's objects (datasets, trainers, trainings), and the objects passed to them."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from zoo.errors import PluginError
from zoo.utils.text import close_names, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.runs.records import EpochRecord, Metrics


class Examples(Protocol):
    """Images with labels, in memory or on disk."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``, integers from 0."""
        ...


@dataclass(frozen=True, kw_only=True)
class Split:
    """A loaded dataset: training, validation and test examples.

    Args:
        train: Training examples.
        test: Test examples. They are not read before training has ended.
        validation: Validation examples. If None, the recipe's ``validation`` setting is the number of training
            examples to hold out.
        class_names: Names of the classes, in the order of the labels.
        digests: SHA-256 digests of the source files, by name. They are recorded with a run.
        skipped_files: Names of unusable files that were left out. The run record contains their number and the first
            100 names.
        skipped_reasons: Why each of these files is unusable, in the same order; empty if unknown.
        train_ids: Names of the training images, in order, such as their file names; empty if they have none.
        validation_ids: Names of the validation images, like ``train_ids``.
        test_ids: Names of the test images, like ``train_ids``.
        train_groups: What each training image belongs to, such as a patient or a place, in order; empty if unknown.
            Images of one group are never divided between training and validation, by a recipe's ``validation`` or by
            `zoo sweep --folds`. Copies of an image are best put in one group.
        validation_groups: The same of each validation image.
        sampling: ``"balanced"`` repeats training images of smaller classes, so that an epoch has as many of each class
            as of the largest; ``"natural"`` trains on each image once an epoch.
        settings: Values that loading found for settings of the dataset such as ``auto``, by name. They are recorded
            with a run, and its model is tested and used with them.
    """

    train: Examples
    test: Examples
    validation: Examples | None = None
    class_names: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    skipped_files: tuple[str, ...] = ()
    skipped_reasons: tuple[str, ...] = ()
    train_ids: tuple[str, ...] = ()
    validation_ids: tuple[str, ...] = ()
    test_ids: tuple[str, ...] = ()
    train_groups: tuple[str, ...] = ()
    validation_groups: tuple[str, ...] = ()
    sampling: Literal["natural", "balanced"] = "natural"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """The preprocessing behind a dataset's images, which `zoo predict` applies to new images.

    Args:
        crop: How an image with another aspect ratio is resized: ``"center"`` scales it to cover the target and crops
            around the center, ``"pad"`` scales it to fit and pads it, ``"stretch"`` scales each side independently.
        background: Brightness of the background, 0 to 255; also used for padding.
        inverted: Whether images with a light background were inverted, so that all subjects are light on dark. If None
            (unknown), new images are not inverted.
        trimmed: Whether borders of uniform brightness were removed first, so that the subject fills the image.
        value_range: Values of 16-bit grayscale files that become 0 and 255; None for 0 and 65,535.
    """

    crop: Literal["center", "pad", "stretch"] = "center"
    background: int = 255
    inverted: bool | None = None
    trimmed: bool = False
    value_range: tuple[int, int] | None = None


_ENDINGS = ("", "d", "ed", "r", "er", "ing")


def check_attributes(cls: type) -> None:
    """Raise `PluginError` if the name of a class's attribute is close to, but not, one of its base classes'.

    A form of one of theirs, such as ``closed``, is a word of its own.
    """
    known = sorted({name for base in cls.__mro__[1:] for name in vars(base) if not name.startswith("_")})
    for name in vars(cls):
        if name.startswith("_") or any(name == each + ending for each in known for ending in _ENDINGS):
            continue
        if close := close_names(name, known, cutoff=0.85):
            raise PluginError(
                f"Class {cls.__name__!r} has an attribute {name!r}, which zoo does not use.{did_you_mean(close)} "
                f"Rename it. Received: attribute={name!r}"
            )


class _Base(ABC):  # noqa: B024  # its subclasses have abstract methods
    """Base of the classes that plugins derive from: a misspelled attribute is an error, not silence."""

    def __init_subclass__(cls) -> None:
        """Raise `PluginError` if the name of an attribute is close to, but not, one that zoo uses."""
        super().__init_subclass__()
        check_attributes(cls)


class Dataset(_Base):
    """A dataset: the object that a dataset entry's target returns.

    A subclass defines `load` and may set the other attributes: ``needs_data_dir = True``.
    """

    @property
    def image_input(self) -> ImageInput | None:
        """The preprocessing that `zoo predict` applies to new images; None for the defaults of `ImageInput`."""
        return None

    @property
    def takes_file(self) -> bool:
        """Whether ``data_dir`` may be a file."""
        return False

    @property
    def needs_data_dir(self) -> bool:
        """Whether the dataset has no data of its own."""
        return False

    @property
    def is_mirrorable(self) -> bool | None:
        """Whether a mirrored image is still an image of its class, as for clothes but not for digits; None if unknown.

        If False, a run that mirrors images warns.
        """
        return None

    @abstractmethod
    def load(self, data_dir: Path | None) -> Split:
        """Load and return the data, from ``data_dir`` if given.

        Raises:
            DataError: A file is missing or malformed. The message names it.
        """

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `DataError` for problems that a quick look can find, such as an empty folder.

        Called before Keras is imported, long before `load`.
        """


class ModelBuilder(Protocol):
    """A model builder: the target of a model entry.

    Models receive float32 images in [0, 1] and return class probabilities.
    """

    def __call__(self, input_shape: tuple[int, int, int], num_classes: int, **settings: Any) -> keras.Model:
        """Return an uncompiled model from ``(batch, *input_shape)`` to ``(batch, num_classes)``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How a model learns: what a recipe's optimizer, schedule, loss and augmentations make.

    Args:
        optimizer: Makes the optimizer for a learning rate: a number or a Keras schedule.
        learning_rate: The optimizer's setting; the schedule starts from it.
        schedule: Makes the learning rate from ``learning_rate``, the number of epochs and the steps per epoch: a
            number or a Keras schedule.
        loss: Makes the loss for one-hot labels and probabilities.
        augmentations: Each makes a layer for images of a shape ``(height, width, channels)``. A layer with a method
            ``mix_labels(labels)`` also changes the one-hot labels of the images of its last call.
    """

    optimizer: Callable[[Any], keras.optimizers.Optimizer]
    learning_rate: float
    schedule: Callable[[float, int, int], Any]
    loss: Callable[[], keras.losses.Loss]
    augmentations: tuple[Callable[[tuple[int, int, int]], keras.layers.Layer], ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Training parameters passed to `Trainer.start`.

    Args:
        epochs: Total number of passes over the training examples.
        batch_size: Examples per weight update. The last batch of an epoch may be smaller.
        seed: Random seed. Randomness may depend only on the seed and the epoch number.
        build: Builds the same model again with new weights, by calling the registered builder with its settings under
            the model's dtype policy. For trainers that compute in other processes: unlike a built model, it can be sent
            to them. None if the model was made in another way.
        learning: How the model learns, for a trainer with `Trainer.components`; else None.
    """

    epochs: int
    batch_size: int
    seed: int
    build: Callable[[], keras.Model] | None = None
    learning: Learning | None = None


class Training(_Base):
    """An ongoing training of a model, returned by `Trainer.start`.

    A training that can also resume in the middle of an epoch derives from `SteppedTraining`.
    """

    def prepare_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, before callbacks hear that it begins, and before a `state` within it is restored.

        Args:
            epoch: Epoch number, from 0.
        """

    @abstractmethod
    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None]) -> Metrics:
        """Train for one epoch.

        Args:
            epoch: Epoch number, from 0. Shuffling and dropout depend only on it and on the seed.
            on_step: Callback to call with the number of steps completed in this epoch and the epoch's mean metrics so
                far: after each step, or less often if multiple steps run in one call.

        Returns:
            Mean loss and accuracy over the epoch, as measured during training.
        """

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything that an exact resume needs, such as weights and optimizer variables.

        Names, shapes and types never change, and every value is finite. This method is called between epochs and, for
        a `SteppedTraining`, also within `on_step`.
        """

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a `state` that a training with the same model and settings returned."""

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the model has the weights to validate and save, such as averaged ones."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """End processes and the like. Called once when training is over, however it ended."""


class SteppedTraining(Training):
    """A training that can also resume in the middle of an epoch: its `run_epoch` takes ``first_step``."""

    @abstractmethod
    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train for one epoch, or for the remaining steps of one.

        Args:
            epoch: As for `Training`.
            on_step: As for `Training`. Steps and metrics are those of the whole epoch.
            first_step: Number of steps completed in this epoch when the restored state was saved.
        """


class Trainer(_Base):
    """A trainer: the object that a trainer entry's target returns.

    It trains one epoch and predicts; zoo's cycle handles the rest.
    """

    components: ClassVar[Mapping[str, str | None]] = {}
    """The kinds of registered objects that it uses, ``"optimizer"``, ``"schedule"``, ``"loss"`` and ``"augmentation"``,
    with the name of the one that a recipe without any has. They are in `TrainingConfig.learning`. A trainer without
    them does its own optimizing; a recipe cannot choose an optimizer for it.
    """

    @property
    def dtype_policy(self) -> str | None:
        """The Keras dtype policy that models are built with, for example ``"mixed_bfloat16"``; None for the default.

        ``"auto"`` selects ``mixed_bfloat16`` if the backend computes faster in it than in float32, and ``float32``
        otherwise. A resumed run keeps the policy that it was started with.
        """
        return None

    @abstractmethod
    def start(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> Training:
        """Prepare to train the model in place."""

    @abstractmethod
    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return probabilities ``(n, num_classes)`` for images ``(n, height, width, channels)`` uint8."""

    def inference(self, model: keras.Model, inputs: Any) -> Any:
        """Return the symbolic result of `predict` for symbolic float32 images in [0, 1], for exported files.

        A trainer whose `predict` does more than to call the model, such as averaging over mirror images, does the same
        here with Keras operations.
        """
        return model(inputs, training=False)


class Exporter(_Base):
    """An exporter: writes models as files for another runtime, and runs such files without Keras.

    The object that an exporter entry's target returns. The entry has the suffix of its files.
    """

    has_int8: ClassVar[bool] = False
    """Whether it can write models whose weights and activations are 8-bit integers."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Names of the packages whose versions are recorded with a file."""

    may_contain_code: ClassVar[bool] = False
    """Whether a file of this format may contain code. Such a file is run when it was just written, to compare it
    with the model, and never opened afterward: it may come from a stranger.
    """

    def check_installed(self) -> None:
        """Raise `PluginError` if a package that exporting needs is missing. Called before Keras is imported."""

    @abstractmethod
    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:
        """Write a model to a file, or to a folder.

        Args:
            model: It takes images ``(n, height, width, channels)`` uint8, for any ``n``, and returns probabilities
                ``(n, num_classes)`` float32.
            path: A new path, with the suffix of the entry.
            metadata: Text to store in the file, for `read_metadata`.
            calibration: Training images, to compute with 8-bit integers; None to compute with float32.
        """

    def read_metadata(self, path: Path) -> str | None:  # noqa: ARG002  # those who override it need it
        """Return the text that `export` stored in a file, or None if this format stores none.

        In that case it is in the JSON file beside it.

        Raises:
            ArtifactError: The file is not of this format.
        """
        return None

    @abstractmethod
    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:
        """Return a function that runs a file: it returns probabilities ``(n, num_classes)`` for uint8 images.

        It can be called from multiple threads.

        Args:
            path: A file that `export` wrote, maybe on another machine.
            threads: Maximum number of threads; None for the runtime's default.

        Raises:
            ArtifactError: The file is damaged or is not of this format.
        """


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Description of a run, passed to callbacks that take it.

    Args:
        path: The run folder.
        recipe: Name of the recipe.
        settings: Every setting of the run: ``{"epochs": 20, "optimizer.learning_rate": 0.001, ...}``. ``validation`` is
            the actual number of validation images, whether held out or from the dataset's own validation split.
        class_names: Names of the classes.
        id: The run's id in its record. It stays the same when the run is resumed.
        track: Qualified names of the requested trackers.
    """

    path: Path
    recipe: str
    settings: Mapping[str, Any]
    class_names: tuple[str, ...]
    id: str = ""
    track: tuple[str, ...] = ()


class Progress(Protocol):
    """Receives the progress of a run. Epochs are numbered from 1 here."""

    def stage(self, text: str) -> None:
        """Report the start of a stage that may take a while: ``"loading the data"``."""
        ...

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Report that an epoch of ``steps`` steps starts or resumes."""
        ...

    def step(self, step: int, metrics: Metrics) -> None:
        """Report that ``step`` steps of this epoch are complete, with their mean metrics."""
        ...

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Report that an epoch is complete and recorded, and whether its validation is the best so far."""
        ...
