"""What reads a file or a text of others, each as a fuzz target, and what mutates their seeds.

``python -m tests.faults.fuzz [TARGET] [--seconds N] [--seed S]`` tries one, or all in turn; an input that a target
cannot take is saved and named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from zoo_fashion import dataset
from zoo_fashion.idx import parse_idx

from zoo import DataError, SettingError
from zoo.errors import ArtifactError, RunFolderError
from zoo.recipes import settings
from zoo.recipes.settings import SettingSpec
from zoo.runs import RunRecord, array_io, out_of_fold, record_io
from zoo.runs.records import CheckpointRecord

from . import own_files
from .corpus import body_of, seal_body

Mutate = Callable[[bytes, random.Random], bytes]
Record = TypeVar("Record", RunRecord, CheckpointRecord)

LAYOUT: array_io.Layout = {
    "000.kernel": ((3, 3, 1, 4), "float32"),
    "001.bias": ((4,), "float32"),
    "seed.000": ((2,), "uint32"),
    "optimizer.000": ((), "int32"),
    "none": ((0, 3), "float64"),
}
IDX_SHAPE = (5, 28, 28)
SPECS = [
    SettingSpec(name="setting", type=type_, default=None)
    for type_ in (
        int,
        float,
        bool,
        str,
        float | None,
        list[int],
        tuple[float, ...],
        tuple[int, int, int],
        Literal["a", "b"],
        Annotated[int, msgspec.Meta(ge=1)],
        Annotated[float, msgspec.Meta(ge=0, lt=1)] | tuple[float, float, float, float],
        list[int] | str | None,
    )
]


def _decode(data: bytes, kind: type[Record]) -> bool:
    try:
        record = record_io.decode(data, kind, "it")
    except RunFolderError:
        return False
    assert record_io.decode(record_io.encode(record), kind, "it") == record
    return True


def run_record(data: bytes) -> bool:
    """Read ``run.json``."""
    return _decode(data, RunRecord)


def checkpoint_record(data: bytes) -> bool:
    """Read the manifest of a checkpoint."""
    return _decode(data, CheckpointRecord)


def artifact(data: bytes) -> bool:
    """Read a safetensors file."""
    try:
        arrays = array_io.decode(data, LAYOUT, "it")
    except ArtifactError:
        return False
    assert array_io.layout_of_arrays(arrays) == LAYOUT
    assert all(np.isfinite(array).all() for array in arrays.values())
    return True


def predictions(data: bytes) -> bool:
    """Read out-of-fold predictions."""
    try:
        found = out_of_fold.decode(data, Path("it"), images=5, classes=2)
    except ArtifactError:
        return False
    count = len(found.indices)
    assert (len(set(found.indices.tolist())), len(found.labels), found.probabilities.shape) == (
        count,
        count,
        (count, 2),
    )
    assert set(found.indices.tolist()) <= set(range(5))
    assert set(found.labels.tolist()) <= {0, 1}
    return True


def idx(data: bytes) -> bool:
    """Read an IDX file."""
    try:
        array = parse_idx(data, IDX_SHAPE, "it")
    except DataError:
        return False
    assert (array.shape, array.dtype.name) == (IDX_SHAPE, "uint8")
    return True


def setting(data: bytes) -> bool:
    """Read a setting of the command line; the first byte chooses its type."""
    spec = SPECS[data[0] % len(SPECS)] if data else SPECS[0]
    try:
        value = settings.convert(data[1:].decode("utf-8", "surrogateescape"), spec, from_text=True)
    except SettingError:
        return False
    assert settings.convert(value, spec) == value  # as it is when it is read from a record
    return True


# mutations

_INTEGERS = [0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 5e-324, "",
    "a", "../../etc/passwd", "\x1b[31m", "\0", "\N{SNOWMAN}", "1e999", "a" * 1000, [], {}, [[]], [None] * 3,
]  # fmt: skip


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return data with some bytes flipped, cut, doubled, moved, put in or replaced by what integers break on."""
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        at, to = sorted(chance.randint(0, len(data)) for _ in range(2))
        short = min(to, at + chance.randint(1, 16))
        match chance.randrange(8):
            case 0 if data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            case 1:
                data = data[:at] if chance.random() < 0.3 else data[:at] + data[short:]
            case 2:
                data = data[:at] + chance.randbytes(chance.randint(1, 8)) + data[at:]
            case 3:
                data = data[:short] + data[at:short] * chance.choice((1, 2, 100)) + data[short:]
            case 4:
                data = data[to:] + data[at:to]
            case 5:
                size = chance.choice((1, 2, 4, 8))
                number = chance.choice(_INTEGERS) % (1 << 8 * size)
                data = data[:at] + number.to_bytes(size, chance.choice(("little", "big"))) + data[at + size :]
            case 6:
                data = data[:at] + str(chance.choice((*_INTEGERS, -1, "1e999", "NaN"))).encode() + data[short:]
            case _:
                data = data[:at] + chance.choice((b"{", b"[", b'"', b"\\", b",", b":", b"}", b"]")) + data[at:]
    return data


