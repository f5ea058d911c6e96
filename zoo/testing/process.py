"""What is asked of a new process, and answered there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import weights
from zoo.errors import CheckFailedError
from zoo.plugins import load_registry
from zoo.testing.common import Subject, model, noise, trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


def file_of(subject: Subject) -> str | None:
    """Return the file that the plugin was loaded from, if it was given by name."""
    file = subject.registry.plugins[subject.plugin].file
    return str(file) if file else None


def in_new_process(question: str, given: Mapping[str, Any]) -> Any:
    """Return the answer to a question: ``"modules"`` that loading a plugin imports, or what a model ``"predict"``s.

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
        raise CheckFailedError(f"A new process failed: {' '.join(done.stderr.split()[-60:])}")
    return json.loads(done.stdout.splitlines()[-1])


def answer() -> None:
    """Answer a question from `_in_new_process`: JSON on standard input, JSON on standard output."""
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    files = [Path(given["file"])] if given["file"] else []
    if given["question"] == "modules":
        environ = {"ZOO_PLUGINS": "" if files else given["plugin"]}
        before = set(sys.modules)
        load_registry(environ, files=files)
        found: Any = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
    else:
        registry = load_registry(files=files)
        registered = registry.models.get(given["model"])
        shape, classes = tuple(given["shape"]), given["classes"]
        built = model(registered, shape, classes)
        weights.decode_into(built, Path(given["artifact"]).read_bytes(), "the artifact")
        found = digest(trainer(registry).predict(built, noise(shape, classes, 8).images))
    print(json.dumps(found))  # noqa: T201  # the answer


def digest(array: NDArray[np.floating[Any]]) -> str:
    """Return the SHA-256 of an array's bytes."""
    return hashlib.sha256(array.tobytes()).hexdigest()
