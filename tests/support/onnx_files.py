"""Small ONNX files like those of ``zoo export``, made without Keras."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from zoo_export.onnx_metadata import with_metadata

from tests.support.exported_files import export_record, write_beside
from zoo import Run


def write_onnx(path: Path, run: Run, *, int8: bool = False, model_sha256: str | None = None) -> Path:
    """Write a file that claims to be exported from a run, with its record: one dense layer with random weights."""
    record = run.record
    shape, classes = record.data.input_shape, len(record.data.class_names)
    weights = np.random.default_rng(0).normal(0, 0.02, (int(np.prod(shape)), classes)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["floats"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "dense",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    export = export_record(run, int8=int8)
    export = msgspec.structs.replace(export, model_sha256=model_sha256 or export.model_sha256)
    metadata = msgspec.json.encode(export).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(with_metadata(model.SerializeToString(), metadata))
    write_beside(path, export, 0.1)
    return path
