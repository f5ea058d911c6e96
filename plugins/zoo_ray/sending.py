"""Serialization of a job for the workers, including code that they could not import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from zoo import PluginError

if TYPE_CHECKING:
    from zoo_ray.job import TrainingJob

_LOOK = """
import json, sys
from importlib.util import find_spec

def is_there(name, file):
    spec = find_spec(name)
    return spec is not None and (spec.origin == file or not spec.has_location)

print(json.dumps([name for name, file in json.load(sys.stdin).items() if not is_there(name, file)]))
"""


def serialize_job(job: TrainingJob) -> bytes:
    """Return a job as bytes.

    Objects from modules that another process would not find (a file passed with ``--plugin``, modules next to it) are
    sent by value, all others by name.

    Raises:
        PluginError: The job cannot be serialized.
    """
    from ray import cloudpickle as untyped

    cloudpickle: Any = untyped
    sent = []
    try:
        for name in _unknown_elsewhere():
            cloudpickle.register_pickle_by_value(sys.modules[name])
            sent.append(sys.modules[name])
        encoded: bytes = cloudpickle.dumps(job)
    except Exception as error:  # its objects may raise anything
        raise PluginError(
            f"The model's builder cannot be sent to other processes: {error}. Make it picklable, or use trainer fit. "
            "Received: trainer=ray"
        ) from error
    finally:
        for module in sent:
            cloudpickle.unregister_pickle_by_value(module)
    return encoded


def _unknown_elsewhere() -> list[str]:
    """Return the imported modules that another process of this Python would not find, or would find in another file.

    Only another process can tell, because a plugin's file, a script and the current folder change this one's path.
    """
    files = {
        name: file
        for name, module in list(sys.modules.items())
        if "." not in name and name not in ("__main__", "__mp_main__") and (file := getattr(module, "__file__", None))
    }
    look = subprocess.run(  # noqa: S603  # this interpreter and a constant program
        [sys.executable, "-P", "-c", _LOOK],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",  # so that relative entries of PYTHONPATH find nothing
    )
    names: list[str] = json.loads(look.stdout)
    return names
