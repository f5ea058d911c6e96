"""Reading and restoring the variables of a training by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    import numpy as np
    from numpy.typing import NDArray


def variables_of(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Return the weights, optimizer variables and states of random layers by name."""
    return {
        **numbered("model", model.weights),
        **numbered("optimizer", optimizer.variables),
        **numbered("seed", random_states(model)),
    }


def numbered(owner: str, variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    """Return variables by owner and position: ``"model.000"``."""
    return {f"{owner}.{i:03d}": variable for i, variable in enumerate(variables)}


def values_of(variables: Mapping[str, keras.Variable]) -> dict[str, NDArray[Any]]:
    """Return copies of the values of variables as NumPy arrays."""
    import keras
    import numpy as np

    return {name: np.array(keras.ops.convert_to_numpy(variable.value)) for name, variable in variables.items()}


def assign(variables: Mapping[str, keras.Variable], values: Mapping[str, NDArray[Any]]) -> None:
    """Assign values to variables by name."""
    for name, variable in variables.items():
        variable.assign(values[name])


def random_states(model: keras.Model) -> list[keras.Variable]:
    """Return the states of a model's seed generators, which Keras does not save."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def seed_random_layers(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every seed generator of a model to a state derived from the seed, the epoch and its position."""
    import numpy as np

    for position, state in enumerate(random_states(model)):
        generator = np.random.default_rng([seed, epoch, position])
        state.assign(generator.integers(0, 2**32, size=state.shape, dtype=np.uint32))


def order_of(seed: int, epoch: int, count: int) -> NDArray[np.intp]:
    """Return the order of the examples in an epoch."""
    import numpy as np

    return np.random.default_rng((seed, epoch)).permutation(count)
