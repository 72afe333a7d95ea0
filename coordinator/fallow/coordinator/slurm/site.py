"""One cluster as a group knows it: the values of a site file, and whether a job fits anywhere.

Not the reading of the file or of the cluster (`client`, `detect`). A site file is kept beside the
batch files, one per cluster; every key may be left out.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from fallow.coordinator.slurm.directives import seconds_of, text_problem
from fallow.shared.batch import Scalar
from fallow.shared.errors import FallowError
from fallow.shared.units import format_size, parse_size

DEFAULT_MAX_ARRAY_SIZE = 1001
"""What SLURM has where nobody changed it: indices from 0 to 1000."""


class Capability(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a word of `capabilities:` means on this cluster: nothing at all, or one of these."""

    constraint: str = ""
    modules: tuple[str, ...] = ()
    partition: str | None = None


class SiteNode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes that are all alike, by the name of the first; `memory` as "64GiB"."""

    name: str
    count: int = 1
    cpus: int
    memory: str
    gpus: int = 0
    features: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()


class Site(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cluster. What a batch says itself goes before what stands here.

    `scratch` is a folder on the node as its shell knows it ("$TMPDIR"); work folders are made in
    it, else in the exported folder. `throttle` is how many jobs run at once, `gpu` the option that
    asks for GPUs, with `{count}` in it. `cpus`, `memory` and `time` are for jobs that name none.
    """

    name: str = ""
    partition: str | None = None
    account: str | None = None
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    container: tuple[str, ...] = ("apptainer",)
    scratch: str = ""
    max_array_size: int = DEFAULT_MAX_ARRAY_SIZE
    throttle: int | None = None
    gpu: str = "gres=gpu:{count}"
    time: str | None = None
    cpus: int = 1
    memory: str | None = None
    slurm: dict[str, Scalar] = {}
    capabilities: dict[str, Capability] = {}
    time_limits: dict[str, str] = {}
    nodes: tuple[SiteNode, ...] = ()


def parse(read: Mapping[str, Any], source: str) -> Site:
    """The site that a TOML file holds; FallowError names what is wrong in `source`."""
    known = Site.__struct_fields__
    for key in read:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise FallowError(
                f"{source}: there is no key {key!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}",
            )
    try:
        site = msgspec.convert(read, Site)
    except msgspec.ValidationError as error:
        raise FallowError(f"{source}: {_plain(str(error))}") from None
    problem = _problem(site)
    if problem:
        raise FallowError(f"{source}: {problem}")
    return site


def _plain(text: str) -> str:
    """msgspec's words with the place first."""
    what, at, where = text.partition(" - at `$")
    return f"{where.strip('.`')}: {what}" if at else what


def _problem(site: Site) -> str | None:
    if site.max_array_size < 2:
        return "max_array_size is too small"
    if site.cpus < 1:
        return "cpus is too little"
    if site.throttle is not None and site.throttle < 1:
        return "throttle is too small"
    if not site.container:
        return "container needs at least one word"
    if "=" not in site.gpu or "{count}" not in site.gpu:
        return 'gpu is an option with {count} in it, for example "gres=gpu:{count}"'
    for key, time in (("time", site.time), *_times(site)):
        if time is not None and seconds_of(time) is None:
            return f"{key} is no time limit of SLURM: {time!r}; for example 1-12:00:00"
    for key, text in (("memory", site.memory), *((each.name, each.memory) for each in site.nodes)):
        if text is not None:
            try:
                parse_size(text)
            except ValueError as error:
                return f"{key}: {error}"
    for line in (*site.modules, *site.setup, site.scratch):
        problem = text_problem(line)
        if problem:
            return f"{line!r} {problem}"
    if '"' in site.scratch or "`" in site.scratch or "$(" in site.scratch:
        return "scratch is a folder, with variables like $TMPDIR at most"
    return None


def _times(site: Site) -> Sequence[tuple[str, str]]:
    return [(f"time_limits.{name}", time) for name, time in site.time_limits.items()]


class Need(Struct, frozen=True, kw_only=True):
    """What one job asks of one node; `memory` in bytes, `time` in seconds, None: whatever."""

    cpus: int
    memory: int | None = None
    gpus: int = 0
    features: tuple[str, ...] = ()
    partition: str | None = None
    time: int | None = None


def obstacles(need: Need, node: SiteNode, time_limits: Mapping[str, str]) -> list[str]:
    """What this node lacks for this need, each a few words; empty when it fits."""
    lacking = []
    if node.cpus < need.cpus:
        lacking.append(f"{node.cpus} of {need.cpus} CPUs")
    memory = parse_size(node.memory)
    if need.memory is not None and memory < need.memory:
        lacking.append(f"{format_size(memory)} of {format_size(need.memory)} memory")
    if node.gpus < need.gpus:
        lacking.append(f"{node.gpus} of {need.gpus} GPUs")
    lacking += [f"no feature {each!r}" for each in need.features if each not in node.features]
    if need.partition is not None and node.partitions and need.partition not in node.partitions:
        lacking.append(f"not in partition {need.partition!r}")
    if need.time is not None and node.partitions:
        partitions = [need.partition] if need.partition is not None else node.partitions
        limits = [seconds_of(time_limits.get(name, "")) for name in partitions]
        if all(limit is not None and limit < need.time for limit in limits):
            lacking.append("its time limit is too short")
    return lacking


def nearest(need: Need, site: Site) -> tuple[SiteNode, list[str]] | None:
    """The node that comes nearest and what it lacks; None when one fits, or none is known."""
    best: tuple[SiteNode, list[str]] | None = None
    for node in site.nodes:
        lacking = obstacles(need, node, site.time_limits)
        if not lacking:
            return None
        # Of two that lack as many things, the larger one is nearer.
        if best is None or (len(lacking), -node.cpus) < (len(best[1]), -best[0].cpus):
            best = node, lacking
    return best
