"""The agent's status in a terminal and as JSON."""

import json

from fallow.shared.runs import Progress, Reason
from fallow.tray.status import AgentStatus, CoordinatorStatus, RunStatus, SensorStatus
from fallow.tray.told import as_json, headline, in_words

STATUS = AgentStatus(
    "paused",
    "online",
    "present",
    (Reason("input", "you are here", 0.0),),
    (
        RunStatus(
            "sweep", "j1", "ana", "paused", "b-1-1", (7, 8), 12.0, 34.0, Progress(0.43, "ok")
        ),
        RunStatus("sweep", "", "ana", "building"),
    ),
    (SensorStatus("logind", False, "no system bus"), SensorStatus("keys", True)),
    CoordinatorStatus("tcp://lab:8952", "ws1"),
)


def test_json_has_the_keys_of_its_contract() -> None:
    told = json.loads(as_json(STATUS))
    assert told["schema"] == 1
    assert {
        *("schema", "state", "connection", "verdict", "reasons", "runs", "sensors", "coordinator")
    } <= set(told)
    assert told["reasons"] == [{"kind": "input", "text": "you are here", "until": 0.0}]
    run = told["runs"][0]
    assert run["progress"] == 0.43
    assert run["progress_text"] == "ok"
    assert run["pids"] == [7, 8]
    assert told["runs"][1]["progress"] is None


def test_words() -> None:
    assert headline(STATUS).startswith("paused: you are here, until ")
    lines = in_words(STATUS).splitlines()
    assert lines[1] == "coordinator: online tcp://lab:8952, known there as ws1"
    assert lines[2] == "sweep/j1 for ana: paused, ran for 12 s, paused for 34 s, 43% ok"
    assert lines[3] == "the build of sweep for ana: building, ran for 0 s"
    assert lines[4] == "sensor logind: sees nothing: no system bus"
    assert lines[5] == "sensor keys: sees this desk"
    assert headline(AgentStatus("idle", "online", "away")) == "idle"
