"""Strategies for whole batches that pass every check, as a person could write them in Python.

Not a test. Names come out unique by construction; texts are as odd as the checks allow.
"""

from hypothesis import strategies as st

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
    Limits,
    Meta,
    OnFailure,
    OnLost,
    OnOwnerReturn,
    Python,
    PythonInitialize,
    PythonJob,
    Range,
    Resources,
    Scalar,
    Sweep,
)

# Everything that YAML or a reader could take for something else.
TRAPS = (
    *("no", "yes", "on", "null", "~", "true", "False", "1e3", "0x10", "010", "1_000", ".5", "-1"),
    *(
        "10:00:00",
        "2024-01-01",
        "=",
        "<<",
        "4GiB",
        "nan",
        ".inf",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "&a",
    ),
    *("*a", "!a", "%a", "@a", "`a`", "'a'", '"a"', "a\\nb", "[a]", "{{a}}", "a,b", " a", "a ", "é"),
    *("a  b", "x" * 200 + " " + "y" * 99, "\U0001f600", "?", "? a", "|", "> a", "...", "--- a"),
)
LINES = (
    *TRAPS,
    "a\nb",
    "a\n",
    "\na",
    "  a\n b\n\n",
    "a \nb",
    "a\r\nb",
    "a\tb\n",
    "a\u2028b",
    "\u0085",
)
texts = st.sampled_from(LINES) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), min_size=1, max_size=30
)
plain = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
odd_names = plain | st.sampled_from(("no", "1e3", "2024", "010", "a b", "é", "true", "~x", "null"))
durations = st.integers(1, 10**9).map(lambda ms: ms / 1000)
sizes = st.integers(1, 1 << 50)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars: st.SearchStrategy[Scalar] = (
    st.booleans() | st.integers(-(10**15), 10**15) | finite | st.sampled_from(TRAPS) | texts
)


@st.composite
def files(draw: st.DrawFn, most: int = 3) -> tuple[File, ...]:
    """Inputs whose aliases stand beside each other."""
    found = []
    for number in range(draw(st.integers(0, most))):
        path = draw(plain | st.sampled_from(("a b.txt", "no", "1e3", "dir/x.h5", "~/x")))
        found.append(File(path, f"{draw(plain)}{number}"))
    return tuple(found)


@st.composite
def names(draw: st.DrawFn, most: int = 4) -> list[str]:
    """Names of jobs, of which no two are the same."""
    return [f"{draw(odd_names)}{number}" for number in range(draw(st.integers(1, most)))]


environments = st.dictionaries(plain.map(str.upper), texts, max_size=3)
lines = texts.filter(lambda text: bool(text.strip()))
commands = lines | st.lists(lines, min_size=1, max_size=4).map(tuple)
resources = st.builds(
    Resources,
    cpus=st.none() | st.integers(1, 999),
    memory=st.none() | sizes,
    gpus=st.none() | st.integers(0, 9),
    disk=st.none() | sizes,
)
slurm = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}(-[a-z]{1,5})?", fullmatch=True),
    st.integers(-999, 10**9)
    # A number is passed on in its shortest form, which of 1.0 is 1.
    | finite.filter(lambda value: not value.is_integer())
    | st.booleans()
    | st.sampled_from(("02:00:00", "1e3", "no", "10", "a b", "1.0", "true", "null")),
    max_size=3,
)
ranges = st.builds(
    Range,
    start=st.integers(-9, 9) | st.floats(-9, 9).map(lambda value: round(value, 3)),
    to=st.integers(10, 20),
    step=st.sampled_from((1, 2, 0.5)),
) | st.builds(
    Range,
    start=st.integers(1, 9),
    to=st.integers(10, 10**6),
    count=st.integers(2, 5),
    scale=st.sampled_from(("linear", "log")),
)


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    """A few names with a few values; of a zip as many each."""
    found: dict[str, tuple[Scalar, ...] | Range] = {}
    for name in draw(st.lists(plain, min_size=1, max_size=3, unique=True)):
        name += "_v"
        several = st.lists(scalars, min_size=1, max_size=4, unique_by=lambda each: (repr(each),))
        found[name] = draw(several.map(tuple) | ranges)
    zipped: tuple[tuple[str, ...], ...] = ()
    if draw(st.booleans()):
        count = draw(st.integers(1, 4))
        for name in ("zipped_a", "zipped_b"):
            found[name] = tuple(draw(st.lists(scalars, min_size=count, max_size=count)))
        zipped = (("zipped_a", "zipped_b"),)
    return Sweep(values=found, zip=zipped)


