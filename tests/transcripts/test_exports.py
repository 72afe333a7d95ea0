"""Stories of batches that go to a cluster and come back, as the coordinator's core sees them.

Every story ends with the whole world checked, here and after one more restart.
"""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fakes import FakeCoordinator, ScriptedAgent, sweep_batch
from fallow.coordinator.events import Caller, Commit
from fallow.shared.batch import OnFailure
from fallow.shared.messages import (
    ClientReply,
    Export,
    ExportReply,
    Failed,
    Hold,
    Import,
    Imported,
    Kill,
    Nodes,
    NodesReply,
    Release,
    Retry,
)
from fallow.shared.messages import Done as Did
from fallow.shared.runs import Crashed, Exit, Exited, Running, Signalled, Stopped

MANIFEST = "a" * 64
GOOD, BAD = Exited(0), Exited(1)


@pytest.fixture
def office() -> Iterator[FakeCoordinator]:
    coordinator = FakeCoordinator()
    yield coordinator
    assert coordinator.core.check() == []
    coordinator.restart()
    assert coordinator.core.check() == []


def back(index: int, exit: Exit = GOOD, number: int = 1) -> Imported:
    return Imported(index, number, exit, MANIFEST, 10, 1000.0, 1060.0, 60.0)


def take(office: FakeCoordinator, *attempts: Imported, killed: tuple[int, ...] = ()) -> ClientReply:
    return office.ask(Import("sweep", "e1", attempts, killed))


def test_there_and_back(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=3))
    asked = office.ask(Export("sweep"))
    assert isinstance(asked, ExportReply)
    assert asked.jobs == ((0, 0), (1, 0), (2, 0))
    assert office.shown("sweep") == ["queued"] * 3
    assert office.ask(Export("sweep", "e1")) == asked
    assert office.shown("sweep") == ["exported"] * 3
    assert office.ask(Export("sweep", "e1")) == asked  # the answer was lost
    assert take(office, back(0), back(1, BAD)) == Did("2 jobs of ana:sweep are back from e1")
    assert office.shown("sweep") == ["succeeded", "failed", "exported"]
    assert take(office, back(0), back(1, BAD)) == Did("0 jobs of ana:sweep are back from e1")
    commits = [each for each in office.done if isinstance(each, Commit)]
    assert [(each.job, each.outcome, each.node) for each in commits] == [
        ("j0", "result", "slurm:e1"),
        ("j1", "failed", "slurm:e1"),
    ]
    assert commits[0].run_seconds == 60.0
    office.restart()
    assert office.shown("sweep") == ["succeeded", "failed", "exported"]
    take(office, back(2, Stopped("run_time")))
    assert office.shown("sweep")[2] == "failed"
    assert office.notes("exported", "imported") == [
        "exported ana:sweep 3 jobs as e1",
        "imported ana:sweep 2 jobs of e1",
        "imported ana:sweep 1 jobs of e1",
    ]


def test_what_runs_here_stays_and_the_exported_never_starts(office: FakeCoordinator) -> None:
    desk = ScriptedAgent(office, "desk")
    desk.connect()
    office.submit(sweep_batch(jobs=3))
    assert desk.read() == ["assign 0#1"]
    desk.run(Running())
    reply = office.ask(Export("sweep", "e1"))
    assert isinstance(reply, ExportReply)
    assert reply.jobs == ((1, 0), (2, 0))
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.shown("sweep") == ["succeeded", "exported", "exported"]
    said = office.ask(Release("sweep/j1"))
    assert isinstance(said, Did)
    assert said.text.startswith("ana:sweep/j1 goes on; what a cluster does of it")
    assert desk.read() == ["assign 1#1"]
    # The cluster ran it all the same: it is this computer's now.
    assert take(office, back(1)) == Did("0 jobs of ana:sweep are back from e1")
    desk.finish()
    assert office.shown("sweep") == ["succeeded", "succeeded", "exported"]


