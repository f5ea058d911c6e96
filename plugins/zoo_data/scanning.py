"""One pass over all images of a dataset, in batches: what is kept of each is a kilobyte, whatever its size.

Of test images, only their labels and what finds copies is kept: their brightness and color are not looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_data.parts import TEST
from zoo_data.pixels import PixelCounter
from zoo_data.thumbnails import thumbnails_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo_data.parts import Part
    from zoo_data.records import Pixels

_AT_ONCE = 8 << 20  # bytes of images that are read at once
_DIGEST = 16  # bytes: copies by chance do not occur


@dataclass(frozen=True, kw_only=True)
class Scan:
    """All images of a dataset, part after part.

    Args:
        shape: Height, width and channels of the images.
        part_of: ``(n,)`` int8, the position of its part in the list of parts.
        index: ``(n,)`` int64, the position of the image in its part.
        labels: ``(n,)`` int64.
        digests: ``(n,)``, 16 bytes each, of the pixels: equal for equal images.
        thumbnails: ``(n, height, width)`` uint8, at most 32 pixels a side, in gray.
        colors: ``(n, channels)`` float32, mean of each channel.
        pixels: Brightness and color of training and validation images.
    """

    shape: tuple[int, int, int]
    part_of: NDArray[np.int8]
    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    digests: NDArray[np.void]
    thumbnails: NDArray[np.uint8]
    colors: NDArray[np.float32]
    pixels: Pixels


def scan(parts: Sequence[Part]) -> Scan:
    """Read every image of the parts once.

    Raises:
        DataError: An image cannot be read, or differs in shape from the others.
    """
    import numpy as np

    first, _ = parts[0].examples[np.arange(1)]
    shape = first.shape[1:]
    step = max(1, min(1024, _AT_ONCE // first[0].size))
    counter = PixelCounter(shape)
    labels, digests, thumbnails, colors = [], [], [], []
    for part in parts:
        for start in range(0, len(part.examples), step):
            images, found = part.examples[np.arange(start, min(start + step, len(part.examples)))]
            labels.append(found.astype(np.int64))
            digests.append(b"".join(hashlib.blake2b(each, digest_size=_DIGEST).digest() for each in _rows(images)))
            thumbnails.append(thumbnails_of(images))
            colors.append(_mean_colors(images))
            if part.name != TEST:
                counter.add(images)
    sizes = [len(part.examples) for part in parts]
    return Scan(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        part_of=np.repeat(np.arange(len(parts), dtype=np.int8), sizes),
        index=np.concatenate([np.arange(size) for size in sizes]),
        labels=np.concatenate(labels),
        digests=np.frombuffer(b"".join(digests), f"V{_DIGEST}"),
        thumbnails=np.concatenate(thumbnails),
        colors=np.concatenate(colors),
        pixels=counter.result(),
    )


def _mean_colors(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each channel, channel by channel, which is much faster than of all at once."""
    import numpy as np

    means = [images[..., channel].mean(axis=(1, 2), dtype=np.float32) for channel in range(images.shape[-1])]
    return np.stack(means, axis=1)


def _rows(images: NDArray[np.uint8]) -> list[memoryview]:
    import numpy as np

    return [memoryview(image).cast("B") for image in np.ascontiguousarray(images)]