@st.composite
def swept(draw: st.DrawFn) -> Command:
    made = draw(sweeps())
    return Command(
        initialize=CommandInitialize(run=draw(st.none() | commands), required_files=draw(files())),
        run=draw(commands),
        env=draw(environments),
        sweep=made,
        name="j{index}",
    )


@st.composite
def listed(draw: st.DrawFn) -> Command:
    common = draw(st.none() | commands)
    jobs = tuple(
        CommandJob(
            name=name,
            run=draw(commands if common is None else st.none() | commands),
            env=draw(environments),
            required_files=draw(files(1)),
            resources=draw(st.none() | resources),
            slurm=draw(slurm),
        )
        for name in draw(names())
    )
    return Command(run=common, env=draw(environments), jobs=jobs)


@st.composite
def scripts(draw: st.DrawFn) -> Python:
    build = st.none() | st.builds(File, plain, st.none())
    jobs = tuple(
        PythonJob(
            name=name, file=File(draw(plain)), required_files=draw(files(1)), slurm=draw(slurm)
        )
        for name in draw(names())
    )
    return Python(
        initialize=PythonInitialize(build_file=draw(build), required_files=draw(files(0))),
        jobs=jobs,
    )


@st.composite
def images(draw: st.DrawFn) -> Apptainer:
    jobs = tuple(
        ApptainerJob(name=name, required_files=draw(files(1)), slurm=draw(slurm))
        for name in draw(names())
    )
    return Apptainer(initialize=ApptainerInitialize(sif=File(draw(plain))), jobs=jobs)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    kind = draw(st.sampled_from(("python", "apptainer", "swept", "listed")))
    return Batch(
        meta=Meta(
            namespace=draw(odd_names),
            batch_name=draw(odd_names),
            capabilities=tuple(draw(st.lists(odd_names, max_size=2, unique=True))),
            matrix=draw(st.sampled_from((None, "@ana:example.org"))),
        ),
        python=draw(scripts()) if kind == "python" else None,
        apptainer=draw(images()) if kind == "apptainer" else None,
        command=draw(swept() if kind == "swept" else listed()) if kind[-2:] in "pted" else None,
        resources=draw(resources),
        limits=Limits(run_time=draw(st.none() | durations)),
        on_failure=OnFailure(retries=draw(st.integers(0, 9)), back_off=draw(durations)),
        on_owner_return=OnOwnerReturn(
            do=draw(st.sampled_from((None, "freeze", "evict"))),
            max_pause=draw(st.none() | durations),
            then=draw(st.sampled_from((None, "wait", "move"))),
        ),
        checkpoint=draw(
            st.none()
            | st.builds(
                Checkpoint,
                signal=st.sampled_from(("TERM", "USR1")),
                grace=st.integers(0, 86400).map(float),
                files=st.sampled_from(
                    # Of its work folder a container sees folders only.
                    ((), ("checkpoint/",), ("a/" if kind == "apptainer" else "a.chk", "b/c/"))
                ),
            )
        ),
        on_lost=OnLost(after=draw(durations), then=draw(st.sampled_from(("rerun", "wait")))),
        priority=draw(st.sampled_from(("low", "normal", "high"))),
        after=draw(st.sampled_from(((), ("other",), ("ns_9:other_9", "third")))),
        notify=draw(st.sampled_from(((), ("desktop", "https://example.org/x")))),
        slurm=draw(slurm),
        network=draw(st.booleans()),
    )
