"""A run folder's model: built by the registered builder, its weights from the artifact alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.data.loading import image_input_of
from zoo.errors import ArtifactError, DataError, RunFolderError
from zoo.models import weights
from zoo.models.build import build_model, check_size, dtype_policy_of
from zoo.recipes import resolution
from zoo.runs import array_io
from zoo.runs.run_folder import MODEL
from zoo.training.trainer import make_trainer
from zoo.utils import files, hardware

if TYPE_CHECKING:
    from typing import Any

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import ImageInput, Trainer
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A trained model, loaded from its run folder.

    Args:
        run: The run it came from.
        image_input: How images are brought to the form of those that it was trained on.
        model: The Keras model. It takes float32 images in [0, 1]; `predict` takes them as they are.
        trainer: What predicts with it.
    """

    run: Run
    image_input: ImageInput
    model: keras.Model = field(repr=False)
    trainer: Trainer = field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns of `predict`."""
        return tuple(self.run.record.data.class_names)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return probabilities, ``(n, num_classes)``.

        Args:
            images: ``(n, height, width, channels)`` uint8, 0 to 255, of the size that the model was trained on;
                ``(n, height, width)`` will do where there is one channel.

        Raises:
            DataError: The images have another shape or type.
        """
        import numpy as np

        shape, images = tuple(self.run.record.data.input_shape), np.asarray(images)
        if shape[-1] == 1 and images.ndim == 3:
            images = images[..., None]
        if images.shape[1:] != shape or images.dtype != "uint8" or images.ndim != 4:
            raise DataError(
                f"Images for this model are an array (n, {', '.join(map(str, shape))}) of uint8, 0 to 255. "
                f"Received: images.shape={images.shape}, images.dtype={images.dtype}"
            )
        return self.trainer.predict(self.model, images)


def load_model(run: Run, registry: Registry, dtype_policy: str | None = None) -> LoadedModel:
    """Return the model of a run.

    Args:
        run: The run.
        registry: Where names are looked up.
        dtype_policy: What a precision of ``auto`` stands for; None for what is fast on this machine.

    Raises:
        RunFolderError: The run has no saved model, or it cannot be read.
        ArtifactError: The artifact is damaged or belongs to another model.
        UnknownNameError: The plugin that builds the model is not installed.
    """
    record = run.record
    if record.model_sha256 is None:
        raise RunFolderError(
            f"{run.path} has no saved model: its run did not get so far. Received: status={record.status!r}",
            path=run.path,
        )
    hardware.enable_onednn()
    resolved = resolution.from_run(registry, run)
    source = run.path / MODEL
    shape, num_classes = record.data.input_shape, len(record.data.class_names)
    with resolution.record_context(run):
        image_input = image_input_of(resolved.dataset)
        trainer = make_trainer(resolved.trainer)
        with dtype_policy_of(trainer, dtype_policy):
            if not run.is_pretrained:  # settings in a file must not make us allocate more than the artifact has
                check_size(resolved.model, shape, num_classes, source)
            model = build_model(resolved.model, shape, num_classes)
    artifact = files.read(source, array_io.size_limit(weights.layout_of(model)))
    if files.sha256(artifact) != record.model_sha256:
        raise ArtifactError(
            f"{source} is not what its run saved: the digest in run.json is another. Restore it from a copy, or train "
            "again.",
            path=source,
        )
    weights.decode_into(model, artifact, str(source))
    return LoadedModel(run=run, image_input=image_input, model=model, trainer=trainer)
