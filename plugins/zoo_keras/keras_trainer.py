"""Base class of the trainers: shared settings, and what they make of a recipe's optimizer, loss and augmentations."""

from __future__ import annotations

import re
import warnings
from abc import abstractmethod
from collections.abc import Mapping  # noqa: TC003  # dataclasses look for ClassVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta

from zoo import Learning, SettingError, SteppedTraining, Trainer
from zoo.data import scale_pixels
from zoo.errors import ZooWarning

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples, TrainingConfig
    from zoo_keras.training import KerasTraining

_BATCH = 500  # images per prediction, to bound memory; constant, because the last bits of the result may depend on it


@dataclass(frozen=True, kw_only=True)
class KerasTrainer(Trainer):
    """Base of the trainers that use a recipe's optimizer, schedule, loss and augmentations.

    Args:
        precision: ``float32``; ``mixed_bfloat16``, with weights in float32; or ``auto``, which is ``mixed_bfloat16``
            where the machine computes faster in it and ``float32`` elsewhere.
        clip_norm: Maximum norm of all gradients together; larger ones are scaled down. 0 for no limit.
        accumulation_steps: Number of steps whose gradients are averaged for one weight update.
        average_momentum: Momentum of an exponential average of the weights, such as 0.999; the averaged weights are
            validated and saved. 0 for none.
        decay_exempt: Regular expression; weights whose names contain a match have no weight decay: ``bias|gamma|beta``.
            Empty for none.
        class_weights: Weights of the classes in the loss: ``balanced`` for the inverse of their frequency, one number
            for each class, or ``none``.
        teacher: Run folder, or recipe with trained weights, whose model predicts a part of each label; empty for none
            (Hinton et al., arXiv:1503.02531).
        teacher_weight: That part.
        flip_tta: Whether to average the predictions for an image and its mirror image. Takes twice as long.
        freeze: Names of layers that are not trained, or shell-style patterns of them: ``conv*,bn1``; ``all-but-head``
            for all but the last layer with weights. Batch statistics of frozen layers are frozen too.
        head_epochs: Number of epochs, of those of the run, for which only the head is trained at first. Both phases
            have a schedule of their own.
        layer_decay: Factor by which the learning rate falls from one level of layers to the next, from the head to the
            input; the layers below the head form up to 12 levels of equal size. 1 for the same rate everywhere.
    """

    components: ClassVar[Mapping[str, str | None]] = {
        "optimizer": "keras/adam",
        "schedule": "keras/constant",
        "loss": "keras/cross-entropy",
        "augmentation": None,
    }

    precision: Literal["float32", "mixed_bfloat16", "auto"] = "float32"
    clip_norm: Annotated[float, Meta(ge=0)] = 0.0
    accumulation_steps: Annotated[int, Meta(ge=1)] = 1
    average_momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    decay_exempt: str = ""
    class_weights: Literal["balanced"] | tuple[Annotated[float, Meta(ge=0)], ...] | None = None
    teacher: str = ""
    teacher_weight: Annotated[float, Meta(ge=0, le=1)] = 0.5
    flip_tta: bool = False
    freeze: tuple[str, ...] = ()
    head_epochs: Annotated[int, Meta(ge=0)] = 0
    layer_decay: Annotated[float, Meta(gt=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        """Raise `zoo.SettingError` if a setting has no meaning."""
        try:
            re.compile(self.decay_exempt)
        except re.error as error:
            raise SettingError(
                f"Setting 'trainer.decay_exempt' must be a regular expression: {error}. "
                f"Received: trainer.decay_exempt={self.decay_exempt!r}",
                name="trainer.decay_exempt",
                value=self.decay_exempt,
            ) from error
        if isinstance(self.class_weights, tuple) and not any(self.class_weights):
            raise SettingError(
                "Setting 'trainer.class_weights' must have a number above 0, or nothing is learned. "
                f"Received: trainer.class_weights={self.class_weights}",
                name="trainer.class_weights",
                value=self.class_weights,
            )

    @property
    def dtype_policy(self) -> str:
        """The Keras dtype policy that models are built with for this trainer, or ``auto``."""
        return self.precision

    def start(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> SteppedTraining:
        """Return a training: one that `begin` returns, or two of these in turn with `head_epochs`."""
        if not self.head_epochs:
            return self.begin(model, train, settings)
        from zoo_keras.freezing import ALL_BUT_HEAD
        from zoo_keras.phases import HeadFirst

        if ALL_BUT_HEAD in self.freeze:
            raise SettingError(
                f"With `trainer.freeze={ALL_BUT_HEAD}`, only the head is ever trained. Remove trainer.head_epochs. "
                f"Received: trainer.head_epochs={self.head_epochs}",
                name="trainer.head_epochs",
                value=self.head_epochs,
            )
        whole = replace(self, head_epochs=0)
        head = replace(whole, freeze=(*self.freeze, ALL_BUT_HEAD))
        return HeadFirst(
            partial(head.begin, model, train), partial(whole.begin, model, train), model, settings, self.head_epochs
        )

    @abstractmethod
    def begin(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> KerasTraining:
        """Return a training of all layers that are not frozen. What takes long is done in its first epoch."""

    def make_optimizer(
        self, config: TrainingConfig, model: keras.Model, steps_per_epoch: int
    ) -> keras.optimizers.Optimizer:
        """Return a built optimizer, with the recipe's schedule and this trainer's settings, and freeze layers."""
        from zoo_keras.freezing import freeze, scale_rates

        freeze(model, self.freeze)
        learning = config.learning or _default_learning()
        optimizer = learning.optimizer(learning.schedule(learning.learning_rate, config.epochs, steps_per_epoch))
        if self.clip_norm:
            optimizer.global_clipnorm = self.clip_norm
        if self.accumulation_steps > 1:
            self._check_updates(config.epochs * steps_per_epoch)
            optimizer.gradient_accumulation_steps = self.accumulation_steps
        if self.average_momentum:
            optimizer.use_ema, optimizer.ema_momentum = True, self.average_momentum
            optimizer.ema_overwrite_frequency = None
        if self.decay_exempt:
            self._check_exempt([weight.name for weight in model.trainable_variables])
            optimizer.exclude_from_weight_decay(var_names=[self.decay_exempt])
        if self.layer_decay < 1:
            scale_rates(optimizer, model, self.layer_decay)
        # otherwise its variables are created in the first step, too late to restore them
        optimizer.build(model.trainable_variables)
        model.optimizer = optimizer  # where callbacks look for it
        return optimizer

    def make_loss(self, config: TrainingConfig, net: keras.Model, train: Examples) -> keras.losses.Loss:
        """Return the loss, for probabilities and one-hot labels, of a network that `augmented` returned."""
        from zoo_keras.losses import with_label_changes

        learning = config.learning or _default_learning()
        mixing = [layer for layer in net.layers if hasattr(layer, "mix_labels")]
        return with_label_changes(learning.loss(), mixing, self._weights(train, net.output_shape[-1]))

    def _check_updates(self, steps: int) -> None:
        """Raise `zoo.SettingError` if the training ends before the first update."""
        if steps < self.accumulation_steps:
            raise SettingError(
                f"Setting 'trainer.accumulation_steps' must be at most {steps}, the number of steps in this training, "
                f"or no weight is ever updated. Received: trainer.accumulation_steps={self.accumulation_steps}",
                name="trainer.accumulation_steps",
                value=self.accumulation_steps,
            )

    def _check_exempt(self, names: list[str]) -> None:
        """Warn if no weight is exempt; one pattern is used for many models, and some have no such weight."""
        if not any(re.search(self.decay_exempt, name) for name in names):
            warnings.warn(
                "Setting 'trainer.decay_exempt' matches no weight of the model, so that all of them have weight decay. "
                f"Their names are {', '.join(sorted(set(names)))}. "
                f"Received: trainer.decay_exempt={self.decay_exempt!r}",
                ZooWarning,
                stacklevel=4,
            )

    def _weights(self, train: Examples, num_classes: int) -> tuple[float, ...] | None:
        if self.class_weights is None:
            return None
        if self.class_weights == "balanced":
            from zoo_keras.batches import count_labels

            counts = count_labels(train, num_classes)
            return tuple(len(train) / (num_classes * max(count, 1)) for count in counts)
        if len(self.class_weights) != num_classes:
            raise SettingError(
                f"Setting 'trainer.class_weights' must have one number for each of the {num_classes} classes. "
                f"Received: trainer.class_weights={self.class_weights}",
                name="trainer.class_weights",
                value=self.class_weights,
            )
        return self.class_weights

    def augmented(self, config: TrainingConfig, model: keras.Model, train: Examples) -> keras.Model:
        """Return the network to train: the model, preceded by the recipe's augmentations if it has any.

        Raises:
            SettingError: An augmentation does not suit the size of the images.
        """
        import keras
        import numpy as np

        augmentations = config.learning.augmentations if config.learning else ()
        if not augmentations and not self.teacher:
            return model
        height, width, channels = train[np.arange(1)][0].shape[1:]  # the model's input size may be undefined
        changes = [make((height, width, channels)) for make in augmentations]
        if self.teacher:
            from zoo_keras.distillation import Teacher, load_teacher

            teacher = load_teacher(self.teacher, (height, width, channels), model.output_shape[-1])
            changes.append(Teacher(teacher, self.teacher_weight))
        return keras.Sequential([keras.Input((height, width, channels)), *changes, model])

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return probabilities ``(n, num_classes)`` for images ``(n, height, width, channels)`` uint8."""
        import numpy as np

        if not len(images):
            return np.zeros((0, model.output_shape[-1]), np.float32)
        return np.concatenate(
            [self._predict(model, images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        )

    def inference(self, model: keras.Model, inputs: Any) -> Any:
        """Return the symbolic result of `predict` for symbolic float32 images in [0, 1]."""
        from keras import ops

        predicted = model(inputs, training=False)
        return (predicted + model(ops.flip(inputs, axis=2), training=False)) / 2 if self.flip_tta else predicted

    def _predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        import numpy as np

        scaled = scale_pixels(images)
        predicted: NDArray[np.floating[Any]] = np.asarray(model.predict_on_batch(scaled))
        if self.flip_tta:
            mirrored = np.asarray(model.predict_on_batch(scaled[:, :, ::-1]))
            predicted = (predicted.astype(np.float32) + mirrored.astype(np.float32)) / 2
        return predicted


def _default_learning() -> Learning:
    """Return how a model learns if nothing says so: Adam with its defaults on cross-entropy."""
    from zoo_keras import losses, optimizers, schedules

    return Learning(
        optimizer=optimizers.adam, learning_rate=1e-3, schedule=schedules.constant, loss=losses.cross_entropy
    )
