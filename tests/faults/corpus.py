"""Bad files by name: what is changed in a run folder or a data folder, and which file must be named for it."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
from zoo_fashion import dataset

import zoo
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import make_registry
from zoo import Entry

Change = Callable[[Path], object]
Content = Callable[[bytes], bytes]
Json = dict[str, Any]

SHIPPED = Path(dataset.__file__).with_name("data")
ESCAPE = "\x1b[31m\x9b2J\x07"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input.

    Args:
        name: What is wrong.
        command: ``test`` a finished run, ``resume`` a stopped one, or ``train`` from a data folder.
        named: The path that the error must name, below the run or data folder.
        change: Makes the input bad, in place, in a copy of the run or data folder.
        is_survived: The older of two checkpoints is sound: the newer is skipped with a warning that names it.
    """

    name: str
    command: Literal["test", "resume", "train"]
    named: str
    change: Change
    is_survived: bool = False


@dataclass(frozen=True, kw_only=True)
class Material:
    """What cases are made from: a finished run and one that was stopped with two checkpoints."""

    finished: Path
    stopped: Path

    def lay_out(self, case: Case, folder: Path) -> list[str]:
        """Make the input of a case in a folder and return the arguments that feed it to the command line."""
        subject = folder / "subject"
        if case.command == "train":
            subject.mkdir(parents=True)
            for name in DATA_FILES:
                os.symlink(SHIPPED / name, subject / name)
            arguments = ["train", "small", "--data-dir", str(subject), "--out", str(folder / "out")]
        else:
            shutil.copytree(self.finished if case.command == "test" else self.stopped, subject)
            arguments = [case.command, str(subject)]
        case.change(subject)
        return [*arguments, "--quiet"]


def make_stopped_run(path: Path) -> None:
    """Train the small recipe until step 7 of its second epoch: there are checkpoints of epoch 1 and of step 5."""

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if (self.epoch, batch) == (1, 6):
                raise KeyboardInterrupt

    registry = make_registry()
    registry.callbacks.add(Entry(name="stopping", target=Stop, summary="Stops."))
    try:
        zoo.train("small", callbacks=["stopping"], out=path, registry=registry, checkpoint_every=5)
    except KeyboardInterrupt:
        # a callback that is gone would be refused, which is not what these cases are about
        edited(lambda record: record["recipe"].update(callbacks=[]))(path / "run.json")
        for manifest in path.glob("checkpoints/*/manifest.json"):
            edited(lambda record: record.update(callbacks={}))(manifest)
        return
    raise AssertionError("the run was not stopped")


def cases() -> Iterator[Case]:
    """Return all cases."""
    return itertools.chain(_artifacts(), _records(), _checkpoints(), _data())


# what a file can be instead of what it should be


def remade(content: Content) -> Change:
    """Return the change of a file's content; what a link leads to stays as it is."""

    def change(path: Path) -> None:
        data = content(path.read_bytes())
        path.unlink()
        path.write_bytes(data)

    return change


def edited(edit: Callable[[Json], object]) -> Change:
    """Return the change of a record which is then sealed anew, as whoever can write the file can."""

    def change(path: Path) -> None:
        record = unsealed(path)
        edit(record)
        path.write_bytes(seal(record))

    return change


def resealed(body: Content) -> Change:
    """Return the change of a record's text, up to its last brace, which is then sealed anew."""

    def change(path: Path) -> None:
        path.write_bytes(seal_body(body(body_of(path.read_bytes()))))

    return change


def body_of(record: bytes) -> bytes:
    """Return a record's text without its seal and the brace that closes it."""
    return record.rpartition(b',\n  "sha256"')[0]


def seal_body(body: bytes) -> bytes:
    """Return a record of which only the last brace is missing with its seal."""
    return body + f',\n  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def flipped(data: bytes, share: float, bit: int = 0) -> bytes:
    """Return data with one bit flipped, as far into them as a share of their length says."""
    at = min(int(len(data) * share), len(data) - 1)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def cut(data: bytes, share: float) -> bytes:
    """Return the first part of data."""
    return data[: int(len(data) * share)]


def _removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _sparse(path: Path, size: int = 1 << 30) -> None:
    _removed(path)
    with path.open("wb") as file:
        file.truncate(size)


def _made_folder(path: Path) -> None:
    _removed(path)
    path.mkdir()


def _made_file(path: Path) -> None:
    _removed(path)
    path.touch()


