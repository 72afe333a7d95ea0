"""Who may talk to the coordinator: keys with a name and a role, and invitations for newcomers.

Not the encryption (`transport`) and not what a role may say (`messages.VERBS`). Everything here is
kept in memory and returned as records to save; the opposite is `store`, which saves them.
"""

import re
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from fallow.shared import keys as shared_keys
from fallow.shared.addresses import is_loopback
from fallow.shared.errors import Refused
from fallow.shared.ids import name_problem
from fallow.shared.messages import Enrol, Enrolled, Invite, InviteReply, KeyStatus, Role
from fallow.shared.transport import AllowList, new_keys

_KEY = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")  # Z85 text of 32 bytes
LONGEST = 30 * 86400.0  # seconds an invitation may be good for


class KeyRecord(Struct, frozen=True, kw_only=True):
    """One key that is, or was, let in. Times are wall-clock seconds; `token` let it in."""

    public: str
    name: str
    role: Role
    created: float
    token: str
    revoked: float | None = None


class TokenRecord(Struct, frozen=True, kw_only=True):
    """One invitation by its one-time public key; `used_by` are the public keys it let in."""

    public: str
    role: Role
    name: str | None
    created: float
    expires: float
    uses: int
    used_by: tuple[str, ...] = ()


PeopleRecord = KeyRecord | TokenRecord


class Caller(Struct, frozen=True):
    """Who sent a message: a name for people and a role."""

    name: str
    role: Role
    key: str | None = None


