"""LiteRT (TensorFlow Lite) files, for phones and small machines."""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from zoo import Exporter, PluginError
from zoo.cli.toolkit import silence_native_stderr
from zoo.errors import ArtifactError
from zoo_export.extras import check_installed
from zoo_export.reading import read_file
from zoo_export.saved_model import SavedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import keras
    import numpy as np
    from numpy.typing import NDArray


class LiteRt(Exporter):
    """Converts a SavedModel with TensorFlow and runs the file with LiteRT."""

    has_int8: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("ai-edge-litert", "tensorflow")

    def check_installed(self) -> None:
        """Raise `PluginError` unless LiteRT is installed."""
        check_installed("Exporting LiteRT files", "litert", "ai_edge_litert")

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:  # noqa: ARG002  # the metadata is in the JSON file beside it
        """Write a model to a file."""
        import keras
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as folder:
            SavedModel().write(model, folder)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if calibration is not None:

                def examples() -> Iterator[list[NDArray[np.uint8]]]:
                    for i in range(len(calibration)):
                        yield [calibration[i : i + 1]]

                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = examples
            try:
                with silence_native_stderr():  # it writes how it converts
                    content = converter.convert()
            except Exception as error:
                if (backend := keras.backend.backend()) == "tensorflow":
                    raise
                raise PluginError(
                    "LiteRT cannot convert this model from this backend. Set KERAS_BACKEND=tensorflow, which loads the "
                    f"same weights. Received: backend={backend!r}",
                    plugin="export",
                ) from error
            path.write_bytes(content)

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:
        """Return a function that runs the file, for one caller at a time."""
        check_installed("Running a LiteRT file", "litert", "ai_edge_litert")
        from ai_edge_litert.interpreter import Interpreter

        content = read_file(path)
        try:
            with silence_native_stderr():  # it writes which delegate it uses
                interpreter = Interpreter(model_content=content, num_threads=threads)
                interpreter.allocate_tensors()  # for the file's own shape, that of one image
            source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(
                f"{path} is refused by LiteRT: {' '.join(str(error).split()):.300}. Export the run again.", path=path
            ) from error
        lock = threading.Lock()

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            with lock:
                if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
                    interpreter.resize_tensor_input(source, images.shape, strict=True)
                    interpreter.allocate_tensors()
                interpreter.set_tensor(source, images)
                interpreter.invoke()
                predicted: NDArray[np.floating[Any]] = interpreter.get_tensor(result)
                return predicted

        return run
