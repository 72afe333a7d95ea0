"""`--set KEY=VALUE`: values that stand in place of a batch file's, before it is read.

Not the reading (`reading`), which treats them like any other value of the file: by their field.
"""

from collections.abc import Sequence

from fallow.shared.batchkeys import APPTAINER, BATCH, COMMAND, PYTHON
from fallow.shared.errors import BatchError, UsageError
from fallow.shared.reading import Shape, nearest
from fallow.shared.yamlnodes import Node, is_mapping, with_value, written

_KINDS: dict[str, Shape] = {"python": PYTHON, "apptainer": APPTAINER, "command": COMMAND}


def apply(root: Node, options: Sequence[str]) -> Node:
    """The tree with these options in it; what is wrong with number n is said of line -n.

    A key is a path with dots (`meta.batch_name`, `jobs.0.name`); the name of the section that says
    what the jobs are may be left out (`sweep.re`). UsageError for a text without `=`.
    """
    for number, option in enumerate(options, start=1):
        key, equals, value = option.partition("=")
        steps = key.strip().split(".")
        if not equals or not all(steps):
            raise UsageError(
                f"--set {option} is not of the form KEY=VALUE",
                hint="for example --set sweep.re=[100,200] or --set meta.batch_name=again",
            )
        try:
            root = with_value(root, _whole(root, steps, -number), written(value, -number), -number)
        except BatchError as error:
            place = tuple(steps)
            raise BatchError(
                error.title, error.detail, error.hint, line=-number, path=error.path or place
            ) from None
    return root


def _whole(root: Node, steps: Sequence[str], line: int) -> Sequence[str]:
    """The same place from the top of the file."""
    if steps[0] in BATCH.keys:
        return steps
    kinds = [key.value for key, _ in root.value if key.value in _KINDS] if is_mapping(root) else []
    for kind in kinds:
        if steps[0] in _KINDS[kind].keys:
            return (kind, *steps)
    known = (*BATCH.keys, *(key for kind in kinds for key in _KINDS[kind].keys))
    raise BatchError(
        f"`{steps[0]}` is no key of a batch file", hint=nearest(steps[0], known), line=line
    )
