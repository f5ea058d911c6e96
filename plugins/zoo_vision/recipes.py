"""A recipe on Fashion-MNIST for each architecture.

All recipes use a one-cycle learning rate, flips, shifts and label smoothing, keep the epoch with the best validation
accuracy, and average predictions over mirror images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARED = {
    "optimizer.beta_2": 0.99,
    "optimizer.weight_decay": 0.05,
    "loss.label_smoothing": 0.1,
    "augmentation.shift.pixels": 2,
    "trainer.precision": "auto",
    "trainer.flip_tta": True,
}
# CPUs take longer for depthwise convolutions in bfloat16, even with AVX512-BF16: twice as long for these two
_DEPTHWISE: dict[str, Any] = {"trainer.precision": "float32"}
# small networks already struggle to fit images that are not shifted
_SMALL = {"augmentation.shift.pixels": 1}


def _recipe(
    model: str,
    summary: str,
    learning_rate: float,
    settings: Mapping[str, Any],
    *,
    epochs: int = 40,
    is_residual: bool = False,
    is_recorded: bool = False,
    is_trained: bool = False,
) -> Recipe:
    """Return the recipe of a model, named after the model; its results and weights may be included."""
    augmentations: tuple[str, ...] = ("keras/flip", "keras/shift")
    if is_residual:
        # three epochs of ResNet-20 reached a validation accuracy of 0.924 with Muon and 0.914 with Adam, in the same
        # time
        augmentations += ("keras/erase",)
        settings = {"optimizer.weight_decay": 0.1, "augmentation.erase.share": 0.3, **settings}
    return Recipe(
        name=model,
        summary=f"{summary}: {epochs} epochs on Fashion-MNIST with shifts and flips.",
        dataset="fashion/fashion-mnist",
        model=f"vision/{model}",
        trainer="keras/resident",
        optimizer="keras/muon" if is_residual else "keras/adam",
        schedule="keras/one-cycle",
        augmentations=augmentations,
        epochs=epochs,
        batch_size=256,
        validation=5000,
        monitor="accuracy",
        settings={**_SHARED, "optimizer.learning_rate": learning_rate, **settings},
        trained=f"zoo_vision:trained/{model}" if is_trained else None,
        results=f"zoo_vision:results/{model}.json" if is_recorded else None,
    )


RECIPES = [
    _recipe("mlp", "MLP with 2 hidden layers", 2e-3, _SMALL),
    _recipe("lenet-5", "LeNet-5", 5e-3, _SMALL),
    _recipe("resnet-20", "ResNet-20", 5e-3, {}, is_residual=True, is_recorded=True, is_trained=True),
    _recipe("resnet-32", "ResNet-32", 5e-3, {}, is_residual=True),
    _recipe("wrn-16-4", "WRN-16-4", 5e-3, {}, is_residual=True, epochs=48, is_recorded=True),
    _recipe("mobilenet-small", "MobileNet at width 0.25", 5e-3, _DEPTHWISE),
    # with the defaults of the next two models, an epoch takes 15 to 30 minutes on two cores
    _recipe("convmixer", "ConvMixer for 2 CPU cores", 5e-3, _DEPTHWISE | {"model.width": 128, "model.patch_size": 4}),
    _recipe("vit-tiny", "ViT-Ti with half the depth", 1e-3, {"model.depth": 6}),
]
"""The recipes, each named after its model."""