class People:
    """All keys and invitations; `allowed` follows, so that new connections are judged by it."""

    def __init__(
        self,
        keys: Iterable[KeyRecord],
        tokens: Iterable[TokenRecord],
        allowed: AllowList,
        local_user: str,
        now: float,
    ) -> None:
        self._keys = {key.public: key for key in keys}
        self._tokens = {token.public: token for token in tokens if token.expires > now}
        self._allowed = allowed
        self._local = Caller(local_user, "admin")
        for key in self._keys.values():
            if key.revoked is None:
                allowed.add(key.public)
        for token in self._tokens.values():
            allowed.add(token.public)

    def caller(self, key: str | None, now: float) -> Caller | None:
        """Who this public key is (None: this computer's own user), or None for a stranger."""
        if key is None:
            return self._local
        known = self._keys.get(key)
        if known is not None:
            return None if known.revoked is not None else Caller(known.name, known.role, key)
        token = self._tokens.get(key)
        if token is None:
            return None
        if token.expires <= now:
            self._forget(token)
            return None
        return Caller(token.name or "a newcomer", "newcomer", key)

    def role_of(self, key: str | None) -> Role | None:
        """As `caller`, for the data sockets' thread: only reads, and newcomers have no business."""
        if key is None:
            return self._local.role
        known = self._keys.get(key)
        return known.role if known is not None and known.revoked is None else None

    def name_of(self, key: str) -> str | None:
        """The person with this public key, None for nobody or one who was shut out."""
        known = self._keys.get(key)
        if known is None or known.revoked is not None or known.role == "workstation":
            return None
        return known.name

    def key_of(self, workstation: str) -> str | None:
        """The public key now in use by this workstation."""
        for key in self._keys.values():
            if key.name == workstation and key.role == "workstation" and key.revoked is None:
                return key.public
        return None

    def invite(
        self, wish: Invite, addresses: tuple[str, ...], server: str, now: float
    ) -> tuple[InviteReply, list[PeopleRecord]]:
        """Make a token; Refused for a bad or taken name, or when nobody could reach us."""
        if not wish.local and all(is_loopback(address) for address in addresses):
            raise Refused(
                "Only this computer itself can reach this coordinator",
                f"It listens on {', '.join(addresses)}.",
                "start it with --listen tcp://0.0.0.0:8952 (or --listen tcp://HOST:8952),"
                " or invite from this same computer with --local",
            )
        if not 1 <= wish.uses <= 1000 or not 0 < wish.expires <= LONGEST:
            raise Refused(
                "An invitation is for 1 to 1000 uses and at most 30 days",
                hint="choose others with --uses and --expires",
            )
        if wish.name is not None:
            if wish.uses != 1:
                raise Refused(
                    "A name can be taken once only",
                    hint="leave out --name where an invitation has several --uses",
                )
            self._refuse_name(wish.name, wish.role, None)
        pair = new_keys()
        expires = now + wish.expires
        token = TokenRecord(
            public=pair.public,
            role=wish.role,
            name=wish.name,
            created=now,
            expires=expires,
            uses=wish.uses,
        )
        self._tokens[token.public] = token
        self._allowed.add(token.public)
        text = shared_keys.encode_invitation(
            shared_keys.Invitation(
                addresses, server, pair.secret, wish.role, wish.name or "", expires
            )
        )
        return InviteReply(text, wish.role, expires), [token]

    def enrol(self, wish: Enrol, token_key: str, now: float) -> tuple[Enrolled, list[PeopleRecord]]:
        """Let a newcomer's key in; asking again gets the same answer. Refused says why not."""
        token = self._tokens.get(token_key)
        if token is None or token.expires <= now:
            raise Refused(
                "This invitation has expired", hint="ask for a new one: coordinator invite"
            )
        known = self._keys.get(wish.public_key)
        if wish.public_key in token.used_by and known is not None and known.revoked is None:
            return Enrolled(known.name, known.role), []
        if len(token.used_by) >= token.uses:
            raise Refused(
                "This invitation has been used up", hint="ask for a new one: coordinator invite"
            )
        if not _KEY.fullmatch(wish.public_key) or wish.public_key in self._tokens:
            raise Refused("That is not a key that could join")
        if known is not None and known.revoked is None and known.role != token.role:
            raise Refused(
                f"This account has already joined, as a {known.role}",
                hint=f"first: coordinator keys revoke {known.name}",
            )
        name = token.name or wish.name
        self._refuse_name(name, token.role, wish.public_key)
        key = KeyRecord(
            public=wish.public_key, name=name, role=token.role, created=now, token=token_key
        )
        token = msgspec.structs.replace(token, used_by=(*token.used_by, wish.public_key))
        self._keys[key.public] = key
        self._tokens[token.public] = token
        self._allowed.add(key.public)
        return Enrolled(name, key.role), [key, token]

    def revoke(self, who: str, now: float) -> tuple[list[KeyRecord], list[PeopleRecord]]:
        """Shut out the workstation or person of this name, with its invitations.

        `workstation:NAME` and `person:NAME` say which where both have the name. Refused when they
        do, and for an unknown name.
        """
        kind, colon, name = who.partition(":") if _is_qualified(who) else ("", "", who)
        keys = [
            key
            for key in self._keys.values()
            if key.revoked is None
            and (name == key.name or who == key.public)
            and (not colon or _kind(key.role) == kind)
        ]
        tokens = [
            token
            for token in self._tokens.values()
            if token.name == name and (not colon or _kind(token.role) == kind)
        ]
        kinds = {_kind(key.role) for key in keys} | {_kind(token.role) for token in tokens}
        if len(kinds) > 1:
            raise Refused(
                f"Both a workstation and a person are called {name!r}",
                hint=f"say which: workstation:{name} or person:{name}",
            )
        if not kinds:
            names = sorted({key.name for key in self._keys.values() if key.revoked is None})
            raise Refused(
                f"Nobody here is called {who!r}",
                hint=f"names are: {', '.join(names)}" if names else "nobody has joined yet",
            )
        gone = [msgspec.structs.replace(key, revoked=now) for key in keys]
        dead = [msgspec.structs.replace(token, expires=min(token.expires, now)) for token in tokens]
        for key in gone:
            self._keys[key.public] = key
            self._allowed.remove(key.public)
        for token in dead:
            self._forget(token)
        return gone, [*gone, *dead]

    def listed(self) -> tuple[KeyStatus, ...]:
        """Every key, also the revoked ones, oldest first."""
        return tuple(
            KeyStatus(key.name, key.role, key.public, key.created, key.revoked)
            for key in sorted(self._keys.values(), key=lambda key: key.created)
        )

    def _forget(self, token: TokenRecord) -> None:
        self._tokens.pop(token.public, None)
        self._allowed.remove(token.public)

    def _refuse_name(self, name: str, role: Role, public: str | None) -> None:
        problem = name_problem(name)
        if problem:
            raise Refused(f"The name {name!r} {problem}", hint="choose another with --name")
        kind = _kind(role)
        for key in self._keys.values():
            same = key.name.casefold() == name.casefold() and _kind(key.role) == kind
            if same and key.revoked is None and key.public != public:
                raise Refused(
                    f"There is already a {kind} called {key.name!r}",
                    hint="choose another name with --name,"
                    f" or first: coordinator keys revoke {key.name}",
                )


def _is_qualified(who: str) -> bool:
    return who.startswith(("workstation:", "person:"))


def _kind(role: Role) -> str:
    return "workstation" if role == "workstation" else "person"
