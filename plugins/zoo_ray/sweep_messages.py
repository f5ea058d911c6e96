"""Messages between a sweep and the process that talks to Ray, as JSON."""

from __future__ import annotations

import msgspec
from zoo_sweep import Ended, Restarted, TrialJob


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message: the cluster, and the resources of each trial."""

    address: str
    cpus: float
    gpus: float
    retries: int


class Submit(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start a job with these environment variables."""

    job: TrialJob
    variables: dict[str, str]


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Ask the job in a folder to end after its current step."""

    folder: str


class Capacity(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The number of trials that the cluster has room for; also a sign of life."""

    trials: int


class ClusterLost(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The cluster can no longer be used; this is the last message."""

    text: str


ToRayProcess = Begin | Submit | Stop
FromRayProcess = Capacity | ClusterLost | Ended | Restarted
