"""HDF5 files of Keras 1 and 2 and of tf-keras, and the legacy ones of Keras 3: whole models, or weights alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py

from zoo.transfer.readers import keras_weights
from zoo.transfer.readers.contents import Contents, FileFault, FoundArray
from zoo.transfer.readers.hdf5 import child, list_attribute, open_file, read_dataset, subgroup, text_attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.transfer.readers.contents import Budget, Source

_MODEL = "model_weights"
_OF_THE_MODEL = "top_level_model_weights"  # variables of the model itself
_FLIPPED = "theano"
_KERAS_1 = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # of Keras 1, in spite of its name
}
_THEANO_LAYOUT = re.compile(r'"dim_ordering"\s*:\s*"th"')


def read(source: Source, budget: Budget) -> Contents:
    """Read an HDF5 file of any version of Keras.

    Raises:
        FileFault: It cannot be used.
    """
    with open_file(source.file) as root:
        weights = subgroup(root, _MODEL) or root
        layers = list_attribute(weights, "layer_names")
        if layers is None:
            return keras_weights.read_root(root, budget)
        _check_layout(root, weights)
        if subgroup(weights, _OF_THE_MODEL) is not None and _OF_THE_MODEL not in layers:
            layers.append(_OF_THE_MODEL)
        groups = [list(_of_layer(weights, layer, budget)) for layer in layers]
    # within an inner model, Keras writes what was trainable first, so frozen layers come last
    is_ordered = all(len({array.layer for array in group}) <= 1 for group in groups)
    arrays = [array for group in groups for array in group]
    return Contents(format="Keras HDF5", layout="keras", is_ordered=is_ordered, arrays=arrays)


def _check_layout(root: h5py.File, weights: h5py.Group) -> None:
    """Raise `FileFault` if convolution kernels have another layout than Keras's, or are flipped."""
    for group in (root, weights):
        if (text_attribute(group, "backend") or "").lower() == _FLIPPED:
            raise FileFault(
                "was saved by Keras with the backend Theano, whose convolution kernels are flipped. Save the weights "
                "with another backend."
            )
    if _THEANO_LAYOUT.search(text_attribute(root, "model_config") or ""):
        raise FileFault(
            "was saved by Keras 1 with dim_ordering='th', which changes the layout of kernels. Save the weights with "
            "dim_ordering='tf'."
        )


def _of_layer(weights: h5py.Group, layer: str, budget: Budget) -> Iterator[FoundArray]:
    """Iterate over the arrays of a layer. Those of the layers of a nested model follow each other."""
    group = subgroup(weights, layer)
    if group is None:
        raise FileFault(f"is damaged: the weights of layer {layer!r:.100} are missing. Download or save it again.")
    by_layer: dict[str, list[FoundArray]] = {}
    for path in list_attribute(group, "weight_names") or ():
        dataset = child(group, path)
        if not isinstance(dataset, h5py.Dataset):
            raise FileFault(f"is damaged: the weight {path!r:.100} is missing. Download or save it again.")
        array = read_dataset(dataset, path, budget)
        if array is not None:
            name, owner, role = _named(path, layer)
            by_layer.setdefault(owner, []).append(FoundArray(name=name, layer=owner, role=role, array=array))
    for arrays in by_layer.values():
        yield from arrays


def _named(path: str, layer: str) -> tuple[str, str, str]:
    """Return a weight's full name, its layer and its role: ``conv2d/kernel:0`` is the kernel of ``conv2d``.

    A layer in a nested model is named by both: ``encoder/conv2d``.
    """
    name = re.sub(r":\d+$", "", path)
    if "/" not in name:
        role = name.removeprefix(f"{layer}_")
        return name if role != name else f"{layer}/{name}", layer, _KERAS_1.get(role, role)
    owner, _, role = name.rpartition("/")
    if re.fullmatch(rf"{re.escape(layer)}(_\d+)?", owner) or layer == _OF_THE_MODEL:
        return name, layer, role
    if not owner.startswith(f"{layer}/"):
        owner = f"{layer}/{owner}"
    return f"{owner}/{role}", owner, role