def _made_fifo(path: Path) -> None:
    _removed(path)
    os.mkfifo(path)


def _moved_behind_a_link(path: Path) -> None:
    away = path.parent.parent / f"away-{path.parent.name}-{path.name}"
    path.rename(away)
    path.symlink_to(away)


def _linked_to(target: str) -> Change:
    def change(path: Path) -> None:
        _removed(path)
        path.symlink_to(target)

    return change


NO_FILES: Mapping[str, Change] = {
    "folder": _made_folder,
    "FIFO": _made_fifo,
    "link to the real file": _moved_behind_a_link,
    "link to itself": lambda path: _linked_to(path.name)(path),
    "link to nothing": _linked_to("nothing"),
    "link to an endless device": _linked_to("/dev/zero"),
    "sparse file of 1 GB": _sparse,
}
NO_CONTENT: Mapping[str, Content] = {
    "empty": lambda _: b"",
    "one byte": lambda data: data[:1],
    **{f"cut off at {share:.0%}": partial(cut, share=share) for share in (0.01, 0.1, 0.5, 0.9, 0.999)},
    "last byte missing": lambda data: data[:-1],
    "byte added": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "NUL bytes in front": lambda data: bytes(16) + data,
    "pickle": lambda _: pickle.dumps({"weights": os.system}),
    "HDF5": lambda _: b"\x89HDF\r\n\x1a\n" + bytes(1000),
    "archive as of .keras": lambda _: b"PK\x03\x04" + bytes(1000),
}


# (a) artifacts


def _header(data: bytes) -> tuple[Json, bytes]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _assembled(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def _header_edited(edit: Callable[[Json], object]) -> Content:
    def change(data: bytes) -> bytes:
        header, body = _header(data)
        edit(header)
        return _assembled(json.dumps(header).encode(), body)

    return change


def _header_replaced(text: Callable[[str], str | bytes]) -> Content:
    def change(data: bytes) -> bytes:
        header, body = _header(data)
        text_ = text(json.dumps(header))
        return _assembled(text_ if isinstance(text_, bytes) else text_.encode(), body)

    return change


def _of_first(**changes: Any) -> Content:
    """Return the change of what the header says of its first array."""

    def edit(header: Json) -> None:
        header[next(iter(header))].update(changes)

    return _header_edited(edit)


def _renamed(name: str) -> Content:
    def edit(header: Json) -> None:
        header[name] = header.pop(next(iter(header)))

    return _header_edited(edit)


def _first_twice(text: str) -> str:
    header = json.loads(text)
    name = next(iter(header))
    return text[:-1] + f', "{name}": {json.dumps(header[name])}}}'


def _values(pattern: bytes) -> Content:
    def change(data: bytes) -> bytes:
        return data[: -len(pattern)] + pattern

    return change


def _overlapping(header: Json) -> None:
    first, second = itertools.islice(header.values(), 2)
    second["data_offsets"] = [first["data_offsets"][0], second["data_offsets"][1]]


def _added(name: str, entry: Json) -> Content:
    return _header_edited(lambda header: header.update({name: entry}))


_NOTHING: Json = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}

_NO_TYPES: list[Any] = ["float32", "", "O", None, 7, []]

