"""What an exported file says of itself, and what is recorded beside it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from zoo.runs.data_records import DataRecord  # noqa: TC001  # msgspec evaluates them
from zoo.runs.fields import Distance, Duration, Images, Name, Share  # noqa: TC001  # msgspec evaluates them
from zoo.runs.record_io import FORMAT
from zoo.runs.records import ComponentRecord, FileRecord, PluginRecord, _Record

_Value = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class ImageInputRecord(_Record, frozen=True, kw_only=True):
    """The preprocessing of image files: the attributes of `zoo.ImageInput`."""

    crop: Literal["center", "pad", "stretch"]
    background: Annotated[int, msgspec.Meta(ge=0, le=255)]
    inverted: bool | None
    trimmed: bool
    value_range: tuple[_Value, _Value] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Refuse an empty range, which no value would be in."""
        if self.value_range and self.value_range[0] >= self.value_range[1]:
            raise ValueError(f"a range has a lowest and a higher value. Received: value_range={self.value_range}")


class ExportRecord(_Record, frozen=True, kw_only=True):
    """What an exported file says of itself.

    Its model takes images ``(n, height, width, channels)`` uint8, 0 to 255, and returns probabilities
    ``(n, classes)`` float32.

    Args:
        format: Version of this layout.
        exporter: Qualified name of the exporter that wrote and can run the file: ``"export/onnx"``.
        int8: Whether weights and activations are 8-bit integers.
        recipe: Name of the recipe.
        run: Id of the run.
        model: The model and its settings.
        model_sha256: Digest of the run's weights.
        dtype_policy: The Keras dtype policy that the model was trained with. The file computes in float32.
        data: The data of the run: classes, size of the images, digests.
        dataset: The dataset and its settings, for ``zoo test``.
        image_input: The preprocessing of image files.
        plugins: Plugins of the run with their versions.
        packages: Versions of the packages that wrote the file.
    """

    format: int = FORMAT
    exporter: Name
    int8: bool
    recipe: Name
    run: Name
    model: ComponentRecord
    model_sha256: Name
    dtype_policy: Name
    data: DataRecord
    dataset: ComponentRecord
    image_input: ImageInputRecord
    plugins: dict[Name, PluginRecord]
    packages: dict[Name, Name]


class ParityRecord(_Record, frozen=True, kw_only=True):
    """How the answers of an exported file compare with those of the zoo's model.

    Args:
        images: Number of test images that both predicted.
        largest_difference: Largest absolute difference between two probabilities.
        tolerance: The largest difference that is allowed; for int8, the largest loss of accuracy.
        different_predictions: Number of images with another most probable class.
        accuracy: Test accuracy of the file.
        model_accuracy: Test accuracy of the zoo's model in float32.
        run_accuracy: Test accuracy that the run recorded, in the precision it was trained with; None if it was not
            tested.
    """

    images: Images
    largest_difference: Distance
    tolerance: Distance
    different_predictions: Images
    accuracy: Share
    model_accuracy: Share
    run_accuracy: Share | None


class ExportFileRecord(_Record, frozen=True, kw_only=True):
    """The content of the JSON file beside an exported file.

    Args:
        format: Version of this layout.
        export: What the exported file says of itself.
        files: Size and digest of each exported file, by what follows the stem of its name: ``".onnx"``.
        parity: How its answers compare with those of the zoo's model.
        is_run_data: Whether they were compared on the data of the run, by its digests.
        seconds: Wall-clock seconds that export and comparison took.
    """

    format: int = FORMAT
    export: ExportRecord
    files: dict[Name, FileRecord]
    parity: ParityRecord
    is_run_data: bool = True
    seconds: Duration
