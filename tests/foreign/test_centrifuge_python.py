"""PyPI's `centrifuge-python`, unchanged, against a real server; its socket goes through a proxy that cuts it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from centrifuge import (
    Client,
    ClientEventHandler,
    PublicationContext,
    ServerPublicationContext,
    SubscribedContext,
    Subscription,
    SubscriptionEventHandler,
    UnsubscribedContext,
)
from centrifuge.contexts import ConnectedContext, DisconnectedContext, ServerSubscribedContext

from tests.gateway.credentials import token_for
from tests.house import House, Person
from tests.scenarios.cutter import Cutter
from tests.store.rig import awaited, until

# When the server closes, this client forgets to close its end.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


class Diary(ClientEventHandler, SubscriptionEventHandler):
    """What a client was told, in order."""

    def __init__(self) -> None:
        self.connects: list[str] = []
        self.ends: list[tuple[int, str]] = []
        self.starts: list[Any] = []
        self.server_starts: dict[str, Any] = {}
        self.losses: list[int] = []
        self.heard: list[tuple[int, Any]] = []
        self.server_heard: list[tuple[str, int, Any]] = []
        self.joins: list[str] = []
        self.leaves: list[str] = []

    async def on_connected(self, ctx: ConnectedContext) -> None:
        self.connects.append(ctx.client)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self.ends.append((ctx.code, ctx.reason))

    async def on_subscribed(self, ctx: SubscribedContext | ServerSubscribedContext) -> None:
        if isinstance(ctx, ServerSubscribedContext):
            self.server_starts[ctx.channel] = ctx
        else:
            self.starts.append(ctx)

    async def on_unsubscribed(self, ctx: Any) -> None:
        if isinstance(ctx, UnsubscribedContext):
            self.losses.append(ctx.code)

    async def on_publication(self, ctx: PublicationContext | ServerPublicationContext) -> None:
        if isinstance(ctx, ServerPublicationContext):
            self.server_heard.append((ctx.channel, ctx.pub.offset, ctx.pub.data))
        else:
            self.heard.append((ctx.pub.offset, ctx.pub.data))

    async def on_join(self, ctx: Any) -> None:
        self.joins.append(ctx.info.user)

    async def on_leave(self, ctx: Any) -> None:
        self.leaves.append(ctx.info.user)

    @property
    def offsets(self) -> list[int]:
        return [offset for offset, _ in self.heard]


@pytest.fixture(scope="module")
def cutter(house: House) -> Iterator[Cutter]:
    with Cutter(house.port) as found:
        yield found


@asynccontextmanager
async def client_at(address: str, diary: Diary, **options: Any) -> AsyncIterator[Client]:
    client = Client(address, events=diary, min_reconnect_delay=0.05, max_reconnect_delay=0.2, proxy=None, **options)
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


def client_of(person: Person, diary: Diary, **options: Any) -> Any:
    return client_at(
        f"{person.socket_url.removesuffix('/ws')}/connection/websocket", diary, token=person.token, **options
    )


async def followed(client: Client, channel: str, diary: Diary, **options: Any) -> Subscription:
    subscription = client.new_subscription(channel, events=diary, **options)
    await subscription.subscribe()
    await subscription.ready(5)
    return subscription


async def beside(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A blocking call of a test's person, without holding up the client's loop."""
    return await asyncio.to_thread(work, *args, **options)


@awaited
async def test_it_connects_with_a_token_in_connect_and_is_subscribed_to_its_own_channel(ann: Person) -> None:
    diary = Diary()
    async with client_of(ann, diary) as client:
        await client.ready(5)
        await until(lambda: f"user:{ann.id}" in diary.server_starts, "the server's subscription")

        assert diary.server_starts[f"user:{ann.id}"].recoverable is True
        assert diary.server_starts[f"user:{ann.id}"].positioned is True


@awaited
async def test_it_connects_with_a_token_in_the_url(ann: Person) -> None:
    diary = Diary()
    async with client_at(f"{ann.socket_url}?token={ann.token}", diary) as client:
        await client.ready(5)

        me = await client.rpc("users.me", {})

        assert me.data["id"] == ann.id


@awaited
async def test_a_bad_token_ends_it_for_good(ann: Person) -> None:
    diary = Diary()
    async with client_at(ann.socket_url, diary, token="rubbish"):
        await until(lambda: diary.ends, "the end")

        assert diary.ends[0][0] == 3500


@awaited
async def test_an_expired_token_is_renewed_and_the_client_connects(house: House, ann: Person) -> None:
    asked = []

    async def get_token() -> str:
        asked.append(True)
        return ann.token

    diary = Diary()
    expired = token_for(house, ann, -5)
    async with client_at(ann.socket_url, diary, token=expired, get_token=get_token) as client:
        await client.ready(5)

        assert asked
        assert (await client.rpc("users.me", {})).data["id"] == ann.id


