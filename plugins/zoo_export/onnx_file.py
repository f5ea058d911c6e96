"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from zoo import Exporter
from zoo.utils import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras
    import numpy as np
    from numpy.typing import NDArray

METADATA = "zoo"


class Onnx(Exporter):
    """Writes ONNX files with tf2onnx and runs them with ONNX Runtime."""

    has_int8: ClassVar[bool] = True

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:
        """Write a model."""
        import keras
        import onnx

        signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8", name="images")]
        model.export(str(path), format="onnx", verbose=False, input_signature=signature)
        written = onnx.load(str(path))
        onnx.helper.set_model_props(written, {METADATA: metadata})
        onnx.save(written, str(path))

    def read_metadata(self, path: Path) -> str | None:
        """Return the metadata."""
        found: dict[str, str] = self._session(path, 1).get_modelmeta().custom_metadata_map
        return found.get(METADATA, "")

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:
        """Return a function that runs the file."""
        session = self._session(path, threads)

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            predicted: NDArray[np.floating[Any]] = session.run(None, {session.get_inputs()[0].name: images})[0]
            return predicted

        return run

    def _session(self, path: Path, threads: int | None) -> Any:
        try:
            import onnxruntime as ort
        except ModuleNotFoundError as error:
            raise missing_extra("ONNX", "onnx", str(error)) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
