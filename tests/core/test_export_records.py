"""Records beside exported files: values that no export can have are refused by the name of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.corpus import edited
from tests.support.exported_files import export_record, write_beside
from zoo import Run
from zoo.errors import ZooError
from zoo.runs import read_export_record

BAD: dict[str, Callable[[dict[str, Any]], object]] = {
    "accuracy above 1": lambda record: record["parity"].update(accuracy=1.5),
    "negative difference": lambda record: record["parity"].update(largest_difference=-1.0),
    "negative tolerance": lambda record: record["parity"].update(tolerance=-1.0),
    "10**18 images": lambda record: record["parity"].update(images=10**18),
    "negative seconds": lambda record: record.update(seconds=-1.0),
    "recipe called with 1 MB": lambda record: record["export"].update(recipe="x" * (1 << 20)),
    "package called with 1 MB": lambda record: record["export"].update(packages={"x" * (1 << 20): "1"}),
}


@pytest.mark.parametrize("name", BAD)
def test_record_that_no_export_can_have_is_refused(small_run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    write_beside(path, export_record(small_run), 0.5)
    assert read_export_record(path, ".onnx") is not None
    (beside,) = [each for each in tmp_path.iterdir() if each != path]
    edited(BAD[name])(beside)
    with pytest.raises(ZooError) as raised:
        read_export_record(path, ".onnx")
    assert getattr(raised.value, "path", None) == str(beside)
