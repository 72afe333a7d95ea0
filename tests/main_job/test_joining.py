"""Who gets in: tokens used, used up and expired, keys revoked, roles, and noise at the door.

Not the encryption itself, which tests/sockets tries.
"""

import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fallow.shared.addresses import split_address
from fallow.shared.errors import FallowError
from fallow.shared.keys import decode_invitation
from fallow.shared.messages import (
    Failed,
    Keys,
    Nodes,
    NodesReply,
    Request,
    Status,
    decode_reply,
    encode,
)
from fallow.shared.transport import Limits, Wire, new_keys
from main_job.conftest import Coordinator
from main_job.scripted_agent import ScriptedAgent, enrol
from waiting import wait_until


def names(coordinator: Coordinator) -> dict[str, bool]:
    """Everybody by name, and whether the key is still good."""
    return {key["name"]: key["revoked"] is None for key in coordinator.verbs.json("keys")["keys"]}


def test_a_person_joins_and_works(
    coordinator: Coordinator, batch_file: Callable[..., Path]
) -> None:
    ana = coordinator.account("ana")
    text = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: j, run: 'cat input/f'}],"
    batch = batch_file(text + " required_files: [f]}\n", f="content")
    ana.ok("submit", batch)
    (shown,) = ana.json("status")["batches"]
    assert shown["owner"] == "ana"
    assert ana.ok("status", "--coordinator", coordinator.address).code == 0
    refused = ana.run("invite", "--role", "admin", "--name", "eve")
    assert refused.code == 1
    assert "submitter" in refused.err
    assert ana.run("keys").code == 1
    assert names(coordinator) == {"ana": True}


def test_another_persons_batch_is_not_ones_own(
    coordinator: Coordinator, batch_file: Callable[..., Path]
) -> None:
    text = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: j, run: 'true'}]}\n"
    coordinator.account("ana").ok("submit", batch_file(text))
    bob = coordinator.account("bob")
    refused = bob.run("kill", "b")
    assert refused.code == 1
    assert "ana" in refused.err
    coordinator.account("root2", "admin").ok("kill", "b")


def test_a_token_is_used_up_by_its_first_join(coordinator: Coordinator) -> None:
    token = coordinator.token("dino")
    mine = new_keys()
    assert enrol(token, mine).name == "dino"
    # The same newcomer whose answer was lost gets the same answer, somebody else none.
    assert enrol(token, mine).name == "dino"
    with pytest.raises(FallowError, match="used up"):
        enrol(token, new_keys())
    assert names(coordinator) == {"dino": True}


def test_a_token_survives_a_restart(coordinator: Coordinator) -> None:
    token, mine = coordinator.token("dino"), new_keys()
    coordinator.kill()
    coordinator.start()
    assert enrol(token, mine).name == "dino"
    coordinator.kill()
    coordinator.start()
    assert enrol(token, mine).name == "dino"
    with pytest.raises(FallowError, match="used up"):
        enrol(token, new_keys())


def test_a_token_for_several(coordinator: Coordinator) -> None:
    token = coordinator.verbs.json("invite", "--local", "--uses", "2")["token"]
    assert enrol(token, new_keys(), "dino").name == "dino"
    with pytest.raises(FallowError, match="already a workstation called 'dino'"):
        enrol(token, new_keys(), "Dino")
    assert enrol(token, new_keys(), "rex").name == "rex"
    with pytest.raises(FallowError, match="used up"):
        enrol(token, new_keys(), "third")


def test_an_expired_token_is_refused(coordinator: Coordinator) -> None:
    token = coordinator.token("dino", "workstation", "--expires", "1s")
    expires = decode_invitation(token).expires

    def refused() -> bool:
        import time

        return time.time() > expires

    wait_until(refused, 5, "the token to expire")
    with pytest.raises(FallowError):
        enrol(token, new_keys())
    assert names(coordinator) == {}


