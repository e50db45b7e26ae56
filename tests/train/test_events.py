"""Event files hold what was written, in TensorBoard's format."""

import pathlib
import struct

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from ssl_jax.train.events import EventFile


def events(path: pathlib.Path) -> list[event_pb2.Event]:
    """Reads a file of records: length, its checksum, bytes, their checksum."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        data, checksums = content[12 : 12 + length], content[8:12] + content[12 + length : 16 + length]
        assert checksums == struct.pack("<II", masked_crc32c(content[:8]), masked_crc32c(data))
        found.append(event_pb2.Event.FromString(data))
        content = content[16 + length :]
    return found


def test_scalars_are_there_as_soon_as_they_are_written(tmp_path):
    file = EventFile(tmp_path / "tensorboard", start=4)
    file.write(5, {"train/loss": 1.5, "eval/knn_full": 0.25})
    (path,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    version, session, *scalars = events(path)
    file.close()
    assert version.file_version == "brain.Event:2" and session.session_log.status == event_pb2.SessionLog.START
    assert version.step == session.step == 5
    values = [(event.step, event.summary.value[0].tag, event.summary.value[0].simple_value) for event in scalars]
    assert values == [(5, "train/loss", 1.5), (5, "eval/knn_full", 0.25)]


def test_each_opening_makes_a_file_of_its_own(tmp_path):
    for start in (0, 2):
        EventFile(tmp_path, start).close()
    assert len(list(tmp_path.iterdir())) == 2
