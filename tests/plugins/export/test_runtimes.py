"""Runtimes of exported files, and trackers, send nothing that the user has not asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from tests.support.onnx_files import write_onnx

RUN = """
import sys

sys.addaudithook(lambda event, _: print(event) if event.startswith("socket.") else None)
from zoo_export.runtimes import import_onnxruntime, import_openvino

import_onnxruntime().InferenceSession(sys.argv[1])
import_openvino().Core()
assert "openvino_telemetry" not in sys.modules
import openvino_telemetry  # others may still import it
"""
TRACK = """
from zoo_track import mlflow_writer
from mlflow.telemetry import utils

utils._IS_IN_CI_ENV_OR_TESTING = False
print(utils.is_telemetry_disabled())
"""


def run(code: str, home: Path, *arguments: str) -> str:
    """Return what a program prints in a process with another home, in an environment as users have it."""
    unset = ("ORT_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True,
        env=environment | {"HOME": str(home)},
    )  # fmt: skip
    return done.stdout


@pytest.mark.slow
def test_runtimes_neither_send_nor_prepare_to(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "dense.onnx", zoo.open_run("fashion-cnn"))
    home = tmp_path / "home"
    home.mkdir()
    assert run(RUN, home, str(file)) == ""
    assert not list(home.rglob("*"))  # neither ONNX Runtime's queue of events nor OpenVINO's number of this machine


@pytest.mark.slow
def test_the_tracker_for_mlflow_sends_nothing_to_its_makers(tmp_path: Path) -> None:
    assert run(TRACK, tmp_path).splitlines()[-1] == "True"
