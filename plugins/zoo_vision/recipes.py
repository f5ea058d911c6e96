"""A recipe on Fashion-MNIST for each architecture.

What they share: one-cycle learning rate, flips, shifts, smoothed labels, the best validation accuracy kept, predictions
averaged over mirror images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARED = {
    "trainer.schedule": "one-cycle",
    "trainer.beta_2": 0.99,
    "trainer.weight_decay": 0.05,
    "trainer.label_smoothing": 0.1,
    "trainer.precision": "auto",
    "trainer.random_translation": 2,
    "trainer.random_flip": True,
    "trainer.flip_tta": True,
}
# processors take longer for depthwise convolutions in bfloat16, AVX512-BF16 or not: twice as long for these two
_DEPTHWISE: dict[str, Any] = {"trainer.precision": "float32"}
# three epochs of ResNet-20 came to a validation accuracy of 0.924 with Muon and 0.914 with Adam, in the same time
_RESIDUAL = {"trainer.optimizer": "muon", "trainer.weight_decay": 0.1, "trainer.random_erasing": 0.3}
# small networks have trouble enough to fit the images where they are
_SMALL = {"trainer.random_translation": 1}


def _recipe(
    model: str,
    summary: str,
    learning_rate: float,
    settings: Mapping[str, Any],
    *,
    epochs: int = 40,
    is_recorded: bool = False,
    is_trained: bool = False,
) -> Recipe:
    """Return the recipe of a model, which has the model's name; its results and its weights may ship with it."""
    return Recipe(
        name=model,
        summary=f"{summary}, {epochs} epochs of shifted and mirrored Fashion-MNIST.",
        dataset="fashion/fashion-mnist",
        model=f"vision/{model}",
        trainer="keras/resident",
        epochs=epochs,
        batch_size=256,
        validation=5000,
        monitor="accuracy",
        settings={**_SHARED, "trainer.learning_rate": learning_rate, **settings},
        trained=f"zoo_vision:trained/{model}" if is_trained else None,
        results=f"zoo_vision:results/{model}.json" if is_recorded else None,
    )


RECIPES = [
    _recipe("mlp", "Two dense layers", 2e-3, _SMALL),
    _recipe("lenet-5", "LeNet-5", 5e-3, _SMALL),
    _recipe("resnet-20", "ResNet-20", 5e-3, _RESIDUAL, is_recorded=True, is_trained=True),
    _recipe("resnet-32", "ResNet-32", 5e-3, _RESIDUAL),
    _recipe("wrn-16-4", "WRN-16-4", 5e-3, _RESIDUAL, epochs=48, is_recorded=True),
    _recipe("mobilenet-small", "A narrow MobileNet", 5e-3, _DEPTHWISE),
    # with the defaults of the next two models, an epoch takes a quarter to half an hour on two cores
    _recipe("convmixer", "A ConvMixer for two cores", 5e-3, _DEPTHWISE | {"model.width": 128, "model.patch_size": 4}),
    _recipe("vit-tiny", "Half of a ViT-Ti", 1e-3, {"model.depth": 6}),
]
"""The recipes, each named as its model."""