HOSTILE_ARTIFACTS: Mapping[str, Content] = {
    "length of header 0": lambda data: bytes(8) + data[8:],
    "length of header 1": lambda data: (1).to_bytes(8, "little") + data[8:],
    "length of header 2**63": lambda data: (1 << 63).to_bytes(8, "little") + data[8:],
    "length of header 2**64 - 1": lambda data: b"\xff" * 8 + data[8:],
    "length of header one more than the file": lambda data: (len(data) - 7).to_bytes(8, "little") + data[8:],
    "length of header one less": lambda data: (int.from_bytes(data[:8], "little") - 1).to_bytes(8, "little") + data[8:],
    "length of header whole file": lambda data: (len(data) - 8).to_bytes(8, "little") + data[8:],
    "header empty object": _header_replaced(lambda _: "{}"),
    "header list": _header_replaced(lambda _: "[]"),
    "header null": _header_replaced(lambda _: "null"),
    "header number": _header_replaced(lambda _: "1e999"),
    "header not UTF-8": _header_replaced(lambda text: text.replace("F32", "\xff\xfe").encode("latin-1")),
    "header in UTF-16": _header_replaced(lambda text: text.encode("utf-16")),
    "header with byte order mark": _header_replaced(lambda text: text.encode("utf-8-sig")),
    "header lists 100,000 deep": _header_replaced(lambda _: "[" * 100_000),
    "header objects 100,000 deep": _header_replaced(lambda _: '{"a":' * 100_000 + "1" + "}" * 100_000),
    "header lists 500 deep in an entry": _header_replaced(
        lambda text: text[:-1] + ', "x": ' + "[" * 500 + "]" * 500 + "}"
    ),
    "header with a name twice": _header_replaced(_first_twice),
    "header with a key twice": _header_replaced(lambda text: text.replace('{"dtype"', '{"dtype": "F16", "dtype"', 1)),
    "header with a huge integer": _header_replaced(lambda text: text.replace("[0, ", "[" + "9" * 5000 + ", ", 1)),
    "header with text behind it": _header_replaced(lambda text: text + "{}"),
    "header with lone surrogate": _header_replaced(lambda text: text.replace('"0', '"\\ud8000', 1)),
    "array missing": _header_edited(lambda header: header.popitem()),
    "array too many": _added("more", _NOTHING),
    "array called ../../etc/passwd": _renamed("../../etc/passwd"),
    "array called /etc/passwd": _added("/etc/passwd", _NOTHING),
    "array called with escapes": _renamed(ESCAPE),
    "array called with 100,000 letters": _renamed("a" * 100_000),
    "array called nothing": _renamed(""),
    "array called with newlines": _renamed("a\nError: b\r\nc"),
    "array called with NUL": _renamed("000.kernel\0"),
    "metadata that is no object": _header_edited(lambda header: header.update({"__metadata__": 1})),
    "metadata with an object": _header_edited(lambda header: header.update({"__metadata__": {"a": {}}})),
    "entry null": _header_edited(lambda header: header.update({next(iter(header)): None})),
    "entry without type": _header_edited(lambda header: header[next(iter(header))].pop("dtype")),
    "entry without shape": _header_edited(lambda header: header[next(iter(header))].pop("shape")),
    "entry without offsets": _header_edited(lambda header: header[next(iter(header))].pop("data_offsets")),
    **{f"type {dtype}": _of_first(dtype=dtype) for dtype in ("I32", "U32", "F64", "F16", "BF16", "F8_E4M3", "C64")},
    **{f"type {dtype!r}": _of_first(dtype=dtype) for dtype in _NO_TYPES},
    "shape flat": _of_first(shape=[16]),
    "shape none": _of_first(shape=[]),
    "shape huge": _of_first(shape=[1 << 62, 4]),
    "shape that overflows to nothing": _of_first(shape=[1 << 32, 1 << 32]),
    "shape negative": _of_first(shape=[-4, -4]),
    "shape of text": _of_first(shape=["4"]),
    "shape of 100,000 ones": _of_first(shape=[1] * 100_000),
    "offsets huge": _of_first(data_offsets=[0, 1 << 62]),
    "offsets beyond 64 bits": _of_first(data_offsets=[0, 1 << 70]),
    "offsets negative": _of_first(data_offsets=[-4, 12]),
    "offsets backwards": _of_first(data_offsets=[16, 0]),
    "offsets of one": _of_first(data_offsets=[0]),
    "offsets broken": _of_first(data_offsets=[0.5, 16.5]),
    "offsets overlapping": _header_edited(_overlapping),
    "bytes behind the arrays": lambda data: data + bytes(64),
    "bytes of the arrays missing": lambda data: data[:-4],
    "NaN": _values(struct.pack("<f", float("nan"))),
    "infinity": _values(struct.pack("<f", float("inf"))),
    "minus infinity": _values(struct.pack("<f", float("-inf"))),
    "all NaN": _values(b"\xff" * 400),
}  # fmt: skip
"""Refused though the digest is right."""

_FLIPS = [(0.0, 0), (0.00001, 7), (0.004, 1), (0.01, 0), (0.02, 5), (0.05, 2), (0.3, 7), (0.6, 0), (0.9, 6), (1.0, 0)]


def adopted(content: Content) -> Change:
    """Return the change of an artifact, with a ``run.json`` that says that it is as it should be."""

    def change(run: Path) -> None:
        remade(content)(run / "model.safetensors")
        digest = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
        edited(lambda record: record.update(model_sha256=digest))(run / "run.json")

    return change


