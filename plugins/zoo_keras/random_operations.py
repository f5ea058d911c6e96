"""Layers that apply random operations to images: RandAugment, AugMix and blur, for a whole batch at once.

Keras's `RandAugment` computes each of its operations for the whole batch and keeps one; its `AugMix` chooses operations
when the step is traced, so every step applies the same ones; its `RandomGaussianBlur` draws one width per batch. Here
every image has its own operations: those that move pixels are combined into one warp, and those that change values are
cheap.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from zoo_keras.augmentation_layers import LUMA, Changing

_MOVES = ("shear x", "shear y", "translate x", "translate y", "rotate")
_OTHERS = ("brightness", "contrast", "saturation", "sharpness", "solarize", "posterize", "autocontrast")
_COUNT = len(_MOVES) + len(_OTHERS)
_MOST_SHEAR, _MOST_TRANSLATION, _MOST_ROTATION = 0.3, 0.3, math.radians(30)  # at strength 1


class _RandomOperations(Changing):
    """Base of layers that apply random operations of random strength to each image."""

    def __init__(self, strength: float) -> None:
        """Store the maximum strength, 0 to 1."""
        super().__init__(1.0)
        self._strength = strength

    def _apply(self, images: Any, operations: int, depths: Any = None) -> Any:
        """Apply ``operations`` random operations to each image; of these, the first ``depths`` (n,) if given."""
        count = ops.shape(images)[0]
        a, b, c, d = ops.ones((count,)), ops.zeros((count,)), ops.zeros((count,)), ops.ones((count,))
        x, y = ops.zeros((count,)), ops.zeros((count,))
        for number in range(operations):
            drawn = ops.floor(self._uniform((count,), 0.0, _COUNT))
            signed = self._uniform((count,), -self._strength, self._strength)
            is_used = ops.ones((count,), "bool") if depths is None else number < depths
            chosen = {
                name: ops.logical_and(ops.equal(drawn, place), is_used) for place, name in enumerate(_MOVES + _OTHERS)
            }
            moves = {name: ops.where(chosen[name], signed, 0.0) for name in _MOVES}
            angle = moves["rotate"] * _MOST_ROTATION
            cosine, sine = ops.cos(angle), ops.sin(angle)
            shear_x, shear_y = moves["shear x"] * _MOST_SHEAR, moves["shear y"] * _MOST_SHEAR
            # at most one of them differs from the identity, so their order does not matter
            e, f, g, h = cosine, shear_x - sine, shear_y + sine, cosine
            a, b, c, d = a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h
            x, y = x + moves["translate x"] * _MOST_TRANSLATION, y + moves["translate y"] * _MOST_TRANSLATION
            images = self._values_changed(images, chosen, signed)
        return _warped(images, (a, b, c, d), (x, y))

    def _values_changed(self, images: Any, chosen: dict[str, Any], signed: Any) -> Any:
        amount = ops.reshape(signed, (-1, 1, 1, 1))
        size = ops.abs(amount)
        low, high, mean = (f(images, axis=(1, 2, 3), keepdims=True) for f in (ops.amin, ops.amax, ops.mean))
        stretch = 1.0 / ops.maximum(high - low, 1e-3)

        def where(name: str, value: Any, otherwise: Any = 0.0) -> Any:
            return ops.where(ops.reshape(chosen[name], (-1, 1, 1, 1)), value, otherwise)

        # what is linear, in one sum: the factors of an operation that is not chosen are 0
        contrast, sharpness = where("contrast", amount), where("sharpness", amount * (9 / 13))
        factor = 1.0 + contrast + sharpness + where("autocontrast", stretch - 1.0)
        offset = where("brightness", amount) - contrast * mean - where("autocontrast", stretch * low)
        nearby = ops.average_pool(images, 3, 1, "same", data_format="channels_last")
        if images.shape[-1] == 3:
            saturation = where("saturation", amount)
            gray = ops.sum(images * ops.convert_to_tensor(LUMA), axis=-1, keepdims=True)
            changed = (factor + saturation) * images + (offset - saturation * gray) - sharpness * nearby
        else:
            changed = factor * images + offset - sharpness * nearby
        changed = ops.clip(changed, 0.0, 1.0)
        # and what is not
        changed = ops.where(changed > where("solarize", 1.0 - size, 1.0), 1.0 - changed, changed)
        levels = ops.exp2(ops.round(8.0 - 6.0 * size)) - 1.0  # 8 to 2 bits
        return where("posterize", ops.round(changed * levels) / levels, changed)


class RandAugment(_RandomOperations):
    """Applies random operations to each training image (Cubuk et al., arXiv:1909.13719).

    Args:
        operations: Number of operations.
        strength: Their maximum strength, 0 to 1.
    """

    def __init__(self, operations: int, strength: float) -> None:
        """Store the settings."""
        super().__init__(strength)
        self._operations = operations

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], changed during training."""
        return self._apply(images, self._operations) if training else images


