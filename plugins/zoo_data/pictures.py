"""Pictures of images for a page: small PNG files, limited in number and bytes."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo_data.parts import Part

_SIDE = 64  # pixels of the longer side; smaller images are not enlarged
_MOST = 300
_BYTES = 2_600_000  # of all pictures, as text; the page adds less than 400,000


class Pictures:
    """Makes pictures until their number or their size reaches the limit.

    Args:
        parts: The parts of the dataset.
    """

    def __init__(self, parts: list[Part]) -> None:
        """Make no picture yet."""
        self._parts = {part.name: part for part in parts}
        self._made: dict[tuple[str, int], str] = {}
        self._count = self._bytes = 0

    def address(self, part: str, index: int) -> str | None:
        """Return the ``data:`` address of an image, or None if the page has no room for it.

        Raises:
            DataError: The image cannot be read any more.
        """
        import numpy as np

        if self._count >= _MOST:
            return None
        if (part, index) not in self._made:
            images, _ = self._parts[part].examples[np.array([index])]
            self._made[part, index] = _address(images[0])
        made = self._made[part, index]
        if self._bytes + len(made) > _BYTES:
            return None
        self._count, self._bytes = self._count + 1, self._bytes + len(made)
        return made


def _address(image: NDArray[np.uint8]) -> str:
    from PIL import Image

    channels = image.shape[-1]
    shown = image if channels == 3 else image[..., 0] if channels == 1 else image.mean(axis=-1).astype(image.dtype)
    picture = Image.fromarray(shown)
    picture.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
