"""ONNX models: the constants of the graph's operations, in the order of the operations. Needs the extra ``onnx``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from zoo.transfer.contents import Contents, FileFault, FoundArray, as_float32, is_float

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.transfer.contents import Budget, Source

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_ROLES = {
    "BatchNormalization": (None, "gamma", "beta", "moving_mean", "moving_variance"),
    "InstanceNormalization": (None, "gamma", "beta"),
    "LayerNormalization": (None, "gamma", "beta"),
    "GroupNormalization": (None, "gamma", "beta"),
}
_LEARNED = frozenset(("Mul", "Div", "Add", "Sub", "PRelu", "Gather", "MatMul"))  # other operations with weights
_FORWARDING = frozenset(("Constant", "Identity", "Transpose"))
_NESTED = frozenset(("If", "Loop", "Scan"))


def read(source: Source, budget: Budget) -> Contents:
    """Read an ONNX model.

    Raises:
        FileFault: It cannot be used.
    """
    try:
        model = onnx.load_model_from_string(source.file.read())
    except Exception as error:  # of the library's, or of protobuf's, which it does not wrap
        raise FileFault(f"is not a valid ONNX model: {error!s:.200}. Download or export it again.") from None
    graph = _Graph(model.graph, budget)
    for node in model.graph.node:
        graph.add(node)
    if not graph.arrays:
        raise FileFault(
            "contains no weights: no operation of the ONNX model has constants. Export the model with them."
        )
    return Contents(format="ONNX", layout="pytorch", is_ordered=True, arrays=graph.arrays)


class _Graph:
    """The arrays of a graph, while its nodes are visited."""

    def __init__(self, graph: onnx.GraphProto, budget: Budget) -> None:
        self.arrays: list[FoundArray] = []
        self._budget = budget
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._names = {name: name for name in self._tensors}  # the initializer, by the names that it has after Identity
        self._permutations: dict[str, list[int]] = {}
        self._without_bias: dict[str, tuple[str, int]] = {}  # layer and units, by the name of its output
        if len(graph.sparse_initializer):
            raise FileFault("contains sparse weights. Export the model with dense ones.")

    def add(self, node: onnx.NodeProto) -> None:
        """Visit a node."""
        if node.op_type in _NESTED:
            raise FileFault(
                f"contains the operation {node.op_type}, whose weights cannot be read. Export the model without."
            )
        attributes = {attribute.name: attribute for attribute in node.attribute}
        inputs = [each if each in self._names else None for each in node.input]
        if node.op_type in _FORWARDING:
            self._forward(node, inputs, attributes)
        elif node.op_type in _CONVOLUTIONS:
            self._convolution(node, inputs)
        elif node.op_type in _ROLES:
            for name, role in zip(inputs, _ROLES[node.op_type], strict=False):
                if name is not None and role is not None:
                    self._append(node, name, role)
        elif node.op_type == "Gemm":
            self._gemm(node, inputs, attributes)
        elif node.op_type == "MatMul" and len(inputs) == 2 and inputs[1] is not None and inputs[0] is None:
            self._matmul(node, inputs[1])
        elif node.op_type in _LEARNED:
            self._other(node, inputs)

    def _forward(self, node: onnx.NodeProto, inputs: list[str | None], attributes: dict[str, Any]) -> None:
        """Visit an operation whose output is a constant under another name, or transposed."""
        if node.op_type == "Constant" and node.output and "value" in attributes:
            self._tensors[node.output[0]] = attributes["value"].t
            self._names[node.output[0]] = node.output[0]
        elif node.op_type != "Constant" and inputs and inputs[0] is not None and node.output:
            permutation = list(attributes["perm"].ints) if "perm" in attributes else []
            if node.op_type == "Transpose" and not permutation:
                permutation = list(range(len(self._shape(inputs[0]))))[::-1]
            self._alias(inputs[0], node.output[0], permutation)

    def _alias(self, source: str, target: str, permutation: list[int]) -> None:
        if source in self._permutations and permutation:
            raise FileFault(f"contains {source!r:.200} transposed twice. Export the model with folded constants.")
        self._names[target] = self._names[source]
        self._permutations[target] = permutation or self._permutations.get(source, [])

    def _convolution(self, node: onnx.NodeProto, inputs: list[str | None]) -> None:
        if len(inputs) < 2 or inputs[1] is None:
            raise FileFault(
                f"contains the {node.op_type} {_name(node)!r:.200}, whose kernel is not a constant, for example since "
                f"it is quantized. Export a float model."
            )
        kernel = self._append(node, inputs[1], "kernel")
        if len(inputs) > 2 and inputs[2] is not None:
            self._append(node, inputs[2], "bias")
        elif node.op_type == "Conv":
            self._without_bias[node.output[0]] = (self.arrays[-1].layer, len(kernel))

    def _gemm(self, node: onnx.NodeProto, inputs: list[str | None], attributes: dict[str, Any]) -> None:
        if len(inputs) < 2 or inputs[1] is None:
            return
        factors = [attributes[name].f if name in attributes else 1.0 for name in ("alpha", "beta")]
        is_transposed = "transB" in attributes and attributes["transB"].i != 0
        kernel = self._append(node, inputs[1], "kernel", transpose=not is_transposed, factor=factors[0])
        if len(inputs) > 2 and inputs[2] is not None:
            self._append(node, inputs[2], "bias", factor=factors[1], is_flat=True)
        else:
            self._without_bias[node.output[0]] = (self.arrays[-1].layer, len(kernel))

    def _matmul(self, node: onnx.NodeProto, name: str) -> None:
        if len(self._shape(name)) == 2:
            kernel = self._append(node, name, "kernel", transpose=True)
            self._without_bias[node.output[0]] = (self.arrays[-1].layer, len(kernel))
        else:
            self._append(node, name, None)

    def _other(self, node: onnx.NodeProto, inputs: list[str | None]) -> None:
        """Visit an operation whose constants may be weights, such as the bias of the previous one."""
        before = next((self._without_bias[each] for each in node.input if each in self._without_bias), None)
        for name in inputs:
            if name is None or not self._is_weight(name):
                continue
            if node.op_type == "Add" and before is not None and _is_bias(self._shape(name), before[1]):
                self._append(node, name, "bias", layer=before[0], is_flat=True)
            elif self._names[name] == name:  # not a constant that was transposed for something else
                self._append(node, name, None)

    def _is_weight(self, name: str) -> bool:
        tensor = self._tensors[self._names[name]]
        return int(np.prod(tensor.dims, dtype=object)) > 1 and tensor.data_type in _FLOATS

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[self._names[name]].dims)

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
    ) -> NDArray[np.float32]:
        """Add an array, and return it in PyTorch's layout."""
        full = self._names[name]
        array = self._read(full)
        if permutation := self._permutations.get(name):
            if sorted(permutation) != list(range(array.ndim)):
                raise FileFault(f"is damaged: {full!r:.200} is transposed in an impossible way. Export it again.")
            array = array.transpose(permutation)
        if transpose:
            array = array.T
        if is_flat:
            array = array.reshape(-1)
        array = as_float32(array if factor == 1.0 else array * np.float32(factor))
        owner = layer or _layer(full, node)
        self.arrays.append(FoundArray(name=full, layer=owner, role=role, array=array))
        return array

    def _read(self, name: str) -> NDArray[Any]:
        tensor = self._tensors[name]
        self._budget.add(name, tensor.dims)
        if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
            raise FileFault(f"stores {name!r:.200} in another file. Export the model into one file.")
        if tensor.data_type not in _FLOATS:
            raise FileFault(f"contains {name!r:.200} quantized, or not as numbers. Export a float model.")
        try:
            array = np.asarray(numpy_helper.to_array(tensor))
        except Exception as error:  # several types for as many kinds of damage
            raise FileFault(f"is damaged: {name!r:.200}: {error!s:.200}. Download or export it again.") from None
        return array if is_float(array) else array.astype(np.float32)  # bfloat16 is no type of NumPy's own


_FLOATS = frozenset(
    (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
)


def _is_bias(shape: tuple[int, ...], units: int) -> bool:
    """Return whether an array has one value per unit, and no other dimensions: ``(units,)`` or ``(1, units, 1, 1)``."""
    return sorted(shape) == sorted([*[1] * (len(shape) - 1), units])


def _layer(name: str, node: onnx.NodeProto) -> str:
    """Return the module of a weight, if its name is PyTorch's, or the name of its operation."""
    layer, _, leaf = name.rpartition(".")
    return layer if layer and leaf in ("weight", "bias", "running_mean", "running_var") else _name(node)


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or next(iter(node.output), node.op_type))
