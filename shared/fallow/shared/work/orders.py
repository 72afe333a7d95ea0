"""What the runs and builds of a computer want done: orders to the workbench, records to save.

Not what follows from what (`workload`), nor the effects of a single run (`run_words`), which
travel inside Order.
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.shared.ids import AttemptId
from fallow.shared.work import run_words
from fallow.shared.work.build import Build
from fallow.shared.work.phases import Run


class Order(Struct, frozen=True):
    """Do this for a run or a build."""

    attempt: AttemptId
    effect: run_words.Effect


class SaveRun(Struct, frozen=True):
    """Write this record before anything that follows is done."""

    run: Run


class SaveBuild(Struct, frozen=True):
    """Write this record before anything that follows is done."""

    build: Build


class ForgetInputs(Struct, frozen=True):
    """Nobody needs this batch's inputs here any more."""

    batch: str


Effect: TypeAlias = Order | SaveRun | SaveBuild | ForgetInputs
