"""Tiny, valid picture files, made byte by byte: the hotel's photos and pictograms.

Belongs here: JPEG and PNG bytes and the paths below the media root. Not here: rows (``seed``).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def jpeg(shade: int, caption: str) -> bytes:
    """An 8×8 grey JPEG: one block whose only coefficient is the brightness (shade: 0 to 127)."""
    quantization = _segment(0xDB, b"\x00" + b"\x08" * 64)
    frame = _segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 1) + b"\x01\x11\x00")
    # One code of one bit per table: DC "a difference of seven bits follows", AC "end of block".
    tables = _huffman(0x00, 7) + _huffman(0x10, 0)
    scan = _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
    bits = f"0{shade & 0x7F:07b}0".ljust(16, "1")
    block = int(bits, 2).to_bytes(2, "big").replace(b"\xff", b"\xff\x00")
    comment = _segment(0xFE, caption.encode())
    return b"\xff\xd8" + comment + quantization + frame + tables + scan + block + b"\xff\xd9"


def png(red: int, green: int, blue: int) -> bytes:
    """An 8×8 PNG of one colour."""
    row = b"\x00" + bytes((red, green, blue)) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    # Level 0: stored bytes are the same with every zlib.
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(row * 8, 0))
    return _PNG_HEAD + body + _chunk(b"IEND", b"")


def paths(folder: str, owner: int, number: int, ending: str) -> tuple[str, str]:
    """Original and thumbnail, relative to the media root: ``folder/owner/<32 hex>.ending``."""
    name = hashlib.sha256(f"{folder}/{owner}/{number}".encode()).hexdigest()[:32]
    return f"{folder}/{owner}/{name}.{ending}", f"{folder}/{owner}/{name}_thumb.jpg"


def write(root: Path, relative: str, content: bytes) -> None:
    """Put one file below the media root, making its folders."""
    target = root / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _huffman(table: int, symbol: int) -> bytes:
    return _segment(0xC4, bytes((table, 1)) + b"\x00" * 15 + bytes((symbol,)))


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload))
    )
