"""What a workstation is sent for a job: actions, inputs under their aliases, the build's key."""

import msgspec
import pytest

from fallow.shared.batch import (
    Apptainer,
    ApptainerInitialize,
    ApptainerJob,
    Batch,
    Checkpoint,
    Command,
    CommandInitialize,
    CommandJob,
    File,
    Line,
    Meta,
    OnOwnerReturn,
    Python,
    PythonInitialize,
    PythonJob,
    Resources,
    Sweep,
)
from fallow.shared.batch import Limits as BatchLimits
from fallow.shared.errors import BatchError
from fallow.shared.ids import AttemptId
from fallow.shared.jobspec import (
    Specifications,
    check_contents,
    check_sendable,
    paths,
    specify,
)
from fallow.shared.messages import (
    Argv,
    Assign,
    BuildSpec,
    Container,
    Content,
    Input,
    JobSpec,
    Mount,
    Script,
    Shell,
    encode,
)
from fallow.shared.sweep import Expansion
from fallow.shared.transport.settings import Limits

META = Meta(namespace="ana", batch_name="b1")


def held(name: str, below: str = "", executable: bool = False) -> Content:
    return Content(below, f"hash of {name}", len(name), executable)


def batch_of(command: Command) -> Batch:
    return Batch(meta=META, command=command)


PYTHON = Batch(
    meta=META,
    python=Python(
        initialize=PythonInitialize(
            build_file=File("tools/make.py", "anything.py"),
            required_files=(File("big/mesh.h5"), File("src")),
        ),
        jobs=(
            PythonJob(
                name="one",
                file=File("go.py"),
                required_files=(File("1.json", "case.json"), File("other.h5", "mesh.h5")),
            ),
            PythonJob(name="two", file=File("go.py")),
        ),
    ),
)
CONTENTS = {
    "tools/make.py": (held("make"),),
    "big/mesh.h5": (held("mesh"),),
    "src": (held("a", "lib/a.f90"), held("configure", "configure", True)),
    "go.py": (held("go"),),
    "1.json": (held("one"),),
    "other.h5": (held("other"),),
}


def test_a_job_of_the_python_kind() -> None:
    spec = specify(PYTHON, Expansion(PYTHON), CONTENTS, 0, "ana", 8, None)
    assert spec.build is not None
    assert spec == JobSpec(
        namespace="ana",
        batch="b1",
        job="one",
        owner="ana",
        action=Script("run.py", "hash of go", 2, ("8",)),
        cpus=8,
        memory=None,
        build=BuildSpec(spec.build.key, Script("build.py", "hash of make", 4)),
        shared=(
            Input("mesh.h5", "hash of mesh", 4),
            Input("src/lib/a.f90", "hash of a", 1),
            Input("src/configure", "hash of configure", 9, True),
        ),
        inputs=(
            Input("case.json", "hash of one", 3),
            Input("mesh.h5", "hash of other", 5),
        ),
    )


def test_a_job_of_the_command_kind() -> None:
    batch = batch_of(
        Command(
            initialize=CommandInitialize(run="make -j {cpus}", required_files=(File("src"),)),
            run="./solve {re} {name}",
            env={"THREADS": "{cpus}"},
            required_files=(File("{re}.json", "case.json"),),
            sweep=Sweep(values={"re": (1, 2)}),
            name="re {re}",
        )
    )
    contents = {"src": (held("a", "a.f90"),), "1.json": (held("1"),), "2.json": (held("2"),)}
    spec = specify(batch, Expansion(batch), contents, 1, "ana", 4, 10**9)
    assert spec.build is not None
    assert spec == JobSpec(
        namespace="ana",
        batch="b1",
        job="re 2",
        owner="ana",
        action=Shell("./solve 2 're 2'"),
        cpus=4,
        memory=10**9,
        build=BuildSpec(spec.build.key, Shell("make -j 4")),
        env={"THREADS": "4"},
        shared=(Input("src/a.f90", "hash of a", 1),),
        inputs=(Input("case.json", "hash of 2", 1),),
    )


