"""The index of one worker's connections is the connections that are open, whatever order they come and go in."""

import asyncio
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from chat_server.errors import LimitExceeded
from chat_server.ids import UserId
from chat_server.metrics import CHANNELS, DELIVERIES, PUBLICATIONS
from chat_server.realtime.manager import ConnectionManager
from tests.realtime.people import Reader, actor, frame
from tests.store.rig import awaited

USERS = ("ann", "bob")
ROOMS = ("room:a", "room:b", "room:c")


def connected(manager: ConnectionManager, name: str = "ann", session_id: str | None = None) -> Reader:
    reader = Reader(name, session_id)
    manager.add(reader)
    return reader


def live(manager: ConnectionManager, channel: str, reader: Reader) -> None:
    joining = manager.join(reader, channel, is_durable=True)
    if not manager.channels[channel].is_known:
        manager.channels[channel].begin_at(0, "e1")
    joining.go_live(manager.channels[channel].position)


def test_a_connection_is_found_by_client_user_and_credential() -> None:
    manager = ConnectionManager()
    ann, again = connected(manager, "ann", "s1"), connected(manager, "ann", "s2")
    bot = Reader("bot", key_id="k1")
    manager.add(bot)

    assert manager.connection(ann.client_id) is ann
    assert manager.connection("nobody's") is None
    assert manager.connections_of(UserId("ann")) == [ann, again]
    assert manager.connections_of(UserId("carol")) == []
    assert manager.connections_with("session", "s1") == [ann]
    assert manager.connections_with("key", "k1") == [bot]
    assert manager.connections_with("key", "s1") == []
    assert (len(manager), manager.users) == (3, 2)


def test_a_removed_connection_is_found_nowhere_and_in_no_channel() -> None:
    manager = ConnectionManager()
    ann, bob = connected(manager, "ann", "s1"), connected(manager, "bob")
    for reader in (ann, bob):
        live(manager, "room:a", reader)
    live(manager, "room:b", ann)

    manager.remove(ann)

    assert manager.connection(ann.client_id) is None
    assert manager.connections_of(UserId("ann")) == []
    assert manager.connections_with("session", "s1") == []
    assert ann.channels == set()
    assert manager.channels.keys() == {"room:a"}
    assert manager.channels["room:a"].live == (bob,)


def test_removing_what_is_not_there_is_no_error() -> None:
    manager = ConnectionManager()
    ann = connected(manager)
    manager.remove(ann)

    manager.remove(ann)
    manager.remove(Reader())

    assert len(manager) == 0


def test_a_renewed_connection_is_found_under_its_new_credential_only() -> None:
    manager = ConnectionManager()
    ann = connected(manager, "ann", "s1")

    manager.renew(ann, actor("ann", "s2"))

    assert manager.connections_with("session", "s1") == []
    assert manager.connections_with("session", "s2") == [ann]
    manager.remove(ann)
    assert manager.connections_with("session", "s2") == []


def test_a_connection_that_is_gone_when_its_credential_is_renewed_does_not_come_back() -> None:
    """The new credential is judged meanwhile, and that awaits."""
    manager = ConnectionManager()
    ann = connected(manager, "ann", "s1")
    manager.remove(ann)

    manager.renew(ann, actor("ann", "s2"))

    assert manager.connections_with("session", "s2") == []
    assert len(manager) == 0


def test_a_user_has_no_more_connections_than_the_limit() -> None:
    manager = ConnectionManager(max_per_user=2)
    first, _ = connected(manager, "ann", "s1"), connected(manager, "ann", "s2")

    with pytest.raises(LimitExceeded):
        connected(manager, "ann", "s3")

    assert len(manager) == 2
    assert manager.connections_with("session", "s3") == []
    connected(manager, "bob")
    manager.remove(first)
    connected(manager, "ann")


def test_a_refused_connection_of_somebody_new_leaves_no_trace() -> None:
    manager = ConnectionManager(max_per_user=1)
    ann = connected(manager, "ann")
    with pytest.raises(LimitExceeded):
        connected(manager, "ann")

    manager.remove(ann)

    assert manager.users == 0


def test_an_address_has_no_more_sockets_than_the_limit() -> None:
    manager = ConnectionManager(max_per_address=2)
    for _ in range(2):
        manager.admit_address("192.0.2.1")

    with pytest.raises(LimitExceeded):
        manager.admit_address("192.0.2.1")

    manager.admit_address("192.0.2.2")
    manager.release_address("192.0.2.1")
    manager.admit_address("192.0.2.1")


