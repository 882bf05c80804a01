"""The file that W&B keeps of an offline run."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK = 7, 32768  # bytes: of the file's beginning and of each part's; parts never cross a block's end
WHOLE, LAST = 1, 4  # kinds of parts that end a record; others begin it or go on with it


def records(path: Path) -> Iterator[Any]:
    """The records (wandb.proto) of a .wandb file, in order, up to where it is cut off.

    It is LevelDB's log, github.com/google/leveldb/blob/main/doc/log_format.md, behind a header: blocks of parts, each of a
    checksum, a length, a kind and its bytes.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, text = path.read_bytes(), HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        text += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if place > len(data):
            return
        if kind in (WHOLE, LAST):
            record = Record()
            record.ParseFromString(text)
            text = b""
            yield record


def is_whole(folder: Path, patience: float = 10.0) -> bool:
    """Whether an offline run's folder has all that was logged: W&B writes it from a process of its own, which says nothing
    of a full disk, and may come to the end of it a moment later: within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        if any(record.WhichOneof("record_type") == "exit" for path in folder.glob("*.wandb") for record in records(path)):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
