"""Small ONNX files like those of ``zoo export``, made without Keras."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zoo import ImageInput, Run
from zoo.runs.exports import ExportRecord, ImageInputRecord


def write_onnx(path: Path, run: Run, *, int8: bool = False, run_id: str | None = None) -> Path:
    """Write a file that claims to be exported from a run: one dense layer with random weights."""
    record, form = run.record, ImageInput(inverted=True, background=0, trimmed=True)
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
    export = ExportRecord(
        exporter="export/onnx",
        int8=int8,
        recipe=record.recipe.name,
        run=run_id or record.id,
        model=record.recipe.model,
        model_sha256=record.model_sha256 or "",
        dtype_policy="float32",
        data=record.data,
        dataset=record.recipe.dataset,
        image_input=ImageInputRecord(
            crop=form.crop, background=form.background, inverted=form.inverted, trimmed=form.trimmed
        ),
        plugins=record.plugins,
        packages={},
    )
    helper.set_model_props(model, {"zoo": msgspec.json.encode(export).decode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
