"""The constants of an ONNX graph: initializers and `Constant` nodes, also under other names or transposed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np  # at once: readers are imported in the child process alone
import onnx
from onnx import numpy_helper

from zoo.transfer.readers.contents import FileFault, is_float

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.transfer.readers.contents import Budget

_FLOATS = frozenset(
    (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
)


class Constants:
    """The constants of a graph, by all the names under which its nodes use them.

    Args:
        graph: The graph.
        budget: Size limit.
    """

    def __init__(self, graph: onnx.GraphProto, budget: Budget) -> None:
        """Take the initializers."""
        if len(graph.sparse_initializer):
            raise FileFault("contains sparse weights. Export the model with dense ones.")
        self._budget = budget
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._originals = {name: name for name in self._tensors}
        self._permutations: dict[str, list[int]] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether a value is constant."""
        return name in self._originals

    def visit(self, node: onnx.NodeProto) -> None:
        """Add the output of a node, if it is constant: of `Constant`, `Identity` or `Transpose`."""
        if not node.output:
            return
        output, attributes = node.output[0], {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            self._tensors[output] = attributes["value"].t
            self._originals[output] = output
        elif node.op_type in ("Identity", "Transpose") and node.input and node.input[0] in self:
            source = node.input[0]
            permutation = list(attributes["perm"].ints) if "perm" in attributes else []
            if node.op_type == "Transpose" and not permutation:
                permutation = list(range(len(self.shape(source))))[::-1]
            if permutation and self._permutations.get(source):
                raise FileFault(f"contains {source!r:.200} transposed twice. Export the model with folded constants.")
            self._originals[output] = self._originals[source]
            self._permutations[output] = permutation or self._permutations.get(source, [])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a constant, before it is transposed."""
        return tuple(self._tensors[self._originals[name]].dims)

    def is_weight(self, name: str) -> bool:
        """Return whether a constant consists of several floating-point numbers, and is used as it is."""
        original = self._originals[name]
        is_array = math.prod(self.shape(name)) > 1 and self._tensors[original].data_type in _FLOATS
        return is_array and not self._permutations.get(name)

    def read(self, name: str) -> tuple[str, NDArray[Any]]:
        """Return the original name of a constant, and its values.

        Raises:
            FileFault: It is in another file, damaged, too large, or does not consist of floating-point numbers.
        """
        original = self._originals[name]
        tensor = self._tensors[original]
        self._budget.add(original, tensor.dims)
        if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
            raise FileFault(f"stores {original!r:.200} in another file. Export the model into one file.")
        if tensor.data_type not in _FLOATS:
            raise FileFault(f"contains {original!r:.200} quantized, or not as numbers. Export a float model.")
        try:
            array = np.asarray(numpy_helper.to_array(tensor))
            array = array if is_float(array) else array.astype(np.float32)  # bfloat16 is no type of NumPy's own
            if permutation := self._permutations.get(name):
                array = array.transpose(permutation)
        except Exception as error:  # several types for as many kinds of damage
            raise FileFault(f"is damaged: {original!r:.200}: {error!s:.200}. Download or export it again.") from None
        return original, array
