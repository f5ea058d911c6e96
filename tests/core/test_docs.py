"""The docs say what the program does: hooks, command line, README lines, links, the ten-line plugin."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import zoo_fashion

import zoo
from tests.support import ROOT
from tests.support.small_recipe import FashionSlice, make_registry
from zoo.registry import hookspecs
from zoo.registry.plugin import Plugin
from zoo.registry.plugin_loader import collect_registrations

HOOKS = [name for name in vars(hookspecs) if name.startswith("register_")]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_documented_with_its_signature_and_has_a_test(name: str) -> None:
    hook = getattr(hookspecs, name)
    page = (DOCS / "plugins" / "hooks.md").read_text()
    assert f"def {name}{inspect.signature(hook)}".replace("'", "") in page
    assert hook.__doc__ in page
    assert len(hook.__doc__.splitlines()) == 1
    own = Path(__file__)
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != own)
    assert f"def {name}" in tests


def test_command_line_page_is_the_program_s() -> None:
    script = DOCS / "scripts" / "command_line.py"
    assert runpy.run_path(str(script))["reference"]() == (DOCS / "reference" / "command-line.md").read_text()


def test_components_page_is_that_of_the_registered_components() -> None:
    page = runpy.run_path(str(DOCS / "scripts" / "components.py"))["page"]()
    assert page == (DOCS / "reference" / "components.md").read_text()


@pytest.mark.parametrize("page", [page for page in PAGES if DOCS in page.parents], ids=lambda page: page.stem)
def test_code_that_a_page_shows_is_the_tested_file(page: Path) -> None:
    text = page.read_text()
    assert runpy.run_path(str(DOCS / "scripts" / "include.py"))["included"](text) == text


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


def train_on_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave 600 images to train on, 500 to validate with and 200 to test on of the recipes' dataset."""
    recipes = [dataclasses.replace(recipe, validation=500) for recipe in zoo_fashion.register_recipes()]
    monkeypatch.setattr(zoo_fashion, "register_recipes", zoo.hookimpl(lambda: recipes))
    monkeypatch.setattr("zoo_fashion.dataset.FashionMnist", lambda: FashionSlice(train=1100))


@pytest.mark.slow
def test_code_of_the_page_for_programmers_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train_on_few_images(monkeypatch)
    for code in re.findall(r"```python\n(import zoo\n.*?)```", (DOCS / "guides" / "in-code.md").read_text(), re.S):
        exec(compile(code, "in-code.md", "exec"), {})  # noqa: S102  # the code is the page's
    assert "Ankle boot" in capsys.readouterr().out


@pytest.mark.slow
def test_lesson_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    train_on_few_images(monkeypatch)
    cells = json.loads((DOCS / "start" / "lesson.ipynb").read_text())["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)  # as committed: no output of a machine
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)  # noqa: S102  # the code is the page's
    out = capsys.readouterr().out
    assert "('model.dropout'," in out
    assert re.search(r"^Shirt: \d+\.\d%$|^[A-Z][\w/ -]+: \d+\.\d%$", out, re.M)


def test_pages_of_the_api_have_every_public_name() -> None:
    pages = runpy.run_path(str(DOCS / "scripts" / "api.py"))["pages"]()
    folder = DOCS / "reference" / "api"
    assert {path.name: path.read_text() for path in folder.iterdir()} == pages
    for name, text in pages.items():
        package = importlib.import_module(name.removesuffix(".md"))
        shown = re.findall(rf"^      heading: {re.escape(package.__name__)}\.(\w+)$", text, re.M)
        assert sorted(shown) == sorted(getattr(package, "__all__", shown))
