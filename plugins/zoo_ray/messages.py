"""Messages between a run and the process that talks to Ray, and the encoding of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


IMAGES = "images.npy"
"""Name of the file with the training images, ``(n, height, width, channels)`` uint8."""

LABELS = "labels.npy"
"""Name of the file with their labels, ``(n,)`` integers."""


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """Request to start the workers.

    Args:
        job: A pickled `zoo_ray.job.TrainingJob`, which only the workers unpickle.
        workers: Number of workers.
        threads: Threads per worker; None for an equal share of the available CPUs.
        address: Address of a Ray cluster; None for the run's own cluster on this machine.
        patience: Seconds without a finished step after which to give up.
        restarts: How often workers that died are restarted.
        folder: Folder for Ray's files, removed at the end. It contains the training examples: `IMAGES` and `LABELS`.
    """

    job: bytes
    workers: int
    threads: int | None
    address: str | None
    patience: float
    restarts: int
    folder: str


class WorkUnit(msgspec.Struct, frozen=True, kw_only=True, tag="piece"):
    """Steps to run.

    Args:
        number: Its number, from 0.
        state: The variables before it: weights, optimizer, random layers.
        known: Whether the state is the one that the previous work unit ended with.
        order: Indices of the examples, int32, in the order of the steps.
    """

    number: int
    state: bytes
    known: bool
    order: bytes


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag="alive"):
    """Sign of life: the cluster has responded or has room, or steps are running."""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """Result of a work unit.

    Args:
        number: Number of the work unit.
        state: The variables after it.
        loss: Sum of the examples' cross-entropies.
        right: Number of correct predictions.
    """

    number: int
    state: bytes
    loss: float
    right: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The training cannot continue; ``text`` is the reason, on one line."""

    text: str


Answer = Alive | Done | Failed


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as bytes; equal arrays give equal bytes."""
    from safetensors.numpy import save

    encoded: bytes = save(dict(arrays))
    return encoded


def decode_arrays(encoded: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays that `encode_arrays` encoded."""
    from safetensors.numpy import load

    arrays: dict[str, NDArray[Any]] = load(encoded)
    return arrays
