"""A plugin for tests: exported files whose runtime is a line of NumPy, and which do as their content says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import Entry, Exporter, hookimpl
from zoo.errors import ArtifactError

Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]


class Toy(Exporter):
    """Says that every image is of the first class."""

    def export(self, model: Any, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:
        path.write_text("good")

    def open(self, path: Path, threads: int | None = None) -> Predict:
        content = path.read_text()
        if content == "damaged":
            raise ArtifactError("It is damaged.", path=path)
        if content == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

        def predict(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            if content == "endless":
                time.sleep(600)
            if content == "large" and len(images) > 1:
                raise MemoryError
            return np.eye(10, dtype=np.float32)[np.zeros(len(images), int)]

        return predict


ENTRY = Entry(name="toy", target=Toy, suffix=".toy", summary="For tests.")


@hookimpl
def register_exporters() -> list[Entry]:
    return [ENTRY]