def test_a_job_of_the_apptainer_kind() -> None:
    batch = Batch(
        meta=Meta(namespace="ana", batch_name="b1", capabilities=("gpu",)),
        apptainer=Apptainer(
            initialize=ApptainerInitialize(
                sif=File("solver.sif"),
                required_files=(File("mesh.h5"),),
                required_mounts=(File("/output"), File("/data/t", "/tables")),
            ),
            jobs=(
                ApptainerJob(
                    name="one",
                    required_files=(File("1.json", "case.json"),),
                    required_mounts=(File("/more"),),
                ),
            ),
        ),
        limits=BatchLimits(run_time=60.0),
        on_owner_return=OnOwnerReturn(do="evict"),
        checkpoint=Checkpoint(files=("c/",)),
        resources=Resources(disk=5),
    )
    contents = {"solver.sif": (held("sif"),), "mesh.h5": (held("m"),), "1.json": (held("1"),)}
    assert specify(batch, Expansion(batch), contents, 0, "ana", 8, None) == JobSpec(
        namespace="ana",
        batch="b1",
        job="one",
        owner="ana",
        action=Container(
            "hash of sif",
            3,
            ("8",),
            (Mount("", "/output"), Mount("/data/t", "/tables"), Mount("", "/more")),
        ),
        cpus=8,
        shared=(Input("mesh.h5", "hash of m", 1),),
        inputs=(Input("case.json", "hash of 1", 1),),
        gpus=1,
        disk=5,
        run_time=60.0,
        on_owner_return=OnOwnerReturn(do="evict"),
        checkpoint=Checkpoint(files=("c/",)),
    )
    places = paths(batch, Expansion(batch))
    assert places["solver.sif"] == ("apptainer", "initialize", "sif")
    folder = {**contents, "solver.sif": (held("x", "x"),)}
    with pytest.raises(BatchError, match="is a folder; an image file is needed"):
        check_contents(batch, Expansion(batch), folder)


def test_a_list_is_a_program_and_its_arguments() -> None:
    batch = batch_of(Command(run=("./solve", "{name} x"), jobs=(CommandJob(name="a b"),)))
    spec = specify(batch, Expansion(batch), {}, 0, "ana", 1, None)
    assert spec.action == Argv(("./solve", "a b x"))
    assert spec.build is None


def key(run: Line = "make", shared: Content | None = None, cpus: int = 1, own: str = "x") -> str:
    command = Command(
        initialize=CommandInitialize(run=run, required_files=(File("src"),)),
        run=own,
        jobs=(CommandJob(name="a"),),
    )
    batch = batch_of(command)
    contents = {"src": (shared or held("a"),)}
    spec = specify(batch, Expansion(batch), contents, 0, "ana", cpus, None)
    assert spec.build is not None
    return spec.build.key


def test_a_batch_without_the_network_says_so_to_each_job() -> None:
    assert specify(PYTHON, Expansion(PYTHON), CONTENTS, 0, "ana", 8, None).network
    off = msgspec.structs.replace(PYTHON, network=False)
    assert not specify(off, Expansion(off), CONTENTS, 0, "ana", 8, None).network


def test_the_key_changes_with_what_the_build_sees() -> None:
    same = key()
    assert key("make all") != same
    assert key(("make",)) != same
    assert key(shared=held("b")) != same
    assert key(shared=held("a", executable=True)) != same
    assert key(shared=held("a", "below")) != same


def test_the_key_stays_with_what_the_build_does_not_see() -> None:
    assert key(own="y") == key()
    assert key("make -j {cpus}", cpus=2) == key("make -j {cpus}", cpus=4)


def test_a_job_s_word_for_an_alias_wins_over_the_command_s() -> None:
    job = CommandJob(name="a", required_files=(File("mine.json", "case.json"),))
    batch = batch_of(Command(run="x", required_files=(File("case.json"), File("y")), jobs=(job,)))
    contents = {name: (held(name),) for name in ("case.json", "mine.json", "y")}
    spec = specify(batch, Expansion(batch), contents, 0, "ana", 1, None)
    assert {each.path: each.hash for each in spec.inputs} == {
        "case.json": "hash of mine.json",
        "y": "hash of y",
    }