def test_a_name_is_taken_once(coordinator: Coordinator) -> None:
    enrol(coordinator.token("dino"), new_keys())
    again = coordinator.verbs.run("invite", "--local", "--name", "dino")
    assert again.code == 1
    assert "already a workstation" in again.err
    # A person may be called like a workstation; who is shut out must then be said.
    coordinator.account("dino")
    which = coordinator.verbs.run("keys", "revoke", "dino")
    assert which.code == 1
    assert "person:dino" in which.err
    coordinator.verbs.ok("keys", "revoke", "person:dino")
    keys = coordinator.verbs.json("keys")["keys"]
    assert {key["role"]: key["revoked"] is None for key in keys} == {
        "workstation": True,
        "submitter": False,
    }
    bad = coordinator.verbs.run("invite", "--local", "--name", "../x")
    assert bad.code == 1
    assert "'/'" in bad.err


def test_a_token_is_for_its_role(coordinator: Coordinator) -> None:
    wrong = coordinator.verbs.run("join", coordinator.token("dino"))
    assert wrong.code == 1
    assert "workstation" in wrong.err
    cut = coordinator.verbs.run("join", coordinator.token("ana", "submitter")[:-10])
    assert cut.code == 1
    assert "damaged or cut short" in cut.err


def test_an_invitation_needs_an_address_others_can_reach(coordinator: Coordinator) -> None:
    refused = coordinator.verbs.run("invite", "--name", "dino")
    assert refused.code == 1
    assert "--listen" in refused.err
    assert "--local" in refused.err


def test_a_newcomers_key_opens_nothing_else(coordinator: Coordinator) -> None:
    invitation = decode_invitation(coordinator.token("ana", "submitter"))
    with Wire() as wire:
        door = wire.connect(
            invitation.addresses, Limits(), keys=invitation.keys, server=invitation.server
        )
        for body in (Status(), Keys()):
            reply = decode_reply(door.request(encode(Request(1, body)), timeout=10)[0])
            assert isinstance(reply.body, Failed)
            assert "newcomer" in reply.body.title


