"""What a cluster says about itself, as the text of a site file.

Not the asking (`client`), nor what the file means (`site`). For a login node, once per cluster.
"""

import re
from collections.abc import Iterable

from msgspec import Struct

from fallow.coordinator.slurm.site import DEFAULT_MAX_ARRAY_SIZE

SINFO = ("sinfo", "-h", "-N", "-e", "-o", "%N|%c|%m|%G|%f|%P|%l")
CONFIG = ("scontrol", "show", "config")


class Seen(Struct, frozen=True):
    """One line of sinfo: a node in a partition; `memory` in MB as SLURM counts them."""

    node: str
    cpus: int
    memory: int
    gpus: int
    features: tuple[str, ...]
    partition: str
    default: bool
    time: str


def read_sinfo(text: str) -> list[Seen]:
    """Every line that is one; others are left out."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 7:
            continue
        node, cpus, memory, gres, features, partition, time = parts
        try:
            found.append(
                Seen(
                    node,
                    int(cpus.rstrip("+")),
                    int(memory.rstrip("+")),
                    gpus_of(gres),
                    tuple(each for each in features.split(",") if each and each != "(null)"),
                    partition.rstrip("*"),
                    partition.endswith("*"),
                    time,
                )
            )
        except ValueError:
            continue
    return found


def gpus_of(gres: str) -> int:
    """How many GPUs `gpu:a100:4(S:0-1),gpu:2,lscratch:100` are."""
    found = 0
    for each in gres.split(","):
        match = re.match(r"gpu(?::[^:(]+)*?:(\d+)(?:\(|$)", each)
        if match is not None:
            found += int(match[1])
    return found


def read_config(text: str) -> dict[str, str]:
    """What `scontrol show config` says, by its names."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, mark, value in pairs if mark}


def site_text(seen: Iterable[Seen], config: dict[str, str]) -> str:
    """The text of a site file with all that is known, and the rest as comments."""
    seen = list(seen)
    name = config.get("ClusterName", "cluster")
    default = next((each.partition for each in seen if each.default), None)
    size = config.get("MaxArraySize", str(DEFAULT_MAX_ARRAY_SIZE))
    times = {each.partition: each.time for each in seen if each.time != "infinite"}
    lines = [
        "# One cluster, for: coordinator export slurm FILE OUT_DIR --site THIS_FILE",
        "# What a batch file says itself goes before what stands here.",
        f"name = {_text(name)}",
        f"max_array_size = {int(size) if size.isdigit() else DEFAULT_MAX_ARRAY_SIZE}",
        f"partition = {_text(default)}" if default else '# partition = "cpu"',
        '# account = "my_project"',
        "# throttle = 100                 # so many of a batch's jobs at once",
        '# time = "04:00:00"              # for batches without limits.run_time',
        "# cpus = 1                       # for jobs that name no number",
        '# memory = "2GiB"',
        '# scratch = "$TMPDIR"            # where work folders are made on the node',
        '# modules = ["gcc/12"]           # loaded before every job',
        '# setup = ["ulimit -s unlimited"]',
        '# container = ["apptainer"]      # how images are run',
        '# gpu = "gres=gpu:{count}"       # or "gpus={count}"',
        "",
        "# What the words of `capabilities:` mean here; {} is: every node has it.",
        "[capabilities]",
        '# gfortran = {modules = ["gcc/12"]}',
        '# avx2 = {constraint = "avx2"}',
        "",
        "# As the cluster has said. With it, jobs that fit on no node are refused at the export.",
        "[time_limits]",
        *(f"{_key(partition)} = {_text(time)}" for partition, time in sorted(times.items())),
    ]
    for first, count, partitions in _alike(seen):
        lines += [
            "",
            "[[nodes]]",
            f"name = {_text(first.node)}",
            f"count = {count}",
            f"cpus = {first.cpus}",
            f'memory = "{first.memory}MiB"',
            f"gpus = {first.gpus}",
            f"features = [{', '.join(map(_text, first.features))}]",
            f"partitions = [{', '.join(map(_text, partitions))}]",
        ]
    return "\n".join(lines) + "\n"


def _alike(seen: list[Seen]) -> list[tuple[Seen, int, tuple[str, ...]]]:
    partitions: dict[str, list[str]] = {}
    nodes: dict[str, Seen] = {}
    for each in seen:
        nodes.setdefault(each.node, each)
        partitions.setdefault(each.node, []).append(each.partition)
    groups: dict[tuple[object, ...], list[Seen]] = {}
    for name, each in nodes.items():
        where = tuple(dict.fromkeys(partitions[name]))
        groups.setdefault((each.cpus, each.memory, each.gpus, each.features, where), []).append(
            each
        )
    return [
        (group[0], len(group), tuple(dict.fromkeys(partitions[group[0].node])))
        for group in groups.values()
    ]


def _text(value: str) -> str:
    """A basic string of TOML."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
