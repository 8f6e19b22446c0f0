"""All channels of one client: which are followed, what a new connection must ask for, what each push means.

A channel has one follower. The rooms' follower has every `room:` that the server subscribes and nobody else follows;
the server does so for the first ROOMS_BY_SERVER, the others are listed and subscribed from here.
A room that comes to it later than the first ones is heard from when one entered it, not from when that got through.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from chat_server.client.calls import NEVER, Call, Result
from chat_server.client.delivery import Position
from chat_server.client.feed import Feed
from chat_server.client.inbox import Inbox
from chat_server.client.permit import Permit, SubscriptionToken, Use
from chat_server.client.problems import ClientError, Refused, Unsubscribed
from chat_server.errors import (
    AlreadySubscribed,
    PermissionDenied,
    TokenHasExpired,
    UnrecoverablePosition,
    UnsubscribeCode,
)
from chat_server.ids import RoomId, UserId, namespace_of, room_channel, user_channel

MINE = "user:me"
LOOK_BACK = 100  # events in which one's own entry into a room is looked for
ROOMS_BY_SERVER = 500  # docs/protocol.md
PAGE = 200
RECOVERED_AT_ONCE = 16  # all recoveries of a connect come in one frame, each up to 512 KiB; further rooms are paged


class Feeds:
    """`ask` queues a command, `fetch` gets a token for `fetched`. `user_id` is known from the first connection on."""

    def __init__(self, ask: Callable[[Call], None], fetch: Callable[[Permit], None], now: Callable[[], float]) -> None:
        self._ask = ask
        self._fetch = fetch
        self._now = now
        self._by_channel: dict[str, Feed] = {}
        self._rooms: Inbox | None = None
        self._kept: dict[str, Position] = {}
        self._is_connected = False
        self._entering: set[str] = set()  # rooms where it is not known yet from where they are to be heard
        self._knows_rooms = False  # the first ones are heard live, from now on
        self.user_id = ""

    @property
    def wants_rooms(self) -> bool:
        return self._rooms is not None

    @property
    def wake_at(self) -> float:
        """When a token is to be renewed."""
        return min(
            (feed.permit.wake_at for feed in self._by_channel.values() if feed.permit is not None), default=NEVER
        )

    def follow(
        self, channel: str, inbox: Inbox, since: Position | None = None, token: SubscriptionToken | None = None
    ) -> None:
        """AlreadySubscribed when the channel has a follower."""
        name = self._name(channel)
        feed = self._by_channel.get(name)
        if feed is not None and feed.inbox is not None:
            raise AlreadySubscribed()
        if feed is not None:  # the server subscribed to it, and nobody listened so far
            feed.inbox = inbox
            self._entering.discard(name)
            if since is not None:
                feed.rewind(since)
                self._read_on(feed)
            return
        permit = None if token is None else Permit(name, token)
        feed = self._by_channel[name] = Feed(name, inbox, since, permit)
        if self._is_connected:
            self._subscribe(feed)

    def follow_rooms(self, inbox: Inbox, since: Mapping[str, Position]) -> None:
        """From the next connection on. `since`: where rooms stood when they were last followed."""
        if self._rooms is not None:
            raise AlreadySubscribed()
        self._rooms, self._kept, self._knows_rooms = inbox, dict(since), bool(since)

    def unfollow(self, inbox: Inbox) -> None:
        if self._rooms is inbox:
            self._rooms, self._kept = None, {}
        for feed in [feed for feed in self._by_channel.values() if feed.inbox is inbox]:
            feed.settle()
            if feed.by_server:
                feed.inbox = None
                continue
            del self._by_channel[feed.channel]
            if self._is_connected:
                self._ask(Call("unsubscribe", {"channel": feed.channel}, _nothing))

    def subs(self) -> dict[str, Any]:
        """What a connect command recovers."""
        known = {name: feed.position for name, feed in self._by_channel.items() if feed.by_server and feed.inbox}
        if MINE in self._by_channel:
            known[MINE] = self._by_channel[MINE].position
        positions = {name: position for name, position in {**self._kept, **known}.items() if position is not None}
        return {name: _recover(positions[name]) for name in list(positions)[:RECOVERED_AT_ONCE]}

    def connected(self, user_id: str, subs: Mapping[str, Result]) -> None:
        """A connection stands; `subs` is what the server subscribed on its own."""
        self._is_connected = True
        self.user_id = user_id
        if MINE in self._by_channel and self._name(MINE) in subs:
            feed = self._by_channel.pop(MINE)
            feed.channel = self._name(MINE)
            self._by_channel[feed.channel] = feed
        for channel, result in subs.items():
            self._started_by_server(channel, result)
        has_all = sum(namespace_of(channel) == "room" for channel in subs) < ROOMS_BY_SERVER
        if self.wants_rooms and not has_all:
            self._list_rooms("")
        self._knows_rooms = self._knows_rooms or (self.wants_rooms and has_all)
        for feed in list(self._by_channel.values()):
            if feed.channel in subs:
                continue
            if feed.by_server and feed.inbox in {None, self._rooms} and (feed.inbox is None or has_all):
                del self._by_channel[feed.channel]  # left meanwhile
            else:
                feed.by_server = False
                self._subscribe(feed)

    def cut(self) -> None:
        self._is_connected = False
        for channel in self._entering:
            self._by_channel.pop(channel, None)
        self._entering.clear()
        for feed in self._by_channel.values():
            feed.settle()
            if feed.permit is not None:
                feed.permit.cut()

    def wake(self) -> None:
        """Time has passed: renew what is due."""
        for feed in self._by_channel.values():
            if feed.permit is not None and feed.permit.wake_at <= self._now():
                self._renew(feed.permit)

    def fetched(self, permit: Permit, found: str | Refused | None) -> None:
        """A token came; or it is sure that there will be none; or (None) there is none now."""
        permit.is_fetched = False
        feed = self._by_channel.get(permit.channel)
        if feed is None or feed.permit is not permit:
            return  # unfollowed meanwhile
        if found is None:
            permit.later(self._now())
        elif isinstance(found, Refused):
            self._leave(feed, found)
        else:
            permit.token = found
            if permit.use is Use.LIVE:
                request = {"channel": feed.channel, "token": found}
                self._ask(Call("sub_refresh", request, partial(self._renewed, permit)))
            elif permit.use is Use.NONE and self._is_connected:
                self._subscribe(feed)

    def pushed(self, channel: str, kind: str, content: Mapping[str, Any]) -> None:
        """One push of the server. Kinds that say nothing about a followed channel are ignored."""
        feed = self._by_channel.get(channel)
        if kind == "subscribe":
            self._started_by_server(channel, content)
        elif feed is not None and kind == "pub":
            feed.hear(content)
            self._read_on(feed)
        elif feed is not None and kind in {"join", "leave"}:
            feed.hear_passage("join" if kind == "join" else "leave", content.get("info") or {})
        elif feed is not None and kind == "unsubscribe":
            self._unsubscribed(feed, int(content.get("code", 0)), str(content.get("reason", "")))

    def taken(self, inbox: Inbox) -> None:
        """The follower took something: there may be room to read on."""
        if inbox.was_full and inbox.is_half_free:
            inbox.was_full = False
            for feed in self._by_channel.values():
                if feed.inbox is inbox:
                    self._read_on(feed)

    def starts(self, inbox: Inbox) -> dict[str, Position]:
        """Where each channel of the inbox began."""
        found = {name: feed.start for name, feed in self._by_channel.items() if feed.inbox is inbox}
        return {name: start for name, start in found.items() if start is not None}

    def end(self, error: ClientError) -> None:
        inboxes = {feed.inbox for feed in self._by_channel.values()} | {self._rooms}
        for inbox in inboxes - {None}:
            assert inbox is not None
            inbox.close(error)

    def _name(self, channel: str) -> str:
        return user_channel(UserId(self.user_id)) if channel == MINE and self.user_id else channel

    def _started_by_server(self, channel: str, result: Result) -> None:
        feed = self._by_channel.get(channel)
        is_new = feed is None
        if feed is None:
            inbox = self._rooms if namespace_of(channel) == "room" else None
            feed = self._by_channel[channel] = Feed(channel, inbox, self._kept.pop(channel, None))
        feed.by_server = True
        if is_new and feed.inbox is not None and feed.position is None and self._knows_rooms:
            self._enter(feed)
        feed.started(result)
        self._read_on(feed)

    def _list_rooms(self, after: str) -> None:
        data = {"scope": "mine", "limit": PAGE, **({"after": after} if after else {})}
        self._ask(Call("rpc", {"method": "rooms.list", "data": data}, self._listed))

    def _listed(self, answer: Result | ClientError) -> None:
        """A page of all rooms: those that the server did not subscribe are subscribed now."""
        if self._rooms is None:
            return  # not followed any more
        if isinstance(answer, ClientError):
            self._rooms.close(answer)
            return
        for room in answer["data"]["items"]:
            channel = room_channel(RoomId(room["id"]))
            if channel in self._by_channel:
                continue
            feed = self._by_channel[channel] = Feed(channel, self._rooms, self._kept.pop(channel, None))
            self._subscribe(feed)
            if feed.position is None and self._knows_rooms:
                self._enter(feed)
        after = answer["data"]["next"]
        self._knows_rooms = self._knows_rooms or after is None
        if after is not None:
            self._list_rooms(str(after))

    def _enter(self, feed: Feed) -> None:
        """Hold a room back until it is known where one entered it."""
        feed.inbox = None
        self._entering.add(feed.channel)
        look = {"channel": feed.channel, "limit": LOOK_BACK, "reverse": True}
        self._ask(Call("history", look, partial(self._entered, feed)))

    def _entered(self, feed: Feed, answer: Result | ClientError) -> None:
        self._entering.discard(feed.channel)
        if self._by_channel.get(feed.channel) is not feed or feed.inbox is not None:
            return  # left, or followed by somebody else meanwhile
        feed.inbox, since = self._rooms, feed.start
        if not isinstance(answer, ClientError):
            entries = [int(one["offset"]) for one in answer.get("publications", ()) if self._is_my_entry(one["data"])]
            since = Position(str(answer["epoch"]), max(entries)) if entries else since
        if feed.inbox is not None and since is not None:
            feed.rewind(since)
            self._read_on(feed)

    def _is_my_entry(self, event: Mapping[str, Any]) -> bool:
        return event.get("type") == "member.joined" and event["member"]["user_id"] == self.user_id

    def _subscribe(self, feed: Feed) -> None:
        recover = {} if feed.position is None else _recover(feed.position)
        request = {"channel": feed.channel, **recover}
        if feed.permit is not None:
            if not feed.permit.token:
                self._renew(feed.permit)
                return
            feed.permit.use = Use.ASKED
            request["token"] = feed.permit.token
        self._ask(Call("subscribe", request, partial(self._subscribed, feed)))

    def _subscribed(self, feed: Feed, answer: Result | ClientError) -> None:
        if self._by_channel.get(feed.channel) is not feed:
            return  # unfollowed meanwhile
        if not isinstance(answer, ClientError):
            if feed.permit is not None:
                feed.permit.granted(answer, self._now())
            feed.started(answer)
            self._read_on(feed)
        elif feed.permit is not None and feed.permit.is_renewable and _is_over(answer):
            feed.permit.spent()
            feed.permit.later(self._now())
        elif feed.inbox is not self._rooms or not _is_no_matter(answer):
            self._leave(feed, answer)
        elif not feed.by_server:
            del self._by_channel[feed.channel]

    def _renew(self, permit: Permit) -> None:
        permit.wake_at = NEVER
        if not permit.is_fetched:
            permit.is_fetched = True
            self._fetch(permit)

    def _renewed(self, permit: Permit, answer: Result | ClientError) -> None:
        if isinstance(answer, ClientError):
            permit.later(self._now())
        else:
            permit.granted(answer, self._now())

    def _leave(self, feed: Feed, error: ClientError) -> None:
        """It cannot be followed any more."""
        del self._by_channel[feed.channel]
        if feed.permit is not None and feed.permit.use is Use.LIVE:
            self._ask(Call("unsubscribe", {"channel": feed.channel}, _nothing))
        if feed.inbox is not None:
            feed.inbox.close(error)

    def _unsubscribed(self, feed: Feed, code: int, reason: str) -> None:
        if feed.permit is not None:
            feed.permit.spent()
        if UnsubscribeCode(code, reason).resubscribe and not feed.by_server:
            self._subscribe(feed)
            return
        del self._by_channel[feed.channel]
        if feed.inbox is not None and feed.inbox is not self._rooms:
            feed.inbox.close(Unsubscribed(feed.channel, code, reason))

    def _read_on(self, feed: Feed) -> None:
        request = feed.next_page() if self._is_connected else None
        if request is not None:
            self._ask(Call("history", request, partial(self._paged, feed)))

    def _paged(self, feed: Feed, answer: Result | ClientError) -> None:
        if self._by_channel.get(feed.channel) is not feed or feed.inbox is None:
            return  # unfollowed meanwhile
        if isinstance(answer, Refused) and answer.code == UnrecoverablePosition.protocol:
            where = {"channel": feed.channel, "limit": 0}
            self._ask(Call("history", where, partial(self._found, feed)))
            return
        if isinstance(answer, ClientError):
            feed.unreadable(None)
        else:
            feed.page(answer)
        self._read_on(feed)
        self.taken(feed.inbox)

    def _found(self, feed: Feed, answer: Result | ClientError) -> None:
        """Where a channel stands whose history could not be read from its position."""
        if isinstance(answer, ClientError):
            feed.unreadable(None)
        else:
            feed.unreadable(Position(str(answer["epoch"]), int(answer["offset"])))
        self._read_on(feed)


def _is_no_matter(error: ClientError) -> bool:
    """Of one room among all: left meanwhile, or the server was quicker."""
    return isinstance(error, Refused) and error.code in {PermissionDenied.protocol, AlreadySubscribed.protocol}


def _is_over(error: ClientError) -> bool:
    return isinstance(error, Refused) and error.code == TokenHasExpired.protocol


def _recover(position: Position) -> dict[str, Any]:
    return {"recover": True, "epoch": position.epoch, "offset": position.offset}


def _nothing(answer: Result | ClientError) -> None:
    pass
