"""Questions that checks ask a new Python process, and the code that answers them there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import CheckFailedError
from zoo.models import weights
from zoo.registry.plugins import load_registry
from zoo.testing.common import Subject, model, noise, trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


def files_of(subject: Subject) -> list[str]:
    """Return the files that were loaded as plugins, such as those passed with ``--plugin``."""
    return [str(plugin.file) for plugin in subject.registry.plugins.values() if plugin.file]


def in_new_process(question: str, given: Mapping[str, Any]) -> Any:
    """Return a new process's answer to a question.

    Args:
        question: ``"modules"``: the packages that loading a plugin imports; ``"predict"``: the digest of a model's
            predictions.
        given: The data that the question is about; see `answer`.

    Raises:
        CheckFailedError: The process failed.
    """
    done = subprocess.run(  # this interpreter, this module
        [sys.executable, "-c", "from zoo.testing.process import answer; answer()"],
        input=json.dumps({"question": question, "path": sys.path, **given}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CheckFailedError(f"it failed in a new process: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def answer() -> None:
    """Answer a question from `in_new_process`: read JSON from standard input, write JSON to standard output."""
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    files = [Path(file) for file in given["files"]]
    if given["question"] == "modules":
        before = set(sys.modules)
        registry = load_registry({**os.environ, "ZOO_PLUGINS": given["plugin"]}, files=files)
        error = registry.plugins[given["plugin"]].error
        # plugins whose objects its recipes name are not loaded here
        if error and not error.startswith("Recipe "):
            raise CheckFailedError(error)
        found: Any = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
    else:
        registry = load_registry(files=files)
        registered = registry.models.get(given["model"])
        shape, classes = tuple(given["shape"]), given["classes"]
        built = model(registered, shape, classes, seed=1)  # any seed: the weights come from the artifact
        weights.decode_into(built, Path(given["artifact"]).read_bytes(), "the artifact")
        found = digest(trainer(registry).predict(built, noise(shape, classes, 8).images))
    print(json.dumps(found))  # noqa: T201  # the answer


def digest(array: NDArray[np.floating[Any]]) -> str:
    """Return the SHA-256 of an array's bytes."""
    return hashlib.sha256(array.tobytes()).hexdigest()