def test_failures_of_a_cluster_are_not_tried_again_by_themselves(office: FakeCoordinator) -> None:
    desk = ScriptedAgent(office, "desk")
    batch = replace(sweep_batch(jobs=2), on_failure=OnFailure(retries=3))
    office.submit(batch)
    office.ask(Export("sweep", "e1"))
    desk.connect()
    # The second try of the first; SLURM's own end of the second.
    take(office, back(0, BAD, 2), back(1, Signalled(9), 1))
    assert office.shown("sweep") == ["failed", "failed"]
    assert desk.read() == []
    office.ask(Retry("sweep/j0", "failed", False, "once"))
    assert desk.read() == ["assign 0#3"]


def test_ended_there_is_killed_here(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=2))
    office.ask(Export("sweep", "e1"))
    take(office, killed=(0, 99))
    assert office.shown("sweep") == ["killed", "exported"]
    said = office.ask(Kill("sweep"))
    assert isinstance(said, Did)
    assert "./cancel.sh of export e1" in said.text
    assert take(office, back(1)) == Did("0 jobs of ana:sweep are back from e1")


def test_no_cluster_among_the_workstations(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=1))
    office.ask(Export("sweep", "e1"))
    take(office, back(0))
    office.restart()
    reply = office.ask(Nodes())
    assert isinstance(reply, NodesReply)
    assert reply.nodes == ()


def test_an_import_whose_files_are_not_here_yet_is_simply_said_again(
    office: FakeCoordinator,
) -> None:
    office.submit(sweep_batch(jobs=1))
    office.ask(Export("sweep", "e1"))
    attempt = next(iter(office.core.find("sweep")[0].jobs)).id
    office.commits_wait = True
    take(office, back(0))
    assert office.shown("sweep") == ["collecting"]
    office.restart()  # before anything was put into the results
    office.commits_wait = False
    take(office, back(0))
    assert office.shown("sweep") == ["succeeded"]
    assert office.on_disk[attempt] == [(1, "result")]


@pytest.mark.parametrize(
    "body",
    [
        Export("sweep", "E 1"),
        Export("sweep", "../x"),
        Export("sweep/j0", "e1"),
        Import("sweep", "", ()),
        Import("sweep", "e1", (back(0, Crashed()),)),
        Import("sweep", "e1", (back(0, Stopped("evict")),)),
        Import("sweep", "e1", (replace(back(0), manifest="../../etc"),)),
        Import("sweep", "e1", (replace(back(0), size=-1),)),
        Import("sweep", "e1", (replace(back(0), run_seconds=float("nan")),)),
        Import("sweep", "e1", (replace(back(0), number=0),)),
    ],
)
def test_what_no_client_of_ours_would_say_is_refused(
    office: FakeCoordinator, body: Export | Import
) -> None:
    office.submit(sweep_batch(jobs=1))
    assert isinstance(office.ask(body), Failed)
    assert office.shown("sweep") == ["queued"]


def test_only_its_owner_and_admins(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=1))
    bob = Caller("bob", "submitter")
    assert isinstance(office.ask(Export("sweep", "e1"), bob), Failed)
    assert isinstance(office.ask(Export("sweep", "e1"), Caller("eve", "admin")), ExportReply)
    assert isinstance(office.ask(Import("sweep", "e1", (back(0),)), bob), Failed)
    assert office.shown("sweep") == ["exported"]


def test_nothing_that_waits(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=1))
    office.ask(Export("sweep", "e1"))
    assert isinstance(office.ask(Export("sweep", "e2")), Failed)
    assert isinstance(office.ask(Export("sweep")), Failed)


def test_a_hold_says_that_no_cluster_hears_of_it(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=2))
    office.ask(Export("sweep", "e1"))
    said = office.ask(Hold("sweep"))
    assert isinstance(said, Did)
    assert said.text.startswith("2 jobs of ana:sweep held; what a cluster does of it")
    assert "./cancel.sh of export e1" in said.text
    assert take(office, back(0)) == Did("0 jobs of ana:sweep are back from e1")
    assert office.shown("sweep") == ["held", "held"]
    # It is no matter of a cluster any more.
    said = office.ask(Release("sweep"))
    assert said == Did("2 jobs of ana:sweep go on")
