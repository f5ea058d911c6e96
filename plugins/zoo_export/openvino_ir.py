"""OpenVINO's intermediate representation: a file ``.xml`` and, beside it, the weights in a file ``.bin``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zoo import Exporter
from zoo.cli.toolkit import silence_native_stderr
from zoo.errors import ArtifactError
from zoo.utils import missing_extra
from zoo_export.extras import check_installed
from zoo_export.onnx_file import Onnx
from zoo_export.runtimes import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np
    from numpy.typing import NDArray


class OpenVino(Exporter):
    """Converts the ONNX file, so that both compute the same, and runs it with OpenVINO."""

    has_int8: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = (*Onnx.packages, "openvino")

    def check_installed(self) -> None:
        """Raise `PluginError` unless OpenVINO and what exporting ONNX needs are installed."""
        check_installed("Exporting OpenVINO files", "openvino", "openvino", "tf2onnx", "onnx", "onnxruntime")

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:  # noqa: ARG002  # two files belong together by the record beside them
        """Write a model to two files."""
        ov = _openvino("Exporting OpenVINO files")
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "model.onnx"
            Onnx().export(model, written, "", calibration)
            converted = ov.Core().read_model(str(written))
            ov.save_model(converted, str(path), compress_to_fp16=False)

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:
        """Return a function that runs the files."""
        ov = _openvino("Running an OpenVINO file")
        # otherwise it computes in bfloat16 on machines that are fast in it
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        compiled = ov.Core().compile_model(_read(path), "CPU", options)

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            predicted: NDArray[np.floating[Any]] = compiled.create_infer_request().infer([images])[0]
            return predicted

        return run


def _openvino(what: str) -> Any:
    try:
        return import_openvino()
    except ModuleNotFoundError as error:
        raise missing_extra(what, "openvino", str(error)) from error


def _read(path: Path) -> Any:
    ov = _openvino("Reading an OpenVINO file")
    try:
        with silence_native_stderr():  # it writes what is wrong, which is raised too
            return ov.Core().read_model(str(path))
    except RuntimeError as error:
        raise ArtifactError(
            f"{path} is refused by OpenVINO: {' '.join(str(error).split()):.300}. Export the run again, and keep the "
            "files .xml and .bin together.",
            path=path,
        ) from error