@awaited
async def test_the_last_one_to_leave_takes_the_channel_and_its_tail_along() -> None:
    manager = ConnectionManager()
    ann, bob = connected(manager), connected(manager, "bob")
    for reader in (ann, bob):
        live(manager, "room:a", reader)
    channel = manager.channels["room:a"]
    manager.deliver(channel, channel.accept(frame(1)))
    assert manager.tails.size_bytes > 0

    assert manager.leave(ann, "room:a") is True
    assert manager.leave(ann, "room:a") is False
    assert "room:a" in manager.channels
    assert manager.leave(bob, "room:a") is True

    assert manager.channels == {}
    assert manager.tails.size_bytes == 0
    assert CHANNELS._value.get() == 0


def test_leaving_a_channel_that_nobody_is_in_is_no_error() -> None:
    manager = ConnectionManager()

    assert manager.leave(connected(manager), "room:a") is False


@awaited
async def test_what_is_delivered_is_counted_and_kept_in_the_tail() -> None:
    manager = ConnectionManager()
    for name in ("ann", "bob"):
        live(manager, "room:a", connected(manager, name))
    channel = manager.channels["room:a"]
    publications, deliveries = PUBLICATIONS._value.get(), DELIVERIES._value.get()

    manager.deliver(channel, [*channel.accept(frame(1)), *channel.accept(frame(0)), *channel.accept(frame(2))])

    await asyncio.sleep(0)
    assert PUBLICATIONS._value.get() - publications == 3
    assert DELIVERIES._value.get() - deliveries == 6
    assert [found.offset for found in manager.tails.tail_of("room:a").after(0, 2) or []] == [1, 2]


def test_a_connection_may_leave_while_it_is_delivered_to_another_channel() -> None:
    """`deliver` walks over the subscribers; a copy of what is iterated elsewhere may change under it."""
    manager = ConnectionManager()
    ann, bob = connected(manager), connected(manager, "bob")
    for reader in (ann, bob):
        live(manager, "room:a", reader)

    for reader in manager:
        manager.remove(reader)  # type: ignore[arg-type]

    assert len(manager) == 0
    assert manager.channels == {}


class Doors(RuleBasedStateMachine):
    """People connect, join, leave, log in anew and go; the manager must know exactly who is there."""

    readers: Bundle[Reader] = Bundle("readers")

    @initialize()
    def begin(self) -> None:
        self.manager = ConnectionManager(max_per_user=3)
        self.open: dict[Reader, set[str]] = {}

    @rule(target=readers, name=st.sampled_from(USERS), session=st.sampled_from([None, "s1", "s2"]))
    def connect(self, name: str, session: str | None) -> Reader:
        reader = Reader(name, session)
        if sum(other.user_id == name for other in self.open) == 3:
            with pytest.raises(LimitExceeded):
                self.manager.add(reader)
        else:
            self.manager.add(reader)
            self.open[reader] = set()
        return reader

    @rule(reader=consumes(readers))
    def disconnect(self, reader: Reader) -> None:
        self.manager.remove(reader)
        self.open.pop(reader, None)

    @rule(reader=readers, session=st.sampled_from([None, "s1", "s2"]))
    def renew(self, reader: Reader, session: str | None) -> None:
        if reader in self.open:
            self.manager.renew(reader, actor(reader.user_id, session))

    @rule(reader=readers, room=st.sampled_from(ROOMS), goes_live=st.booleans())
    def join(self, reader: Reader, room: str, goes_live: bool) -> None:
        if reader not in self.open or room in self.open[reader]:
            return
        if goes_live:
            live(self.manager, room, reader)
        else:
            self.manager.join(reader, room, is_durable=True)
        self.open[reader].add(room)

    @rule(reader=readers, room=st.sampled_from(ROOMS))
    def leave(self, reader: Reader, room: str) -> None:
        inside = self.open.get(reader, set())
        assert self.manager.leave(reader, room) is (room in inside)
        inside.discard(room)

    @invariant()
    def the_index_is_the_open_connections(self) -> None:
        assert set(self.manager) == set(self.open)
        assert len(self.manager) == len(self.open)
        assert self.manager.users == len({reader.user_id for reader in self.open})
        for name in USERS:
            found = self.manager.connections_of(UserId(name))
            assert Counter(found) == Counter(reader for reader in self.open if reader.user_id == name)
        for session in ("s1", "s2"):
            found = self.manager.connections_with("session", session)
            assert Counter(found) == Counter(r for r in self.open if r.actor.session_id == session)
        assert all(self.manager.connection(reader.client_id) is reader for reader in self.open)

    @invariant()
    def the_channels_are_those_that_somebody_is_in(self) -> None:
        assert self.manager.channels.keys() == {room for rooms in self.open.values() for room in rooms}
        for room, channel in self.manager.channels.items():
            assert {*channel.live, *channel.joining} == {reader for reader, rooms in self.open.items() if room in rooms}
        assert all(reader.channels == rooms for reader, rooms in self.open.items())


Doors.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
TestDoors = Doors.TestCase
