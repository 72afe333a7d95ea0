"""Site files: what may stand in one, what `--detect` writes, and which node comes nearest."""

import tomllib
from typing import Any

import pytest

from fallow.coordinator.slurm import detect
from fallow.coordinator.slurm.classes import classify
from fallow.coordinator.slurm.site import Need, Site, SiteNode, nearest, parse
from fallow.shared.batch import Batch, Command, CommandJob, Meta, Resources
from fallow.shared.errors import BatchError, FallowError
from fallow.shared.sweep import Expansion

SINFO = """\
node1|64|257000|gpu:a100:4(S:0-1),gpu:2,lscratch:900|avx2,ib|gpu|2-00:00:00
node2|64|257000|gpu:a100:4(S:0-1),gpu:2,lscratch:900|ib,avx2|gpu|2-00:00:00
node3|16+|64000+|(null)|(null)|cpu*|infinite
node3|16+|64000+|(null)|(null)|sho"rt|30:00
not a line
x|y|z|(null)|(null)|cpu|1:00
"""
CONFIG = "Configuration data as of 2026\nClusterName             = uni\nMaxArraySize = 4001\nX\n"


def test_detect_writes_a_site_that_can_be_read() -> None:
    text = detect.site_text(detect.read_sinfo(SINFO), detect.read_config(CONFIG))
    site = parse(tomllib.loads(text), "site.toml")
    assert (site.name, site.max_array_size, site.partition) == ("uni", 4001, "cpu")
    assert site.time_limits == {"gpu": "2-00:00:00", 'sho"rt': "30:00"}
    assert [(each.name, each.gpus, each.features, each.partitions) for each in site.nodes] == [
        ("node1", 6, ("avx2", "ib"), ("gpu",)),
        ("node2", 6, ("ib", "avx2"), ("gpu",)),
        ("node3", 0, (), ("cpu", 'sho"rt')),
    ]


def test_detect_on_a_cluster_that_says_nothing() -> None:
    site = parse(tomllib.loads(detect.site_text([], {})), "site.toml")
    assert (site.max_array_size, site.partition, site.nodes) == (1001, None, ())


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        ("gpu:2", 2),
        ("gpu:a100:4(S:0-1)", 4),
        ("gpu:a:1,gpu:b:2", 3),
        ("lscratch:4", 0),
        ("(null)", 0),
        ("gpu", 0),
    ],
)
def test_gpus_of_a_gres(gres: str, count: int) -> None:
    assert detect.gpus_of(gres) == count


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ({"partitoin": "cpu"}, "did you mean 'partition'?"),
        ({"throttle": "many"}, "throttle: Expected `int | null`, got `str`"),
        ({"throttle": 0}, "throttle is too small"),
        ({"max_array_size": 1}, "max_array_size is too small"),
        ({"cpus": 0}, "cpus is too little"),
        ({"container": []}, "container needs at least one word"),
        ({"gpu": "gres=gpu"}, "{count}"),
        ({"time": "2 hours"}, "time is no time limit of SLURM"),
        ({"time_limits": {"cpu": "x"}}, "time_limits.cpu is no time limit"),
        ({"memory": "lots"}, "memory: 'lots' is not a size"),
        ({"setup": ["a\nb"]}, "control character"),
        ({"scratch": "$(touch x)"}, "scratch is a folder"),
        ({"capabilities": {"avx": {"feature": "x"}}}, "unknown field `feature`"),
        ({"nodes": [{"name": "a", "cpus": 1}]}, "nodes[0]"),
    ],
)
def test_what_is_wrong_is_named(read: dict[str, Any], said: str) -> None:
    with pytest.raises(FallowError) as caught:
        parse(read, "uni.toml")
    assert str(caught.value).startswith("uni.toml")
    assert said in str(caught.value)


