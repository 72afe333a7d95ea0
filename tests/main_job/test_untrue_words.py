"""A workstation or a person out of order says what cannot be: nobody else notices."""

from pathlib import Path

from fallow.shared.ids import AttemptId
from fallow.shared.keys import decode_invitation
from fallow.shared.messages import (
    PROTOCOL,
    Ack,
    BuildReport,
    Hello,
    Logs,
    LogsReply,
    Report,
    Request,
    Resources,
    RunReport,
    Welcome,
    decode_for_agent,
    decode_reply,
    encode,
)
from fallow.shared.runs import Exited, Finished, Verdict
from fallow.shared.transport import ClientSocket, Limits, Wire, new_keys
from main_job.conftest import Coordinator
from main_job.scripted_agent import ScriptedAgent, enrol
from waiting import wait_until


def listen(door: ClientSocket, kind: type) -> object:
    found: list[object] = []

    def heard() -> bool:
        found.extend(decode_for_agent(frames[0]) for frames in door.receive_all())
        return any(type(each) is kind for each in found)

    wait_until(heard, 20, f"a {kind.__name__}")
    return next(each for each in found if type(each) is kind)


def test_untrue_words_end_no_coordinator(coordinator: Coordinator, tmp_path: Path) -> None:
    token, mine = coordinator.token("liar"), new_keys()
    enrol(token, mine)
    place = decode_invitation(token)
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")) as dino, Wire() as wire:
        coordinator.verbs.ok("submit", _batch(tmp_path))
        wait_until(lambda: dino.assigned, 20, "a job on the honest workstation")
        batch = next(iter(dino.assigned)).batch
        door = wire.connect(place.addresses, Limits(), keys=mine, server=place.server)
        wait_until(lambda: door.events() and door.connected, 20, "a connection")
        door.send(encode(Hello("liar", "boot", PROTOCOL, "x", Resources(1 << 63, 1 << 63))))
        door.send(encode(Hello("liar", "boot", PROTOCOL, "x", Resources(1, 1 << 30))))
        welcome = listen(door, Welcome)
        assert isinstance(welcome, Welcome)
        build = BuildReport(batch, "key", "built", "../../etc/passwd", 1 << 63)
        run = RunReport(AttemptId(batch, 0, 1), Finished(Exited(0), "no hash", 5, True, 1e300))
        for seq, lie in enumerate((((build,), ()), ((), (run,))), start=1):
            door.send(encode(Report(welcome.session, seq, 0, Verdict("away"), False, *lie)))
        door.send(encode(Report(welcome.session, 9, 0, Verdict("away"), False)))
        ack = listen(door, Ack)
        assert isinstance(ack, Ack)
        assert ack.seq == 9
    states = {node["name"]: node["cpus"] for node in coordinator.verbs.json("nodes")["nodes"]}
    assert states == {"dino": 2, "liar": 1}
    assert "refused a message" in coordinator.errors


def test_less_than_nothing_of_an_output_is_nothing(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    token, mine = coordinator.token("ana", "submitter"), new_keys()
    enrol(token, mine)
    place = decode_invitation(token)
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")), Wire() as wire:
        coordinator.verbs.ok("submit", _batch(tmp_path), "--wait")
        door = wire.connect(place.addresses, Limits(), keys=mine, server=place.server)
        for limit, expected in ((5, b"hello"), (-1, b"")):
            ask = encode(Request(1, Logs("n:b/j", limit=limit)))
            said = decode_reply(door.request(ask, timeout=20)[0]).body
            assert isinstance(said, LogsReply)
            assert said.data == expected


def _batch(folder: Path) -> Path:
    place = folder / "batch.yaml"
    place.write_text(
        "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: j, run: 'true'}]}\n"
    )
    return place
