"""Checks of exporters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.models.inference import inference_model
from zoo.pipeline.exported import make_exporter
from zoo.pipeline.parity import PARITY_TOLERANCE
from zoo.testing.common import SHAPE, Checks, Subject, noise, require, settings, small_model, trainer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_METADATA = '{"check": "\u00e9"}'
_LARGEST_INT8 = 0.2  # difference of a probability; a file of wrong weights differs by more


def predicts_the_same(subject: Subject) -> None:
    """Require the predictions of the model, for any number of images, and the metadata if the format has any."""
    import numpy as np

    exporter = make_exporter(subject.registered)
    model, used = small_model(), trainer(subject.registry)
    images, _ = noise(SHAPE, 3, 7)[np.arange(7)]
    expected = used.predict(model, images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"check{subject.registered.item.suffix}"
        exporter.export(inference_model(model, used, SHAPE), path, _METADATA, None)
        require(path.exists(), f"{subject.title}: export wrote nothing to the path: write a file or a folder there.")
        read = exporter.read_metadata(path)
        require(read in (None, _METADATA), f"{subject.title}: read_metadata returned {read!r}, not what was stored.")
        run = exporter.open(path, None)
        for count in (7, 1, 3):
            _compare(subject, run(images[:count]), expected[:count], PARITY_TOLERANCE)


def predicts_nearly_the_same_in_int8(subject: Subject) -> None:
    """Require predictions close to those of the model of a file that is calibrated, if the exporter has int8."""
    import numpy as np

    exporter = make_exporter(subject.registered)
    if not exporter.has_int8:
        return
    model, used = small_model(), trainer(subject.registry)
    images, _ = noise(SHAPE, 3)[np.arange(64)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"check{subject.registered.item.suffix}"
        exporter.export(inference_model(model, used, SHAPE), path, _METADATA, images)
        _compare(subject, exporter.open(path, None)(images), used.predict(model, images), _LARGEST_INT8)


def _compare(subject: Subject, found: Any, expected: NDArray[Any], tolerance: float) -> None:
    import numpy as np

    found = np.asarray(found)
    require(
        found.shape == expected.shape and found.dtype == np.float32,
        f"{subject.title}: the file returned {found.dtype} {found.shape}, not float32 {expected.shape}.",
    )
    difference = float(np.abs(found - expected).max())
    require(
        difference <= tolerance,
        f"{subject.title}: the file's probabilities differ from the model's by up to {difference:.2g}: write its "
        "weights, its preprocessing and its operations unchanged.",
    )


EXPORTER: Checks = {
    "settings have types and valid defaults": settings,
    "predicts what the model predicts": predicts_the_same,
    "predicts nearly the same in int8": predicts_nearly_the_same_in_int8,
}
