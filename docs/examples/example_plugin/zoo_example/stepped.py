"""The same trainer, but one that can go on in the middle of an epoch."""

from dataclasses import dataclass

import numpy as np

from zoo import Metrics, SteppedTraining
from zoo.data import scale_pixels
from zoo_example.trainer import Sgd, SgdTraining


@dataclass(frozen=True, kw_only=True)
class SteppedSgd(Sgd):
    """Plain gradient descent that can be stopped after any step."""

    def make_training(self, model, train, settings):
        return SteppedSgdTraining(model, train, settings)


class SteppedSgdTraining(SgdTraining, SteppedTraining):
    def __init__(self, model, train, settings):
        super().__init__(model, train, settings)
        self.sums = np.zeros(3)  # of this epoch: loss, right answers, examples

    def run_epoch(self, epoch, on_step, first_step=0):  # so many steps are done
        if first_step == 0:
            self.begin(epoch)
            self.sums[:] = 0
        batches = self.batches(epoch)
        for step, batch in enumerate(batches[first_step:], start=first_step + 1):
            images, labels = self.train[batch]
            self.model.reset_metrics()  # so that these are of this batch alone
            loss, accuracy = self.model.train_on_batch(scale_pixels(images), labels)
            self.sums += len(batch) * np.array([loss, accuracy, 1.0])
            metrics = Metrics(loss=self.sums[0] / self.sums[2], accuracy=self.sums[1] / self.sums[2])
            on_step(step, metrics)  # which may call state()
        return metrics

    def state(self):
        return {**super().state(), "sums": self.sums.copy()}

    def restore(self, state):
        super().restore(state)
        self.sums = np.array(state["sums"])
