"""What must hold of a whole batch before anything of it is sent or saved; a BatchError if not.

Not the shape of the file (`batchfile`). Both sides ask here: the submitter's, to name the line;
the coordinator, because it trusts nobody.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from fallow.shared.aliases import Aliases, Place, check_path, check_text
from fallow.shared.batch import (
    Apptainer,
    Batch,
    Command,
    File,
    Line,
    Python,
    Resources,
    Sweep,
    kind_of,
)
from fallow.shared.containers import check_apptainer
from fallow.shared.errors import BatchError, Mistakes
from fallow.shared.ids import name_problem
from fallow.shared.jobnames import NAME_HINT, check_names, check_sweep_names, short
from fallow.shared.placeholders import parse, quote, show
from fallow.shared.ranges import MOST_JOBS
from fallow.shared.sweep import Expansion, is_template
from fallow.shared.terms import check_slurm, check_terms

_RESERVED = ("cpus", "gpus", "index", "name", "zip", "exclude", "file")
_PER_JOB = ("index", "name", "cpus", "gpus")
_KINDS = ("python", "apptainer", "command")
_MOST = {"cpus": 100_000, "memory": 1 << 60, "gpus": 1000, "disk": 1 << 60}


def check(batch: Batch) -> Expansion:
    """The batch's jobs, once everything about them holds.

    BatchError names the place if not, and with it those of the other mistakes that do not follow
    from that one.
    """
    mistakes = Mistakes()
    expansion = None
    for part in (_check_meta, _check_kind, _check_wishes, check_terms):
        with mistakes:
            part(batch)
    with mistakes:
        expansion = _check_jobs_of(batch)
    mistakes.tell()
    assert expansion is not None
    return expansion


def _check_jobs_of(batch: Batch) -> Expansion:
    expansion = Expansion(batch)
    if len(expansion) > MOST_JOBS:
        raise BatchError(f"There are {len(expansion):,} jobs; {MOST_JOBS:,} are allowed")
    match kind_of(batch):
        case Python() as python:
            _check_python(python)
        case Apptainer() as apptainer:
            check_apptainer(apptainer, batch.checkpoint)
        case Command() as command:
            _check_command(command, expansion)
        case None:
            pass
    return expansion


def _check_meta(batch: Batch) -> None:
    meta = batch.meta
    mistakes = Mistakes()
    for key, name in (("namespace", meta.namespace), ("batch_name", meta.batch_name)):
        problem = name_problem(name)
        if problem:
            title = f"{short(name)} {problem}"
            mistakes.note(BatchError(title, hint=NAME_HINT, path=("meta", key)))
    for number, word in enumerate(meta.capabilities):
        problem = name_problem(word)
        if problem:
            path = ("meta", "capabilities", number)
            mistakes.note(BatchError(f"{short(word)} {problem}", path=path))
    mistakes.tell()


def _check_kind(batch: Batch) -> None:
    found = [kind for kind in _KINDS if getattr(batch, kind) is not None]
    if len(found) > 1:
        raise BatchError(
            f"A batch has one of `python`, `apptainer` and `command`, here are {len(found)}",
            hint="make a batch of its own of each",
            path=(found[1],),
        )
    if not found:
        raise BatchError(
            "A batch has one of `python`, `apptainer` and `command`, here is none",
            hint="add a section `python:`, `apptainer:` or `command:`",
        )


def _check_wishes(batch: Batch) -> None:
    _check_resources(batch.resources, ("resources",))


def _check_resources(resources: Resources, place: Place) -> None:
    mistakes = Mistakes()
    for key, most in _MOST.items():
        value: int | None = getattr(resources, key)
        path = (*place, key)
        if value is not None and value < (0 if key == "gpus" else 1):
            mistakes.note(BatchError(f"{value} is too little", path=path))
        elif value is not None and value > most:
            mistakes.note(BatchError(f"{value} is more than any computer has", path=path))
    mistakes.tell()


def _check_python(python: Python) -> None:
    place = ("python",)
    if not python.jobs:
        raise BatchError("There are no jobs", hint="add at least one below `jobs`", path=place)
    mistakes, aliases, initial = Mistakes(), Aliases(), None
    names = (job.name for job in python.jobs)
    with mistakes:
        check_names(names, lambda index: (*place, "jobs", index, "name"))
    with mistakes:
        if python.initialize.build_file is not None:
            check_path(python.initialize.build_file, (*place, "initialize", "build_file"))
    with mistakes:
        initial = aliases.add((*place, "initialize"), python.initialize.required_files)
    for index, job in enumerate(python.jobs):
        here = (*place, "jobs", index)
        with mistakes:
            check_path(job.file, (*here, "file"))
        with mistakes:
            aliases.add(here, job.required_files, initial)
        with mistakes:
            check_slurm(job.slurm, (*here, "slurm"))
    mistakes.tell()


def _check_command(command: Command, expansion: Expansion) -> None:
    place = ("command",)
    if command.sweep is not None and command.jobs:
        raise BatchError("A batch has either `sweep` or `jobs`, here are both", path=place)
    if command.sweep is None and not command.jobs:
        raise BatchError(
            "There are no jobs", hint="add `sweep` and `name`, or a list of `jobs`", path=place
        )
    mistakes = Mistakes()
    if command.initialize.run is not None:
        here = (*place, "initialize", "run")
        later = tuple(command.sweep.values) if command.sweep is not None else ()
        known = ("cpus", "gpus")
        with mistakes:
            _check_line(command.initialize.run, here)
            _check_known(_texts_of(command.initialize.run), known, here, "the build", later)
    with mistakes:
        if command.sweep is not None:
            _check_sweep_values(command.sweep)
            _check_sweep(command, command.sweep, expansion)
        else:
            _check_jobs(command, expansion)
    with mistakes:
        _check_command_files(command, expansion)
    mistakes.tell()


def _check_sweep_values(sweep: Sweep) -> None:
    place = ("command",)
    for name in sweep.values:
        if name in _RESERVED:
            raise BatchError(f"{name!r} has a meaning of its own", path=(*place, "sweep", name))
        if not name.isidentifier():
            raise BatchError(
                f"{name!r} cannot be a placeholder",
                hint="use letters, digits and _, and begin with a letter",
                path=(*place, "sweep", name),
            )
    if not sweep.values:
        raise BatchError("The sweep has no values", path=(*place, "sweep"))


def _check_sweep(command: Command, sweep: Sweep, expansion: Expansion) -> None:
    place = ("command",)
    declared = tuple(sweep.values)
    mistakes = Mistakes()
    with mistakes:
        if command.name is None:
            example = "_".join(f"{name}{{{name}}}" for name in declared)
            raise BatchError(
                "A sweep needs `name`, from which its jobs get theirs",
                hint=f'for example  name: "{example}"',
                path=place,
            )
        _check_known((command.name,), (*declared, "index"), (*place, "name"), "the name")
        check_sweep_names(command.name, expansion)
    with mistakes:
        if command.run is None:
            raise BatchError("There is nothing to run", hint="add `run`", path=place)
    with mistakes:
        _check_work(command.run, command.env, place, (*declared, *_PER_JOB))
    mistakes.tell()
    if isinstance(command.run, str):
        columns = expansion.columns()
        for name in _within_quotes(command.run):
            texts = expansion.names() if name == "name" else map(show, columns.get(name, ()))
            _check_plain(name, texts, (*place, "run"))


def _check_jobs(command: Command, expansion: Expansion) -> None:
    place = ("command",)
    mistakes = Mistakes()
    with mistakes:
        if command.name is not None:
            raise BatchError("`name` belongs to a sweep", path=(*place, "name"))
    with mistakes:
        check_names(expansion.names(), lambda index: (*place, "jobs", index, "name"))
    with mistakes:
        _check_work(command.run, command.env, place, _PER_JOB)
    common = _within_quotes(command.run) if isinstance(command.run, str) else ()
    for index, job in enumerate(command.jobs):
        here = (*place, "jobs", index)
        with mistakes:
            if job.run is None and command.run is None:
                hint = "add `run` here, or once below `command`"
                raise BatchError("There is nothing to run", hint=hint, path=here)
            if job.run is not None or job.env:
                _check_work(job.run, job.env, here, _PER_JOB)
            quoted = _within_quotes(job.run) if isinstance(job.run, str) else common
            if "name" in quoted:
                _check_plain("name", (job.name,), (*here, "run"))
        with mistakes:
            if job.resources is not None:
                _check_resources(job.resources, (*here, "resources"))
        with mistakes:
            check_slurm(job.slurm, (*here, "slurm"))
    mistakes.tell()


def _check_work(run: Line | None, env: dict[str, str], place: Place, known: Sequence[str]) -> None:
    mistakes = Mistakes()
    with mistakes:
        if run is not None:
            _check_line(run, (*place, "run"))
            _check_known(_texts_of(run), known, (*place, "run"), "a command")
    for name, value in env.items():
        with mistakes:
            _check_variable(name, value, (*place, "env", name), known)
    mistakes.tell()


def _check_variable(name: str, value: str, place: Place, known: Sequence[str]) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise BatchError(f"{name!r} cannot be the name of an environment variable", path=place)
    if name.startswith("FALLOW_"):
        raise BatchError(f"{name} is set by Fallow itself", path=place)
    check_text(value, place)
    _check_known((value,), known, place, "an environment variable")


def _check_line(line: Line, place: Place) -> None:
    for word in _texts_of(line):
        check_text(word, place)
    if not (line.strip() if isinstance(line, str) else line and line[0]):
        raise BatchError("The command is empty", path=place)


def _check_known(
    texts: Sequence[str], known: Sequence[str], place: Place, what: str, later: Sequence[str] = ()
) -> None:
    for text in texts:
        if "{" not in text:
            continue
        for name in parse(text).names:
            if name in known:
                continue
            if name in _PER_JOB or name in later:
                raise BatchError(f"{{{name}}} is not known yet in {what}", path=place)
            shown = ", ".join(f"{{{each}}}" for each in known)
            close = get_close_matches(name, known, n=1, cutoff=0.6)
            raise BatchError(
                f"{{{name}}} is no placeholder of {what}",
                f"Placeholders here: {shown}.",
                (f"did you mean {{{close[0]}}}? " if close else "")
                + f"For the text itself write {{{{{name}}}}}",
                path=place,
            )


def _within_quotes(line: str) -> tuple[str, ...]:
    if "{" not in line:
        return ()
    template = parse(line)
    pairs = zip(template.names, template.in_quotes, strict=True)
    return tuple(name for name, inside in pairs if inside)


def _check_plain(name: str, texts: Iterator[str] | Sequence[str], place: Place) -> None:
    for text in texts:
        if quote(text) != text:
            raise BatchError(
                f"{{{name}}} stands in quotes, and one of its values has to be quoted itself",
                f"The value is {text!r}.",
                f"leave out the quotes around {{{name}}}: every value is quoted for the shell",
                path=place,
            )


def _check_command_files(command: Command, expansion: Expansion) -> None:
    place = ("command",)
    declared = tuple(command.sweep.values) if command.sweep is not None else ()
    for number, file in enumerate(command.initialize.required_files):
        for text in (file.path, file.alias or ""):
            for name in parse(text).names if "{" in text else ():
                if name in (*declared, *_PER_JOB):
                    raise BatchError(
                        f"{{{name}}} is not known yet in the inputs of the build",
                        hint="move it to `required_files` below `command`",
                        path=(*place, "initialize", "required_files", number),
                    )
    known = (*declared, "index", "name")
    lists: list[tuple[Place, tuple[File, ...]]] = [(place, command.required_files)]
    for index, job in enumerate(command.jobs):
        lists.append(((*place, "jobs", index), job.required_files))
    for above, files in lists:
        for number, file in enumerate(files):
            if is_template(file):
                here = (*above, "required_files", number)
                _check_known((file.path, file.alias or ""), known, here, "an input")
    aliases = Aliases()
    initial = aliases.add((*place, "initialize"), command.initialize.required_files)
    count = len(command.required_files)
    varying = any(map(is_template, command.required_files))
    common = initial if varying else aliases.add(place, command.required_files, initial)
    if not varying and not command.jobs:
        return
    for index in range(len(expansion)):
        files = expansion.files(index)
        under = aliases.add(place, files[:count], initial) if varying else common
        if len(files) > count:
            aliases.add((*place, "jobs", index), files[count:], under)


def _texts_of(line: Line) -> tuple[str, ...]:
    return (line,) if isinstance(line, str) else line
