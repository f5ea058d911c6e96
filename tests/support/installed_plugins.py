"""Plugins of a test's own: installed as pip would leave them, loaded, and seen by the command line."""

from __future__ import annotations

import gc
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import Registry
from zoo.cli import main
from zoo.errors import PluginWarning

GOOD = """
from zoo import Entry, hookimpl

@hookimpl
def register_models():
    return [Entry(name="tiny-net", target="operator:eq", summary="Tiny.")]
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a plugin: a module with an entry point, as pip would leave it."""
    gc.freeze()  # garbage is collected for each plugin that fails; to look at what other tests left takes half a second
    monkeypatch.syspath_prepend(tmp_path)

    def put(name: str, code: str, distribution: str | None = None) -> None:
        module = f"plugin_{len(list(tmp_path.glob('*.py')))}_{tmp_path.name}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{distribution or 'dist_' + module}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or module}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[zoo]\n{name} = {module}\n")

    return put


def load(**environ: str) -> tuple[Registry, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # of garbage that other tests left
        registry = zoo.load_registry(environ)
    assert all(issubclass(warning.category, PluginWarning) for warning in caught)
    return registry, [str(warning.message) for warning in caught]


def without_module(text: str) -> str:
    """Return a text without the names of the modules that `install` writes, which are others in each session."""
    return re.sub(r"plugin_\d+_\w+", "<module>", text)


def names(registry: Registry) -> list[str]:
    return [found.qualified_name for catalog in registry.catalogs.values() for found in catalog]


OURS = names(load(ZOO_PLUGINS="")[0])


class Program:
    """The command line, called in this process with plugins of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.delenv("ZOO_PLUGINS", raising=False)
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, status: Any = 0, **environ: str) -> tuple[str, str]:
        for name, value in environ.items():
            self._monkeypatch.setenv(name, value)
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main(list(arguments))
        assert exit_.value.code == status
        return self._capsys.readouterr()

    def names(self, **environ: str) -> tuple[list[str], str]:
        """Return what `zoo list` shows besides ours, and what it says on standard error."""
        out, err = self("list", "--json", status=0, **environ)
        rows = [f"{row['plugin']}/{row['name']}" for row in json.loads(out)]
        return [name for name in rows if name not in OURS], err


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(monkeypatch, capsys)
