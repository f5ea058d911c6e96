"""The docs say what the program does: hooks, command line, README lines, links, the ten-line plugin."""

from __future__ import annotations

import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest

import zoo
from zoo.registry import hookspecs
from zoo.registry.plugin import Plugin
from zoo.registry.plugin_loader import collect_registrations

from .conftest import FashionSlice, make_registry

ROOT = Path(__file__).parents[1]
HOOKS = [name for name in vars(hookspecs) if name.startswith("register_")]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_documented_with_its_signature_and_has_a_test(name: str) -> None:
    hook = getattr(hookspecs, name)
    page = (ROOT / "docs" / "hooks.md").read_text()
    assert f"def {name}{inspect.signature(hook)}".replace("'", "") in page
    assert hook.__doc__ in page
    assert len(hook.__doc__.splitlines()) == 1
    own = Path(__file__)
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != own)
    assert f"def {name}" in tests


def test_command_line_page_is_the_program_s() -> None:
    script = ROOT / "docs" / "command_line.py"
    assert runpy.run_path(str(script))["reference"]() == (ROOT / "docs" / "command-line.md").read_text()


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=lambda page: page.name)
def test_code_that_a_page_shows_is_the_tested_file(page: Path) -> None:
    text = page.read_text()
    assert runpy.run_path(str(ROOT / "docs" / "include.py"))["included"](text) == text


@pytest.mark.parametrize("line", ["pip install . && zoo run fashion-cnn", 'pip install -e ".[dev]" && pytest'])
def test_readme_has_the_two_commands_near_its_top(line: str) -> None:
    assert line in (ROOT / "README.md").read_text().splitlines()[:30]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_ten_line_plugin_of_the_readme_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(# tiny_plugin.py\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "tiny_plugin.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    plugin = collect_registrations(Plugin(name="tiny", source="tiny_plugin"), __import__("tiny_plugin"))
    registry = make_registry()
    for entry in plugin.registers["model"]:
        registry.models.add(entry, plugin="tiny")
    run = zoo.run("small", model="tiny-net", epochs=1, registry=registry, out=tmp_path / "run")
    assert run.test_metrics is not None
    sys.modules.pop("tiny_plugin")


def test_code_of_the_page_for_programmers_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zoo_fashion.dataset.FashionMnist", lambda: FashionSlice(train=5600))
    for code in re.findall(r"```python\n(import zoo\n.*?)```", (ROOT / "docs" / "in-code.md").read_text(), re.S):
        exec(compile(code, "in-code.md", "exec"), {})  # noqa: S102  # the code is the page's
    assert "Ankle boot" in capsys.readouterr().out
