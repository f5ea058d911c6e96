"""What workers are sent as bytes, with the code that they could not import."""

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

    What it names of a module that another process would not find, a file given with ``--plugin`` or what lies beside
    it, is sent whole; anything else by its name.

    Raises:
        PluginError: It cannot be sent.
    """
    from ray import cloudpickle as untyped

    cloudpickle: Any = untyped
    sent = []
    try:
        for name in _unknown_elsewhere():
            cloudpickle.register_pickle_by_value(sys.modules[name])
            sent.append(sys.modules[name])
        encoded: bytes = cloudpickle.dumps(job)
    except Exception as error:  # whatever the objects in it raise
        raise PluginError(f"The model's builder cannot be sent to other processes: {error}.") from error
    finally:
        for module in sent:
            cloudpickle.unregister_pickle_by_value(module)
    return encoded


def _unknown_elsewhere() -> list[str]:
    """Return the modules here that another process of this Python would not find, or find in another file.

    Only another process can say: a plugin's file, a script and the current folder change this one's path.
    """
    files = {
        name: file
        for name, module in list(sys.modules.items())
        if "." not in name and name not in ("__main__", "__mp_main__") and (file := getattr(module, "__file__", None))
    }
    look = subprocess.run(  # noqa: S603  # this interpreter, a program of ours
        [sys.executable, "-P", "-c", _LOOK],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",  # where relative entries of PYTHONPATH mean nothing
    )
    names: list[str] = json.loads(look.stdout)
    return names