@awaited
async def test_it_hears_a_room_and_posts_by_rpc(ann: Person, bob: Person) -> None:
    room_id = await beside(ann.room)
    await beside(bob.join, room_id)
    diary = Diary()
    async with client_of(bob, diary) as client:
        await followed(client, f"room:{room_id}", diary)
        posted = await client.rpc("messages.post", {"room_id": room_id, "text": "hello", "client_msg_id": "1"})
        again = await client.rpc("messages.post", {"room_id": room_id, "text": "hello", "client_msg_id": "1"})
        await beside(ann.say, room_id, "hi bob")
        await until(lambda: len(diary.heard) >= 2, "both messages")

        assert again.data == {**posted.data, "duplicate": True}
        assert [data["message"]["text"] for _, data in diary.heard] == ["hello", "hi bob"]
        assert diary.offsets == list(range(diary.offsets[0], diary.offsets[0] + 2))


@awaited
async def test_it_publishes_and_sees_who_is_there_and_what_was(ann: Person, bob: Person) -> None:
    diary, other = Diary(), Diary()
    async with client_of(ann, diary) as client, client_of(bob, other) as guest:
        room = await followed(client, "chat:sdk", diary)
        second = await followed(guest, "chat:sdk", other)
        await room.publish({"text": "hello"})
        await until(lambda: other.heard, "the publication")

        presence = await room.presence()
        stats = await room.presence_stats()
        history = await room.history(limit=10)
        await second.unsubscribe()
        await until(lambda: bob.id in diary.leaves, "bob's leaving")

        assert other.heard == [(1, {"text": "hello"})]
        assert {info.user for info in presence.clients.values()} == {ann.id, bob.id}
        assert (stats.num_clients, stats.num_users) == (2, 2)
        assert [(pub.offset, pub.data) for pub in history.publications] == [(1, {"text": "hello"})]
        assert bob.id in diary.joins


@awaited
async def test_a_channel_that_is_not_for_it_is_an_error_and_the_client_lives(ann: Person, bob: Person) -> None:
    room_id = await beside(ann.room, "private", "private")
    diary = Diary()
    async with client_of(bob, diary) as client:
        subscription = client.new_subscription(f"room:{room_id}", events=diary)
        await subscription.subscribe()
        await until(lambda: diary.losses, "the refusal")

        assert diary.losses == [103]
        assert (await client.rpc("users.me", {})).data["id"] == bob.id


@awaited
async def test_it_recovers_what_it_missed_when_its_socket_is_cut(ann: Person, bob: Person, cutter: Cutter) -> None:
    room_id = await beside(ann.room)
    await beside(bob.join, room_id)
    diary = Diary()
    async with client_at(f"{cutter.url.replace('http', 'ws', 1)}/ws", diary, token=bob.token) as client:
        await followed(client, f"room:{room_id}", diary)
        for round_number in range(5):
            await until(lambda least=round_number: len(diary.connects) > least, "a connection to cut")
            for number in range(10):
                await beside(ann.say, room_id, f"{round_number}.{number}")
                if number == 4:
                    await beside(cutter.cut)
        await until(lambda: len(diary.heard) >= 50, "all that was said")

        texts = [data["message"]["text"] for _, data in diary.heard]
        assert texts == [f"{round_number}.{number}" for round_number in range(5) for number in range(10)]
        assert diary.offsets == list(range(diary.offsets[0], diary.offsets[0] + 50))
        assert len(diary.connects) >= 5
        assert all(start.recovered for start in diary.starts[1:])


@awaited
async def test_its_own_channel_recovers_too(ann: Person, bob: Person, cutter: Cutter) -> None:
    diary = Diary()
    address = f"{cutter.url.replace('http', 'ws', 1)}/ws"
    async with client_at(address, diary, token=bob.token) as client:
        await client.ready(5)
        await until(lambda: diary.server_starts, "the server's subscription")
        await beside(cutter.cut)
        for name in ("one", "two"):
            room_id = await beside(ann.room, name)
            await beside(bob.join, room_id)
        await until(lambda: len(diary.server_heard) >= 2, "both memberships")

        assert [data["type"] for _, _, data in diary.server_heard] == ["member.joined"] * 2
        offsets = [offset for _, offset, _ in diary.server_heard]
        assert offsets == list(range(offsets[0], offsets[0] + 2))


@awaited
async def test_it_is_told_when_it_is_put_out_of_a_room(ann: Person, bob: Person) -> None:
    room_id = await beside(ann.room)
    await beside(bob.join, room_id)
    diary = Diary()
    async with client_of(bob, diary) as client:
        await followed(client, f"room:{room_id}", diary)
        await beside(ann.delete, f"/api/v1/rooms/{room_id}/members/{bob.id}")
        await until(lambda: diary.losses, "the loss")

        assert diary.losses == [2000]


@awaited
async def test_a_logout_ends_it_for_good(house: House) -> None:
    ann = await beside(house.person, "ann")
    diary = Diary()
    async with client_of(ann, diary) as client:
        await client.ready(5)
        await beside(ann.post, "/api/v1/auth/logout", status=204)
        await until(lambda: diary.ends, "the end")

        assert diary.ends == [(3500, "session_revoked")]
