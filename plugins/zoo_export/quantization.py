"""ONNX models with 8-bit integers, calibrated on images."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from zoo_export.runtimes import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_BATCH = 50


def quantize(path: Path, images: NDArray[np.uint8]) -> Path:
    """Return a file beside an ONNX file whose weights and activations are 8-bit integers.

    Weights have a scale for each channel, and 7 of the 8 bits: without VNNI instructions, sums of two products of 8
    bits overflow 16 bits, so that the accuracy would depend on the machine.

    Args:
        path: A model of images ``(n, height, width, channels)`` uint8.
        images: Calibration images, from whose activations the ranges are found.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # its package has no types
        """Batches of the images."""

        def __init__(self) -> None:
            self._batches = iter([images[start : start + _BATCH] for start in range(0, len(images), _BATCH)])

        def get_next(self) -> dict[str, Any] | None:
            part = next(self._batches, None)
            return None if part is None else {"images": part}

    prepared, quantized = path.with_suffix(".prepared.onnx"), path.with_suffix(".int8.onnx")
    with _quiet():
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(quantized),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return quantized


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide advice that is logged on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