def _artifacts() -> Iterator[Case]:
    artifact = "model.safetensors"
    make = partial(Case, command="test", named=artifact)

    def of(change: Change) -> Change:
        return lambda run: change(run / artifact)

    for name, change in NO_FILES.items():
        yield make(name=f"artifact: {name}", change=of(change))
    yield make(name="artifact: missing", change=of(_removed))
    yield make(name="artifact: 1 TB for a model that needs it", named="", change=_vast)
    contents = dict(NO_CONTENT)
    contents |= {f"bit {bit} flipped at {share:.3%}": partial(flipped, share=share, bit=bit) for share, bit in _FLIPS}
    for name, content in contents.items():
        yield make(name=f"artifact: {name}", change=of(remade(content)))
    for name, content in {**NO_CONTENT, **HOSTILE_ARTIFACTS}.items():
        yield make(name=f"artifact adopted: {name}", change=adopted(content))
    for name in ("NaN", "length of header 2**63", "array called ../../etc/passwd"):
        yield make(name=f"artifact: {name}", change=of(remade(HOSTILE_ARTIFACTS[name])))


def _vast(run: Path) -> None:
    """Let settings ask for what the size of the file seems to warrant: a hole costs its author nothing."""
    _sparse(run / "model.safetensors", 1 << 40)
    edited(lambda record: record["recipe"]["model"]["settings"].update(dense_width=1 << 29))(run / "run.json")


