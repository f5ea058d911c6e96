"""Muon, extended to the kernels of convolutions.

Keras's Muon handles only matrices. Most of the work in the networks here is in convolutions, and Jordan's original
treats their kernels as matrices with one column per output channel.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Muon(keras.optimizers.Muon):  # type: ignore[misc]  # Keras ships no types
    """`keras.optimizers.Muon` for the kernels of dense and convolution layers, and AdamW for everything else.

    Everything else is biases, scales, depthwise kernels, and the output layer's kernel, which is the last one (Jordan,
    https://kellerjordan.github.io/posts/muon/). Updates are scaled so that a learning rate and weight decay that suit
    AdamW also suit Muon (Liu et al., arXiv:2502.16982).
    """

    def build(self, var_list: list[keras.Variable]) -> None:
        """Create the optimizer's variables for those of a model."""
        kernels = [variable.path for variable in var_list if _is_kernel(variable)]
        self._output_kernel = kernels[-1] if kernels else None
        super().build(var_list)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Return a kernel orthogonalized as a matrix: approximately the orthogonal matrix closest to it."""
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

    def lr_adjust(self, x: Any) -> Any:
        """Return an update scaled by the square root of the longer side of its matrix."""
        return ops.reshape(super().lr_adjust(ops.reshape(x, (-1, x.shape[-1]))), x.shape)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return not _is_kernel(variable) or variable.path == self._output_kernel


def _is_kernel(variable: keras.Variable) -> bool:
    return len(variable.shape) in (2, 4) and variable.shape[-1] > 1
