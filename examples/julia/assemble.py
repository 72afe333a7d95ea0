"""Puts the tiles of the Julia sweep together: `assemble.py RESULTS [-o sweep.png]`.

Not part of the batch: it runs where the results are. Needs only the standard library.
"""

import argparse
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

GAP = 8
TOP = 44
LEFT = 66
EDGE = 14
DOT = 3  # pixels of each dot of the letters
PAPER = (14, 16, 28)
MISSING = (36, 40, 58)
INK = (206, 212, 226)
# Five rows of three dots for each letter, every row an octal digit.
LETTERS = "0123456789 AEGLN .-°"
FORMS = """
    75557 26227 71747 71317 55711 74717 74757 71222 75757 75717 00000
    25755 74647 74557 44447 75555 00000 00002 00700 25200
"""
FONT = dict(zip(LETTERS, FORMS.split(), strict=True))


class Tile(NamedTuple):
    angle: float
    radius: float
    size: int
    rows: list[bytes]


class Canvas:
    """Rows of RGB pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.rows = [bytearray(bytes(PAPER) * width) for _ in range(height)]

    def place(self, left: int, top: int, rows: list[bytes]) -> None:
        for y, row in enumerate(rows):
            if left < self.width and top + y < len(self.rows):
                seen = row[: 3 * (self.width - left)]
                self.rows[top + y][3 * left : 3 * left + len(seen)] = seen

    def write(self, left: int, top: int, text: str) -> None:
        for number, char in enumerate(text):
            for y, bits in enumerate(FONT.get(char, "00000")):
                for x in range(3):
                    if int(bits) & (4 >> x):
                        dot = [bytes(INK) * DOT] * DOT
                        self.place(left + (4 * number + x) * DOT, top + y * DOT, dot)


def main() -> int:
    parser = argparse.ArgumentParser(description="Put the tiles of the sweep into one picture.")
    parser.add_argument("results", type=Path, help="the batch's folder of results")
    parser.add_argument("-o", "--output", type=Path, default=Path("sweep.png"))
    options = parser.parse_args()
    tiles = [read_tile(path.parent) for path in sorted(options.results.glob("*/numbers.json"))]
    if not tiles:
        print(f"{options.results}: no tile here", file=sys.stderr)
        return 1
    canvas = draw(tiles)
    options.output.write_bytes(encode_png(canvas.width, canvas.rows))
    print(f"{options.output}: {len(tiles)} tiles")
    return 0


def draw(tiles: list[Tile]) -> Canvas:
    """The tiles as a table, angles to the right and radii downwards; missing ones stay dim."""
    angles = sorted({tile.angle for tile in tiles})
    radii = sorted({tile.radius for tile in tiles})
    size = tiles[0].size
    step = size + GAP
    canvas = Canvas(LEFT + len(angles) * step - GAP + EDGE, TOP + len(radii) * step - GAP + EDGE)
    drawn = {(tile.angle, tile.radius): tile.rows for tile in tiles}
    for column, angle in enumerate(angles):
        left = LEFT + column * step
        canvas.write(left, (TOP - 5 * DOT) // 2, f"ANGLE {angle:g}°")
        for row, radius in enumerate(radii):
            top = TOP + row * step
            empty = [bytes(MISSING) * size] * size
            canvas.place(left, top, drawn.get((angle, radius), empty))
    for row, radius in enumerate(radii):
        canvas.write(10, TOP + row * step + (size - 5 * DOT) // 2, f"{radius:.2f}")
    return canvas


def read_tile(folder: Path) -> Tile:
    numbers = json.loads((folder / "numbers.json").read_text())
    size, rows = decode_png((folder / "tile.png").read_bytes())
    return Tile(numbers["angle"], numbers["radius"], size, rows)


def decode_png(data: bytes) -> tuple[int, list[bytes]]:
    """Width and rows of a picture as tile.py writes it: RGB, one filter type, 0."""
    at, packed, width = 8, b"", 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            (width,) = struct.unpack_from(">I", body)
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    pixels = zlib.decompress(packed)
    stride = 3 * width + 1
    return width, [pixels[start + 1 : start + stride] for start in range(0, len(pixels), stride)]


def encode_png(width: int, rows: list[bytearray]) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    sys.exit(main())
