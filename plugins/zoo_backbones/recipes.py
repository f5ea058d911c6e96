"""Recipes for folders of photographs, from trained or random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARED: Mapping[str, Any] = {
    "loss.label_smoothing": 0.1,
    "optimizer.weight_decay": 0.05,
    "trainer.decay_exempt": "bias|gamma|beta",
    "trainer.head_epochs": 3,
}

RECIPES = [
    Recipe(
        name="photos-small",
        summary="EfficientNet-Lite0 at 160x160 for a few hundred photographs, on a CPU (--data-dir DIR).",
        dataset="images/image-folder",
        model="efficientnet-lite0",
        trainer="keras/fit",  # as fast as resident here, and reads images from disk as they are needed
        optimizer="keras/adam",
        schedule="keras/one-cycle",
        augmentations=("keras/flip", "keras/crop", "keras/color"),
        epochs=15,
        batch_size=32,
        monitor="accuracy",
        settings={
            **_SHARED,
            "dataset.size": (160, 160),
            # a run has a hundred steps or two: averages of momentum 0.99 would still be those of the initial weights
            "model.momentum": 0.9,
            "optimizer.learning_rate": 1e-3,
            "augmentation.crop.padding": 12,
            "augmentation.color.brightness": 0.1,
            "augmentation.color.contrast": 0.1,
            "augmentation.color.saturation": 0.1,
            "augmentation.color.hue": 0.02,
        },
    ),
    Recipe(
        name="photos",
        summary="EfficientNetV2-B0 at 224x224 for thousands of photographs, on a GPU (--data-dir DIR).",
        dataset="images/image-folder",
        model="efficientnet-v2-b0",
        trainer="keras/fit",
        optimizer="keras/adam",
        schedule="keras/one-cycle",
        augmentations=("keras/flip", "keras/crop", "keras/randaugment", "keras/mixup"),
        epochs=30,
        batch_size=64,
        monitor="accuracy",
        settings={
            **_SHARED,
            "dataset.size": (224, 224),
            "optimizer.learning_rate": 1e-3,
            "augmentation.crop.padding": 24,
            "augmentation.randaugment.strength": 0.4,
            "augmentation.mixup.alpha": 0.2,
            "trainer.precision": "auto",
        },
    ),
]
"""The recipes."""
