"""Arrays of weights files as the weights of a Keras layer: kernels of PyTorch transposed, channels summed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.models.layers import named_layers

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from zoo.transfer.weights_file import WeightsArray


_UNNAMED = re.compile(r"variable(_\d+)?")  # Keras's automatic names of weights


@dataclass(frozen=True, kw_only=True)
class Target:
    """A weight of a model, for which a weights file may have an array.

    Args:
        layer: Name of its layer, from `named_layers`.
        role: Its name in the layer: ``"kernel"``, ``"moving_mean"``, ``"query/kernel"``.
        variable: The variable.
        is_depthwise: Whether it is the kernel of a depthwise convolution.
        flattened: Height, width and channels of the features that its dense layer receives flattened; None if it
            receives none of more than one position.
        is_first: Whether it is the first kernel of the model, which receives the image's channels.
    """

    layer: str
    role: str
    variable: keras.Variable
    is_depthwise: bool = False
    flattened: tuple[int, int, int] | None = None
    is_first: bool = False

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
        for variable in layer.weights:
            role = _role(layer, variable)
            is_kernel = role.endswith("kernel")
            found.append(
                Target(
                    layer=name,
                    role=role,
                    variable=variable,
                    is_depthwise=is_kernel
                    and (isinstance(layer, layers.DepthwiseConv2D) or role.startswith("depthwise")),
                    flattened=_flattened(layer) if is_kernel and isinstance(layer, layers.Dense) else None,
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


def _flattened(layer: keras.layers.Layer) -> tuple[int, int, int] | None:
    """Return the shape of the features that reach a dense layer through a `Flatten`."""
    from keras import layers

    try:
        tensor = layer.input
        while tensor is not None:
            operation = tensor._keras_history.operation  # Keras has no public way to what computed a tensor
            if operation is None or isinstance(operation, layers.InputLayer):
                return None
            if isinstance(operation, layers.Flatten):
                shape = tuple(operation.input.shape[1:])
                return shape if len(shape) == 3 and shape[0] * shape[1] > 1 and None not in shape else None
            if getattr(operation, "weights", None):
                return None
            tensor = operation.input if not isinstance(operation.input, list) else None
    except (AttributeError, ValueError):  # it was called several times, or never
        return None
    return None


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
    if target.is_first and value.ndim == 4 and target.shape[2:3] == (1,) and value.shape[2] > 1:
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
        if target.flattened is None or value.shape[1] != target.shape[0]:
            return value.T, "transposed"
        height, width, channels = target.flattened
        features = value.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)
        return features.reshape(-1, value.shape[0]), "transposed, features reordered"
    if wanted == 1 and value.size == max(value.shape, default=0):
        return value.reshape(-1), ""
    return value, ""
