"""Optimizers: Keras's own, with typed settings.

Each takes ``learning_rate``, which the recipe's schedule changes over the run. Clipping, accumulation and averaging are
settings of the trainers, because they work with any optimizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

if TYPE_CHECKING:
    import keras

Rate = Annotated[float, Meta(gt=0)]
Beta = Annotated[float, Meta(ge=0, lt=1)]
Decay = Annotated[float, Meta(ge=0)]


def sgd(
    learning_rate: Rate = 0.01, momentum: Beta = 0.0, nesterov: bool = False, weight_decay: Decay = 0.0
) -> keras.optimizers.Optimizer:
    """Return stochastic gradient descent.

    Args:
        learning_rate: Learning rate; with a schedule, its peak.
        momentum: Share of the last update that is added to the next.
        nesterov: Whether to use Nesterov momentum.
        weight_decay: Decoupled weight decay, times the learning rate.
    """
    import keras

    return keras.optimizers.SGD(learning_rate, momentum, nesterov=nesterov, weight_decay=_decay(weight_decay))


def adam(
    learning_rate: Rate = 1e-3,
    beta_1: Beta = 0.9,
    beta_2: Beta = 0.999,
    epsilon: Rate = 1e-7,
    weight_decay: Decay = 0.0,
) -> keras.optimizers.Optimizer:
    """Return Adam (Kingma and Ba, arXiv:1412.6980); with weight decay, AdamW.

    Args:
        learning_rate: Learning rate; with a schedule, its peak.
        beta_1: Decay rate of the first moment.
        beta_2: Decay rate of the second moment.
        epsilon: Added to the denominator.
        weight_decay: Decoupled weight decay, times the learning rate (Loshchilov and Hutter, arXiv:1711.05101).
    """
    import keras

    return keras.optimizers.Adam(
        learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=_decay(weight_decay)
    )


def adamw(
    learning_rate: Rate = 1e-3,
    beta_1: Beta = 0.9,
    beta_2: Beta = 0.999,
    epsilon: Rate = 1e-7,
    weight_decay: Decay = 0.01,
) -> keras.optimizers.Optimizer:
    """Return AdamW (Loshchilov and Hutter, arXiv:1711.05101).

    Args:
        learning_rate: Learning rate; with a schedule, its peak.
        beta_1: Decay rate of the first moment.
        beta_2: Decay rate of the second moment.
        epsilon: Added to the denominator.
        weight_decay: Decoupled weight decay, times the learning rate.
    """
    return adam(learning_rate, beta_1, beta_2, epsilon, weight_decay)


def muon(
    learning_rate: Rate = 1e-3,
    beta_2: Beta = 0.999,
    newton_schulz_steps: Annotated[int, Meta(ge=1, le=20)] = 5,
    weight_decay: Decay = 0.0,
) -> keras.optimizers.Optimizer:
    """Return Muon for kernels and Adam for the rest (Jordan, https://kellerjordan.github.io/posts/muon/).

    Args:
        learning_rate: Learning rate of both; with a schedule, its peak.
        beta_2: Adam's decay rate of the second moment.
        newton_schulz_steps: Iterations that orthogonalize an update: fewer are faster and less exact.
        weight_decay: Decoupled weight decay, times the learning rate.
    """
    from zoo_keras.muon import Muon

    return Muon(
        learning_rate,
        adam_beta_2=beta_2,
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        ns_steps=newton_schulz_steps,
    )


def lion(
    learning_rate: Rate = 1e-4, beta_1: Beta = 0.9, beta_2: Beta = 0.99, weight_decay: Decay = 0.0
) -> keras.optimizers.Optimizer:
    """Return Lion (Chen et al., arXiv:2302.06675).

    Args:
        learning_rate: Learning rate; with a schedule, its peak. A third to a tenth of what suits Adam.
        beta_1: Weight of the momentum in an update.
        beta_2: Decay rate of the momentum.
        weight_decay: Decoupled weight decay, times the learning rate.
    """
    import keras

    return keras.optimizers.Lion(learning_rate, beta_1=beta_1, beta_2=beta_2, weight_decay=_decay(weight_decay))


def lamb(
    learning_rate: Rate = 1e-3,
    beta_1: Beta = 0.9,
    beta_2: Beta = 0.999,
    epsilon: Rate = 1e-7,
    weight_decay: Decay = 0.0,
) -> keras.optimizers.Optimizer:
    """Return LAMB (You et al., arXiv:1904.00962).

    Args:
        learning_rate: Learning rate; with a schedule, its peak.
        beta_1: Decay rate of the first moment.
        beta_2: Decay rate of the second moment.
        epsilon: Added to the denominator.
        weight_decay: Decoupled weight decay, times the learning rate.
    """
    import keras

    return keras.optimizers.Lamb(
        learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=_decay(weight_decay)
    )


def _decay(value: float) -> Any:
    """Return a weight decay as Keras takes it: None for none."""
    return value or None