SMALL = SiteNode(name="small", cpus=8, memory="16GiB", partitions=("cpu", "short"))
LARGE = SiteNode(name="large", cpus=64, memory="256GiB", gpus=4, features=("avx2",))
CLUSTER = Site(nodes=(SMALL, LARGE), time_limits={"cpu": "1-0", "short": "10"})


@pytest.mark.parametrize(
    ("need", "near"),
    [
        (Need(cpus=8), None),
        (Need(cpus=64, gpus=4, features=("avx2",)), None),
        (Need(cpus=65), ("large", ["64 of 65 CPUs"])),
        (Need(cpus=1, gpus=5), ("large", ["4 of 5 GPUs"])),
        (Need(cpus=1, features=("ib",)), ("large", ["no feature 'ib'"])),
        (Need(cpus=1, memory=300 << 30), ("large", ["256GiB of 300GiB memory"])),
        (Need(cpus=9, partition="short"), None),  # of the large one no partition is known
    ],
)
def test_the_nearest_node(need: Need, near: object) -> None:
    found = nearest(need, CLUSTER)
    assert (found and (found[0].name, found[1])) == near


def test_a_time_that_no_partition_of_a_node_has() -> None:
    site = Site(nodes=(SMALL,), time_limits=CLUSTER.time_limits)
    assert nearest(Need(cpus=1, time=86400), site) is None
    found = nearest(Need(cpus=1, time=86401), site)
    assert found is not None
    assert found[1] == ["its time limit is too short"]
    short = nearest(Need(cpus=1, time=601, partition="short"), site)
    assert short is not None


def batch(**jobs: dict[str, Any]) -> Batch:
    made = tuple(CommandJob(name=name, run="true", **more) for name, more in jobs.items())
    meta = Meta(namespace="n", batch_name="b", capabilities=("avx2",))
    return Batch(meta=meta, command=Command(jobs=made), resources=Resources(cpus=2))


def test_jobs_that_ask_for_the_same_are_one_class() -> None:
    some = batch(
        a={},
        b={"slurm": {"time": 5}},
        c={},
        d={"resources": Resources(memory=1 << 30)},
        e={"slurm": {"time": "5"}},
        f={"slurm": {"cpus_per_task": 4}},
    )
    classes = classify(some, Expansion(some), Site(), with_build=False)
    assert [each.jobs for each in classes.jobs] == [(0, 2), (1,), (3,), (4,), (5,)]
    assert [each.cpus for each in classes.jobs] == [2, 2, 2, 2, 4]
    assert classes.jobs[2].options["mem"] == "1024M"
    assert classes.warnings == ()


def test_a_capability_that_the_site_does_not_know_is_refused() -> None:
    some = batch(a={})
    expansion = Expansion(some)
    with pytest.raises(FallowError, match="does not say what the capability 'avx2' is"):
        classify(some, expansion, Site(name="uni"), with_build=False)
    known = parse({"capabilities": {"avx2": {"constraint": "avx2", "partition": "new"}}}, "")
    (only,) = classify(some, expansion, known, with_build=False).jobs
    assert (only.options["constraint"], only.options["partition"]) == ("avx2", "new")
    assert only.need.features == ("avx2",)


def test_jobs_without_a_number_of_cpus_are_warned_about() -> None:
    some = Batch(
        meta=Meta(namespace="n", batch_name="b"),
        command=Command(jobs=(CommandJob(name="a", run="true"),)),
    )
    classes = classify(some, Expansion(some), Site(cpus=3, memory="2GiB"), with_build=True)
    assert "1 job name no number of CPUs and get 3" in classes.warnings[0]
    assert classes.build is not None
    assert classes.build.options["mem"] == classes.jobs[0].options["mem"] == "2048M"


def test_a_bad_number_is_refused_at_its_place() -> None:
    some = batch(a={"slurm": {"cpus_per_task": "many"}})
    with pytest.raises(BatchError) as caught:
        classify(some, Expansion(some), Site(), with_build=False)
    assert caught.value.path == ("command", "jobs", 0, "slurm", "cpus_per_task")
