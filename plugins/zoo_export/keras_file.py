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
    """Writes ``.keras`` files of models with Keras's own layers alone.

    Loading one builds whatever layers it names, so that zoo does not load such a file once it has been written.
    """

    has_programs: ClassVar[bool] = True

    def export(self, model: keras.Model, path: Path, metadata: str, calibration: NDArray[np.uint8] | None) -> None:  # noqa: ARG002  # it has neither
        """Write a model to a file.

        Raises:
            PluginError: A layer is not one of Keras's own, so that Keras alone could not load the file.
        """
        for layer in model._flatten_layers():
            if not type(layer).__module__.startswith("keras."):
                raise PluginError(
                    "A .keras file can have only Keras's own layers, since it would need the plugin's code to be "
                    f"loaded. Export as ONNX. Received: layer={type(layer).__qualname__!r}",
                    plugin=type(layer).__module__.partition(".")[0],
                )
        model.save(path)

    def open(self, path: Path, threads: int | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]:  # noqa: ARG002  # the backend's threads are the process's
        """Return a function that runs the file with Keras."""
        import keras
        import numpy as np

        model = keras.saving.load_model(path, safe_mode=True, compile=False)

        def run(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
            return np.asarray(model.predict_on_batch(images))

        return run