class AugMix(_RandomOperations):
    """Blends each training image with versions of it changed by random operations (Hendrycks et al., arXiv:1912.02781).

    The shares of the versions are uniform over all possible shares, as is that of the unchanged image.

    Args:
        chains: Number of versions.
        depth: Maximum number of operations for a version.
        strength: Maximum strength of the operations, 0 to 1.
    """

    def __init__(self, chains: int, depth: int, strength: float) -> None:
        """Store the settings."""
        super().__init__(strength)
        self._chains, self._depth = chains, depth

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], blended during training."""
        if not training:
            return images
        count = ops.shape(images)[0]
        shares = -ops.log(self._uniform((count, self._chains), 1e-7, 1.0))  # their quotients are Dirichlet with alpha 1
        shares = shares / ops.sum(shares, axis=1, keepdims=True)
        mixed: Any = 0.0
        for chain in range(self._chains):
            depths = 1.0 + ops.floor(self._uniform((count,), 0.0, self._depth))
            share = ops.reshape(shares[:, chain], (-1, 1, 1, 1))
            mixed = mixed + share * self._apply(images, self._depth, depths)
        kept = self._per_image(images)
        return kept * images + (1.0 - kept) * mixed


class Blur(Changing):
    """Blurs some training images with a Gaussian of 3x3 pixels.

    Args:
        share: Share of the images, 0 to 1.
        sigma: Maximum standard deviation of the Gaussian in pixels; each image has its own.
    """

    def __init__(self, share: float, sigma: float) -> None:
        """Store the settings."""
        super().__init__(share)
        self._sigma = sigma

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)``, some blurred during training."""
        if not training:
            return images
        sigma = self._per_image(images, 0.1, max(self._sigma, 0.1))
        return ops.where(self._chosen(images), _blurred(images, sigma), images)


def _blurred(images: Any, sigma: Any) -> Any:
    """Return images convolved with a Gaussian of 3x3 pixels; pixels outside repeat the nearest ones."""
    side = ops.exp(-0.5 / (sigma * sigma))
    middle, side = 1.0 / (1.0 + 2.0 * side), side / (1.0 + 2.0 * side)
    rows = ops.concatenate([images[:, :1], images, images[:, -1:]], axis=1)
    images = middle * images + side * (rows[:, :-2] + rows[:, 2:])
    columns = ops.concatenate([images[:, :, :1], images, images[:, :, -1:]], axis=2)
    return middle * images + side * (columns[:, :, :-2] + columns[:, :, 2:])


def _warped(images: Any, matrix: tuple[Any, Any, Any, Any], shift: tuple[Any, Any]) -> Any:
    """Return images whose pixels are moved: around the center by a matrix, and by a share of the size."""
    _, height, width, _ = images.shape
    (a, b, c, d), (x, y) = matrix, shift
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    right = center_x - a * center_x - b * center_y + x * width
    down = center_y - c * center_x - d * center_y + y * height
    zero = ops.zeros_like(a)
    transform = ops.stack([a, b, right, c, d, down, zero, zero], axis=1)
    return keras.ops.image.affine_transform(
        images, transform, interpolation="bilinear", fill_mode="constant", data_format="channels_last"
    )
