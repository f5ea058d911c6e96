"""The project that ``zoo new`` writes: the template files in this folder, with names filled in."""

from __future__ import annotations

import contextlib
import re
import shutil
import string
from importlib import metadata
from pathlib import Path

from zoo.errors import PluginError
from zoo.registry import builtin_commands
from zoo.registry.discovery import discover
from zoo.registry.entries import LOCAL

_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "plugin.py.txt": "$module/__init__.py",
    "model.py.txt": "$module/model.py",
    "test_plugin.py.txt": "tests/test_$module.py",
}


def write_project(name: str, into: Path) -> Path:
    """Write a plugin project into a new folder named after the plugin, and return the folder.

    Raises:
        PluginError: The name is not valid or is taken, the folder exists, or the project cannot be written.
    """
    import importlib.util
    import keyword

    received = f"Received: name={name!r}"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise PluginError(
            "Not a valid name for a plugin project. Start with a letter, and use lower-case letters and digits with "
            f"single '-' between them. {received}"
        )
    module = name.replace("-", "_")
    taken = {builtin_commands.PLUGIN, LOCAL, "tests", *(found.name for found in discover())}
    if name in taken or keyword.iskeyword(module) or importlib.util.find_spec(module) is not None:
        raise PluginError(f"The name is taken by a plugin, a module or Python itself. Choose another. {received}")
    with contextlib.suppress(metadata.PackageNotFoundError):
        metadata.distribution(name)
        raise PluginError(f"A package with this name is installed. Choose another name. {received}")
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
            f"{project} already exists and is not overwritten. Choose another name or folder. Received: name={name!r}"
        ) from error
    except OSError as error:
        shutil.rmtree(project, ignore_errors=True)  # created above
        raise PluginError(f"Cannot write {project}: {error.strerror}. Choose another folder with --into.") from error
    return project
