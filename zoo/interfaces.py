"""What the objects of a plugin must do: data sets, models, trainers, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

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
    """A data set, loaded: what to train on, what to choose by, what to test on.

    Args:
        train: Training examples.
        test: Test examples; nothing reads them before training has ended.
        validation: Validation examples; without them the recipe's number is cut from the training examples.
        class_names: Names of the classes, in the order of the labels.
        digests: SHA-256 of the files that the data came from, recorded with a run.
        skipped_files: Names of files that cannot be used and are left out. Their number, and the first of them, are
            recorded with a run.
        test_ids: What single test images are called, such as their files, in their order; empty if they have none.
    """

    train: Examples
    test: Examples
    validation: Examples | None = None
    class_names: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    skipped_files: tuple[str, ...] = ()
    test_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """How the images of a data set were made, so that others can be brought to the same form.

    Args:
        crop: How an image of another shape is fitted: scaled to cover and cut around its ``"center"``, scaled to fit in
            and surrounded (``"pad"``), or scaled to both sides whatever becomes of its shape (``"stretch"``).
        background: Brightness of what surrounds the subject, 0 to 255; padding gets it.
        inverted: Whether pictures with a light background were turned into their negatives, so that all are light on
            dark; None if that is not known, and then others are not turned either.
        trimmed: Whether edges of one brightness were cut off first, so that the subject fills the image.
    """

    crop: Literal["center", "pad", "stretch"] = "center"
    background: int = 255
    inverted: bool | None = None
    trimmed: bool = False


@runtime_checkable
class Dataset(Protocol):
    """What a data set entry's target returns.

    It may have attributes besides: ``image_input``, an `ImageInput`, says how other images are brought to the form of
    its own; ``takes_file = True`` that ``data_dir`` may be a file; ``needs_data_dir = True`` that it has no data of its
    own. A method ``check_data_dir(data_dir)`` raises `DataError` for what a short look at the folder can tell, an empty
    one for example: before the command line waits for Keras, and long before `load`.
    """

    def load(self, data_dir: Path | None) -> Split:
        """Return the data set, from ``data_dir`` if given.

        Raises:
            DataError: A file is missing or malformed; the message names it.
        """
        ...


class ModelBuilder(Protocol):
    """The target of a model entry. Models receive float32 images in [0, 1] and return probabilities."""

    def __call__(self, input_shape: tuple[int, int, int], num_classes: int, **settings: Any) -> keras.Model:
        """Return an uncompiled model from ``(batch, *input_shape)`` to ``(batch, num_classes)``."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every trainer is told.

    Args:
        epochs: Passes over the training examples, in all.
        batch_size: Examples per weight update; the last batch of an epoch may be smaller.
        seed: Together with the number of the epoch, all that randomness may depend on.
        build: Builds the same model again, with weights of its own, for trainers that compute in other processes: the
            registered builder with its settings, under the model's dtype policy. It can be sent there, where a built
            model cannot. None where a model was made in another way.
    """

    epochs: int
    batch_size: int
    seed: int
    build: Callable[[], keras.Model] | None = None


class Training(Protocol):
    """A model being trained: what `Trainer.start` returns.

    It may have a method ``close()``, which is called once when the training is over, however it ended: to end
    processes, for example.
    """

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None]) -> Metrics:
        """Train one pass over the examples.

        Args:
            epoch: Number of the epoch, from 0. Shuffling and dropout depend on it and on the seed alone.
            on_step: To call with the number of steps done in this epoch and the epoch's mean metrics so far;
                after each step, or less often where steps do not come back one by one.

        Returns:
            Mean loss and accuracy over the epoch, as seen while training.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that an exact resume needs: the weights, the optimizer.

        The names, shapes and types are always the same, and every value is finite. It is asked for between epochs and,
        of a `SteppedTraining`, within `on_step`.
        """
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a `state` of a training with the same model and settings."""
        ...


class SteppedTraining(Training, Protocol):
    """A training that can also go on in the middle of an epoch: its `run_epoch` takes ``first_step``."""

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train one pass over the examples, or what is left of it after so many steps.

        Args:
            epoch: As for `Training`.
            on_step: As for `Training`; steps and metrics are those of the whole epoch.
            first_step: Steps that were done when the state was taken that has just been restored.
        """
        ...


@runtime_checkable
class Trainer(Protocol):
    """What a trainer entry's target returns. It knows one epoch and one forward pass; the cycle owns the rest.

    If it has an attribute ``dtype_policy``, models are built for it with that policy of Keras: ``"mixed_bfloat16"``.
    ``"auto"`` is ``mixed_bfloat16`` where the backend computes that faster than float32, and ``float32`` elsewhere; a
    run that is resumed keeps what it was started with.
    """

    def start(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> Training:
        """Prepare to train the model, in place."""
        ...

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return probabilities ``(n, num_classes)`` for images ``(n, height, width, channels)`` uint8."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What `register_callbacks` is told of the run that the callbacks are for.

    Args:
        path: The run folder.
        recipe: Name of the recipe.
        settings: Every setting of the run, ``{"epochs": 20, "trainer.learning_rate": 0.001, ...}``; ``validation`` is
            the number of images that there are for it, be they cut or a split of the data set's own.
        class_names: Names of the classes.
        id: What the run is called in its record, the same after it was stopped and resumed.
        track: Qualified names of the trackers that were asked for.
    """

    path: Path
    recipe: str
    settings: Mapping[str, Any]
    class_names: tuple[str, ...]
    id: str = ""
    track: tuple[str, ...] = ()


class Progress(Protocol):
    """Is told how far a run is. Epochs count from 1 here, as people do."""

    def stage(self, text: str) -> None:
        """Something that may take a moment begins: ``"loading data"``."""
        ...

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """An epoch of so many steps begins, or goes on."""
        ...

    def step(self, step: int, metrics: Metrics) -> None:
        """So many steps of this epoch are done, with these mean metrics."""
        ...

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """An epoch is done and its metrics are recorded; so far, by its validation, it may be the best."""
        ...
