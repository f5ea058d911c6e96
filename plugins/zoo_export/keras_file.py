"""Keras's own files, for programs that use Keras without zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from zoo import Exporter, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras
    import numpy as np
    from numpy.typing import NDArray


class KerasFile(Exporter):
    """Writes ``.keras`` files with Keras's own layers alone, so that Keras can load them without a plugin.

    Loading such a file builds whatever layers it names. Therefore zoo does not load it once it has been written.
    """

    may_contain_code: ClassVar[bool] = True

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:  # noqa: ARG002  # it has neither
        """Write a model to a file.

        Raises:
            PluginError: A layer is neither one of Keras's own nor a variant of one.
        """
        import keras

        copy = keras.models.clone_model(model, clone_function=_as_own_layer, recursive=True)
        copy.set_weights(model.get_weights())
        copy.save(path)

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:  # noqa: ARG002  # the backend's threads are the process's
        """Return a function that runs the file with Keras."""
        import keras
        import numpy as np

        model = keras.saving.load_model(path, safe_mode=True, compile=False)

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            return np.asarray(model.predict_on_batch(images))

        return run


def _as_own_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return a new layer of Keras's own class with the configuration of a layer, whose class may derive from it.

    Whether both compute the same is found out when the file is compared with the model.
    """
    import keras

    own = next(each for each in type(layer).__mro__ if each.__module__.startswith("keras."))
    try:
        if own is not keras.layers.Layer:
            made: keras.layers.Layer = own.from_config(layer.get_config())  # type: ignore[attr-defined]  # it is a layer
            return made
    except (TypeError, ValueError):  # it has settings of its own
        pass
    raise PluginError(
        "A .keras file can have only Keras's own layers, since others need the plugin's code to be loaded. Export as "
        f"ONNX. Received: layer={type(layer).__qualname__!r}",
        plugin=type(layer).__module__.partition(".")[0],
    )
