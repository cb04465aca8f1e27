"""The history for TensorBoard: losses, learning rates and metrics over the epochs.

Training and validation have a file each, in folders of their own, so that TensorBoard draws them into one chart. A
file is a sequence of records: length (8 bytes), its checksum (4), a serialized `Event`, its checksum (4). Source:
tensorflow/core/lib/io/record_writer.h.
"""

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from clothseg.config import HEADLINE_METRICS
from clothseg.training.history import HistoryRow

_FILE = "events.out.tfevents.clothseg"


def write_tensorboard(folder: Path, rows: Sequence[HistoryRow], loss_names: Sequence[str]) -> None:
    """Brings the event files in `folder` up to the last of `rows`.

    Points of earlier epochs stay as they are, or are added where they are missing; those of the last epoch and later,
    which a killed run has left, are removed first. So no epoch has two points.
    """
    losses = ("total", *loss_names)
    train = {"learning_rate": "learning_rate"} | {f"loss/{name}": f"train_{name}" for name in losses}
    val = {f"loss/{name}": f"val_{name}" for name in losses} | {f"metric/{name}": name for name in HEADLINE_METRICS}
    for split, columns in (("train", train), ("val", val)):
        points = {int(row["epoch"]): {tag: row[name] for tag, name in columns.items() if name in row} for row in rows}
        _bring_up_to(folder / split / _FILE, points)


def _bring_up_to(path: Path, points: Mapping[int, Mapping[str, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    last, end = 0, 0
    for step, after in _records(path) if path.is_file() else ():
        if step >= max(points):
            break
        last, end = step, after
    with path.open("ab") as file:
        file.truncate(end)
        writer = RecordWriter(file)
        if not end:
            writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for epoch, values in points.items():
            if epoch > last and values:
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
                writer.write(Event(wall_time=time.time(), step=epoch, summary=summary).SerializeToString())


def _records(path: Path) -> Iterator[tuple[int, int]]:
    """The step of each complete record, and where the record ends in the file."""
    content = path.read_bytes()
    end = 0
    while end + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, end)
        start, end = end + 12, end + 12 + length + 4
        if end > len(content):
            return
        try:
            yield Event.FromString(content[start : start + length]).step, end
        except DecodeError:
            return
