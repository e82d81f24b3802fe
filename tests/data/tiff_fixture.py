"""Uncompressed grey TIFF files, written byte by byte, of any number of bits and either polarity."""

import struct
from pathlib import Path

import numpy as np


def write_tiff(path: Path, pixels: np.ndarray, bits: int = 16, min_is_white: bool = False) -> Path:
    """Write values as they are, packed if they have fewer bits than 8 or between 8 and 16."""
    height, width = pixels.shape
    if bits in (8, 16):
        strip = pixels.astype(f"<u{bits // 8}").tobytes()
    else:
        rows = ("".join(f"{value:0{bits}b}" for value in row) for row in pixels.tolist())
        strip = b"".join(int(row + "0" * (-len(row) % 8), 2).to_bytes((len(row) + 7) // 8, "big") for row in rows)
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 0 if min_is_white else 1, 273: 0, 277: 1, 278: height}
    tags[279] = len(strip)
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4 if tag in (256, 257, 273, 278, 279) else 3, 1, value) for tag, value in tags.items()
    )
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + strip)
    return path
