"""TensorBoard's event files, written at once.

tensorboardX's own writer hands events to a thread; where that dies of a full disk, the run waits for it for ever.
"""

import pathlib
import socket
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any

_torch = sys.modules.setdefault("torch", None)  # tensorboardX imports PyTorch where it is, for 2 s, and needs none here
from tensorboardX.proto import event_pb2  # noqa: E402
from tensorboardX.record_writer import masked_crc32c  # noqa: E402
from tensorboardX.summary import scalar  # noqa: E402

if _torch is None:
    del sys.modules["torch"]


class EventFile:
    """One file of scalars."""

    def __init__(self, folder: pathlib.Path, start: int):
        """Opens a new file.

        Args:
          folder: where; made where it is missing.
          start: number of steps done; TensorBoard forgets what earlier files say of later ones.
        """
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
        self._file = (folder / name).open("wb", buffering=0)
        self._add(start + 1, file_version="brain.Event:2")
        self._add(start + 1, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends the scalars of one step."""
        for name, value in values.items():
            self._add(step, summary=scalar(name, value))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _add(self, step: int, **content: Any) -> None:
        """Appends one Event: its length and its bytes, each with a checksum."""
        data = event_pb2.Event(step=step, wall_time=time.time(), **content).SerializeToString()
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))
