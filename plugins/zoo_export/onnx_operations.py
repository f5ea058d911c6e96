"""TensorFlow operations that tf2onnx cannot convert yet. Importing this module teaches it to."""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2onnx.handler import tf_op


@tf_op("Erfc")
class Erfc:
    """The complementary error function, of which exact GELU is made: ``erfc(x) = 1 - erf(x)``."""

    @classmethod
    def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
        """Replace a node."""
        shapes, dtypes = node.output_shapes, node.output_dtypes
        type_ = {1: np.float32, 11: np.float64}.get(dtypes[0], np.float32)  # of ONNX: FLOAT and DOUBLE
        graph.remove_node(node.name)
        one = graph.make_const(f"{node.name}_one", np.array(1, type_))
        erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes)
        graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, shapes=shapes, dtypes=dtypes)