# (b) records


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return where the keys of a record are."""
    for key, below in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from _paths(below, (*path, key))


_TYPES_OF_KEYS = {
    "": [
        "format", "id", "started", "goal", "status", "recipe", "data", "parameters", "plugins", "environment",
        "seconds",
    ],
    "recipe": ["name", "plugin", "dataset", "model", "trainer", "epochs", "batch_size", "validation", "seed"],
    "recipe.dataset": ["name", "plugin", "settings"],
    "recipe.model": ["name", "plugin", "settings"],
    "recipe.trainer": ["name", "plugin", "settings"],
    "data": ["train", "validation", "test", "input_shape", "class_names", "digests"],
    "environment": [
        "python", "platform", "processor", "processors", "backend", "float_type", "dtype_policy", "packages",
    ],
    "validation": ["loss", "accuracy"],
    "test": ["loss", "accuracy"],
    "seconds": ["train", "total"],
}  # fmt: skip
_WITH_DEFAULTS = ["error", "checkpoint_every", "resumed", "history", "best_epoch", "validation", "test", "model_sha256"]


def _inside(record: Json, path: str) -> Json:
    for key in filter(None, path.split(".")):
        record = record[key]
    return record


def _put(path: str, key: str, value: Any) -> Change:
    return edited(lambda record: _inside(record, path).update({key: value}))


def _without(path: str, key: str) -> Change:
    return edited(lambda record: _inside(record, path).pop(key))


def _setting(**settings: Any) -> Change:
    return edited(lambda record: record["recipe"]["model"]["settings"].update(settings))


def _key_twice(body: bytes) -> bytes:
    return body + b',\n  "test": {"loss": 0.0, "accuracy": 1.0}'


BAD_NAMES = {
    "../ in it": "../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a module": "os:system",
    "escapes": ESCAPE,
    "newlines": "a\nError: b\r\nc",
    "NUL": "fashion-cnn\0",
    "nothing": "",
    "100,000 letters": "a" * 100_000,
    "another writing": "\N{SNOWMAN}\N{RIGHT-TO-LEFT OVERRIDE}",
}

HOSTILE_RECORDS: Mapping[str, Change] = {
    **{
        f"{path}{'.' if path else ''}{key} {what}": change
        for path, keys in _TYPES_OF_KEYS.items()
        for key in keys
        for what, change in (
            ("missing", _without(path, key)),
            ("of another type", _put(path, key, [[]])),
            ("null", _put(path, key, None)),
        )
    },
    **{f"{key} of another type": _put("", key, [[]]) for key in _WITH_DEFAULTS},
    "unknown key": _put("", "surprise", 1),
    "unknown key with escapes": _put("", ESCAPE, 1),
    "unknown key of 100,000 letters": _put("", "a" * 100_000, 1),
    "unknown key inside": _put("recipe.model", "code", "os:system"),
    "key twice": resealed(_key_twice),
    "key twice inside": resealed(lambda body: body.replace(b'"seed": 0', b'"seed": 0, "seed": 0')),
    "newer format": _put("", "format", 2),
    "format 0": _put("", "format", 0),
    "format huge": _put("", "format", 10**4000),
    "format true": _put("", "format", True),
    "status of 100,000 letters": _put("", "status", "a" * 100_000),
    "status with escapes": _put("", "status", ESCAPE),
    "loss 1e999": resealed(lambda body: body.replace(b'"loss": ', b'"loss": 1e999, "was": ', 1)),
    "loss NaN": resealed(lambda body: body.replace(b'"loss": ', b'"loss": NaN, "was": ', 1)),
    "parameters with 100,000 digits": resealed(
        lambda body: body.replace(b'"parameters": ', b'"parameters": ' + b"9" * 100_000)
    ),
    "lists 100,000 deep": resealed(lambda body: body + b', "x": ' + b"[" * 100_000),
    "objects 1,000 deep": resealed(lambda body: body + b', "x": ' + b'{"a":' * 1000 + b"1" + b"}" * 1000),
    "20 MB of text": _put("", "error", "a" * (20 << 20)),
    "text behind it": resealed(lambda body: body + b"}{"),
    "not UTF-8": resealed(lambda body: body.replace(b"small", b"sm\xffll")),
    "lone surrogate": resealed(lambda body: body.replace(b"small", b"sm\\ud800ll")),
    "NUL bytes in it": resealed(lambda body: body.replace(b"small", b"sm\0ll")),
    "in UTF-16": lambda path: path.write_bytes(path.read_text().encode("utf-16")),
    "null": lambda path: path.write_bytes(b"null"),
    "list": lambda path: path.write_bytes(b"[]"),
    "seal of another": lambda path: path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1')),
    "seal in capitals": lambda path: path.write_bytes(path.read_bytes()[:-67] + path.read_bytes()[-67:].upper()),
    "seal twice": lambda path: path.write_bytes(seal_body(path.read_bytes().removesuffix(b"\n}\n"))),
    "no class": _put("data", "class_names", []),
    "image of no height": _put("data", "input_shape", [0, 28, 1]),
    "image of negative height": _put("data", "input_shape", [-28, 28, 1]),
    "image of 2**40 rows": _put("data", "input_shape", [1 << 40, 28, 1]),
    "image of two sizes": _put("data", "input_shape", [28, 28]),
    "model of a setting that is a list of lists": _setting(widths=[[1], [2], [3]]),
    "model of a setting that is an object": _setting(widths={"a": 1}),
    "model of a setting that is no number": _setting(dense_width="sixteen"),
    "model of a setting of 100,000 letters": _setting(dense_width="a" * 100_000),
    "model of a setting with escapes": _setting(dense_width=ESCAPE),
    "model of an unknown setting": _setting(surprise=1),
    "model of an unknown setting with escapes": _setting(**{ESCAPE: 1}),
    "model of an unknown setting of 100,000 letters": _setting(**{"a" * 100_000: 1}),
    "model of width 0": _setting(dense_width=0),
    "model of width -1": _setting(dense_width=-1),
    "model of two widths": _setting(widths=[4, 8]),
    "model of 100,000 widths": _setting(widths=[4] * 100_000),
    "model of dropout 1": _setting(dropout=1.0),
    "epochs 0": _put("recipe", "epochs", 0),
    "seed -1": _put("recipe", "seed", -1),
    "seed 2**64": _put("recipe", "seed", 1 << 64),
    "batch size -1": _put("recipe", "batch_size", -1),
    **{f"{kind} called {what}": _put(f"recipe.{kind}", "name", name)
       for kind in ("dataset", "model", "trainer") for what, name in BAD_NAMES.items()},
    **{f"plugin called {what}": _put("recipe.model", "plugin", name) for what, name in BAD_NAMES.items()},
    "image of 2**20 rows, columns and channels": _put("data", "input_shape", [1 << 20] * 3),
}  # fmt: skip
"""Refused though sealed, by what they say or cannot say."""

HOSTILE_MODELS: Mapping[str, Change] = {
    "image of 2**20 rows": _put("data", "input_shape", [1 << 20, 28, 1]),
    "image of another size": _put("data", "input_shape", [32, 32, 3]),
    "one class": _put("data", "class_names", ["a"]),
    "eleven classes": _put("data", "class_names", [str(i) for i in range(11)]),
    "1,000,000 classes": _put("data", "class_names", [str(i) for i in range(1_000_000)]),
    **{f"width {name}": _setting(dense_width=width) for name, width in {
        "17": 17, "10**9": 10**9, "2**31": 1 << 31, "2**62": 1 << 62, "2**63 - 1": (1 << 63) - 1, "2**64": 1 << 64,
        "10**4000": 10**4000}.items()},
    "widths 10**9": _setting(widths=[10**9] * 3),
    "widths 2**31": _setting(widths=[1 << 31] * 3),
    "widths 2**62": _setting(widths=[1 << 62] * 3),
}  # fmt: skip
"""Refused because the artifact cannot be of such a model."""


def _records() -> Iterator[Case]:
    record = "run.json"
    make = partial(Case, command="test", named=record)

    def of(change: Change) -> Change:
        return lambda run: change(run / record)

    for name, change in {**NO_FILES, **HOSTILE_RECORDS}.items():
        yield make(name=f"record: {name}", change=of(change))
    contents = dict(NO_CONTENT)
    contents |= {f"bit {bit} flipped at {share:.3%}": partial(flipped, share=share, bit=bit) for share, bit in _FLIPS}
    for name, content in contents.items():
        yield make(name=f"record: {name}", change=of(remade(content)))
    for name, change in HOSTILE_MODELS.items():
        yield make(name=f"record: {name}", named="model.safetensors", change=of(change))
    for name in ("epochs 0", "model called escapes", "FIFO", "key twice", "20 MB of text", "1,000,000 classes"):
        hostile = {**NO_FILES, **HOSTILE_RECORDS, **HOSTILE_MODELS}[name]
        named = "" if name in HOSTILE_MODELS else record
        yield Case(name=f"record of a stopped run: {name}", command="resume", named=named, change=of(hostile))
    yield make(name="record: no artifact", named="", change=of(_put("", "model_sha256", None)))
    yield make(name="record: missing", named="", change=of(_removed))


# (c) checkpoints


def _all(change: Change) -> Change:
    def of_all(run: Path) -> None:
        for path in sorted((run / "checkpoints").iterdir()):
            change(path)

    return of_all


def _newest(change: Change) -> Change:
    return lambda run: change(max((run / "checkpoints").iterdir()))


def _in(name: str, change: Change) -> Change:
    return lambda checkpoint: change(checkpoint / name)


def _adopted_by_manifest(name: str, content: Content) -> Change:
    """Return the change of a file of a checkpoint, with a manifest that says that it is as it should be."""

    def change(checkpoint: Path) -> None:
        path = checkpoint / f"{name}.safetensors"
        remade(content)(path)
        described = {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        edited(lambda manifest: manifest.update({name: described}))(checkpoint / "manifest.json")

    return change


_KEYS_OF_MANIFEST = [
    "format", "run", "epoch", "step", "seconds", "stopped", "history", "best_epoch", "callbacks", "training", "best",
]  # fmt: skip

HOSTILE_MANIFESTS: Mapping[str, Change] = {
    **{f"{key} missing": _without("", key) for key in _KEYS_OF_MANIFEST},
    **{f"{key} of another type": _put("", key, [[]]) for key in _KEYS_OF_MANIFEST},
    "of another run": _put("", "run", "20000101-000000-0000"),
    "of a run with escapes": _put("", "run", ESCAPE),
    "of a run of 100,000 letters": _put("", "run", "a" * 100_000),
    "newer format": _put("", "format", 2),
    "unknown key": _put("", "surprise", 1),
    "key twice": resealed(lambda body: body + b',\n  "epoch": 1'),
    "lists 100,000 deep": resealed(lambda body: body + b', "x": ' + b"[" * 100_000),
    "20 MB of text": _put("", "callbacks", {"a": [{"b": "c" * (20 << 20)}]}),
    "epoch without history": _put("", "epoch", 2),
    "epoch -1": _put("", "epoch", -1),
    "epoch 10**8": _put("", "epoch", 10**8),
    "epoch 10**18": _put("", "epoch", 10**18),
    "epoch 10**30": _put("", "epoch", 10**30),
    "step -1": _put("", "step", -1),
    "step 1.5": _put("", "step", 1.5),
    "history of other epochs": edited(lambda record: record["history"][0].update(epoch=7)),
    "best epoch beyond": _put("", "best_epoch", 2),
    "best epoch none": _put("", "best_epoch", 0),
    "best epoch huge": _put("", "best_epoch", 10**18),
    "best without weights": _put("", "best", None),
    "size of training too small": edited(lambda record: record["training"].update(size=1)),
    "size of training huge": edited(lambda record: record["training"].update(size=1 << 62)),
    "size of best negative": edited(lambda record: record["best"].update(size=-1)),
    "digest of best of another": edited(lambda record: record["best"].update(sha256="0" * 64)),
    "digest of best a path": edited(lambda record: record["best"].update(sha256="../../etc/passwd")),
}
"""Sealed, and no manifest of this run, or of no run."""


def _far(**changes: Any) -> Change:
    """Return the change of a manifest into one that agrees with itself, of a run that goes further."""

    def edit(manifest: Json) -> None:
        manifest.update(changes)
        epoch = manifest["history"][0]
        manifest["history"] = [{**epoch, "epoch": 1 + i} for i in range(manifest["epoch"])]

    return _in("manifest.json", edited(edit))


def _stopped_before_the_first_epoch(checkpoint: Path) -> None:
    edited(
        lambda manifest: manifest.update(epoch=0, step=5, history=[], best_epoch=0, best=None, stopped=True)
    )(checkpoint / "manifest.json")  # fmt: skip


HOSTILE_CHECKPOINTS: Mapping[str, Change] = {
    "further than the run by 1 epoch": _far(epoch=3, step=0),
    "further than the run by 10,000 epochs": _far(epoch=10_000, step=0),
    "in a step that no epoch has": _far(step=16),
    "in step 10**18": _far(step=10**18),
    "in a step after the last epoch": _far(epoch=2, step=5),
    "asked to stop before there was an epoch": _stopped_before_the_first_epoch,
    **{
        f"{name} adopted: {what}": _adopted_by_manifest(name, content)
        for name in ("training", "best")
        for what, content in HOSTILE_ARTIFACTS.items()
        if what in {
            "length of header 2**63", "header lists 100,000 deep", "header with a name twice", "array missing",
            "array too many", "array called ../../etc/passwd", "array called with escapes", "shape flat", "type I32",
            "shape that overflows to nothing", "offsets negative", "offsets huge", "NaN", "array called with newlines",
            "array called with 100,000 letters"
        } - ({"NaN"} if name == "training" else set())  # the last bytes of that are integers
    },
    "best of another model": _adopted_by_manifest("best", lambda _: b"\x02\0\0\0\0\0\0\0{}"),
}  # fmt: skip
"""Sealed, of this run, and yet nothing that it can go on from."""


def _checkpoints() -> Iterator[Case]:
    make = partial(Case, command="resume", named="checkpoints")
    for name in ("manifest.json", "training.safetensors", "best.safetensors"):
        for what, no_file in {**NO_FILES, "missing": _removed}.items():
            yield make(name=f"checkpoints: {name}: {what}", change=_all(_in(name, no_file)))
        contents = dict(NO_CONTENT)
        contents |= {
            f"bit {bit} flipped at {share:.3%}": partial(flipped, share=share, bit=bit) for share, bit in _FLIPS[::3]
        }
        for what, content in contents.items():
            yield make(name=f"checkpoints: {name}: {what}", change=_all(_in(name, remade(content))))
    for what, hostile in HOSTILE_MANIFESTS.items():
        yield make(name=f"checkpoints: manifest.json: {what}", change=_all(_in("manifest.json", hostile)))
    for what, hostile in HOSTILE_CHECKPOINTS.items():
        yield make(name=f"checkpoints: {what}", change=_all(hostile))
    for what in ("FIFO", "link to nothing", "link to an endless device", "sparse file of 1 GB"):
        yield make(name=f"checkpoints: folder is {what}", change=_in("checkpoints", NO_FILES[what]))
        yield make(name=f"checkpoints: each is {what}", change=_all(NO_FILES[what]))
    yield make(name="checkpoints: folder behind a link", change=lambda run: _moved_behind_a_link(run / "checkpoints"))
    yield make(name="checkpoints: each behind a link", change=_all(_moved_behind_a_link))
    survived = partial(Case, command="resume", is_survived=True, named="checkpoints/000005")
    yield survived(
        name="newest checkpoint: cut off", change=_newest(_in("training.safetensors", remade(partial(cut, share=0.5))))
    )
    yield survived(
        name="newest checkpoint: manifest of another run",
        change=_newest(_in("manifest.json", HOSTILE_MANIFESTS["of another run"])),
    )
    yield survived(name="newest checkpoint: FIFO", change=_newest(_in("best.safetensors", _made_fifo)))
    yield survived(
        name="newest checkpoint: bit flipped",
        change=_newest(_in("best.safetensors", remade(partial(flipped, share=0.9)))),
    )


# (d) data

TRAIN_IMAGES, TRAIN_LABELS = dataset.TRAIN.images.name, dataset.TRAIN.labels.name
TEST_IMAGES, TEST_LABELS = dataset.TEST.images.name, dataset.TEST.labels.name
DATA_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


def recompressed(content: Content) -> Content:
    """Return the change of what is inside gzip."""
    return lambda data: gzip.compress(content(gzip.decompress(data)), 1)


BAD_GZIP: Mapping[str, Content] = {
    "empty": lambda _: b"",
    "one byte": lambda data: data[:1],
    "cut off in the header of gzip": lambda data: data[:9],
    "cut off at 10%": partial(cut, share=0.1),
    "cut off at 50%": partial(cut, share=0.5),
    "last byte missing": lambda data: data[:-1],
    "last 8 bytes missing": lambda data: data[:-8],
    **{f"bit {bit} flipped at {share:.0%}": partial(flipped, share=share, bit=bit)
       for share, bit in ((0, 0), (0.2, 1), (0.5, 7), (0.8, 3), (1, 0))},
    "trailing bytes": lambda data: data + b"more",
    "two gzip streams": lambda data: data + data[:100_000],
    "zeros": lambda data: bytes(len(data)),
    "larger than it can be": lambda data: data + bytes(100 << 20),
    "pickle": NO_CONTENT["pickle"],
}  # fmt: skip
BAD_LABELS: Mapping[str, Content] = {
    "plain, uncompressed": gzip.decompress,
    "magic number of images": recompressed(lambda data: b"\0\0\x08\x03" + data[4:]),
    "magic number of floats": recompressed(lambda data: b"\0\0\x0d\x01" + data[4:]),
    "count less by one": recompressed(lambda data: data[:4] + struct.pack(">I", len(data) - 9) + data[8:]),
    "count 0": recompressed(lambda data: data[:4] + bytes(4) + data[8:]),
    "count 2**32 - 1": recompressed(lambda data: data[:4] + b"\xff" * 4 + data[8:]),
    "nothing inside": recompressed(lambda _: b""),
    "header cut off": recompressed(lambda data: data[:7]),
    "header alone": recompressed(lambda data: data[:8]),
    "last label missing": recompressed(lambda data: data[:-1]),
    "one label more": recompressed(lambda data: data + b"\0"),
    "label 10": recompressed(lambda data: data[:-1] + b"\x0a"),
    "label 255": recompressed(lambda data: data[:8] + b"\xff" + data[9:]),
    "labels of another order": recompressed(lambda data: data[:8] + data[:7:-1]),
    "bomb of 64 MB": lambda data: gzip.compress(gzip.decompress(data) + bytes(64 << 20), 1),
}
BAD_IMAGES: Mapping[str, Content] = {
    "count 2**32 - 1": recompressed(lambda data: data[:4] + b"\xff" * 12 + data[16:]),
    "another pixel": recompressed(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "bomb of 64 MB": lambda data: gzip.compress(gzip.decompress(data) + bytes(64 << 20), 1),
}


def _data() -> Iterator[Case]:
    make = partial(Case, command="train")
    folders: dict[str, tuple[str, Change]] = {
        "a file": ("", _made_file),
        "missing": ("", _removed),
        "empty": (TRAIN_IMAGES, _made_folder),
    }
    for what, (named, change) in folders.items():
        yield make(name=f"data: folder is {what}", named=named, change=change)
    for name, of_file in _BAD_DATA.items():
        for what, change in of_file.items():
            yield make(name=f"data: {name}: {what}", named=name, change=_in(name, change))


def _remade(contents: Mapping[str, Content]) -> dict[str, Change]:
    return {what: remade(content) for what, content in contents.items()}


# a link to the real file is fine here
_NO_DATA = {what: change for what, change in NO_FILES.items() if what != "link to the real file"} | {
    "missing": _removed
}
_BAD_DATA: Mapping[str, Mapping[str, Change]] = {
    TRAIN_LABELS: {**_NO_DATA, **_remade(BAD_GZIP), **_remade(BAD_LABELS)},
    TEST_IMAGES: {**_NO_DATA, **_remade(BAD_GZIP), **_remade(BAD_IMAGES)},
    TRAIN_IMAGES: _remade({w: c for w, c in BAD_GZIP.items() if "cut off" in w or "flipped" in w}),
    TEST_LABELS: _remade(BAD_LABELS),
}
