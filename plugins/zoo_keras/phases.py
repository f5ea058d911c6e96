"""Training in two phases: first the head alone, then everything that is not frozen."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import Metrics, SettingError, SteppedTraining
from zoo.models import named_layers
from zoo_keras.freezing import ALL_BUT_HEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras
    from numpy.typing import NDArray

    from zoo import TrainingConfig
    from zoo_keras.training import KerasTraining

_HEAD, _MODEL = "head.", "model."  # prefixes in a state: of the first phase, and of weights, which both phases share


class HeadFirst(SteppedTraining):
    """A training of the head for some epochs, then one of the whole model, each with an optimizer of its own.

    Both exist from the start, so that the names and shapes in `state` never change.
    """

    def __init__(
        self,
        begin_head: Callable[[TrainingConfig], KerasTraining],
        begin_whole: Callable[[TrainingConfig], KerasTraining],
        model: keras.Model,
        settings: TrainingConfig,
        epochs: int,
    ) -> None:
        """Begin both trainings; neither compiles anything before its first epoch.

        Args:
            begin_head: Returns the first training; freezes all but the head.
            begin_whole: Returns the second; freezes what stays frozen.
            model: The model.
            settings: Those of the run.
            epochs: Number of epochs of the first training.

        Raises:
            SettingError: No epoch is left for the second.
        """
        if epochs >= settings.epochs:
            raise SettingError(
                f"Setting 'trainer.head_epochs' must be less than the number of epochs. Train longer, set it to 0 to "
                f"train everything from the start, or train only the head with `trainer.freeze={ALL_BUT_HEAD}`. "
                f"Received: trainer.head_epochs={epochs}, epochs={settings.epochs}",
                name="trainer.head_epochs",
                value=epochs,
            )
        self._model, self._epochs = model, epochs
        self._whole = begin_whole(replace(settings, epochs=settings.epochs - epochs))
        trainable = _flags(model)
        self._head = begin_head(replace(settings, epochs=epochs))
        self._flags = {True: _flags(model), False: trainable}  # by whether it is the first phase
        self._current = self._head

    def prepare_epoch(self, epoch: int) -> None:
        """Change to the second phase if it begins, before callbacks set its optimizer's learning rate."""
        is_first = epoch < self._epochs
        self._current = self._head if is_first else self._whole
        if not is_first:
            self._head.close()  # its processes and data on the device
        for layer, is_trainable in self._flags[is_first]:
            layer.trainable = is_trainable
        self._model.optimizer = self._current.optimizer  # where callbacks look for it

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train for one epoch, or for the remaining steps of one; return its mean loss and accuracy."""
        self.prepare_epoch(epoch)
        return self._current.run_epoch(epoch, on_step, first_step)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the states of both trainings, with the weights, which they share, once."""
        head = {_HEAD + name: array for name, array in self._head.state().items() if not name.startswith(_MODEL)}
        return head | self._whole.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a `state`."""
        of_head = {name.removeprefix(_HEAD): array for name, array in state.items() if name.startswith(_HEAD)}
        weights = {name: array for name, array in state.items() if name.startswith(_MODEL)}
        self._whole.restore({name: array for name, array in state.items() if not name.startswith(_HEAD)})
        self._head.restore(of_head | weights)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the model has its averaged weights, if the optimizer averages them."""
        return self._current.averaged()

    def close(self) -> None:
        """Close both trainings."""
        with contextlib.ExitStack() as both:
            both.callback(self._whole.close)
            both.callback(self._head.close)


def _flags(model: keras.Model) -> list[tuple[keras.layers.Layer, bool]]:
    return [(layer, layer.trainable) for layer in named_layers(model).values()]
