"""Who may subscribe to a channel, publish to it, see who is in it: by the namespace before the first `:`."""

from dataclasses import dataclass

from chat_server.actor import Actor
from chat_server.errors import NotAMember, PermissionDenied, RoomNotFound, UnknownChannel
from chat_server.ids import FIGURES_CHANNEL, RoomId, UserId, is_event_channel, name_in, namespace_of, user_channel
from chat_server.notifications.queries import may_read, topic_of
from chat_server.rooms.queries import standing_in
from chat_server.settings import Namespace
from chat_server.shapes import Scope
from chat_server.unit import Unit

ROOM_RULES = Namespace(presence=True)
FIXED_RULES = Namespace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The actor may subscribe. `floor`: positions below it are not recovered. `is_durable`: the event log has it.

    `until` (Unix seconds): when a subscription token's time is over.
    """

    channel: str
    rules: Namespace
    is_durable: bool = True
    floor: int = 0
    until: float | None = None

    @property
    def has_history(self) -> bool:
        return self.is_durable or self.rules.history_size > 0


def canonical(channel: str, user_id: UserId) -> str:
    """`user:me` is the user's own channel."""
    return user_channel(user_id) if channel == "user:me" else channel


def admit(unit: Unit, channel: str, namespaces: dict[str, Namespace]) -> Admission:
    """The actor's way into `channel`. PermissionDenied when there is none, UnknownChannel for an unknown namespace.

    What does not exist and what is not for the actor answer alike.
    """
    found = admit_at_once(unit.actor, channel, namespaces)
    return _admit_by_rows(unit, channel) if found is None else found


def admit_at_once(actor: Actor, channel: str, namespaces: dict[str, Namespace]) -> Admission | None:
    """The same where that takes no row of the database; None where it does."""
    name = namespace_of(channel)
    if actor.channels is not None and channel not in actor.channels:
        raise PermissionDenied()
    if not actor.user_id:
        return _admit_stranger(channel, namespaces)
    if name in {"room", "presence", "topic"}:
        return None
    if name == "user":
        return _admit_user(actor, channel)
    if name == "server":
        return _admit_to_server(actor, channel)
    return _admit_configured(channel, namespaces.get(name))


def admit_to_publish(channel: str, rules: Namespace | None, *, is_subscribed: bool) -> Namespace:
    """The rules of a channel that a client may publish to. PermissionDenied, UnknownChannel."""
    if is_event_channel(channel):
        raise PermissionDenied()
    if rules is None:
        raise UnknownChannel()
    if rules.publish == "users" or (rules.publish == "subscribers" and is_subscribed):
        return rules
    raise PermissionDenied()


def _admit_stranger(channel: str, namespaces: dict[str, Namespace]) -> Admission:
    """Somebody without a credential, where a namespace admits anyone."""
    name = namespace_of(channel)
    if name not in namespaces and not is_event_channel(channel):
        raise UnknownChannel()
    if name not in namespaces or namespaces[name].subscribe != "anyone":
        raise PermissionDenied()
    return Admission(channel=channel, rules=namespaces[name], is_durable=False)


def _admit_by_rows(unit: Unit, channel: str) -> Admission:
    name = namespace_of(channel)
    if name == "topic":
        return _admit_topic(unit, channel)
    try:
        if name == "presence":
            unit.actor.require_channel(channel)
        standing = standing_in(unit, RoomId(name_in(channel)))
    except (RoomNotFound, NotAMember) as error:
        raise PermissionDenied() from error
    if name == "presence":
        return Admission(channel=channel, rules=FIXED_RULES, is_durable=False)
    return Admission(channel=channel, rules=ROOM_RULES, floor=standing.joined_after + 1)  # where they came in


def _admit_user(actor: Actor, channel: str) -> Admission:
    if name_in(channel) != actor.user_id:
        raise PermissionDenied()
    return Admission(channel=channel, rules=FIXED_RULES)


def _admit_to_server(actor: Actor, channel: str) -> Admission:
    if channel != FIGURES_CHANNEL or Scope.ADMIN not in actor.scopes:
        raise PermissionDenied()
    return Admission(channel=channel, rules=FIXED_RULES, is_durable=False)


def _admit_topic(unit: Unit, channel: str) -> Admission:
    if not may_read(unit, topic_of(unit, name_in(channel))):
        raise PermissionDenied()
    return Admission(channel=channel, rules=FIXED_RULES)


def _admit_configured(channel: str, rules: Namespace | None) -> Admission:
    if rules is None:
        raise UnknownChannel()
    if rules.subscribe not in {"anyone", "users"}:
        raise PermissionDenied()
    return Admission(channel=channel, rules=rules, is_durable=False)
