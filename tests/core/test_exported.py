"""The public names of zoo: one list a package, its stub."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import zoo
from zoo import errors

PACKAGES = ("zoo", "zoo.cli.toolkit", "zoo.data", "zoo.errors", "zoo.models", "zoo.runs", "zoo.utils")
NAMES = [(package, name) for package in PACKAGES for name in import_module(package).__all__]


def test_a_caller_finds_few_names() -> None:
    assert len(zoo.__all__) <= 42
    verbs = {"load", "load_data", "load_registry", "open_run", "prepare", "read_predictions", "reproduce", "resume"}
    assert verbs | {"import_weights", "run", "test", "train"} <= set(zoo.__all__)


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_public_name_resolves_and_is_documented(package: str, name: str) -> None:
    found = getattr(import_module(package), name)
    assert found.__doc__ or name.endswith("_option")  # which are click's


def test_public_packages_are_attributes() -> None:
    names = ["data", "errors", "interfaces", "models", "runs", "utils"]
    code = f"import zoo, sys; print(all(getattr(zoo, name) is sys.modules['zoo.' + name] for name in {names}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"
    assert all(isinstance(getattr(zoo, name), ModuleType) and name in dir(zoo) for name in names)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        zoo.nothing  # type: ignore[attr-defined]  # noqa: B018  # the access is the test


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_stands_in_the_tree(name: str) -> None:
    assert name in str(errors.__doc__)
    assert issubclass(getattr(errors, name), errors.ZooError | errors.ZooWarning)


@pytest.mark.parametrize("package", ["zoo", "zoo.runs", "zoo.utils"])
def test_star_import_brings_the_public_names(package: str) -> None:
    code = f"from {package} import *; import {package} as p; assert set(p.__all__) <= set(globals())"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_is_that_of_the_package() -> None:
    assert zoo.__version__.count(".") == 2
