"""TensorFlow's SavedModel: a folder, for TensorFlow Serving and converters."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from zoo import Exporter
from zoo_export.graphs import INPUT, OUTPUT, with_named_output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras
    import numpy as np
    from numpy.typing import NDArray

_METADATA = "assets.extra/zoo.json"  # the folder that TensorFlow leaves to others


class SavedModel(Exporter):
    """Writes SavedModel folders. A SavedModel may contain code, so zoo does not open it once it has been written."""

    may_contain_code: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:  # noqa: ARG002  # it has no 8-bit integers
        """Write a model to a folder."""
        self.write(model, path)
        extra = path / _METADATA
        extra.parent.mkdir(exist_ok=True)
        extra.write_text(metadata, encoding="utf-8")

    def write(self, model: keras.Model, path: str | Path) -> None:
        """Write a model to a folder, without metadata."""
        import keras

        signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8", name=INPUT)]
        with contextlib.redirect_stdout(sys.stderr):
            with_named_output(model).export(
                str(path), format="tf_saved_model", verbose=False, input_signature=signature
            )

    def read_metadata(self, path: Path) -> str:
        """Return the metadata."""
        return (path / _METADATA).read_text(encoding="utf-8")

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:  # noqa: ARG002  # TensorFlow's threads are the process's
        """Return a function that runs the folder with TensorFlow."""
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            predicted: NDArray[np.floating[Any]] = loaded.serve(tf.constant(images))[OUTPUT].numpy()
            return predicted

        return run
