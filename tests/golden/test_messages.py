"""The bytes of every message: what another release, or another program, may rely on.

A changed file here is a changed protocol: raise PROTOCOL, or add only fields that have defaults.
After a deliberate change, write the files anew with
`PYTHONPATH=tests python tests/golden/test_messages.py`.
"""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from fallow.shared import messages as m
from fallow.shared.ids import AttemptId
from golden import sample_messages as samples

FOLDER = Path(__file__).parent / "messages"


def every() -> dict[str, object]:
    """Each sample by the name of its file."""
    found: dict[str, object] = {}
    for message in (*samples.TO_COORDINATOR, *samples.TO_AGENT, *samples.DATA):
        found[tag(message)] = message
    for number, verb in enumerate(samples.REQUESTS):
        found.setdefault(f"request_{tag(verb)}", m.Request(41, verb))
        if found[f"request_{tag(verb)}"] != m.Request(41, verb):
            found[f"request_{tag(verb)}_{number}"] = m.Request(41, verb)
    for reply in samples.REPLIES:
        found[f"reply_{tag(reply)}"] = m.Reply(41, reply)
    found["manifest"] = samples.MANIFEST
    return found


def tag(message: object) -> str:
    assert isinstance(message, msgspec.Struct)
    return str(message.__struct_config__.tag)


def decode(name: str, data: bytes) -> object:
    if name == "manifest":
        return m.decode_manifest(data)
    if name.startswith("reply_"):
        return m.decode_reply(data)
    if name.startswith("request_"):
        return m.decode_from("newcomer" if name == "request_enrol" else "admin", data)
    if name in {tag(each) for each in samples.DATA}:
        return m.decode_data(data)
    if name in {tag(each) for each in samples.TO_AGENT}:
        return m.decode_for_agent(data)
    return m.decode_from("workstation", data)


@pytest.mark.parametrize("name", sorted(every()))
def test_bytes_are_those_of_the_golden_file(name: str) -> None:
    golden = bytes.fromhex((FOLDER / f"{name}.hex").read_text())
    message = every()[name]
    assert m.encode(message) == golden
    assert decode(name, golden) == message


def test_every_message_has_a_sample() -> None:
    sampled: set[type] = {
        type(each) for each in (*samples.TO_COORDINATOR, *samples.TO_AGENT, *samples.DATA)
    }
    sampled |= {type(each) for each in (*samples.REQUESTS, *samples.REPLIES)}
    unions = (m.AgentMessage, m.CoordinatorMessage, m.DataMessage, m.ClientVerb, m.ClientReply)
    assert sampled == {member for union in unions for member in get_args(union)}


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.hex")} == set(every())


def test_unknown_fields_are_ignored() -> None:
    told = msgspec.msgpack.decode(m.encode(m.Bye(3, "stop")))
    assert m.decode_from("workstation", m.encode({**told, "later": 1})) == m.Bye(3, "stop")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        m.encode({"type": "unheard_of"}),
        m.encode({"type": "bye", "session": "three", "why": "stop"}),
        m.encode({"type": "bye", "session": 3}),
        m.encode([1, 2, 3]),
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(m.Malformed):
        m.decode_from("workstation", data)


def test_a_role_may_say_its_verbs_and_no_other() -> None:
    said = [*samples.TO_COORDINATOR, *(m.Request(1, verb) for verb in samples.REQUESTS)]
    for role, allowed in m.VERBS.items():
        for message in said:
            verb = type(message.body) if isinstance(message, m.Request) else type(message)
            if verb in allowed:
                assert m.decode_from(role, m.encode(message)) == message
            else:
                with pytest.raises(m.Malformed, match="may not say"):
                    m.decode_from(role, m.encode(message))


@pytest.mark.parametrize("batch", ["../../x", "", "a/b", "A B", "x" * 40])
def test_an_attempt_that_could_not_name_a_folder_is_refused(batch: str) -> None:
    attempt = AttemptId(batch, 0, 1)
    for message in (m.Withdraw(1, attempt, "kill", 1.0), m.Tail(1, attempt, "stdout", 0, 10)):
        with pytest.raises(m.Malformed):
            m.decode_for_agent(m.encode(message))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, message in every().items():
        text = m.encode(message).hex()
        lines = [text[at : at + 96] for at in range(0, len(text), 96)]
        (FOLDER / f"{name}.hex").write_text("\n".join(lines) + "\n")
