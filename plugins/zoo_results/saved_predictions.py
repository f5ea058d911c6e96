"""The saved test predictions of a run, or why it has none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zoo import read_predictions
from zoo.errors import RunFolderError

if TYPE_CHECKING:
    from zoo import Run
    from zoo.runs import Predictions

_FILE = "test-predictions.safetensors"


def predictions_or_reason(run: Run) -> Predictions | str:
    """Return the test predictions of a run, or a sentence that says why it has none.

    Raises:
        ArtifactError: They are damaged or belong to another run.
        RunFolderError: They are there, but cannot be read: a file that is too large, a folder, a link and the like.
    """
    try:
        return read_predictions(run)
    except RunFolderError as error:
        is_saved = run.record.test is not None and run.record.predictions_sha256 is not None
        if is_saved and os.path.lexists(run.path / _FILE):
            raise
        return str(error)