def mutate_json(text: bytes, chance: random.Random) -> bytes:
    """Return JSON with some values replaced, removed, renamed, moved or put into deeper ones."""
    value = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = list(_places(value))
        holder, key = chance.choice(places)
        match chance.randrange(6):
            case 0 | 1:
                holder[key] = copy.deepcopy(chance.choice(_VALUES))  # what is changed later is not the original
            case 2:
                del holder[key]
            case 3 if isinstance(holder, dict):
                holder[chance.choice(("x", "sha256", "../x", "\x1b[31m", "", str(key) + "\0"))] = holder[key]
            case 4:
                other, _ = chance.choice(places)
                if key in holder if isinstance(holder, dict) else key < len(holder):
                    holder[key] = json.loads(json.dumps(other))
            case _:
                for _ in range(chance.choice((1, 3, 100))):
                    holder[key] = [holder[key]]
        if not list(_places(value)):
            break
    mutated = json.dumps(value, indent=2)
    if chance.random() < 0.05:  # a key twice, which no parsed JSON has
        mutated = mutated.replace(",\n", ',\n"x": 1, "x": 2,\n', 1)
    return mutated.encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Return every value below one as its holder and the key or index by which that holds it."""
    todo = [value]
    while todo:
        holder = todo.pop()
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            yield holder, key
            if isinstance(holder[key], dict | list):
                todo.append(holder[key])


def mutate_record(data: bytes, chance: random.Random) -> bytes:
    """Return a record mutated, mostly sealed anew: otherwise nothing behind the digest is reached."""
    match chance.randrange(4):
        case 0:
            return mutate_bytes(data, chance)
        case 1:
            return seal_body(mutate_bytes(body_of(data), chance))
        case _:
            return seal_body(mutate_json(body_of(data) + b"\n}", chance).removesuffix(b"\n}"))


def mutate_artifact(data: bytes, chance: random.Random) -> bytes:
    """Return a safetensors file mutated: somewhere, in its header alone, or in what its header says."""
    size = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + size], data[8 + size :]
    match chance.randrange(4):
        case 0:
            return mutate_bytes(data, chance)
        case 1:
            header = mutate_bytes(header, chance)
        case _:
            header = mutate_json(header, chance)
    return len(header).to_bytes(8, "little") + header + body


def mutate_idx(data: bytes, chance: random.Random) -> bytes:
    """Return a gzip-compressed file mutated, inside or outside."""
    if chance.random() < 0.5:
        return mutate_bytes(data, chance)
    return gzip.compress(mutate_bytes(gzip.decompress(data), chance), 1)


# seeds


def _record_seeds() -> list[bytes]:
    metrics = {"loss": 0.25, "accuracy": 0.9, "others": {"macro-f1": 0.5}}
    epoch = {"epoch": 1, "train": metrics, "validation": metrics, "seconds": 1.5}
    part = {
        "name": "net",
        "plugin": "mine",
        "settings": {"widths": [4, 8.5, None], "rate": 0.1, "name": "a", "on": True},
    }
    record = msgspec.convert(
        {
            "format": record_io.FORMAT,
            "id": "20260101-000000-abcd",
            "started": "2026-01-01T00:00:00+00:00",
            "goal": "tested",
            "status": "tested",
            "recipe": {
                "name": "small", "plugin": "mine", "dataset": part, "model": part, "trainer": part,
                "optimizer": part, "schedule": None, "loss": part, "augmentations": [part, part], "metrics": [part],
                "callbacks": [part], "epochs": 1, "batch_size": 32, "validation": 100, "monitor": "macro-f1", "seed": 0,
            },
            "data": {
                "train": 500, "validation": 100, "test": 200, "input_shape": [28, 28, 1],
                "class_names": ["Bag", "Stiefel \N{SNOWMAN}"], "digests": {"a.gz": "0" * 64},
            },
            "parameters": 1234,
            "plugins": {"mine": {"package": None, "version": "1"}},
            "environment": {
                "python": "3.11", "platform": "Linux", "processor": "", "processors": 2, "backend": "tensorflow",
                "float_type": "float32", "dtype_policy": "float32", "packages": {"keras": "3"}, "variables": {},
            },
            "resumed": [{"time": "2026-01-01T00:00:00+00:00", "environment_changes": ["python"]}],
            "history": [epoch],
            "best_epoch": 1,
            "validation": metrics,
            "test": metrics,
            "model_sha256": "0" * 64,
            "seconds": {"train": 1.0, "total": 2.0},
        },
        RunRecord,
    )  # fmt: skip
    started = msgspec.structs.replace(record, history=[], best_epoch=None, status="training")
    return [record_io.encode(record), record_io.encode(started)]


def _checkpoint_seeds() -> list[bytes]:
    metrics = {"loss": 0.25, "accuracy": 0.9}
    file = {"size": 5, "sha256": "0" * 64}
    kept = {"kind": "It", "state": {"wait": 1, "best": 0.5, "name": "a", "on": None}}
    manifest = {
        "format": record_io.FORMAT, "run": "a", "epoch": 1, "step": 5, "seconds": 0.5, "stopped": False,
        "history": [{"epoch": 1, "train": metrics, "validation": metrics, "seconds": 1.5}], "best_epoch": 1,
        "callbacks": {"mine/it": kept}, "training": file, "best": file,
    }  # fmt: skip
    return [record_io.encode(msgspec.convert(manifest, CheckpointRecord))]


def _artifact_seeds() -> list[bytes]:
    chance = np.random.default_rng(0)
    return [
        array_io.encode_arrays({n: chance.integers(0, 9, size=s).astype(t) for n, (s, t) in LAYOUT.items()}),
        array_io.encode_arrays({"000.kernel": np.ones(3, np.float32)}),
    ]


def _predictions_seeds() -> list[bytes]:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    indices, labels = np.array([4, 0, 2]), np.array([0, 1, 1])
    return [
        array_io.encode_arrays(
            {"indices": indices, "labels": labels.astype(kind), "probabilities": probabilities.astype(float_type)}
        )
        for kind, float_type in (("int32", "float32"), ("int64", "float64"))
    ]


def _idx_seeds() -> list[bytes]:
    shipped = Path(dataset.__file__).with_name("data") / dataset.TEST.images.name
    with gzip.open(shipped) as file:
        data = file.read(16 + 5 * 28 * 28)
    return [gzip.compress(data[:4] + (5).to_bytes(4, "big") + data[8:], level) for level in (0, 9)]


def _setting_seeds() -> list[bytes]:
    texts = ["1", "-0.5", "true", "none", "a", "1,2,3", "0.1, 0.2,0.3,0.4", "1e5", "1_000", " ", ",", "nan", "inf"]
    return [bytes([kind]) + text.encode() for kind in range(len(SPECS)) for text in texts]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A parser to be fuzzed.

    Args:
        read: Returns whether it took the data, lets only the documented error pass for a refusal.
        seeds: Make what it takes.
        mutate: Changes that.
    """

    read: Callable[[bytes], bool]
    seeds: Callable[[], list[bytes]]
    mutate: Mutate