def test_a_revoked_key_is_refused_on_its_live_connection(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    invitation = decode_invitation(coordinator.token("ana", "submitter"))
    mine = new_keys()
    enrol(coordinator.token("ana2", "submitter"), mine)
    with (
        ScriptedAgent(tmp_path / "dino", coordinator.token("dino")) as dino,
        ScriptedAgent(tmp_path / "rex", coordinator.token("rex")) as rex,
        Wire() as wire,
    ):
        door = wire.connect(invitation.addresses, Limits(), keys=mine, server=invitation.server)
        ask = encode(Request(1, Nodes()))
        assert isinstance(decode_reply(door.request(ask, timeout=10)[0]).body, NodesReply)
        coordinator.verbs.ok("keys", "revoke", "ana2")
        refused = decode_reply(door.request(ask, timeout=10)[0]).body
        assert isinstance(refused, Failed)
        assert "not allowed" in refused.title
        coordinator.verbs.ok("keys", "revoke", "dino")
        wait_until(lambda: dino.rejected, 10, "the revoked workstation to be told")
        assert "not allowed" in dino.rejected
        assert not rex.rejected
        # A connection of its own it does not get either.
        late = wire.connect(invitation.addresses, Limits(), keys=mine, server=invitation.server)
        with pytest.raises(FallowError, match="does not know"):
            late.request(ask, timeout=10)
    assert names(coordinator) == {"ana2": False, "dino": False, "rex": True}
    unknown = coordinator.verbs.run("keys", "revoke", "nobody")
    assert unknown.code == 1
    assert "rex" in unknown.err


def test_who_was_shut_out_may_be_invited_again(coordinator: Coordinator) -> None:
    ana = coordinator.account("ana")
    coordinator.verbs.ok("keys", "revoke", "ana")
    shut = ana.run("status")
    assert shut.code == 1
    assert "revoked" in shut.err
    ana.ok("join", coordinator.token("ana", "submitter"))
    ana.ok("status")


GARBAGE = (
    b"",
    b"\x00" * 100,
    b"\xff" * 1000,
    b"\x91" * 50_000,
    msgspec.msgpack.encode({"type": "request", "id": 1, "body": {"type": "nonsense"}}),
    msgspec.msgpack.encode({"type": "report", "session": "x"}),
    msgspec.msgpack.encode({"type": "hello"}),
)


def test_garbage_disturbs_nobody(coordinator: Coordinator, tmp_path: Path) -> None:
    mine = new_keys()
    invitation = decode_invitation(coordinator.token("ana", "submitter"))
    enrol(coordinator.token("noisy", "submitter"), mine)
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")), Wire() as wire:
        door = wire.connect(invitation.addresses, Limits(), keys=mine, server=invitation.server)
        ask = encode(Request(77, Status()))
        door.request(ask, timeout=10)
        for _ in range(20):
            for frame in GARBAGE:
                door.send(frame)
        host, port = split_address(coordinator.address)
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\xff" * 500):
            with socket.create_connection((host, port)) as raw:
                raw.sendall(noise)
        # What came before is refused, and the honest question after it is answered.
        door.send(ask)
        wait_until(
            lambda: any(decode_reply(each[0]).id == 77 for each in door.receive_all()),
            10,
            "the answer",
        )
        assert coordinator.verbs.json("nodes")["nodes"][0]["verdict"] == "away"
    refused = [line for line in coordinator.errors.splitlines() if "refused a message" in line]
    assert len(refused) == 1, "one line a minute for a noisy peer"
    assert mine.public in refused[0]


def test_one_data_folder_has_one_coordinator(coordinator: Coordinator) -> None:
    second = coordinator.verbs.run("serve", "--data-dir", coordinator.data_dir)
    assert second.code == 1
    assert str(coordinator.pid) in second.err


def test_a_data_folder_that_cannot_be_one(coordinator: Coordinator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = coordinator.verbs.run("serve", "--data-dir", tmp_path / "file")
    assert done.code == 1
    assert str(tmp_path / "file") in done.err
    assert "bug" not in done.err


def test_a_port_that_is_taken(coordinator: Coordinator, tmp_path: Path) -> None:
    words = ("serve", "--data-dir", tmp_path / "other", "--listen", coordinator.address)
    taken = coordinator.verbs.run(*words)
    assert taken.code == 1
    assert coordinator.address in taken.err


def test_settings_that_are_wrong_are_named(tmp_path: Path, coordinator: Coordinator) -> None:
    config = tmp_path / "my.toml"
    config.write_text('listn = "tcp://127.0.0.1:0"\n')
    done = coordinator.verbs.run("serve", "--data-dir", tmp_path / "other", "--config", config)
    assert done.code == 1
    assert "listn" in done.err
    assert "'listen'" in done.err
    config.write_text("[serve\n")
    done = coordinator.verbs.run("serve", "--data-dir", tmp_path / "other", "--config", config)
    assert done.code == 1
    assert str(config) in done.err


def test_a_workstation_that_was_shut_out_may_be_invited_again(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    def states() -> dict[str, str]:
        return {node["name"]: node["verdict"] for node in coordinator.verbs.json("nodes")["nodes"]}

    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")) as dino:
        wait_until(lambda: states().get("dino") == "away", 10, "the workstation to be online")
        coordinator.verbs.ok("keys", "revoke", "dino")
        wait_until(lambda: dino.rejected, 10, "the workstation to be told")
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino")):
        wait_until(lambda: states().get("dino") == "away", 10, "the workstation to be back")
    coordinator.kill()
    coordinator.start()
    assert names(coordinator) == {"dino": True}


def test_a_token_may_be_taken_back(coordinator: Coordinator) -> None:
    token = coordinator.token("dino")
    coordinator.verbs.ok("keys", "revoke", "dino")
    with pytest.raises(FallowError):
        enrol(token, new_keys())
    assert names(coordinator) == {}
