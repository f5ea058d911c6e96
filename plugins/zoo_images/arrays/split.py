"""Makes a split of arrays in files: reads and converts them, and cuts the parts that are not there."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.arrays.class_names import read_class_names
from zoo_images.arrays.conversion import NEARLY_BLACK, to_pixels
from zoo_images.arrays.duplicates import warn_of_copies
from zoo_images.arrays.label_numbers import number_labels
from zoo_images.arrays.labeled import Labeled
from zoo_images.arrays.names import CLASS_NAMES, Role
from zoo_images.arrays.stored_arrays import is_ambiguous

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split
    from zoo_images.arrays.stored_arrays import StoredArray
    from zoo_images.splitting import Sampling

_PARTS = ("", "train", "test", "validation")


def make_split(
    arrays: Mapping[Role, StoredArray],
    path: Path,
    *,
    digests: Mapping[str, str],
    class_names: tuple[str, ...] | None = None,
    test_share: float = 0.0,
    validation_share: float = 0.0,
    sampling: Sampling = "natural",
) -> Split:
    """Return the split of arrays whose headers were checked by `zoo_images.arrays.stored_arrays.check_headers`.

    One warning reports every conversion, others report copies, images that are nearly black, and
    those whose channels may be first.

    Args:
        arrays: The arrays.
        path: File or folder of all of them.
        digests: SHA-256 of each file.
        class_names: Names of the classes; None for the array of them, or else the labels themselves.
        test_share: Share of each class used for testing, if there are no test images.
        validation_share: Share of the rest used for validation, if there are no validation images.
        sampling: As for `zoo.Split`.

    Raises:
        DataError: The content of an array is invalid, or a class has too few images.
    """
    if CLASS_NAMES in arrays:
        class_names = read_class_names(arrays[CLASS_NAMES])
    parts = [part for part in _PARTS if Role(part, "images") in arrays]
    of_labels = {part: arrays[Role(part, "labels")] for part in parts}
    numbered = number_labels(
        {part: each.read() for part, each in of_labels.items()},
        class_names,
        {part: each.title for part, each in of_labels.items()},
        path,
    )
    images, done = _read_images({part: arrays[Role(part, "images")] for part in parts}, path)
    if done := (*done, *numbered.done):
        warnings.warn(f"{shown(path)} was converted as it was read: {'; '.join(done)}.", ZooWarning, stacklevel=3)
    labeled = {
        part: Labeled(
            images[part],
            numbered.labels[part],
            numbered.class_names,
            f"{shown(path)}, {part}_images and labels" if part else f"{shown(path)}, all images and labels",
            path,
        )
        for part in parts
    }
    warn_of_copies(
        {part: each.digests for part, each in labeled.items()},
        {part: each.examples.labels for part, each in labeled.items()},
        shown(path),
    )
    train, test, validation = labeled[parts[0]], labeled.get("test"), labeled.get("validation")
    if test is None:
        split = train.split_off(test_share, validation_share, digests=digests, validation=validation)
    else:
        split = train.beside(test, validation, validation_share, digests=digests)
    return replace(split, sampling=sampling)


def _read_images(arrays: Mapping[str, StoredArray], path: Path) -> tuple[dict[str, NDArray[np.uint8]], tuple[str, ...]]:
    """Return the images of each part, and what was done to them."""
    found = {part: to_pixels(array.read(), array.title, array.path) for part, array in arrays.items()}
    if len({each.scale for each in found.values()}) > 1:  # some of them would be nearly black
        told = [f"{arrays[part].title} from 0 to {255 // each.scale}" for part, each in found.items()]
        raise DataError(
            f"{shown(path)} has images with different ranges. Save all of them with the same range. "
            f"Received: {', '.join(told):.500}",
            path=path,
        )
    brightest = max(each.largest for each in found.values())
    real = [arrays[part] for part, each in found.items() if arrays[part].dtype.kind == "f" and each.scale == 1]
    highest = max(each.highest for each in found.values())
    if real and highest <= NEARLY_BLACK:
        raise DataError(
            f"{real[0].title} must have pixels from 0 to 255 or, as floating-point numbers, from 0 to 1, but they have "
            "another range, in which they would be nearly black. Scale them to 0 to 1 or to 0 to 255, the same for all "
            f"images. Received: dtype={real[0].dtype}, values up to {highest:g}",
            path=real[0].path,
        )
    limit = NEARLY_BLACK if brightest <= NEARLY_BLACK else 1  # one split alone may be dark, but not with 0 and 1 alone
    if dark := {arrays[part].title: each.largest for part, each in found.items() if 0 < each.largest <= limit}:
        largest = max(dark.values())
        values = "with no other values than 0 and 1" if largest == 1 else f"with no value above {largest}"
        cure = "Save them as booleans, which zoo multiplies by 255, or multiply them by 255."
        cure = cure if largest == 1 else "Scale them to 0 to 255, the same for all images."
        warnings.warn(
            f"{', '.join(dark)}: images {values} are nearly black, because pixels are from 0 to 255. {cure}",
            ZooWarning,
            stacklevel=4,
        )
    first = next(iter(arrays.values()))
    if is_ambiguous(first.shape):
        _, height, width, channels = first.shape
        warnings.warn(
            f"{first.title}: images of shape {first.shape[1:]} are read as {height}x{width} pixels with {channels} "
            "channels. If their channels are first, save numpy.moveaxis(images, 1, 3).",
            ZooWarning,
            stacklevel=4,
        )
    images = {part: each.images for part, each in found.items()}
    return images, tuple(dict.fromkeys(clause for each in found.values() for clause in each.done))
