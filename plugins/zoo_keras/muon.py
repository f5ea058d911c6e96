"""Muon for kernels of convolutions too.

Keras's own takes matrices alone. In the networks here most of the work is in convolutions, and Jordan's original takes
their kernels as matrices, each output channel a column.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Muon(keras.optimizers.Muon):  # type: ignore[misc]  # Keras ships no types
    """`keras.optimizers.Muon` for the kernels of dense layers and convolutions; AdamW for all else.

    All else is biases, scales, depthwise kernels, and the kernel of the output layer, the last of the variables
    (Jordan, https://kellerjordan.github.io/posts/muon/). Steps are scaled so that the learning rate and weight decay
    that suit AdamW suit them (Liu et al., arXiv:2502.16982).
    """

    def build(self, var_list: list[keras.Variable]) -> None:
        """Make the optimizer's variables for a model's."""
        kernels = [variable.path for variable in var_list if _is_kernel(variable)]
        self._output_kernel = kernels[-1] if kernels else None
        super().build(var_list)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Return a kernel whose matrix is nearly orthogonal and closest to that of another."""
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

    def lr_adjust(self, x: Any) -> Any:
        """Return a step scaled by the root of the longer side of its matrix."""
        return ops.reshape(super().lr_adjust(ops.reshape(x, (-1, x.shape[-1]))), x.shape)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return not _is_kernel(variable) or variable.path == self._output_kernel


def _is_kernel(variable: keras.Variable) -> bool:
    return len(variable.shape) in (2, 4) and variable.shape[-1] > 1
