"""The typed content of ``run.json``: strict in what it reads, exact in what it writes."""

from __future__ import annotations

from typing import Literal

import msgspec

from zoo.errors import RunFolderError

FORMAT = 1
"""Version of the layout of ``run.json`` and the run folder."""

Setting = bool | int | float | str | None | list[bool | int | float | str | None]
Status = Literal["training", "trained", "tested", "failed", "interrupted"]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that refuses keys it does not know."""


class Metrics(_Record, frozen=True, kw_only=True):
    """How well predictions fit the labels.

    Args:
        loss: Mean categorical cross-entropy, in nats.
        accuracy: Share of examples whose most probable class is the true one, 0 to 1.
    """

    loss: float
    accuracy: float


class EpochRecord(_Record, frozen=True, kw_only=True):
    """One epoch: its number from 1, the mean of the training metrics while it ran, validation after it."""

    epoch: int
    train: Metrics
    validation: Metrics | None
    seconds: float


class PartRecord(_Record, frozen=True, kw_only=True):
    """A data set, model or trainer as used: its name, the plugin it came from and all of its settings."""

    name: str
    plugin: str
    settings: dict[str, Setting]


class RecipeRecord(_Record, frozen=True, kw_only=True):
    """A recipe as resolved: nothing is left to a default."""

    name: str
    plugin: str
    dataset: PartRecord
    model: PartRecord
    trainer: PartRecord
    epochs: int
    batch_size: int
    validation: int
    seed: int


class DataRecord(_Record, frozen=True, kw_only=True):
    """The data: numbers of examples, shape of an image (height, width, channels), classes, digests of the files."""

    train: int
    validation: int
    test: int
    input_shape: tuple[int, int, int]
    class_names: list[str]
    digests: dict[str, str]


class EnvironmentRecord(_Record, frozen=True, kw_only=True):
    """What the bits of a run may depend on besides its settings."""

    python: str
    platform: str
    processors: int
    backend: str
    float_type: str
    dtype_policy: str
    packages: dict[str, str]
    variables: dict[str, str]


class Seconds(_Record, frozen=True, kw_only=True):
    """Wall seconds: of training with its validation, and of the whole run."""

    train: float
    total: float


class RunRecord(_Record, frozen=True, kw_only=True):
    """All of ``run.json``."""

    format: int
    id: str
    started: str
    status: Status
    error: str | None = None
    recipe: RecipeRecord
    data: DataRecord
    parameters: int
    plugins: dict[str, str]
    environment: EnvironmentRecord
    history: list[EpochRecord] = []
    best_epoch: int | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    model_sha256: str | None = None
    seconds: Seconds


class _Version(msgspec.Struct):
    format: int


def encode_record(record: RunRecord) -> bytes:
    """Return a record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def decode_record(data: bytes, source: str) -> RunRecord:
    """Return the record that ``encode_record`` wrote.

    Raises:
        RunFolderError: The JSON is malformed, lacks a key, has one too many or a value of another type, or
            was written by a newer version.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).format
        if version != FORMAT:
            raise RunFolderError(
                f"{source} has format {version}, and this version of zoo reads format {FORMAT}: "
                "read it with the version of keras-zoo that wrote it."
            )
        return msgspec.json.decode(data, type=RunRecord)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RunFolderError(
            f"{source} is not a valid run record: {error}. Restore it from a copy, or train again."
        ) from error
