"""A batch's end is told to its submitter where they asked for it, and nowhere else.

The workstation is scripted; the web servers are stand-ins on this computer.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fallow.shared.keys import load_keys
from fallow.shared.messages import JobSpec
from fallow.shared.runs import Exited
from fallow.tray.line import Line
from fallow.tray.local import NoticeIs
from main_job.conftest import Coordinator
from main_job.scripted_agent import Result, ScriptedAgent
from main_job.web_stand_in import Call, WebStandIn
from main_job.workstation import Workstation
from waiting import wait_until

WriteBatch = Callable[..., Path]
BATCH = """
meta: {namespace: ana, batch_name: b}
command: {run: "echo {x}", sweep: {x: [1, 2]}, name: "x{x}"}
"""


def with_notify(*targets: str) -> str:
    return f"{BATCH}notify: [{', '.join(repr(target) for target in targets)}]\n"


def one_fails(job: JobSpec, attempt: int) -> Result:
    return Result({"stdout.txt": b"", "stderr.txt": b""}, Exited(int(job.job == "x2")))


def told(coordinator: Coordinator, kind: str) -> list[str]:
    lines = coordinator.verbs.ok("watch", "--once").out.splitlines()
    return [line.split("  ", 2)[2].strip() for line in lines if line.split()[1] == kind]


def configure(coordinator: Coordinator, text: str) -> None:
    coordinator.stop()
    (coordinator.data_dir / "coordinator.toml").write_text(text)
    coordinator.start()


def test_a_webhook_is_told_once_and_its_secret_stays_one(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    with (
        WebStandIn() as web,
        ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), one_fails),
    ):
        batch = batch_file(with_notify(f"{web.address}/hook/s3cret"))
        assert coordinator.verbs.run("submit", batch, "--wait").code == 4
        wait_until(lambda: web.calls, 30, "the webhook to be told")
        wait_until(lambda: told(coordinator, "told"), 30, "the audit to say so")
        # A second end of a batch that nobody is to be told of.
        coordinator.verbs.run("submit", batch_file(BATCH), "--name", "quiet", "--wait")
    (call,) = web.calls
    assert (call.method, call.path) == ("POST", "/hook/s3cret")
    assert call.content["event"] == "batch_ended"
    assert call.content["id"] == 1
    assert call.content["counts"] == {"succeeded": 1, "failed": 1}
    assert call.content["state"] == "failed"
    assert call.content["text"] == "ana:b has ended. Of 2 jobs: 1 succeeded, 1 failed."
    (line,) = told(coordinator, "told")
    assert "http://127.0.0.1/…" in line
    assert "s3cret" not in coordinator.verbs.ok("watch", "--once").out


def test_a_webhook_that_is_away_is_told_after_a_restart(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    with WebStandIn() as web:
        port = web.port
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")):
        batch = batch_file(with_notify(f"http://127.0.0.1:{port}/x"))
        coordinator.verbs.ok("submit", batch, "--wait")
        assert told(coordinator, "told") == []
        coordinator.kill()
        with WebStandIn(port=port) as web:
            coordinator.start()
            wait_until(lambda: web.calls, 60, "the webhook to be told")
            wait_until(lambda: told(coordinator, "told"), 30, "the audit to say so")
            coordinator.kill()
            coordinator.start()
            assert len(web.calls) == 1


def test_a_redirect_is_not_followed_and_a_refusal_is_said(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    def answer(call: Call) -> tuple[int, dict[str, Any]]:
        return (302, {"location": "/elsewhere"}) if call.path == "/moved" else (404, {})

    with (
        WebStandIn(answer) as web,
        ScriptedAgent(tmp_path / "dino", coordinator.token("dino")),
    ):
        batch = batch_file(with_notify(f"{web.address}/moved", f"{web.address}/none"))
        coordinator.verbs.ok("submit", batch, "--wait")
        wait_until(lambda: len(told(coordinator, "trouble")) == 2, 30, "both to be given up")
        assert sorted(call.path for call in web.calls) == ["/moved", "/none"]
    said = " ".join(told(coordinator, "trouble"))
    assert "redirect" in said
    assert "404" in said


def test_a_webhook_that_hangs_holds_nobody_up(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    done = threading.Event()

    def answer(call: Call) -> tuple[int, dict[str, Any]]:
        done.wait(60)
        return 200, {}

    try:
        with (
            WebStandIn(answer) as web,
            ScriptedAgent(tmp_path / "dino", coordinator.token("dino")),
        ):
            coordinator.verbs.ok("submit", batch_file(with_notify(f"{web.address}/")), "--wait")
            wait_until(lambda: web.calls, 30, "the webhook to be called")
            coordinator.verbs.ok("submit", batch_file(BATCH), "--name", "next", "--wait")
            assert coordinator.stop() == 0
            done.set()
    finally:
        done.set()
    coordinator.start()


def test_matrix_is_told_in_one_room(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    left: set[str] = set()
    rooms = iter(("!one:hs", "!two:hs"))

    def answer(call: Call) -> tuple[int, dict[str, Any]]:
        if call.path.endswith("/createRoom"):
            return 200, {"room_id": next(rooms)}
        return (403, {}) if any(room in call.path for room in left) else (200, {"event_id": "$x"})

    with (
        WebStandIn(answer) as web,
        ScriptedAgent(tmp_path / "dino", coordinator.token("dino")),
    ):
        (coordinator.data_dir / "matrix.token").write_text("t0ken\n")
        configure(
            coordinator,
            f'[matrix]\nhomeserver = "{web.address}"\ntoken_file = "matrix.token"\n',
        )
        batch = batch_file(with_notify("matrix:@ana:hs"))
        coordinator.verbs.ok("submit", batch, "--wait")
        wait_until(lambda: len(told(coordinator, "told")) == 1, 30, "ana to be told")
        coordinator.kill()
        coordinator.start()
        second = BATCH.replace("batch_name: b", 'batch_name: c, matrix: "@ana:hs"')
        coordinator.verbs.ok("submit", batch_file(second), "--wait")
        wait_until(lambda: len(told(coordinator, "told")) == 2, 30, "ana to be told again")
        left.add("%21one%3Ahs")
        coordinator.verbs.ok("submit", batch, "--name", "third", "--wait")
        wait_until(lambda: len(told(coordinator, "told")) == 3, 60, "ana to be told in a new room")
    assert {call.token for call in web.calls} == {"Bearer t0ken"}
    made = [call for call in web.calls if call.path.endswith("/createRoom")]
    assert [call.content["invite"] for call in made] == [["@ana:hs"], ["@ana:hs"]]
    written = [call for call in web.calls if call.method == "PUT"]
    assert len({call.path for call in written}) == len(written)
    assert [call.content["body"] for call in written[:2]] == [
        "ana:b has ended. All 2 jobs succeeded.",
        "ana:c has ended. All 2 jobs succeeded.",
    ]


def test_what_cannot_be_told_is_refused_at_submit(
    coordinator: Coordinator, batch_file: WriteBatch
) -> None:
    for target, said in (
        ("matrix:@ana:hs", "no [matrix] homeserver"),
        ("http://hooks.example.org/x", "only https"),
        ("https://me:pw@hooks.example.org/x", "password"),
    ):
        done = coordinator.verbs.run("submit", batch_file(with_notify(target)), "--dry-run")
        assert done.code != 0
        assert said in done.err.lower() or said in done.err, done.err
    original = BATCH.replace("batch_name: b", 'batch_name: b, matrix: "@ana:hs"')
    warned = coordinator.verbs.ok("submit", batch_file(original))
    assert "@ana:hs will not be told" in warned.err
    configure(coordinator, '[webhooks]\nhosts = ["hooks.example.org"]\n')
    fine = with_notify("https://hooks.example.org/x")
    coordinator.verbs.ok("submit", batch_file(fine), "--dry-run", "--name", "c")
    bad = coordinator.verbs.run(
        "submit", batch_file(with_notify("https://other.example.org")), "--dry-run", "--name", "c"
    )
    assert bad.code == 1
    assert "[webhooks]" in bad.err


def test_a_desktop_is_told_where_its_person_is(
    coordinator: Coordinator, batch_file: WriteBatch, tmp_path: Path
) -> None:
    ana, bo = coordinator.account("ana"), coordinator.account("bo")
    keys = {}
    for account in (ana, bo):
        (file,) = (account.folder / "config/fallow/keys").iterdir()
        keys[account.folder.name] = load_keys(file).public
    with (
        ScriptedAgent(tmp_path / "dino", coordinator.token("dino")) as dino,
        ScriptedAgent(tmp_path / "rex", coordinator.token("rex"), cpus=1) as rex,
    ):
        rex.people = (keys["bo"],)
        ana.ok("submit", batch_file(with_notify("desktop")), "--wait")
        coordinator.kill()
        coordinator.start()
        dino.people = ("nobody", keys["ana"])
        wait_until(lambda: dino.notices, 60, "ana to be told at her desk")
        wait_until(lambda: told(coordinator, "told"), 30, "the audit to say so")
        assert rex.notices == []
    assert [(each.to, each.title) for each in dino.notices] == [(keys["ana"], "ana:b has ended")]


def test_a_real_agent_passes_it_on_to_the_tray_of_that_person(
    coordinator: Coordinator,
    batch_file: WriteBatch,
    new_workstation: Callable[..., Workstation],
) -> None:
    ana = coordinator.account("ana")
    (file,) = (ana.folder / "config/fallow/keys").iterdir()
    key = load_keys(file).public
    workstation = new_workstation("ws1")
    heard: list[NoticeIs] = []
    others: list[NoticeIs] = []
    hers = Line(
        *(workstation.data_dir, lambda status: None, lambda error: None, lambda activity: ()),
        on_notice=heard.append,
        keys_of=lambda: ("uid", key),
    )
    not_hers = Line(
        *(workstation.data_dir, lambda status: None, lambda error: None, lambda activity: ()),
        on_notice=others.append,
        keys_of=lambda: ("uid", "uid:0", "somebody else's"),
    )
    not_hers.start()
    try:
        ana.ok("submit", batch_file(with_notify("desktop")), "--wait")
        # She comes to her desk when it is over.
        hers.start()
        wait_until(lambda: heard, 60, "the tray to be told")
        wait_until(lambda: told(coordinator, "told"), 30, "the audit to say so")
        # Who runs the coordinator needs no key on the same computer.
        coordinator.verbs.ok("submit", batch_file(with_notify("desktop")), "--name", "mine")
        wait_until(lambda: len(heard) > 1 and others, 60, "both trays of this user to be told")
    finally:
        hers.close()
        not_hers.close()
    assert heard[0].title == "ana:b has ended"
    assert heard[0].text == "All 2 jobs succeeded."
    assert {notice.title for notice in others} == {"ana:mine has ended"}
