"""What each role may be granted."""

from collections.abc import Iterable

from chat_server.shapes import Role, Scope

SCOPES_OF = {
    Role.OWNER: frozenset({Scope.CHAT, Scope.STREAM, Scope.ADMIN}),
    Role.ADMIN: frozenset({Scope.CHAT, Scope.STREAM, Scope.ADMIN}),
    Role.MEMBER: frozenset({Scope.CHAT, Scope.STREAM}),
    Role.GUEST: frozenset({Scope.CHAT, Scope.STREAM}),
}

_NAMES = frozenset(scope.value for scope in Scope)


def scopes_in(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes among `names`; what an older or newer version called otherwise grants nothing."""
    return frozenset(Scope(name) for name in names if name in _NAMES)


def granted(names: Iterable[str], role: Role) -> frozenset[Scope]:
    """What of a login's scopes its person may still have: the role counts as it is now."""
    return scopes_in(names) & SCOPES_OF[role]


def asked_for(names: Iterable[str], role: Role) -> frozenset[Scope] | None:
    """What a new login is granted: all that the role allows if it names nothing, None if it names more than that."""
    wanted = set(names)
    if not wanted:
        return SCOPES_OF[role]
    found = granted(wanted, role)
    return found if len(found) == len(wanted) else None
