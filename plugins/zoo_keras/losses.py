"""Losses for one-hot labels and probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

Smoothing = Annotated[float, Meta(ge=0, lt=1)]


def cross_entropy(label_smoothing: Smoothing = 0.0) -> keras.losses.Loss:
    """Return categorical cross-entropy.

    Args:
        label_smoothing: Share of each label that is spread over all classes.
    """
    import keras

    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def focal(gamma: Annotated[float, Meta(ge=0)] = 2.0, label_smoothing: Smoothing = 0.0) -> keras.losses.Loss:
    """Return focal loss, which weights easy examples less (Lin et al., arXiv:1708.02002).

    Args:
        gamma: How much less; 0 gives cross-entropy.
        label_smoothing: Share of each label that is spread over all classes.
    """
    import keras

    return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, label_smoothing=label_smoothing)


def with_label_changes(
    loss: keras.losses.Loss, mixing: Sequence[Any], class_weights: Sequence[float] | None
) -> keras.losses.Loss:
    """Return a loss whose labels are mixed as a network's augmentations mixed its images, with weighted classes.

    Args:
        loss: The loss.
        mixing: Layers with a method ``mix_labels``, in the order in which they change the images.
        class_weights: Weight of each class; None for equal weights.
    """
    if not mixing and class_weights is None:
        return loss
    from zoo_keras.changed_loss import ChangedLoss

    return ChangedLoss(loss, mixing, class_weights)
