"""One job of the sweep: draws the Julia set of one point beside the Mandelbrot set's cardioid.

Leaves distribute_save/tile.png and distribute_save/numbers.json; prints what it is doing.
"""

import argparse
import cmath
import json
import math
import os
import struct
import time
import zlib
from pathlib import Path

LIMIT = 240  # iterations after which a point counts as inside
FAR = 64.0
HALF_WIDTH = 1.5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--angle", type=float, required=True, help="degrees along the cardioid")
    parser.add_argument("--radius", type=float, required=True, help="1 is the cardioid itself")
    parser.add_argument("--size", type=int, default=320, help="pixels of each side")
    options = parser.parse_args()
    out = Path("distribute_save")
    turn = cmath.exp(1j * math.radians(options.angle))
    c = options.radius * (turn / 2 - turn * turn / 4)
    print(f"c = {c.real:.5f} {c.imag:+.5f}i, {options.size} x {options.size} pixels", flush=True)
    palette = [tuple(each) for each in json.loads(Path("palette.json").read_text())]
    started = time.monotonic()
    rows, inside = [], 0
    for y in range(options.size):
        row, stayed = draw_row(c, y, options.size, palette)
        rows.append(row)
        inside += stayed
        if (y + 1) % max(1, options.size // 20) == 0:
            tell(y + 1, options.size, time.monotonic() - started)
    write_png(out / "tile.png", options.size, rows)
    numbers = {
        "angle": options.angle,
        "radius": options.radius,
        "inside": inside / (4 * options.size**2),
        "seconds": round(time.monotonic() - started, 2),
    }
    (out / "numbers.json").write_text(json.dumps(numbers) + "\n")
    print(f"done: {numbers['inside']:.1%} of the points stay for ever", flush=True)


def draw_row(c: complex, y: int, size: int, palette: list[tuple[int, ...]]) -> tuple[bytes, int]:
    """One row of pixels, each the mean of four points, and how many of its points stayed."""
    step = 2 * HALF_WIDTH / size
    pixels, stayed = bytearray(), 0
    for x in range(size):
        red = green = blue = 0
        for part in range(4):
            z = complex(
                -HALF_WIDTH + (x + 0.25 + 0.5 * (part & 1)) * step,
                HALF_WIDTH - (y + 0.25 + 0.5 * (part >> 1)) * step,
            )
            count, nearest = 0, 4.0
            while count < LIMIT and abs(z) < FAR:
                z = z * z + c
                count += 1
                if (distance := abs(z)) < nearest:
                    nearest = distance
            if count == LIMIT:
                stayed += 1
                shade = min(1.0, 1.2 * math.sqrt(nearest))
                red += int(10 + 30 * shade)
                green += int(10 + 52 * shade)
                blue += int(24 + 84 * shade)
            else:
                smooth = count + 1 - math.log2(math.log(abs(z)) / math.log(FAR))
                place = (0.19 * math.sqrt(max(0.0, smooth)) - 0.16) % 1.0
                colour = palette[int(place * len(palette))]
                red += colour[0]
                green += colour[1]
                blue += colour[2]
        pixels += bytes((red // 4, green // 4, blue // 4))
    return bytes(pixels), stayed


def tell(done: int, size: int, seconds: float) -> None:
    print(f"row {done} of {size} after {seconds:.1f} s", flush=True)
    if progress := os.environ.get("FALLOW_PROGRESS"):
        Path(progress).write_text(f"{done / size:.2f} row {done}\n")


def write_png(path: Path, size: int, rows: list[bytes]) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    main()
