"""The wheel holds the core, our plugins with their data, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

OURS = {
    "zoo_backbones",
    "zoo_bench",
    "zoo_data",
    "zoo_export",
    "zoo_fashion",
    "zoo_images",
    "zoo_keras",
    "zoo_metrics",
    "zoo_ray",
    "zoo_results",
    "zoo_serve",
    "zoo_sweep",
    "zoo_track",
    "zoo_vision",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_top_level_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names}
    packages = {name for name in top if not name.endswith(".dist-info")}
    assert packages == OURS | {"zoo"}
    assert "zoo/py.typed" in names
    data = sorted(name.rpartition("/")[2] for name in names if name.startswith("zoo_fashion/data/"))
    assert data == [
        "LICENSE",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    page = {f"zoo_serve/page/{path.name}" for path in (ROOT / "plugins/zoo_serve/page").iterdir()}
    assert "zoo_serve/page/index.html" in page
    assert page == {name for name in names if name.startswith("zoo_serve/page/")}


def test_editable_install_does_not_make_the_checkout_importable() -> None:
    code = (
        "import sys; from importlib.util import find_spec; assert find_spec('zoo')\n"
        "for name in ('plugins', 'tests'):\n"  # tf2onnx installs a package of its own with the second name
        "    spec = find_spec(name)\n"
        "    assert spec is None or sys.argv[1] not in map(str, spec.submodule_search_locations), spec"
    )
    for name in ("plugins", "tests"):
        subprocess.run([sys.executable, "-P", "-c", code, str(ROOT / name)], check=True, cwd="/")
