"""The project that ``zoo new`` writes: the files beside this one, names filled in."""

from __future__ import annotations

import string
from pathlib import Path

from zoo.catalog import check_name
from zoo.errors import PluginError

_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "plugin.py.txt": "$module/__init__.py",
    "model.py.txt": "$module/model.py",
    "test_plugin.py.txt": "tests/test_$module.py",
}


def write_project(name: str, into: Path) -> Path:
    """Write a plugin project into a new folder of the plugin's name and return the folder.

    Raises:
        InvalidEntryError: The name is not one for a plugin.
        PluginError: The folder exists, a module of that name is installed, or it cannot be written.
    """
    import importlib.util
    import keyword

    check_name(name, "plugin")
    module = name.replace("-", "_").replace(".", "_")
    if not module.isidentifier() or keyword.iskeyword(module):
        raise PluginError(f"A plugin's name must make a Python module too: choose another. Received: name={name!r}")
    if importlib.util.find_spec(module) is not None:
        raise PluginError(f"A module {module!r} is installed already: choose another name. Received: name={name!r}")
    project = into / name
    values = {"name": name, "module": module}
    try:
        project.mkdir(parents=True)
        for source, target in _FILES.items():
            path = project / string.Template(target).substitute(values)
            path.parent.mkdir(exist_ok=True)
            content = Path(__file__).with_name(source).read_text(encoding="utf-8")
            path.write_text(string.Template(content).substitute(values), encoding="utf-8")
    except FileExistsError as error:
        raise PluginError(
            f"{project} exists, and nothing is overwritten: choose another name or folder. Received: name={name!r}"
        ) from error
    except OSError as error:
        raise PluginError(f"Cannot write {project}: {error.strerror}.") from error
    return project
