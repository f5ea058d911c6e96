"""A recipe on Fashion-MNIST for each architecture.

What they share: one-cycle learning rate, flips, shifts, smoothed labels, the best validation accuracy kept, predictions
averaged over mirror images. Fewer pixels of shift and fewer epochs are for the two small networks, which have trouble
enough to fit the images as they are.
"""

from __future__ import annotations

from zoo import Recipe

_SHARED = {
    "trainer.schedule": "one-cycle",
    "trainer.beta_2": 0.99,
    "trainer.label_smoothing": 0.1,
    "trainer.precision": "mixed_bfloat16",
    "trainer.flip": True,
    "trainer.average_flips": True,
}


def _recipe(
    model: str,
    summary: str,
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float = 0.05,
    shift: int = 2,
) -> Recipe:
    """Return the recipe of a model, which has the model's name."""
    return Recipe(
        name=model,
        summary=summary,
        dataset="fashion/fashion-mnist",
        model=f"vision/{model}",
        trainer="keras/resident",
        epochs=epochs,
        batch_size=256,
        validation=5000,
        best_by="accuracy",
        settings=_SHARED
        | {
            "trainer.learning_rate": learning_rate,
            "trainer.weight_decay": weight_decay,
            "trainer.shift": shift,
        },
    )


RECIPES = [
    _recipe("mlp", "Dense layers on Fashion-MNIST, 40 epochs.", epochs=40, learning_rate=2e-3, shift=1),
    _recipe(
        "lenet-5", "LeNet-5 on Fashion-MNIST, 40 epochs.", epochs=40, learning_rate=5e-3, weight_decay=0.0, shift=1
    ),
    _recipe("resnet-20", "ResNet-20 on Fashion-MNIST, 40 epochs.", epochs=40, learning_rate=5e-3),
    _recipe("resnet-32", "ResNet-32 on Fashion-MNIST, 40 epochs.", epochs=40, learning_rate=5e-3),
    _recipe("wrn-16-4", "WRN-16-4 on Fashion-MNIST, 60 epochs.", epochs=60, learning_rate=3e-3),
    _recipe("mobilenet-small", "A narrow MobileNet on Fashion-MNIST, 40 epochs.", epochs=40, learning_rate=5e-3),
    _recipe("convmixer", "ConvMixer-256/8 on Fashion-MNIST, 40 epochs.", epochs=40, learning_rate=5e-3),
    _recipe("vit-tiny", "ViT-Ti on Fashion-MNIST, 60 epochs.", epochs=60, learning_rate=1e-3),
]
"""The recipes, each named as its model."""
