"""A trainer knows one epoch and one forward pass; validation, best epoch, files and progress are zoo's."""

from dataclasses import dataclass

import keras
import numpy as np

from zoo import Metrics, Trainer, Training
from zoo.data import scale_pixels


@dataclass(frozen=True, kw_only=True)
class Sgd(Trainer):
    """Plain gradient descent, one batch at a time."""

    learning_rate: float = 0.1

    def start(self, model, train, settings):
        model.compile(
            optimizer=keras.optimizers.SGD(self.learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["sparse_categorical_accuracy"],
        )
        model.optimizer.build(model.trainable_variables)
        return self.make_training(model, train, settings)

    def make_training(self, model, train, settings):
        return SgdTraining(model, train, settings)

    def predict(self, model, images):
        return np.asarray(model.predict_on_batch(scale_pixels(images)))


class SgdTraining(Training):
    def __init__(self, model, train, settings):
        self.model, self.train, self.settings = model, train, settings

    def begin(self, epoch):
        keras.utils.set_random_seed(1000 * self.settings.seed + epoch)

    def batches(self, epoch):
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.train))
        return np.split(order, range(self.settings.batch_size, len(order), self.settings.batch_size))

    def run_epoch(self, epoch, on_step):
        self.begin(epoch)
        metrics = Metrics(loss=0.0, accuracy=0.0)
        for step, batch in enumerate(self.batches(epoch), start=1):
            images, labels = self.train[batch]
            loss, accuracy = self.model.train_on_batch(scale_pixels(images), labels)
            metrics = Metrics(loss=float(loss), accuracy=float(accuracy))
            on_step(step, metrics)
        self.model.reset_metrics()
        return metrics

    def state(self):
        return {str(i): np.array(variable) for i, variable in enumerate(self._variables())}

    def restore(self, state):
        for i, variable in enumerate(self._variables()):
            variable.assign(state[str(i)])

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]
