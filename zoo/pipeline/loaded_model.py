"""A model that was loaded: from a run, or from an exported file. It predicts arrays and image files alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from zoo.errors import DataError, NoKerasModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.images import Invert
    from zoo.images.prediction import Prediction
    from zoo.interfaces import ImageInput, Trainer
    from zoo.runs.exports import ExportRecord
    from zoo.runs.run_folder import Run

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A trained model, loaded from its run or from an exported file.

    Args:
        source: The run folder or the file.
        class_names: Names of the classes, in the order of the columns that `predict` returns.
        input_shape: Height, width and channels of the images that `predict` takes.
        image_input: The preprocessing that `predict_files` applies to image files.
        exported: What an exported file says of itself; None for a run.
    """

    source: Path
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    image_input: ImageInput
    exported: ExportRecord | None = None
    _predict: Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]] = field(repr=False)
    _run: Run | None = field(default=None, repr=False)
    _model: keras.Model | None = field(default=None, repr=False)
    _trainer: Trainer | None = field(default=None, repr=False)

    @property
    def run(self) -> Run:
        """The run that the model was loaded from.

        Raises:
            NoKerasModelError: The model was loaded from an exported file.
        """
        return _of_run(self._run, "run", self.source)

    @property
    def model(self) -> keras.Model:
        """The Keras model. It takes float32 images in [0, 1]; `predict` takes uint8 images.

        Raises:
            NoKerasModelError: The model was loaded from an exported file.
        """
        return _of_run(self._model, "model", self.source)

    @property
    def trainer(self) -> Trainer:
        """The trainer whose `predict` is used.

        Raises:
            NoKerasModelError: The model was loaded from an exported file.
        """
        return _of_run(self._trainer, "trainer", self.source)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return the predicted probabilities, ``(n, num_classes)``.

        Args:
            images: ``(n, height, width, channels)`` uint8, 0 to 255, of the size that the model was trained on. If
                there is one channel, ``(n, height, width)`` works too.

        Raises:
            DataError: The images have the wrong shape or type.
        """
        import numpy as np

        shape = self.input_shape
        form = f"Images for this model must be an array (n, {', '.join(map(str, shape))}) of uint8, 0 to 255."
        try:
            images = np.asarray(images)
        except (TypeError, ValueError, RuntimeError) as error:  # lists of different lengths, or tensors of a GPU
            raise DataError(
                f"{form} NumPy cannot convert what was given. Received: type(images)={type(images).__name__}"
            ) from error
        given = images.shape
        if shape[-1] == 1 and images.ndim == 3:
            images = images[..., None]
        if images.shape[1:] != shape or images.dtype != "uint8" or images.ndim != 4:
            raise DataError(f"{form} Received: images.shape={given}, images.dtype={images.dtype}")
        return self._predict(images)

    def predict_files(
        self,
        files: str | Path | Iterable[str | Path],
        *,
        top: int | None = None,
        invert: Invert = "auto",
        skip_bad: bool = False,
    ) -> list[Prediction]:
        """Predict image files, with the preprocessing of ``zoo predict``.

        Args:
            files: Names of files, folders and patterns, as for ``zoo predict``, or one of them.
            top: Number of classes to return for each file; None for all.
            invert: Whether to invert brightness: ``"auto"`` inverts an image if its border is light and the model's
                training images are light on dark.
            skip_bad: Whether to leave out files that cannot be read, with a warning.

        Returns:
            A prediction for each file, in order.

        Raises:
            DataError: A file cannot be read, or the model takes no images of one or three channels.
            SettingError: An argument is not allowed.
        """
        from zoo.images.prediction import predict_all

        return predict_all(self, files, top, invert, skip_bad)


def _of_run(found: Found | None, name: str, source: Path) -> Found:
    """Return what only a run's model has."""
    if found is None:
        raise NoKerasModelError(
            f"An exported file has predictions but no {name}. Load the run that it was exported from. "
            f"Received: source={str(source)!r}",
            path=source,
        )
    return found