def test_all_paths_are_found_once_with_their_place() -> None:
    assert paths(PYTHON, Expansion(PYTHON)) == {
        "tools/make.py": ("python", "initialize", "build_file"),
        "big/mesh.h5": ("python", "initialize", "required_files", 0),
        "src": ("python", "initialize", "required_files", 1),
        "go.py": ("python", "jobs", 0, "file"),
        "1.json": ("python", "jobs", 0, "required_files", 0),
        "other.h5": ("python", "jobs", 0, "required_files", 1),
    }
    jobs = tuple(
        CommandJob(name=name, required_files=(File(f"{name}.json"),)) for name in ("a", "b")
    )
    batch = batch_of(Command(run="x", required_files=(File("m"), File("{name}.x")), jobs=jobs))
    assert paths(batch, Expansion(batch)) == {
        "m": ("command", "required_files", 0),
        "a.x": ("command", "required_files", 1),
        "a.json": ("command", "jobs", 0, "required_files", 0),
        "b.x": ("command", "required_files", 1),
        "b.json": ("command", "jobs", 1, "required_files", 0),
    }


def test_good_contents_pass() -> None:
    check_contents(PYTHON, Expansion(PYTHON), CONTENTS)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"1.json": None}, "What '1.json' holds was not sent"),
        ({"go.py": (held("a", "a"), held("b", "b"))}, "'go.py' is a folder"),
        ({"go.py": ()}, "'go.py' is a folder"),
        ({"src": (held("a", "../a"),)}, "would leave its folder"),
        ({"src": (held("a", "/a"),)}, "is absolute"),
        ({"src": (held("a"), held("b", "b"))}, "is empty"),
        ({"src": (held("a", "a"), held("b", "a"))}, "holds 'a' twice"),
        ({"src": (held("a", "a"), held("b", "a/b"))}, "would be a file and a folder"),
        ({"other.h5": (held("a", "a"),)}, "Job 'one' has 'other.h5' in the place of 'big/mesh.h5'"),
    ],
)
def test_bad_contents_are_refused(
    changed: dict[str, tuple[Content, ...] | None], complaint: str
) -> None:
    mixed = {**CONTENTS, **changed}
    contents = {path: held for path, held in mixed.items() if held is not None}
    with pytest.raises(BatchError, match=complaint):
        check_contents(PYTHON, Expansion(PYTHON), contents)


def test_a_job_s_folder_over_the_batch_s_folder() -> None:
    job = CommandJob(name="a", required_files=(File("b", "data"),))
    batch = batch_of(
        Command(
            initialize=CommandInitialize(required_files=(File("a", "data"),)), run="x", jobs=(job,)
        )
    )
    good = {"a": (held("x", "x"), held("y", "y/y")), "b": (held("x2", "x"),)}
    check_contents(batch, Expansion(batch), good)
    bad = {"a": (held("x", "x"),), "b": (held("y", "x/y"),)}
    with pytest.raises(BatchError, match="would be a file and a folder"):
        check_contents(batch, Expansion(batch), bad)


def test_a_spec_crosses_the_wire() -> None:
    jobs = Specifications(PYTHON, Expansion(PYTHON), CONTENTS)
    for index in (0, 1):
        spec = jobs.job(index, "ana", 8, None)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=JobSpec) == spec


def folder_of(count: int) -> tuple[Content, ...]:
    return tuple(Content(f"{number:050}", "a" * 64, 1) for number in range(count))


@pytest.mark.parametrize(("count", "refused"), [(250_000, False), (360_000, True)])
def test_a_job_whose_inputs_are_too_many_for_a_message(count: int, refused: bool) -> None:
    command = Command(
        initialize=CommandInitialize(required_files=(File("a"),)),
        run="./x",
        required_files=(File("b"),),
        jobs=(CommandJob(name="j"), CommandJob(name="k", required_files=(File("c"),))),
    )
    batch = batch_of(command)
    half = folder_of(count // 2)
    contents = {"a": half, "b": (held("b"),), "c": half}
    check_contents(batch, Expansion(batch), contents)
    spec = specify(batch, Expansion(batch), contents, 1, "ana", 1, None)
    sent = len(encode(Assign(1, AttemptId("b1", 0, 1), spec)))
    if not refused:
        check_sendable(batch, Expansion(batch), contents)
        return
    with pytest.raises(BatchError, match=r"Job 'k' has 360,001 input files") as caught:
        check_sendable(batch, Expansion(batch), contents)
    assert "tar" in caught.value.hint
    # So that the rule is on the safe side, and not far from what is possible.
    assert Limits().frame_bytes * 0.7 < sent < Limits().frame_bytes
