"""Brightness and color of images, added up batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_data.records import Pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLANK = 2.0  # standard deviation of brightness, of 255, up to which an image is of one brightness
_DARK, _BRIGHT = 32, 223  # an image is dark if nearly all of its pixels are below, bright if they are above
_NEARLY_ALL = 0.98
_COLORLESS = 4  # difference of channels that is not seen, and that JPEG leaves in gray images


class PixelCounter:
    """Adds up the pixels of images.

    Args:
        shape: Height, width and channels of the images.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Start with no images."""
        import numpy as np

        channels = shape[-1]
        self._values = shape[0] * shape[1]
        self._sum, self._squares = np.zeros(channels), np.zeros(channels)
        self._images = self._gray = self._blank = self._dark = self._bright = 0
        self._darkest, self._brightest = 255, 0

    def add(self, images: NDArray[np.uint8]) -> None:
        """Add images ``(n, height, width, channels)``."""
        import numpy as np

        values = np.arange(256, dtype=np.float64)
        for channel in range(images.shape[-1]):  # exact, and without an array of floats
            counts = np.bincount(images[..., channel].ravel(), minlength=256)
            self._sum[channel] += counts @ values
            self._squares[channel] += counts @ values**2
        self._images += len(images)
        self._darkest = min(self._darkest, int(images.min()))
        self._brightest = max(self._brightest, int(images.max()))
        if images.shape[-1] == 3:
            red, green, blue = (images[..., channel] for channel in range(3))  # much faster than along the last axis
            spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
            self._gray += int((spread.max(axis=(1, 2)) <= _COLORLESS).sum())
        flat = images.reshape(len(images), -1)
        blank = flat.std(axis=1, dtype=np.float32) <= _BLANK
        self._blank += int(blank.sum())
        self._dark += int((((flat < _DARK).mean(axis=1) >= _NEARLY_ALL) & ~blank).sum())
        self._bright += int((((flat > _BRIGHT).mean(axis=1) >= _NEARLY_ALL) & ~blank).sum())

    def result(self) -> Pixels:
        """Return what the images added up to."""
        import numpy as np

        count = max(1, self._images * self._values)
        mean = self._sum / count
        return Pixels(
            images=self._images,
            mean=mean.tolist(),
            deviation=np.sqrt(np.maximum(self._squares / count - mean**2, 0)).tolist(),
            darkest=self._darkest,
            brightest=self._brightest,
            gray=self._gray,
            blank=self._blank,
            dark=self._dark,
            bright=self._bright,
        )
