"""`coordinator template`: a batch file to begin with, of each kind, that runs as it is.

Not the format itself (`shared.batchfile`). The files are those of `templates/`; the schema for
editors is made by `shared.batchschema`.
"""

import shutil
from pathlib import Path

import click

from fallow.coordinator import render
from fallow.coordinator.verbs.options import example, json_option
from fallow.shared.errors import UsageError

_TEMPLATES = Path(__file__).parents[1] / "templates"
_BESIDE = {
    "python": ("build.py", "run.py"),
    "apptainer": ("solver.def",),
    "command": (),
    "schema": (),
}


@click.command(
    epilog=example(
        "coordinator template command -o sweep.yaml",
        "coordinator template python -o jobs/distribute-jobs.yaml",
    )
)
@click.argument("kind", type=click.Choice(tuple(_BESIDE)))
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, with what it needs beside it; else it is printed.",
)
@json_option
def template(kind: str, file: Path | None, as_json: bool) -> None:
    """Write a commented batch file of the KIND python, apptainer or command.

    Printed, it names scripts that are part of this installation; with -o they are written beside
    it, to be changed. The KIND schema is what an editor needs to complete and check batch files.
    """
    text = _text_of(kind)
    beside = _BESIDE[kind]
    if file is None:
        for name in beside:
            if name.endswith(".py"):
                text = text.replace(f": {name} ", f": {_quoted(_TEMPLATES / name)} ")
                text = text.replace(f": {name}\n", f": {_quoted(_TEMPLATES / name)}\n")
        if as_json:
            render.print_json({"kind": kind, "text": text})
        else:
            click.echo(text, nl=False)
        return
    places = {file.with_name(name): _TEMPLATES / name for name in beside}
    for place in (file, *places):
        if place.exists():
            raise UsageError(f"{place} is there already", hint="give another name with -o")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("FILE", str(file)))
        for place, source in places.items():
            shutil.copyfile(source, place)
    except OSError as error:
        raise UsageError(
            f"{error.filename or file} cannot be written: {(error.strerror or '').lower()}"
        ) from None
    written = [str(place) for place in (file, *places)]
    if as_json:
        render.print_json({"kind": kind, "files": written})
    else:
        click.echo(f"written: {', '.join(written)}")


def _text_of(kind: str) -> str:
    if kind != "schema":
        return (_TEMPLATES / f"{kind}.yaml").read_text()
    from fallow.shared import batchschema

    return batchschema.text()


def _quoted(path: Path) -> str:
    """As a value of YAML, whatever is in it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
