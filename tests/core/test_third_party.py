"""A real third-party plugin: built, installed beside ours in an environment of its own, used through the program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.golden import Golden

EXAMPLE = ROOT / "docs" / "examples" / "example_plugin"
Environment = dict[str, str]


RUN_ALL = """
import json, sys
from zoo.cli import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as end:
        assert end.code == 0, command
    print(end="\\0", flush=True)
"""


class Installed:
    """A virtual environment that sees this one's packages and has its own besides."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.folder = folder
        (site,) = folder.glob("lib/python*/site-packages")
        # a .pth line, so that editable installs and their hooks in this environment work in the new one
        purelib = sysconfig.get_path("purelib")
        (site / "shared.pth").write_text(f"import site; site.addsitedir({purelib!r})\n")

    def install(self, project: Path) -> None:
        wheels = self.folder / "wheels"
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(project)]
        subprocess.run(command, check=True, capture_output=True)
        (wheel,) = wheels.glob("*.whl")
        self.run("python", "-m", "pip", "install", "--no-index", "--no-deps", str(wheel))
        wheel.unlink()

    def run(self, *command: str | Path, status: int = 0, cwd: Path | None = None, **environ: str) -> tuple[str, str]:
        program, *arguments = map(str, command)
        python = str(self.folder / "bin" / "python")
        start = {"python": [python], "zoo": [python, "-m", "zoo"], "pytest": [python, "-m", "pytest"]}[program]
        done = subprocess.run(
            [*start, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd or self.folder,
            env={**os.environ, **environ},
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr

    def run_all(self, commands: Iterable[Sequence[str | Path]]) -> list[str]:
        """Run several commands of zoo in one process, since loading Keras takes long; return what each prints."""
        lines = json.dumps([list(map(str, command)) for command in commands])
        return self.run("python", "-c", RUN_ALL, lines)[0].split("\0")[:-1]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    installed = Installed(tmp_path_factory.mktemp("example"))
    installed.install(EXAMPLE)
    return installed


def test_everything_that_it_registers_is_listed(example: Installed) -> None:
    rows = json.loads(example.run("zoo", "list", "--json")[0])
    theirs = [(row["kind"], row["name"]) for row in rows if row["plugin"] == "example"]
    assert theirs == [
        ("recipe", "stripes"),
        ("model", "stripe-net"),
        ("dataset", "stripes"),
        ("trainer", "sgd"),
        ("trainer", "sgd-stepped"),
        ("optimizer", "sign-sgd"),
        ("schedule", "triangle"),
        ("loss", "squared"),
        ("augmentation", "dim"),
        ("metric", "worst-recall"),
        ("callback", "epoch-log"),
        ("command", "best-epoch"),
    ]


OURS = ["--set", "model.widths=2,2,2", "--set", "model.dense_width=4"]
RUNS = {
    "theirs": ["stripes"],
    "theirs-on-ours": ["fashion-cnn", "--model", "stripe", "--dataset", "digits", "--epochs", "5"],
    "ours-on-theirs": ["stripes", "--model", "fashion-cnn", *OURS, "--epochs", "1"],
    "their-trainer": ["stripes", "--trainer", "example/sgd", "--set", "trainer.learning_rate=0.05"],
}


@pytest.fixture(scope="module")
def runs(example: Installed) -> Path:
    """The folder of finished runs; not to be changed."""
    folder = example.folder / "runs"
    example.run_all(["run", *arguments, "--out", folder / name, "--quiet"] for name, arguments in RUNS.items())
    return folder


def accuracy(run: Path) -> float:
    return float(json.loads((run / "run.json").read_bytes())["test"]["accuracy"])


@pytest.mark.slow
def test_its_recipe_runs_with_its_callback_and_its_command(example: Installed, runs: Path) -> None:
    run = runs / "theirs"
    assert accuracy(run) > 0.9
    record = json.loads((run / "run.json").read_bytes())
    assert record["recipe"]["model"]["plugin"] == "example"
    assert record["plugins"]["example"] == {"package": "zoo-example", "version": "1.0"}
    assert len((run / "epochs.log").read_text().splitlines()) == 3
    best, again = example.run_all([["best-epoch", run], ["test", run, "--json", "--quiet"]])
    assert best == f"{record['best_epoch']}\n"
    assert json.loads(again)["test"] == record["test"]


@pytest.mark.slow
def test_its_model_on_our_data_and_ours_on_its(runs: Path) -> None:
    for name in ("theirs-on-ours", "ours-on-theirs", "their-trainer"):
        assert accuracy(runs / name) > (0.7 if name == "theirs-on-ours" else 0.4)


@pytest.mark.slow
def test_it_passes_its_own_tests_which_are_all_checks(example: Installed) -> None:
    out, _ = example.run("pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, EXAMPLE / "tests")
    assert re.search(r"^40 passed", out, re.MULTILINE)


@pytest.mark.slow
def test_without_the_plugin_its_run_says_what_to_install(example: Installed, runs: Path, golden: Golden) -> None:
    _, err = example.run("zoo", "test", runs / "theirs", status=1, ZOO_PLUGINS="")
    (line,) = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert "'zoo-example'" in line
    golden.says(line.replace(str(runs / "theirs"), "<run>"))


@pytest.mark.slow
def test_new_plugin_installs_trains_and_passes_its_checks_and_tests(golden: Golden, tmp_path: Path) -> None:
    environment = Installed(tmp_path / "environment")
    environment.run("zoo", "new", "my-plugin", cwd=tmp_path)
    project = tmp_path / "my-plugin"
    written = sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    assert written == [
        "README.md",
        "my_plugin/__init__.py",
        "my_plugin/model.py",
        "pyproject.toml",
        "tests/test_my_plugin.py",
    ]
    environment.install(project)
    run = ["run", "fashion-cnn", "--model", "my-plugin-net", "--dataset", "digits", "--epochs", "5"]
    checks, _ = environment.run_all([["check", "my-plugin", "--json"], [*run, "--out", tmp_path / "run", "--quiet"]])
    assert [check["status"] for check in json.loads(checks)] == ["passed"] * 7
    assert accuracy(tmp_path / "run") > 0.5
    # the same checks, two of them again
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "-k", "settings or unique"]
    out, _ = environment.run("pytest", *options, project / "tests")
    assert "2 passed, 5 deselected" in out

    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    _, err = environment.run("zoo", "new", "my-plugin", "--into", tmp_path, status=1)
    golden.says(err)  # it is installed by now; that a folder stays is shown elsewhere
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
