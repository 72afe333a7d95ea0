"""Who may do what with this computer's agent: people at its seats and administrators may change it.

Not who is connected (`local_server`) nor who sits there (`sensors/logind`). Everybody who can use
the computer may look. Pure: what the system knows of a person comes in as a value.
"""

from collections.abc import Collection

from msgspec import Struct

from fallow.shared.errors import FallowError

ADMINISTRATORS = frozenset({"sudo", "wheel", "admin"})


class Person(Struct, frozen=True):
    """Who is at the other end: user number and names of groups, as the kernel and system know.

    `job`: it is a job that runs here, under the account of the agent or of whoever it may be.
    """

    uid: int
    groups: tuple[str, ...] = ()
    job: bool = False


def is_administrator(person: Person, agent: int) -> bool:
    """Whether the rules of this computer are for this person to write; `agent` is its user."""
    if person.job:
        # What a colleague's job may do here is not for the job to say.
        return False
    return person.uid in {0, agent} or not ADMINISTRATORS.isdisjoint(person.groups)


def may_change(person: Person, agent: int, seated: Collection[int]) -> bool:
    """Whether this person may pause and resume; `seated` are those with a session at a seat."""
    return is_administrator(person, agent) or (person.uid in seated and not person.job)


def refuse_change() -> FallowError:
    """What somebody hears who may only look."""
    return FallowError(
        "You may look at this computer's agent, but not change what it does",
        "Who sits at this computer may, and so may its administrators.",
        "log in at its own screen, or ask an administrator",
    )


def refuse_rules() -> FallowError:
    """What somebody hears who may pause, but not write the rules."""
    return FallowError(
        "The rules of this computer are its administrators' to change",
        "You may pause it, lend it and send the jobs elsewhere while you sit here.",
        "ask an administrator, who can do it in Preferences or in agent.toml",
    )
