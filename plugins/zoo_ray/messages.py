"""What a run and the process that speaks with Ray tell each other, and how arrays travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


IMAGES = "images.npy"
"""File of the training images, ``(n, height, width, channels)`` uint8."""

LABELS = "labels.npy"
"""File of their labels, ``(n,)`` of whole numbers."""


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """The workers are to be started.

    Args:
        job: What each of them is to do: a pickled `zoo_ray.job.TrainingJob`, which workers alone open.
        workers: How many.
        threads: Threads that each computes with; None for an equal share of the processors that there are.
        address: Of a Ray cluster; None for one of our own, on this machine.
        patience: Seconds without a finished step after which it is given up.
        restarts: How often workers that died are started again.
        folder: For files of Ray, removed in the end. The training examples are there: `IMAGES` and `LABELS`.
    """

    job: bytes
    workers: int
    threads: int | None
    address: str | None
    patience: float
    restarts: int
    folder: str


class WorkUnit(msgspec.Struct, frozen=True, kw_only=True, tag="piece"):
    """Steps to be done.

    Args:
        number: From 0.
        state: The variables before it: weights, optimizer, random layers.
        known: Whether that is the state that the piece before it has ended with.
        order: Indices of the examples, int32, in the order of the steps.
    """

    number: int
    state: bytes
    known: bool
    order: bytes


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag="alive"):
    """The cluster has answered, or had room, or steps are being done."""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """A piece is done.

    Args:
        number: Its number.
        state: The variables after it.
        loss: Sum of the examples' cross-entropies.
        right: Sum of their right answers.
    """

    number: int
    state: bytes
    loss: float
    right: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It cannot go on: why, on one line."""

    text: str


Answer = Alive | Done | Failed


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as bytes, always the same for the same arrays."""
    from safetensors.numpy import save

    encoded: bytes = save(dict(arrays))
    return encoded


def decode_arrays(encoded: bytes) -> dict[str, NDArray[Any]]:
    """Return what `encode_arrays` was given."""
    from safetensors.numpy import load

    arrays: dict[str, NDArray[Any]] = load(encoded)
    return arrays
