"""What a sweep and the process that talks to Ray say to each other, as JSON."""

from __future__ import annotations

import msgspec
from zoo_sweep import Ended, Restarted, TrialJob


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message: which cluster, and what each trial takes of it."""

    address: str
    cpus: float
    gpus: float
    retries: int


class Submit(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Begin a job, with these environment variables."""

    job: TrialJob
    variables: dict[str, str]


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Ask the job in a folder to end after its step."""

    folder: str


class Capacity(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The cluster is there, and has room for so many trials at a time; also a sign of life."""

    trials: int


class ClusterLost(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The cluster cannot be used any longer; nothing follows."""

    text: str


ToRayProcess = Begin | Submit | Stop
FromRayProcess = Capacity | ClusterLost | Ended | Restarted