TARGETS = {
    "cifar": Target(read=own_files.cifar, seeds=own_files.cifar_seeds, mutate=mutate_bytes),
    "emnist-mapping": Target(read=own_files.emnist_mapping, seeds=own_files.mapping_seeds, mutate=mutate_bytes),
    "svhn": Target(read=own_files.svhn, seeds=own_files.svhn_seeds, mutate=own_files.mutate_svhn(mutate_bytes)),
    "run-record": Target(read=run_record, seeds=_record_seeds, mutate=mutate_record),
    "checkpoint-record": Target(read=checkpoint_record, seeds=_checkpoint_seeds, mutate=mutate_record),
    "artifact": Target(read=artifact, seeds=_artifact_seeds, mutate=mutate_artifact),
    "predictions": Target(read=predictions, seeds=_predictions_seeds, mutate=mutate_artifact),
    "idx": Target(read=idx, seeds=_idx_seeds, mutate=mutate_idx),
    "image": Target(read=own_files.image, seeds=own_files.image_seeds, mutate=mutate_bytes),
    "npz": Target(read=own_files.npz, seeds=own_files.npz_seeds, mutate=own_files.mutate_npz(mutate_bytes)),
    "own-idx": Target(read=own_files.own_idx, seeds=own_files.idx_seeds, mutate=mutate_bytes),
    "table": Target(read=own_files.table, seeds=own_files.table_seeds, mutate=mutate_bytes),
    "setting": Target(read=setting, seeds=_setting_seeds, mutate=mutate_bytes),
}


@dataclass
class Tally:
    """How many inputs were tried, and how many of them refused; the last one, and what was wrong with it if it was."""

    tried: int = 0
    refused: int = 0
    last: bytes = b""
    fault: BaseException | None = None


def fuzz(target: Target, *, seed: int, inputs: int | None = None, seconds: float = float("inf")) -> Tally:
    """Try mutated seeds until one is not taken as it should, or the number of inputs or the seconds are over."""
    chance, tally, seeds = random.Random(seed), Tally(), target.seeds()
    end = time.monotonic() + seconds
    while (inputs is None or tally.tried < inputs) and time.monotonic() < end:
        tally.last = target.mutate(chance.choice(seeds), chance)
        tally.tried += 1
        try:
            tally.refused += not target.read(tally.last)
        except (Exception, SystemExit) as error:
            tally.fault = error
            break
    return tally


def main() -> int:
    """Try what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description="Fuzz the parsers.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="all if none is given")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    status = 0
    for name in [options.target] if options.target else TARGETS:
        tally = fuzz(TARGETS[name], seed=options.seed, seconds=options.seconds)
        print(f"{name}: {tally.tried} inputs tried, {tally.refused} refused", flush=True)
        if tally.fault is not None:
            path = Path(f"fuzz-{name}-{options.seed}.bin")
            path.write_bytes(tally.last)
            print(f"{name}: {path} is not taken as it should: {type(tally.fault).__name__}: {tally.fault!s:.300}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
