"""ONNX models: the constants of the graph's operations, in the order of the operations. Needs the extra ``onnx``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np  # at once: readers are imported in the child process alone
import onnx

from zoo.transfer.readers.contents import Contents, FileFault, FoundArray, as_float32
from zoo.transfer.readers.onnx_constants import Constants

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.transfer.readers.contents import Budget, Source

_NORMALIZATIONS = {
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "InstanceNormalization": ("gamma", "beta"),
    "LayerNormalization": ("gamma", "beta"),
    "GroupNormalization": ("gamma", "beta"),
}
_REARRANGING = ("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast")  # keep every value
_OTHERS = ("Mul", "Div", "Add", "Sub", "PRelu", "Gather")  # may have weights
_NESTED = ("If", "Loop", "Scan")
_LEAVES = ("weight", "bias", "running_mean", "running_var")


def read(source: Source, budget: Budget) -> Contents:
    """Read an ONNX model.

    Raises:
        FileFault: It cannot be used.
    """
    try:
        model = onnx.load_model_from_string(source.file.read())
    except Exception as error:  # of the library's, or of protobuf's, which it does not wrap
        raise FileFault(f"is not a valid ONNX model: {error!s:.200}. Download or export it again.") from None
    graph = _Graph(Constants(model.graph, budget))
    for node in model.graph.node:
        graph.visit(node)
    if not graph.arrays:
        raise FileFault(
            "contains no weights: no operation of the ONNX model has constants. Export the model with them."
        )
    return Contents(format="ONNX", layout="pytorch", is_ordered=True, arrays=graph.arrays)


class _Graph:
    """The arrays of a graph, while its nodes are visited."""

    def __init__(self, constants: Constants) -> None:
        self.arrays: list[FoundArray] = []
        self._constants = constants
        self._without_bias: dict[str, tuple[str, int]] = {}  # layer and units, by the name of its output
        self._visits: dict[str, Callable[[onnx.NodeProto], None]] = {
            **dict.fromkeys(("Conv", "ConvTranspose"), self._convolution),
            **dict.fromkeys(_NORMALIZATIONS, self._normalization),
            **dict.fromkeys(_REARRANGING, self._rearranging),
            **dict.fromkeys(_OTHERS, self._other),
            **dict.fromkeys(_NESTED, self._nested),
            "Gemm": self._gemm,
            "MatMul": self._matmul,
        }

    def visit(self, node: onnx.NodeProto) -> None:
        """Visit a node."""
        self._constants.visit(node)
        if node.op_type in self._visits and node.input and node.output:
            self._visits[node.op_type](node)

    def _constant(self, node: onnx.NodeProto, position: int) -> str | None:
        """Return the name of an input, if it is a constant."""
        name = node.input[position] if position < len(node.input) else ""
        return name if name in self._constants else None

    def _nested(self, node: onnx.NodeProto) -> None:
        raise FileFault(
            f"contains the operation {node.op_type}, whose weights cannot be read. Export the model without it."
        )

    def _convolution(self, node: onnx.NodeProto) -> None:
        if (kernel := self._constant(node, 1)) is None:
            raise FileFault(
                f"contains the {node.op_type} {_name(node)!r:.200}, whose kernel is not a constant, for example since "
                f"it is quantized. Export a float model."
            )
        self._append(node, kernel, "kernel")
        if (bias := self._constant(node, 2)) is not None:
            self._append(node, bias, "bias")
        elif node.op_type == "Conv":
            self._expect_bias(node)

    def _normalization(self, node: onnx.NodeProto) -> None:
        for position, role in enumerate(_NORMALIZATIONS[node.op_type], start=1):
            if (name := self._constant(node, position)) is not None:
                self._append(node, name, role)

    def _gemm(self, node: onnx.NodeProto) -> None:
        if (kernel := self._constant(node, 1)) is None:
            return
        attributes = {attribute.name: attribute for attribute in node.attribute}
        alpha, beta = (attributes[name].f if name in attributes else 1.0 for name in ("alpha", "beta"))
        is_transposed = "transB" in attributes and attributes["transB"].i != 0
        self._append(node, kernel, "kernel", transpose=not is_transposed, factor=alpha)
        if (bias := self._constant(node, 2)) is not None:
            self._append(node, bias, "bias", factor=beta, is_flat=True)
        else:
            self._expect_bias(node)

    def _matmul(self, node: onnx.NodeProto) -> None:
        kernel = self._constant(node, 1)
        if kernel is None or self._constant(node, 0) is not None or len(self._constants.shape(kernel)) != 2:
            self._other(node)
            return
        self._append(node, kernel, "kernel", transpose=True)
        self._expect_bias(node)

    def _expect_bias(self, node: onnx.NodeProto) -> None:
        """Remember that a bias may be added to the output of this node, whose kernel was appended last."""
        self._without_bias[node.output[0]] = (self.arrays[-1].layer, len(self.arrays[-1].array))

    def _rearranging(self, node: onnx.NodeProto) -> None:
        if node.input[0] in self._without_bias:
            self._without_bias[node.output[0]] = self._without_bias[node.input[0]]

    def _other(self, node: onnx.NodeProto) -> None:
        """Visit an operation whose constants may be weights, such as the bias of the previous one."""
        before = next((self._without_bias[each] for each in node.input if each in self._without_bias), None)
        for name in node.input:
            if name not in self._constants or not self._constants.is_weight(name):
                continue
            if node.op_type == "Add" and before is not None and _is_bias(self._constants.shape(name), before[1]):
                self._append(node, name, "bias", layer=before[0], is_flat=True)
            else:
                self._append(node, name, None)

    def _append(
        self,
        node: onnx.NodeProto,
        name: str,
        role: str | None,
        *,
        layer: str | None = None,
        transpose: bool = False,
        factor: float = 1.0,
        is_flat: bool = False,
    ) -> None:
        """Add an array, in PyTorch's layout."""
        original, array = self._constants.read(name)
        if transpose:
            array = array.T
        if is_flat:
            array = array.reshape(-1)
        array = as_float32(array if factor == 1.0 else array * np.float32(factor))
        owner = layer or _layer(original, node)
        self.arrays.append(FoundArray(name=original, layer=owner, role=role, array=array))


def _is_bias(shape: tuple[int, ...], units: int) -> bool:
    """Return whether an array has one value per unit, and no other dimensions: ``(units,)`` or ``(1, units, 1, 1)``."""
    return sorted(shape) == sorted([*[1] * (len(shape) - 1), units])


def _layer(name: str, node: onnx.NodeProto) -> str:
    """Return the module of a weight, if its name is PyTorch's, or the name of its operation."""
    layer, _, leaf = name.rpartition(".")
    return layer if layer and leaf in _LEAVES else _name(node)


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or node.output[0])
