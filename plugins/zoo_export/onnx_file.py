"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zoo import Exporter, PluginError
from zoo.errors import ArtifactError
from zoo.utils import missing_extra
from zoo_export.extras import check_installed
from zoo_export.graphs import INPUT, frozen, with_named_output
from zoo_export.onnx_metadata import check_self_contained, read_metadata, with_metadata
from zoo_export.reading import read_file
from zoo_export.runtimes import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np
    from numpy.typing import NDArray

_SPIN_US = "50"
"""Microseconds that an idle thread of ONNX Runtime keeps a processor busy: it bridges the gaps within a prediction. By
default it is a millisecond or more, in which an event loop or whoever else asked for the prediction may get none."""


class Onnx(Exporter):
    """Writes ONNX files with tf2onnx and runs them with ONNX Runtime."""

    has_int8: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "tensorflow", "tf2onnx")

    def check_installed(self) -> None:
        """Raise `PluginError` unless tf2onnx, onnx and ONNX Runtime are installed."""
        check_installed("Exporting ONNX files", "onnx", "tf2onnx", "onnx", "onnxruntime")

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:
        """Write a model to a file."""
        import keras

        import zoo_export.onnx_operations  # noqa: F401  # it registers them

        import_onnxruntime()  # before Keras or tf2onnx may
        if (backend := keras.backend.backend()) != "tensorflow":
            raise PluginError(
                "ONNX files are made with the TensorFlow backend, which loads the same weights. Set "
                f"KERAS_BACKEND=tensorflow. Received: backend={backend!r}",
                plugin="export",
            )
        signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8", name=INPUT)]
        model = with_named_output(frozen(model))
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "model.onnx"
            with warnings.catch_warnings():  # Keras looks for an attribute that NumPy 2 no longer has
                warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
                model.export(str(written), format="onnx", verbose=False, input_signature=signature)
            if calibration is not None:
                from zoo_export.quantization import quantize

                written = quantize(written, calibration)
            path.write_bytes(with_metadata(written.read_bytes(), metadata))

    def read_metadata(self, path: Path) -> str:
        """Return the metadata."""
        return read_metadata(path)

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:
        """Return a function that runs the file."""
        try:
            ort = import_onnxruntime()
        except ModuleNotFoundError as error:
            raise missing_extra("Running an ONNX file", "onnx", str(error)) from error
        data = read_file(path)
        check_self_contained(data, path)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # errors are raised
        options.intra_op_num_threads = threads or 0
        options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_US)
        try:
            session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base class
            raise ArtifactError(
                f"{path} is refused by ONNX Runtime: {' '.join(str(error).split()):.300}. Export the run again.",
                path=path,
            ) from error
        types = [each.type for each in (*session.get_inputs(), *session.get_outputs())]
        if types != ["tensor(uint8)", "tensor(float)"]:
            raise ArtifactError(
                f"{path} does not take uint8 images and return float32 probabilities. Use a file that `zoo export` "
                f"wrote. Received: {', '.join(types)}",
                path=path,
            )
        name = session.get_inputs()[0].name

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            predicted: NDArray[np.floating[Any]] = session.run(None, {name: images})[0]
            return predicted

        return run
