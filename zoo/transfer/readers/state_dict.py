"""Names and roles of the arrays of a PyTorch model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PREFIXES = ("module.", "model.", "_orig_mod.")  # of wrapped models
_MEAN, _VARIANCE = "running_mean", "running_var"


def without_prefixes(names: Iterable[str]) -> dict[str, str]:
    """Return the names without the prefixes that all of them have from being wrapped, keyed by the full names."""
    short = {name: name for name in names}
    while prefix := next(
        (each for each in _PREFIXES if short and all(name.startswith(each) for name in short.values())), None
    ):
        short = {full: name.removeprefix(prefix) for full, name in short.items()}
    return short


def roles_of(dimensions: Mapping[str, int]) -> dict[str, tuple[str, str]]:
    """Return the layer and the role of each array.

    Args:
        dimensions: Number of dimensions of each array, keyed by name.
    """
    return {name: _role_of(name, dimensions) for name in dimensions}


def _role_of(name: str, dimensions: Mapping[str, int]) -> tuple[str, str]:
    layer, dot, leaf = name.rpartition(".")
    start = layer + dot
    weight = dimensions.get(f"{start}weight")
    is_normalization = weight == 1 or any(f"{start}{each}" in dimensions for each in (_MEAN, _VARIANCE))
    if leaf == "weight" and weight:
        role = "gamma" if is_normalization else "kernel"
    elif leaf == "bias":
        role = "beta" if is_normalization else "bias"
    else:
        role = {_MEAN: "moving_mean", _VARIANCE: "moving_variance"}.get(leaf, leaf)
    return layer, role
