"""Pictures for tests, without a library."""

from __future__ import annotations

import pathlib
import struct
import zlib


def write_png(path: pathlib.Path, height: int, width: int, channels: int, value) -> None:
    """8 bits a channel; value(y, x) gives a pixel's channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in value(y, x)) for y in range(height))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
                     + chunk(b"IEND", b""))
