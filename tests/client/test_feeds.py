"""Channels without a socket: every publication once and in order, whatever happens to the line and to the reader."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_server.client.delivery import Missed, Position
from chat_server.client.feed import Feed
from chat_server.client.problems import Refused, Unsubscribed
from chat_server.errors import AlreadySubscribed
from tests.client.talk import ME, connected, inbox, line, protocol, pub, pushed, sent, standing, taken

MINE = f"user:{ME}"


def test_a_followed_channel_is_subscribed_and_heard() -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, None, 0.0)

    commands = connected(client)
    client.receive(line(id=2, subscribe=standing(7)), 0.0)
    client.receive(pushed("room:r", 8), 0.0)

    assert commands == [{"id": 2, "subscribe": {"channel": "room:r"}}]
    assert taken(box) == [8]


def test_after_a_cut_the_position_is_recovered_and_a_repeat_is_dropped() -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(7)), 0.0)
    client.receive(pushed("room:r", 8), 0.0)
    client.closed(1006, "", 0.0)

    (subscribe,) = connected(client)
    missed = standing(8, recovered=True, was_recovering=True, publications=[pub(9), pub(10)])
    client.receive(line(id=subscribe["id"], subscribe=missed), 0.0)
    client.receive(pushed("room:r", 10), 0.0)

    assert subscribe["subscribe"] == {"channel": "room:r", "recover": True, "epoch": "e", "offset": 8}
    assert taken(box) == [8, 9, 10]


def test_what_cannot_be_recovered_is_paged() -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, Position("e", 2), 0.0)
    connected(client)

    (first,) = sent(client.receive(line(id=2, subscribe=standing(5, was_recovering=True)), 0.0))
    client.receive(pushed("room:r", 6), 0.0)
    page = {"publications": [pub(3), pub(4)], "epoch": "e", "offset": 6}
    (second,) = sent(client.receive(line(id=3, history=page), 0.0))
    rest = {"publications": [pub(5), pub(6)], "epoch": "e", "offset": 6}
    assert sent(client.receive(line(id=4, history=rest), 0.0)) == []
    client.receive(pushed("room:r", 7), 0.0)

    assert first["history"] == {"channel": "room:r", "since": {"epoch": "e", "offset": 2}, "limit": 300}
    assert second["history"]["since"] == {"epoch": "e", "offset": 4}
    assert taken(box) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("kept", [Position("old", 2), Position("new", 9)], ids=["another epoch", "beyond the top"])
def test_a_position_that_is_not_the_servers_is_told_as_missed(kept: Position) -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, kept, 0.0)
    connected(client)

    client.receive(line(id=2, subscribe=standing(5, epoch="new", was_recovering=True)), 0.0)
    client.receive(pushed("room:r", 6), 0.0)

    found = box.take()
    assert found is not None
    assert found.event == Missed(channel="room:r", after=kept, position=Position("new", 5))
    assert taken(box) == [6]


def test_history_that_is_gone_is_told_as_missed() -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, Position("e", 2), 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(900, was_recovering=True)), 0.0)

    gone = {"code": 112, "message": "unrecoverable position"}
    (where,) = sent(client.receive(line(id=3, error=gone), 0.0))
    client.receive(line(id=4, history={"publications": [], "epoch": "e", "offset": 901}), 0.0)
    client.receive(pushed("room:r", 902), 0.0)

    assert where["history"] == {"channel": "room:r", "limit": 0}
    assert taken(box) == ["missed", 902]


def test_a_full_inbox_takes_no_more_and_the_rest_is_read_when_there_is_room() -> None:
    client, box = protocol(), inbox(4)
    client.follow("room:r", box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(0)), 0.0)

    for offset in range(1, 11):
        assert sent(client.receive(pushed("room:r", offset), 0.0)) == []
    first = taken(box)
    (page,) = sent(client.taken(box, 0.0))
    publications = [pub(offset) for offset in range(5, 9)]
    client.receive(line(id=3, history={"publications": publications, "epoch": "e", "offset": 10}), 0.0)

    assert first == [1, 2, 3, 4]
    assert page["history"] == {"channel": "room:r", "since": {"epoch": "e", "offset": 4}, "limit": 4}
    assert taken(box) == [5, 6, 7, 8]
    assert len(sent(client.taken(box, 0.0))) == 1


def test_a_channel_without_history_tells_what_its_reader_was_too_slow_for() -> None:
    client, box = protocol(), inbox(2)
    client.follow("live:prices", box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe={"recoverable": False, "epoch": "", "offset": 0}), 0.0)

    for price in range(5):
        client.receive(line(push={"channel": "live:prices", "pub": {"data": price}}), 0.0)
    first = taken(box)
    client.receive(line(push={"channel": "live:prices", "pub": {"data": 5}}), 0.0)

    assert first == [0, 1]
    assert taken(box) == ["missed", 5]


def test_a_channel_without_history_tells_a_reconnect() -> None:
    client, box = protocol(), inbox()
    client.follow("presence:r", box, None, 0.0)
    nothing = {"recoverable": False, "epoch": "", "offset": 0}
    connected(client)
    client.receive(line(id=2, subscribe=nothing), 0.0)
    client.closed(1006, "", 0.0)

    (subscribe,) = connected(client)
    client.receive(line(id=subscribe["id"], subscribe=nothing), 0.0)

    assert subscribe["subscribe"] == {"channel": "presence:r"}
    assert taken(box) == ["missed"]


def test_all_rooms_are_heard_by_one_follower_now_and_later() -> None:
    client, box = protocol(), inbox()
    client.follow_rooms(box, {})
    (connect,) = sent(client.opened("t", 0.0))
    subs = {MINE: standing(3), "room:a": standing(1)}
    client.receive(line(id=1, connect={"data": {"user": {"id": ME}}, "subs": subs}), 0.0)

    client.receive(pushed("room:a", 2), 0.0)
    (look,) = sent(client.receive(line(push={"channel": "room:b", "subscribe": standing(7)}), 0.0))
    client.receive(line(id=look["id"], history={"publications": [], "epoch": "e", "offset": 7}), 0.0)
    client.receive(pushed("room:b", 8), 0.0)
    client.receive(pushed(MINE, 4), 0.0)

    assert connect["connect"]["data"] == {"subscribe": "rooms"}
    assert taken(box) == [2, 8]
    assert client.starts(box) == {"room:a": Position("e", 1), "room:b": Position("e", 7)}


def test_rooms_recover_by_the_connect_and_those_that_were_left_are_forgotten() -> None:
    client, box = protocol(), inbox()
    client.follow_rooms(box, {"room:a": Position("e", 1), "room:b": Position("e", 4)})
    connected(client, subs={"room:a": standing(1, recovered=True, publications=[pub(2)]), "room:b": standing(4)})
    client.closed(1006, "", 0.0)

    (connect,) = sent(client.opened("t", 0.0))
    page = connected_again(client, connect["id"], {"room:a": standing(3)})

    known = {name: where["offset"] for name, where in connect["connect"]["subs"].items()}
    assert known == {"room:a": 2, "room:b": 4}
    assert page[0]["history"]["since"]["offset"] == 2
    assert list(client.starts(box)) == ["room:a"]


def connected_again(client: Any, command_id: int, subs: dict[str, Any]) -> list[Any]:
    reply = {"data": {"user": {"id": ME}}, "subs": subs}
    return sent(client.receive(line(id=command_id, connect=reply), 0.0))


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_a_room_that_one_enters_is_heard_from_ones_entry(is_cut_off: bool) -> None:
    """However long the subscription takes, or if one is let in while one is away."""
    client, box = protocol(), inbox()
    client.follow_rooms(box, {})
    connected(client, subs={})
    if is_cut_off:
        client.closed(1006, "", 0.0)
        (look,) = connected(client, subs={"room:b": standing(7)})
    else:
        (look,) = sent(client.receive(line(push={"channel": "room:b", "subscribe": standing(7)}), 0.0))

    client.receive(pushed("room:b", 8), 0.0)
    entry = {"offset": 5, "data": {"type": "member.joined", "member": {"user_id": ME}}}
    of_another = {"offset": 6, "data": {"type": "member.joined", "member": {"user_id": "bob"}}}
    found = {"publications": [of_another, entry, pub_of("room.updated", 4)], "epoch": "e", "offset": 7}
    (page,) = sent(client.receive(line(id=look["id"], history=found), 0.0))
    client.receive(
        line(id=page["id"], history={"publications": [pub(6), pub(7), pub(8)], "epoch": "e", "offset": 8}), 0.0
    )
    client.receive(pushed("room:b", 9), 0.0)

    assert look["history"] == {"channel": "room:b", "limit": 100, "reverse": True}
    assert page["history"]["since"]["offset"] == 5
    assert taken(box) == [6, 7, 8, 9]


def test_a_follower_of_its_own_takes_over_a_room_that_is_being_entered() -> None:
    client, box = protocol(), inbox()
    client.follow_rooms(inbox(), {})
    connected(client, subs={})
    (look,) = sent(client.receive(line(push={"channel": "room:b", "subscribe": standing(7)}), 0.0))

    client.follow("room:b", box, None, 0.0)
    client.receive(line(id=look["id"], history={"publications": [], "epoch": "e", "offset": 7}), 0.0)
    client.receive(pushed("room:b", 8), 0.0)
    client.closed(1006, "", 0.0)
    connected(client, subs={"room:b": standing(8, recovered=True, publications=[pub(9)])})

    assert taken(box) == [8, 9]


def pub_of(kind: str, offset: int) -> dict[str, Any]:
    return {"offset": offset, "data": {"type": kind}}


def test_following_rooms_on_a_connected_client_connects_anew_at_once() -> None:
    client = protocol()
    connected(client)

    effects = client.follow_rooms(inbox(), {})

    assert len(effects) == 1
    assert client.closed(1006, "", 0.0) == 0.0


@pytest.mark.parametrize("is_early", [True, False])
def test_ones_own_channel_is_the_servers_subscription(is_early: bool) -> None:
    client, box = protocol(), inbox()
    if is_early:
        client.follow("user:me", box, None, 0.0)
    connected(client, subs={MINE: standing(3)})
    client.receive(pushed(MINE, 4), 0.0)
    if not is_early:
        assert client.follow("user:me", box, None, 0.0) == []
    client.receive(pushed(MINE, 5), 0.0)

    assert taken(box) == ([4, 5] if is_early else [5])


def test_ones_own_channel_can_be_followed_from_an_earlier_position() -> None:
    client, box = protocol(), inbox()
    connected(client, subs={MINE: standing(3)})

    (page,) = sent(client.follow("user:me", box, Position("e", 1), 0.0))
    client.receive(line(id=2, history={"publications": [pub(2), pub(3)], "epoch": "e", "offset": 3}), 0.0)

    assert page["history"]["since"]["offset"] == 1
    assert taken(box) == [2, 3]


def test_a_channel_has_one_follower() -> None:
    client = protocol()
    client.follow("room:r", inbox(), None, 0.0)
    client.follow_rooms(inbox(), {})

    with pytest.raises(AlreadySubscribed):
        client.follow("room:r", inbox(), None, 0.0)
    with pytest.raises(AlreadySubscribed):
        client.follow_rooms(inbox(), {})


def test_a_channel_that_is_refused_ends_with_the_reason() -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, None, 0.0)
    connected(client)

    client.receive(line(id=2, error={"code": 103, "message": "permission denied"}), 0.0)

    assert isinstance(box.end, Refused)


@pytest.mark.parametrize("code", [2000, 2500])
def test_an_unsubscribe_code_says_whether_to_come_back(code: int) -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(7)), 0.0)

    commands = sent(client.receive(line(push={"channel": "room:r", "unsubscribe": {"code": code, "reason": ""}}), 0.0))

    if code < 2500:
        assert isinstance(box.end, Unsubscribed)
        assert commands == []
    else:
        assert box.end is None
        assert commands[0]["subscribe"]["offset"] == 7


def test_a_channel_that_is_left_is_unsubscribed_and_can_be_followed_again() -> None:
    client, box = protocol(), inbox()
    client.follow("room:r", box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(7)), 0.0)

    (left,) = sent(client.unfollow(box, 0.0))
    (again,) = sent(client.follow("room:r", inbox(), None, 0.0))

    assert left["unsubscribe"] == {"channel": "room:r"}
    assert again["subscribe"] == {"channel": "room:r"}


class Channel:
    """A model of the server's side: a log, a line that is cut, pages that come late, and a reader who is slow."""

    def __init__(self, capacity: int) -> None:
        self.box = inbox(capacity)
        self.feed = Feed("room:r", self.box)
        self.feed.started(standing(0))
        self.top = 0
        self.heard: list[int] = []
        self.on_the_line: list[int] = []
        self.page_asked: dict[str, Any] | None = None

    def publish(self, chance: int) -> None:
        self.top += 1
        self.on_the_line.append(self.top)

    def push(self, chance: int) -> None:
        if self.on_the_line:
            self.feed.hear(pub(self.on_the_line.pop(0)))

    def page(self, chance: int) -> None:
        if self.page_asked is not None:
            since, limit = self.page_asked["since"]["offset"], min(self.page_asked["limit"], chance)
            self.page_asked = None
            self.feed.page({"publications": self._log(since)[:limit], "epoch": "e", "offset": self.top})

    def take(self, chance: int) -> None:
        if (item := self.box.take()) is not None:
            self.heard.append(item.data)

    def cut(self, chance: int) -> None:
        self.on_the_line, self.page_asked = [], None
        self.feed.settle()
        assert self.feed.position is not None
        offset = self.feed.position.offset
        recovered = standing(offset, recovered=True, publications=self._log(offset))
        self.feed.started(recovered if chance > 2 else standing(self.top))

    def ask(self) -> None:
        self.page_asked = self.feed.next_page() or self.page_asked

    def _log(self, since: int) -> list[dict[str, Any]]:
        return [pub(offset) for offset in range(since + 1, self.top + 1)]


ACTIONS = st.sampled_from([Channel.publish, Channel.push, Channel.page, Channel.take, Channel.cut])


@given(st.integers(1, 6), st.lists(st.tuples(ACTIONS, st.integers(1, 5)), max_size=80))
def test_every_publication_is_taken_once_and_in_order(
    capacity: int, steps: list[tuple[Callable[[Channel, int], None], int]]
) -> None:
    channel = Channel(capacity)

    for act, chance in steps:
        act(channel, chance)
        channel.ask()
    while channel.on_the_line:
        channel.push(1)
    while len(channel.heard) < channel.top:
        channel.take(1)
        channel.ask()
        channel.page(300)

    assert channel.heard == list(range(1, channel.top + 1))
