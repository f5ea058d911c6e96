"""Arrays of weights files as the weights of a Keras layer: kernels of PyTorch transposed, channels summed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.models.graph import flattened_features
from zoo.models.layers import named_layers

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from zoo.models.graph import Features
    from zoo.transfer.weights_file import WeightsArray


_COLORS = 3
_UNNAMED = re.compile(r"variable(_\d+)?")  # Keras's automatic names of weights


@dataclass(frozen=True, kw_only=True)
class Target:
    """A weight of a model, for which a weights file may have an array.

    Args:
        layer: Name of its layer, from `named_layers`.
        role: Its name in the layer: ``"kernel"``, ``"moving_mean"``, ``"query/kernel"``.
        variable: The variable.
        is_depthwise: Whether it is the kernel of a depthwise convolution.
        flattened: Height, width and channels of the features that its layer receives flattened, ``"unknown"`` if that
            cannot be told; None if it receives none.
        is_first: Whether it is the first kernel of the model, which receives the image's channels.
    """

    layer: str
    role: str
    variable: keras.Variable
    is_depthwise: bool = False
    flattened: Features = None
    is_first: bool = False

    @property
    def is_of_features(self) -> bool:
        """Whether it has a value for each feature that its layer receives, as a normalization's weights have."""
        return self.role in ("gamma", "beta", "moving_mean", "moving_variance")

    @property
    def name(self) -> str:
        """Layer and role: ``"conv2d/kernel"``."""
        return f"{self.layer}/{self.role}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight."""
        return tuple(self.variable.shape)


def targets_of(model: keras.Model) -> list[Target]:
    """Return the weights of a model in the order of ``model.weights``, layer by layer."""
    from keras import layers

    found: list[Target] = []
    for name, layer in named_layers(model).items():
        features = flattened_features(model, layer) if len(layer.weights[0].shape) <= 2 else None
        for variable in layer.weights:
            if "float" not in str(variable.dtype):
                continue  # a counter, which files of weights need not have
            role = _role(layer, variable)
            is_kernel = role.endswith("kernel")
            found.append(
                Target(
                    layer=name,
                    role=role,
                    variable=variable,
                    is_depthwise=is_kernel
                    and (isinstance(layer, layers.DepthwiseConv2D) or role.startswith("depthwise")),
                    flattened=features,
                    is_first=is_kernel and not any(target.role.endswith("kernel") for target in found),
                )
            )
    return found


def _role(layer: keras.layers.Layer, variable: keras.Variable) -> str:
    parts = variable.path.split("/")
    if layer.name not in parts:
        return str(variable.name)
    last = len(parts) - 1 - parts[::-1].index(layer.name)
    return "/".join(parts[last + 1 :]) or str(variable.name)


def convert(array: WeightsArray, layout: str, target: Target) -> tuple[NDArray[Any], str] | None:
    """Return an array as the value of a weight, with what was done to it, or None if it does not fit.

    Args:
        array: The array.
        layout: How the file that it comes from lays out kernels: ``"keras"`` or ``"pytorch"``.
        target: The weight.
    """
    value, how = (array.array, "") if layout == "keras" else _from_pytorch(array.array, target)
    if value is None:
        return None
    if target.is_first and value.ndim == 4 and target.shape[2:3] == (1,) and value.shape[2] == _COLORS:
        value, how = value.sum(axis=2, keepdims=True), f"{how}, channels summed".removeprefix(", ")
    return (value, how) if value.shape == target.shape else None


def is_same_role(role: str, other: str) -> bool:
    """Return whether two libraries, or versions of Keras, mean the same by these names of weights."""
    last = other.rpartition("/")[2]
    is_unnamed = _UNNAMED.fullmatch(role.lower()) and _UNNAMED.fullmatch(last)
    return role in (other, last) or {role, last} == {"kernel", "depthwise_kernel"} or bool(is_unnamed)


def _from_pytorch(value: NDArray[Any], target: Target) -> tuple[NDArray[Any] | None, str]:
    """Return an array of PyTorch's layout in Keras's: kernels are (out, in, height, width), dense ones (out, in)."""
    wanted, sides = len(target.shape), value.ndim
    if target.is_depthwise and sides == 4 and value.shape[1] == 1:
        multiplier = target.shape[-1]
        if value.shape[0] % multiplier:
            return None, ""
        parts = value.reshape(-1, multiplier, *value.shape[2:])
        return parts.transpose(2, 3, 0, 1), "depthwise kernel transposed"
    if wanted == sides == 4:
        return value.transpose(2, 3, 1, 0), "kernel transposed"
    if wanted == 4 and sides == 2:
        return value.T[None, None], "dense kernel transposed to 1x1"
    if wanted == 2 and sides == 4 and value.shape[2:] == (1, 1):
        return value[:, :, 0, 0].T, "1x1 kernel transposed to dense"
    if wanted == sides == 2:
        if not isinstance(target.flattened, tuple) or value.shape[1] != math.prod(target.flattened):
            return value.T, "transposed"
        return _channels_last(value.T, target.flattened), "transposed, features reordered"
    if wanted == 1 and value.size == max(value.shape, default=0):
        if isinstance(target.flattened, tuple) and value.size == math.prod(target.flattened) and target.is_of_features:
            return _channels_last(value.reshape(-1), target.flattened), "features reordered"
        return value.reshape(-1), ""
    return value, ""


def _channels_last(value: NDArray[Any], features: tuple[int, int, int]) -> NDArray[Any]:
    """Return values of features that were flattened with channels first, in the order of channels last."""
    height, width, channels = features
    maps = value.reshape(channels, height, width, *value.shape[1:])
    return maps.swapaxes(0, 1).swapaxes(1, 2).reshape(value.shape)
