"""Weights of Keras 3: ``.weights.h5``, and ``.keras``, which is an archive of such a file and a description in JSON.

Keras 3 numbers the variables of a layer, and names layers by their classes: ``layers/conv2d_1/vars/0``. A file alone
does not contain the order of layers with different classes. The description does, if the model is sequential or
functional.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import h5py

from zoo.transfer.readers.archives import read_member
from zoo.transfer.readers.contents import Contents, FileFault, FoundArray, natural
from zoo.transfer.readers.hdf5 import child, open_file, read_dataset, subgroup, walk
from zoo.transfer.readers.keras_layers import layers_of, roles_of

if TYPE_CHECKING:
    import zipfile

    from zoo.transfer.readers.contents import Budget

WEIGHTS, DESCRIPTION = "model.weights.h5", "config.json"
_LONGEST_DESCRIPTION = 16 << 20  # bytes
_NOT_OF_LAYERS = frozenset(("optimizer", "metrics", "loss_tracker", "compile_metrics", "compile_loss"))


def read_archive(archive: zipfile.ZipFile, budget: Budget) -> Contents:
    """Read a ``.keras`` file.

    Raises:
        FileFault: It cannot be used.
    """
    if DESCRIPTION not in archive.namelist():
        config = None
    else:
        config = _parse(read_member(archive, DESCRIPTION, _LONGEST_DESCRIPTION))
    weights = read_member(archive, WEIGHTS, budget.limit)
    with open_file(io.BytesIO(weights)) as root:
        return read_root(root, budget, config=config, format_="Keras archive")


def _parse(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise FileFault(f"is damaged: its {DESCRIPTION} is not valid JSON. Download or save it again.") from None


def read_root(root: h5py.File, budget: Budget, *, config: object = None, format_: str = "Keras weights") -> Contents:
    """Read the arrays of an HDF5 file of Keras 3.

    Args:
        root: The file.
        budget: Size limit.
        config: The model's description, if it is known.
        format_: Name of the format.
    """
    top = [name for name in root if name.strip("_") not in _NOT_OF_LAYERS]
    found: dict[str, h5py.Group] = {}
    for name in top:
        group = child(root, name)
        if isinstance(group, h5py.Group):
            found |= {f"{name}/{path}" if path else name: each for path, each in walk(group)}
    layers = {path.removesuffix("/vars"): group for path, group in found.items() if path.endswith("/vars")}
    if (own := subgroup(root, "vars")) is not None:
        layers[""] = own
    if not layers:
        raise FileFault("is an HDF5 file, but contains no weights of Keras. Save them with model.save_weights(...).")
    described = layers_of(config)
    arrays, used = [], set()
    for path in sorted(layers, key=lambda path: (_position(path, described), natural(path))):
        of_layer = _of_layer(path, layers[path], budget, described.get(path, (0, None))[1])
        arrays += of_layer
        used |= {path} if of_layer else set()
    return Contents(format=format_, layout="keras", is_ordered=used <= set(described), arrays=arrays)


def _position(path: str, described: dict[str, tuple[int, dict[str, Any]]]) -> int:
    """Return the position of a layer, or of the layer that it is a part of; after all others, if it is unknown."""
    while path and path not in described:
        path = path.rpartition("/")[0]
    return described[path][0] if path else len(described)


def _of_layer(path: str, group: h5py.Group, budget: Budget, config: dict[str, Any] | None) -> list[FoundArray]:
    names, arrays = [], []
    for key in sorted(group, key=natural):
        dataset = child(group, key)
        if isinstance(dataset, h5py.Dataset):
            name = f"{path}/vars/{key}".removeprefix("/")
            array = read_dataset(dataset, name, budget)
            if array is not None:
                names.append(name)
                arrays.append(array)
    roles = roles_of(path.rpartition("/")[2], [array.shape for array in arrays], config)
    return [
        FoundArray(name=name, layer=path, role=role, array=array)
        for name, role, array in zip(names, roles, arrays, strict=True)
    ]
