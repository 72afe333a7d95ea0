"""Joining as a client: from a token to a key of our own that the coordinator knows.

Not a workstation's joining (the tray's), nor what the coordinator does with it (`people`).
"""

from fallow.coordinator.places import Joined, save_joined
from fallow.shared.account import key_file
from fallow.shared.errors import FallowError, Refused
from fallow.shared.keys import Invitation, decode_invitation, load_or_make_keys
from fallow.shared.messages import Enrol, Enrolled, Failed, Request, decode_reply, encode
from fallow.shared.transport import Limits, Wire

_TIMEOUT = 20.0


def invitation_for_person(token: str) -> Invitation:
    """What the token says; FallowError when it is damaged or meant for a workstation."""
    invitation = decode_invitation(token)
    if invitation.role == "workstation":
        raise Refused(
            "This invitation is for a workstation, not for a person",
            hint="on that workstation: tray join TOKEN;"
            " or ask for one with: coordinator invite --role submitter",
        )
    return invitation


def join(invitation: Invitation, name: str, key: str) -> Joined:
    """Enrol this account's own key (made here, kept as `key`) and remember the coordinator.

    Doing it again after a lost answer gets the same answer. Refused for a used or expired token,
    Unreachable when nobody answers.
    """
    path = key_file(key)
    own = load_or_make_keys(path.parent, path.name)
    request = encode(Request(1, Enrol(own.public, invitation.name or name)))
    with Wire() as wire:
        socket = wire.connect(
            list(invitation.addresses), Limits(), keys=invitation.keys, server=invitation.server
        )
        try:
            body = decode_reply(socket.request(request, timeout=_TIMEOUT)[0]).body
        except Refused:
            raise Refused(
                "The coordinator does not know this invitation any more",
                "It has expired, was used up, or was taken back.",
                "ask for a new one: coordinator invite",
            ) from None
        finally:
            socket.close()
    if isinstance(body, Failed):
        raise Refused(body.title, body.detail, body.hint)
    if not isinstance(body, Enrolled):
        raise FallowError("The coordinator gave an unexpected answer")
    joined = Joined(
        addresses=invitation.addresses,
        server=invitation.server,
        key=key,
        name=body.name,
        role=body.role,
        public=own.public,
    )
    save_joined(joined)
    return joined
