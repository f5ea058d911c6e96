"""Trainers `fit` and `resident`, optimizers, schedules, losses and augmentations, mostly Keras's own."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# public names for trainers of other plugins; kept out of `dir`, because pluggy inspects everything in it
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_trainers() -> list[Entry]:
    """Return the trainers `fit` and `resident`."""
    return [
        Entry(name="fit", target="zoo_keras.fit:Fit", summary="Keras's own `Model.fit`, reproducible bit for bit."),
        Entry(
            name="resident",
            target="zoo_keras.resident:Resident",
            summary="Like fit, but faster: data on the device, many steps per compiled call.",
        ),
    ]


@hookimpl
def register_optimizers() -> list[Entry]:
    """Return the optimizers."""
    return [
        Entry(name="adam", target="zoo_keras.optimizers:adam", summary="Adam; with weight decay, AdamW."),
        Entry(name="adamw", target="zoo_keras.optimizers:adamw", summary="Adam with decoupled weight decay."),
        Entry(name="lamb", target="zoo_keras.optimizers:lamb", summary="LAMB, for large batches."),
        Entry(name="lion", target="zoo_keras.optimizers:lion", summary="Lion: signs of a momentum."),
        Entry(name="muon", target="zoo_keras.optimizers:muon", summary="Muon for kernels, Adam for the rest."),
        Entry(
            name="sgd",
            target="zoo_keras.optimizers:sgd",
            summary="Stochastic gradient descent, with or without momentum.",
        ),
    ]


@hookimpl
def register_schedules() -> list[Entry]:
    """Return the learning rate schedules."""
    return [
        Entry(name="constant", target="zoo_keras.schedules:constant", summary="The same rate in every step."),
        Entry(name="cosine", target="zoo_keras.schedules:cosine", summary="Cosine decay, with warm-up and restarts."),
        Entry(name="linear", target="zoo_keras.schedules:linear", summary="Linear decay, with warm-up."),
        Entry(
            name="one-cycle",
            target="zoo_keras.schedules:one_cycle",
            summary="Linear warm-up from 0, then cosine decay to 0.",
        ),
        Entry(name="step", target="zoo_keras.schedules:step", summary="Multiplied by a factor at milestones."),
    ]


@hookimpl
def register_losses() -> list[Entry]:
    """Return the losses."""
    return [
        Entry(
            name="cross-entropy",
            target="zoo_keras.losses:cross_entropy",
            summary="Categorical cross-entropy, with or without label smoothing.",
        ),
        Entry(name="focal", target="zoo_keras.losses:focal", summary="Focal loss: easy examples count less."),
    ]


@hookimpl
def register_augmentations() -> list[Entry]:
    """Return the augmentations."""
    module = "zoo_keras.augmentations"
    return [
        Entry(name="augmix", target=f"{module}:augmix", summary="Blends with randomly changed versions."),
        Entry(name="blur", target=f"{module}:blur", summary="Blurs some images."),
        Entry(name="color", target=f"{module}:color", summary="Changes brightness, contrast, saturation and hue."),
        Entry(name="crop", target=f"{module}:crop", summary="Pads images and crops them at random places."),
        Entry(name="cutmix", target=f"{module}:cutmix", summary="Replaces rectangles by those of other images."),
        Entry(name="cutout", target=f"{module}:cutout", summary="Replaces a square by 0."),
        Entry(name="erase", target=f"{module}:erase", summary="Replaces rectangles by noise in some images."),
        Entry(name="flip", target=f"{module}:flip", summary="Flips half of the images left to right."),
        Entry(name="mixup", target=f"{module}:mixup", summary="Blends images and labels with others."),
        Entry(name="noise", target=f"{module}:noise", summary="Adds Gaussian noise."),
        Entry(name="randaugment", target=f"{module}:randaugment", summary="Applies a few random operations."),
        Entry(name="rotation", target=f"{module}:rotation", summary="Rotates images."),
        Entry(name="shift", target=f"{module}:shift", summary="Shifts images by whole pixels."),
    ]


@hookimpl
def register_callbacks() -> list[Entry]:
    """Return the callbacks."""
    return [
        Entry(
            name="early-stopping",
            target="zoo_keras.callbacks:early_stopping",
            summary="Ends training when a metric has stopped improving.",
        ),
        Entry(
            name="plateau",
            target="zoo_keras.callbacks:plateau",
            summary="Lowers the learning rate when a metric has stopped improving.",
        ),
    ]
