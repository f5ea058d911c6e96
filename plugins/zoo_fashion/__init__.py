"""The default plugin: Fashion-MNIST, included in the package, and the reference CNN with its recipes."""

from __future__ import annotations

from zoo import Entry, Recipe, hookimpl


@hookimpl
def register_datasets() -> list[Entry]:
    """Return the Fashion-MNIST dataset."""
    return [
        Entry(
            name="fashion-mnist",
            target="zoo_fashion.dataset:FashionMnist",
            summary="70,000 grayscale 28x28 images of clothing in 10 classes; included.",
        )
    ]


@hookimpl
def register_models() -> list[Entry]:
    """Return the reference network."""
    return [
        Entry(
            name="fashion-cnn",
            target="zoo_fashion.model:build",
            summary="CNN: 3 convolution blocks, a dense layer; 356,234 parameters on Fashion-MNIST.",
            parameters=356_234,
        )
    ]


@hookimpl
def register_recipes() -> list[Recipe]:
    """Return the reference recipe, as published, and a fast and a thorough recipe for the same network."""
    return [
        Recipe(
            name="fashion-cnn",
            summary="The reference: 20 epochs of Adam, best epoch chosen by validation loss.",
            dataset="fashion/fashion-mnist",
            model="fashion/fashion-cnn",
            trainer="keras/fit",
            epochs=20,
            batch_size=64,
            validation=5000,
            trained="zoo_fashion:trained/fashion-cnn",
            results="zoo_fashion:results/fashion-cnn.json",
        ),
        Recipe(
            name="fashion-cnn-fast",
            summary="The same network in 2 epochs: Muon, one-cycle schedule, data on the device.",
            dataset="fashion/fashion-mnist",
            model="fashion/fashion-cnn",
            trainer="keras/resident",
            epochs=2,
            batch_size=128,
            validation=5000,
            optimizer="keras/muon",
            schedule="keras/one-cycle",
            settings={
                "model.dropout": 0.0,
                "model.pool_first": True,
                "optimizer.learning_rate": 5e-3,
                "optimizer.beta_2": 0.99,
                "optimizer.newton_schulz_steps": 3,
                "trainer.precision": "auto",
            },
            trained="zoo_fashion:trained/fashion-cnn-fast",
            results="zoo_fashion:results/fashion-cnn-fast.json",
        ),
        Recipe(
            name="fashion-cnn-best",
            summary="The same network for 200 epochs, with random shifts, flips and CutMix.",
            dataset="fashion/fashion-mnist",
            model="fashion/fashion-cnn",
            trainer="keras/resident",
            epochs=200,
            batch_size=256,
            validation=1000,
            optimizer="keras/muon",
            schedule="keras/one-cycle",
            augmentations=("keras/flip", "keras/shift", "keras/cutmix"),
            settings={
                "model.dropout": 0.0,
                "model.pool_first": True,
                "optimizer.learning_rate": 5e-3,
                "optimizer.beta_2": 0.99,
                "optimizer.weight_decay": 0.1,
                "loss.label_smoothing": 0.1,
                "augmentation.shift.pixels": 1,
                "augmentation.cutmix.share": 0.5,
                "trainer.precision": "auto",
                "trainer.flip_tta": True,
            },
            trained="zoo_fashion:trained/fashion-cnn-best",
            results="zoo_fashion:results/fashion-cnn-best.json",
        ),
    ]
