"""The TensorBoard writer: event files in the run folder."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar import summary_v2 as scalar
from tensorboard.plugins.text import summary_v2 as text
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from zoo import ZooError
from zoo.cli.toolkit import setting_text

if TYPE_CHECKING:
    from zoo_track.messages import End, Epoch, Start

FOLDER = "tensorboard"
"""Name of the folder for event files, in the run folder."""


class TensorBoardWriter:
    """Writes event files, one for each process that worked on the run."""

    def __init__(self) -> None:
        """Start without an event file."""
        self._events: Any = None
        self._has_epochs = False

    def start(self, message: Start) -> None:
        """Create an event file and write the settings."""
        folder = Path(message.path) / FOLDER
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):  # a link may lead anywhere
            raise ZooError(f"{folder} is a link or a file, not a folder. Remove it.")
        self._events = EventFileWriter(str(folder))
        settings = {name: setting_text(value) for name, value in message.settings.items()}
        rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
        self._add(text.text_pb("settings", f"| setting | value |\n|---|---|\n{rows}"), 0)
        self._add(hparams.hparams_pb(settings, trial_id=message.run), 0)

    def epoch(self, message: Epoch) -> None:
        """Write the metrics of an epoch."""
        if not self._has_epochs:
            # discards what a killed process wrote from this epoch on
            start = SessionLog(status=SessionLog.START)
            self._events.add_event(Event(wall_time=time.time(), step=message.epoch, session_log=start))
            self._has_epochs = True
        for name, value in message.metrics.items():
            self._add(scalar.scalar_pb(_tag(name), value), message.epoch)
        self._events.flush()

    def end(self, message: End) -> None:
        """Write the test metrics, the plots and the record, and close the file."""
        for name, value in message.metrics.items():
            self._add(scalar.scalar_pb(_tag(name), value), message.epochs)
        for file in map(Path, message.files):
            if file.suffix == ".png":
                self._add(_picture(file), message.epochs)
            elif file.suffix == ".json":
                record = json.dumps(json.loads(file.read_bytes()), indent=2)
                indented = record.replace("\n", "\n    ")
                self._add(text.text_pb(file.name, f"    {indented}"), message.epochs)
        self._events.close()

    def _add(self, summary: Any, step: int) -> None:
        self._events.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _tag(name: str) -> str:
    """Return a metric's tag, metric first because TensorBoard groups by it: ``loss/validation``."""
    prefix, _, metric = name.rpartition("_")
    groups = {"": "training", "val": "validation", "test": "test"}
    return f"{metric}/{groups[prefix]}" if prefix in groups else name


def _picture(file: Path) -> Any:
    data = file.read_bytes()
    width, height = struct.unpack(">II", data[16:24])  # from the PNG's first chunk
    picture = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=data)
    return Summary(value=[Summary.Value(tag=file.stem, image=picture)])
