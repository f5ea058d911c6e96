"""Base class of the trainers: shared settings, and the optimizer and loss they define."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from zoo import SettingError
from zoo.data import scale_pixels

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples

_BATCH = 500  # images per prediction, to bound memory; constant, because the last bits of the result may depend on it


@dataclass(frozen=True, kw_only=True)
class KerasTrainer:
    """Adam or Muon on categorical cross-entropy.

    Args:
        optimizer: ``adam``, or ``muon``: Muon for kernels and Adam for the rest (Jordan,
            https://kellerjordan.github.io/posts/muon/).
        learning_rate: Learning rate of Adam and Muon; with a schedule, its peak.
        schedule: ``constant``, or ``one-cycle``: linear warmup from 0, then cosine decay to 0.
        warmup_fraction: Share of the steps used for warmup; only with ``one-cycle``.
        beta_2: Adam's decay rate of the second moment.
        newton_schulz_steps: Iterations with which Muon orthogonalizes an update: fewer are faster and less exact.
        weight_decay: Decoupled weight decay of all weights, including biases, times the learning rate (Loshchilov and
            Hutter, arXiv:1711.05101).
        label_smoothing: Share of each label that is spread over all classes.
        precision: ``float32``; ``mixed_bfloat16``, with weights in float32; or ``auto``, which is ``mixed_bfloat16``
            where the machine computes faster in it and ``float32`` elsewhere.
        random_translation: Maximum shift of a training image in pixels, vertically and horizontally.
        random_flip: Whether to flip half of the training images left to right. Not for digits and letters.
        random_erasing: Share of the training images in which a rectangle is replaced by noise.
        cutmix: Share of the training images in which a rectangle is replaced by that of another image, and the same
            share of the label by the other's (Yun et al., arXiv:1905.04899). Training metrics use the image's own
            label.
        flip_tta: Whether to average the predictions for an image and its mirror image. Takes twice as long.
    """

    optimizer: Literal["adam", "muon"] = "adam"
    learning_rate: Annotated[float, Meta(gt=0)] = 1e-3
    schedule: Literal["constant", "one-cycle"] = "constant"
    warmup_fraction: Annotated[float, Meta(ge=0, lt=1)] = 0.25
    beta_2: Annotated[float, Meta(gt=0, lt=1)] = 0.999
    newton_schulz_steps: Annotated[int, Meta(ge=1, le=20)] = 5
    weight_decay: Annotated[float, Meta(ge=0)] = 0.0
    label_smoothing: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    precision: Literal["float32", "mixed_bfloat16", "auto"] = "float32"
    random_translation: Annotated[int, Meta(ge=0, le=64)] = 0
    random_flip: bool = False
    random_erasing: Annotated[float, Meta(ge=0, le=1)] = 0.0
    cutmix: Annotated[float, Meta(ge=0, le=1)] = 0.0
    flip_tta: bool = False

    @property
    def dtype_policy(self) -> str:
        """The Keras dtype policy that models are built with for this trainer, or ``auto``."""
        return self.precision

    def make_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Return the optimizer for a run with this number of steps."""
        import keras

        rate = self.learning_rate
        if self.schedule == "one-cycle":
            rate = self._one_cycle(steps)
        if self.optimizer == "muon":
            from zoo_keras.muon import Muon

            decay = self.weight_decay
            return Muon(
                rate,
                adam_beta_2=self.beta_2,
                weight_decay=decay,
                adam_weight_decay=decay,
                ns_steps=self.newton_schulz_steps,
            )
        if self.weight_decay:
            return keras.optimizers.AdamW(rate, beta_2=self.beta_2, weight_decay=self.weight_decay)
        return keras.optimizers.Adam(rate, beta_2=self.beta_2)

    def _one_cycle(self, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        from keras.optimizers.schedules import CosineDecay

        rising = min(round(self.warmup_fraction * steps), steps - 1)  # at least the last step decays
        if not rising:
            return CosineDecay(self.learning_rate, steps)
        return CosineDecay(0.0, steps - rising, warmup_target=self.learning_rate, warmup_steps=rising)

    def make_loss(self, net: keras.Model) -> keras.losses.Loss:
        """Return the loss, for probabilities and one-hot labels, of a network that `augmented` returned."""
        from zoo_keras.augmentation import cross_entropy

        return cross_entropy(net, label_smoothing=self.label_smoothing)

    def augmented(self, model: keras.Model, train: Examples) -> keras.Model:
        """Return the network to train: the model, preceded by augmentation layers if the settings request any.

        Raises:
            SettingError: The images are not larger than the maximum shift.
        """
        import keras
        import numpy as np

        from zoo_keras.augmentation import random_changes

        if not (self.random_translation or self.random_flip or self.random_erasing or self.cutmix):
            return model
        height, width, channels = train[np.arange(1)][0].shape[1:]  # the model's input size may be undefined
        if self.random_translation >= min(height, width):
            raise SettingError(
                f"Images of {height}x{width} pixels cannot be shifted that far. Choose a smaller shift. "
                f"Received: trainer.random_translation={self.random_translation}",
                name="trainer.random_translation",
                value=self.random_translation,
            )
        changes = random_changes(
            (height, width, channels),
            shift=self.random_translation,
            flip=self.random_flip,
            erase=self.random_erasing,
            cutmix=self.cutmix,
        )
        return keras.Sequential([keras.Input((height, width, channels)), *changes, model])

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return probabilities ``(n, num_classes)`` for images ``(n, height, width, channels)`` uint8."""
        import numpy as np

        if not len(images):
            return np.zeros((0, model.output_shape[-1]), np.float32)
        return np.concatenate(
            [self._predict(model, images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        )

    def _predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        import numpy as np

        scaled = scale_pixels(images)
        predicted: NDArray[np.floating[Any]] = np.asarray(model.predict_on_batch(scaled))
        if self.flip_tta:
            mirrored = np.asarray(model.predict_on_batch(scaled[:, :, ::-1]))
            predicted = (predicted.astype(np.float32) + mirrored.astype(np.float32)) / 2
        return predicted
