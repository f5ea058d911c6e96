"""Read groups, attributes and datasets of an HDF5 file, none of which may refer to anything outside of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, BinaryIO

import h5py
import numpy as np  # at once: readers are imported in the child process alone

from zoo.transfer.readers.contents import FileFault, as_float32, from_bfloat16, is_float

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from zoo.transfer.readers.contents import Budget

_FILTERS = frozenset(
    (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF)
)
_DEEPEST = 64  # groups in groups
_MOST_NAMES = 200_000  # in all groups or attributes
_LONGEST_TEXT = 16 << 20  # bytes
_BFLOAT16 = 2  # bytes


def open_file(file: BinaryIO) -> h5py.File:
    """Open an HDF5 file. All reading goes through the file object."""
    return h5py.File(file, "r")


def child(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return what has a name in a group, or None if there is nothing.

    Raises:
        FileFault: It is a link to something else.
    """
    found: Any = group
    parts = path.split("/")
    if len(parts) > _DEEPEST:
        raise FileFault(f"contains groups nested more than {_DEEPEST} deep.")
    for part in parts:
        if not part or not isinstance(found, h5py.Group) or part in (".", "..") or part not in _names(found):
            return None
        link = found.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = "an external link" if isinstance(link, h5py.ExternalLink) else "a symbolic link"
            raise FileFault(
                f"contains {kind}, {part!r:.100}, which could lead to another file. Save the weights again."
            )
        found = found[part]
    return found if isinstance(found, h5py.Group | h5py.Dataset) else None


def subgroup(group: h5py.Group, path: str) -> h5py.Group | None:
    """Return the group that has a name in a group, or None."""
    found = child(group, path)
    return found if isinstance(found, h5py.Group) else None


def _names(group: h5py.Group) -> Any:
    if len(group) > _MOST_NAMES:
        raise FileFault(f"contains a group of {len(group)} names, but {_MOST_NAMES} is the limit.")
    return group.keys()


def walk(group: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """Iterate over all groups in a group, at any depth, with their paths."""
    waiting, seen = [("", group)], {group.id}
    while waiting:
        path, found = waiting.pop()
        yield path, found
        for name in _names(found):
            within = child(found, name)
            if isinstance(within, h5py.Group):
                if within.id in seen or len(seen) > _MOST_NAMES or path.count("/") >= _DEEPEST:
                    raise FileFault(f"contains the group {name!r:.100} within itself, or too many groups.")
                seen.add(within.id)
                waiting.append((f"{path}/{name}" if path else str(name), within))


def text_attribute(group: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """Return a text that an attribute contains, or None if there is no such attribute, or it is something else."""
    if name not in group.attrs or _attribute_size(group, name) != 1:
        return None
    return _as_text(group.attrs[name])


def list_attribute(group: h5py.Group, name: str) -> list[str] | None:
    """Return a list of texts that one attribute contains, or several, numbered ones; None if there is none."""
    if name in group.attrs:
        names = [name]
    else:
        names = []
        while f"{name}{len(names)}" in group.attrs:
            names.append(f"{name}{len(names)}")
        if not names:
            return None
    found: list[str] = []
    for each in names:
        if len(found) + _attribute_size(group, each) > _MOST_NAMES:
            raise FileFault(f"contains an attribute {each!r} of more than {_MOST_NAMES} names.")
        for value in np.ravel(group.attrs[each]).tolist():
            text = _as_text(value)
            if text is None:
                raise FileFault(
                    f"is damaged: the attribute {each!r} does not consist of names. Download or save it again."
                )
            found.append(text)
    return found


def _attribute_size(group: h5py.Group | h5py.Dataset, name: str) -> int:
    attribute = group.attrs.get_id(name)
    is_empty = attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL
    size = 0 if is_empty else math.prod(map(int, attribute.shape))
    if attribute.dtype.kind == "O" and h5py.check_string_dtype(attribute.dtype) is None:
        raise FileFault(f"contains a reference to an object, in the attribute {name!r:.100}. Save the weights again.")
    if size * max(1, attribute.dtype.itemsize) > _LONGEST_TEXT:
        raise FileFault(f"contains an attribute of more than {_LONGEST_TEXT >> 20} MiB, {name!r:.100}.")
    return size


def _as_text(value: object) -> str | None:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else None


def read_dataset(dataset: h5py.Dataset, name: str, budget: Budget) -> NDArray[np.float32] | None:
    """Read an array of floating-point numbers, or return None if a dataset consists of something else, like counters.

    Raises:
        FileFault: It is not stored in this file, in a usual way, with a size that the budget allows.
    """
    if h5py.check_ref_dtype(dataset.dtype) is not None:
        raise FileFault(f"contains references to objects, in {name!r:.100}. Save the weights again.")
    is_bfloat16 = dataset.dtype.itemsize == _BFLOAT16 and text_attribute(dataset, "dtype") == "bfloat16"
    if not is_float(dataset) and not is_bfloat16:
        return None
    properties = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual or properties.get_layout() == h5py.h5d.VIRTUAL:
        raise FileFault(f"stores {name!r:.100} in another file. Save the weights again, into one file.")
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if unknown := sorted(filters - _FILTERS):
        raise FileFault(
            f"stores {name!r:.100} with a compression that is not supported. Save the weights without compression. "
            f"Received: HDF5 filters {unknown}"
        )
    if dataset.shape is None:
        raise FileFault(f"is damaged: {name!r:.100} has no shape. Download or save it again.")
    budget.add(name, dataset.shape)
    if dataset.chunks is not None:
        budget.check(4 * math.prod(dataset.chunks), f"{name!r} with chunks={dataset.chunks!r:.100}")
    if dataset.size and not dataset.id.get_storage_size():
        raise FileFault(f"is damaged: {name!r:.100} has no values. Download or save it again.")
    values = dataset[()]
    if is_bfloat16:
        bits = np.ascontiguousarray(values).view(np.uint16).reshape(values.shape)
        return from_bfloat16(bits)
    return as_float32(np.asarray(values))
