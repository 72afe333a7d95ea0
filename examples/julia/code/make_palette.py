"""The build step: computes the colours once per workstation and leaves them in the work folder."""

import itertools
import json
import math

STEPS = 1024
STOPS = [  # deep blue, petrol, foam, sand, ember, plum
    (0.00, (8, 12, 38)),
    (0.16, (18, 62, 108)),
    (0.36, (72, 168, 178)),
    (0.50, (238, 244, 220)),
    (0.66, (246, 178, 76)),
    (0.82, (170, 52, 60)),
    (0.93, (60, 20, 70)),
    (1.00, (8, 12, 38)),
]


def colour(place: float) -> list[int]:
    for (low, first), (high, second) in itertools.pairwise(STOPS):
        if place <= high:
            share = (1 - math.cos(math.pi * (place - low) / (high - low))) / 2
            return [round(a + (b - a) * share) for a, b in zip(first, second, strict=True)]
    return list(STOPS[-1][1])


def main() -> None:
    colours = [colour(step / STEPS) for step in range(STEPS)]
    with open("palette.json", "w") as file:
        json.dump(colours, file)
    print(f"palette.json: {len(colours)} colours")


if __name__ == "__main__":
    main()
