"""Listing, help and completion import nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.golden import Golden

HEAVY = {"tensorflow", "keras", "numpy", "matplotlib", "msgspec", "rich", "jax", "torch"}


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--help"], {}),
        (["list"], {}),
        (["list", "models", "--json"], {}),
        (["run", "--help"], {}),
        (["predict", "--help"], {}),
        ([], {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo ru", "COMP_CWORD": "1"}),
        ([], {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo ", "COMP_CWORD": "1"}),
    ],
    ids=["help", "list", "list as json", "help of run", "help of predict", "completion", "completion of nothing"],
)
def test_imports_nothing_heavy(arguments: list[str], environ: dict[str, str]) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('loaded', *sorted({name.partition('.')[0] for name in sys.modules})))\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from zoo.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    assert done.returncode == 0, done.stderr
    *output, loaded = done.stdout.splitlines()
    assert "run" in " ".join(output) or "fashion-cnn" in " ".join(output)
    assert loaded.startswith("loaded ")
    assert not HEAVY & set(loaded.split())


def test_importing_any_module_of_the_core_imports_neither_numpy_nor_a_backend() -> None:
    # the base class of callbacks derives from Keras's, and readers of weights files have a process of their own
    code = """
import importlib, pkgutil, sys, zoo
for module in pkgutil.walk_packages(zoo.__path__, "zoo."):
    if module.name not in ("zoo.__main__", "zoo.training.callback") and ".readers." not in module.name:
        importlib.import_module(module.name)
        heavy = {"tensorflow", "keras", "numpy", "jax", "torch", "matplotlib"} & set(sys.modules)
        assert not heavy, (module.name, heavy)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("backend", "used"), [("nowhere", "agg"), ("svg", "svg")], ids=["not installed", "installed"])
def test_matplotlib_is_imported_whatever_backend_the_environment_names(backend: str, used: str) -> None:
    code = (
        "import os; from zoo.utils import import_matplotlib; import_matplotlib()\n"
        "import matplotlib as mpl; from matplotlib import pyplot\n"
        f"assert mpl.get_backend().lower() == {used!r}, mpl.get_backend()\n"
        f"assert os.environ['MPLBACKEND'] == {backend!r}\n"
    )
    environ = {**os.environ, "MPLBACKEND": backend}
    environ.pop("DISPLAY", None)
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)


@pytest.mark.slow
def test_run_draws_its_pictures_where_the_environment_names_a_missing_backend(tmp_path: Path, pictures: None) -> None:
    command = [
        *(sys.executable, "-m", "zoo", "run", "fashion-cnn", "--dataset", "digits", "--model", "mlp", "--epochs", "1"),
        *("--set", "model.widths=8", "--quiet", "--out", str(tmp_path / "run")),
    ]
    subprocess.run(command, check=True, env={**os.environ, "MPLBACKEND": "nowhere"})
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1_000


def test_importing_zoo_imports_nothing_heavy() -> None:
    code = f"import zoo, sys; from zoo import Entry, Recipe, hookimpl; assert not {HEAVY!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


BROKEN = "import no_such_module\n"


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (["show", "mlp"], 0, "266,610"),
        (["show", "fashion-cnn-fast"], 0, "precision"),
        (["run", "fashion-cnn", "--dataset", "digits"], 1, "keras-zoo[digits]"),
        (["train", "resnet-20", "--dataset", "digits"], 1, "keras-zoo[digits]"),
        (["--plugin", "broken.py", "check", "broken"], 1, "ModuleNotFoundError"),
        (["check", "no-such-plugin"], 1, "'no-such-plugin'"),
    ],
    ids=["show mlp", "show a recipe", "run without an extra", "train without it", "check left out", "check unknown"],
)
def test_is_answered_without_keras(
    golden: Golden, tmp_path: Path, arguments: list[str], status: int, named: str
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    code = (
        "import sys, atexit\n"
        "sys.modules['sklearn'] = None\n"
        "atexit.register(lambda: print('keras' in sys.modules))\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from zoo.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, "False"), done.stderr
    assert named in done.stdout + done.stderr
    if status == 1:
        golden.says(done.stderr)


def test_garbage_collections_leave_out_what_the_import_of_keras_creates(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text("import gc\nwas_enabled = gc.isenabled()\nmany = [[] for _ in range(100_000)]\n")
    code = (
        "import gc; from zoo.utils.keras_import import import_keras; import_keras(); import keras\n"
        "print(keras.was_enabled, gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
        "import_keras(); print(gc.get_freeze_count() > 100_000)"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)
    assert done.stdout.split() == ["False", "True", "True", "True"], done.stderr


@pytest.mark.slow
def test_scikit_learn_is_imported_when_its_wrappers_are_used() -> None:
    code = """
import sys
from zoo.utils.keras_import import import_keras
import_keras()
assert not {"sklearn", "scipy.stats"} & set(sys.modules)
import keras
from keras._tf_keras.keras import wrappers
classifier = keras.wrappers.SKLearnClassifier
import sklearn.base
assert issubclass(classifier, sklearn.base.ClassifierMixin)
from keras.wrappers import SKLearnClassifier
from keras.src.wrappers import SKLearnClassifier as theirs
assert classifier is SKLearnClassifier is theirs is wrappers.SKLearnClassifier
"""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # where it is hidden
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)
