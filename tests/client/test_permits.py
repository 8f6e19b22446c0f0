"""Channels that take a subscription token: given or fetched, renewed in time, asked for again when it is over."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jose import jwt

from chat_server.client import Client, Published, Refused
from chat_server.client.link import Token
from chat_server.client.protocol import Effect, Fetch, Protocol
from chat_server.gateway.subscriptions import Subscriptions
from tests.client.program import happens, run
from tests.client.talk import connected, inbox, line, protocol, sent, standing, taken
from tests.house import House, house_with

SECRET = "the-secret-that-another-apps-back-end-knows"
ISSUER, AUDIENCE = "https://shop.example", "chat"
VIP = "vip:sale"


def signed(ttl_s: int = 60, **claims: Any) -> str:
    found: str = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "customer-7", "exp": int(time.time()) + ttl_s, **claims}, SECRET
    )
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = {"foreign_secret": SECRET, "foreign_issuer": ISSUER, "foreign_audience": AUDIENCE}
    namespaces = {"vip": {"subscribe": "token", "history_size": 1000}}
    with house_with(tmp_path_factory.mktemp("vip") / "data", namespaces=namespaces, **settings) as found:
        yield found


def fetches(effects: list[Effect]) -> list[Fetch]:
    return [effect for effect in effects if isinstance(effect, Fetch)]


def following(now: float = 0.0, **answer: Any) -> tuple[Protocol, Any, Any]:
    """A client that follows the channel with its first token, its inbox, and its permit."""
    client, box = protocol(), inbox()
    connected(client, now, ping=0)
    (fetch,) = fetches(client.follow(VIP, box, None, now, lambda channel: ""))
    (subscribe,) = sent(client.fetched(fetch.permit, "first", now))
    assert subscribe["subscribe"] == {"channel": VIP, "token": "first"}
    client.receive(line(id=subscribe["id"], subscribe=standing(7, **answer)), now)
    return client, box, fetch.permit


@pytest.mark.parametrize("how", ["given", "plain function", "async function"])
def test_a_token_may_be_given_or_fetched(house: House, how: str) -> None:
    async def later(channel: str) -> str:
        return signed(channel=channel)

    ways: dict[str, Any] = {
        "given": signed(channel=VIP),
        "plain function": lambda channel: signed(channel=channel),
        "async function": later,
    }

    async def program() -> None:
        async with Client(house.url, signed()) as client:
            events = client.follow(VIP, token=ways[how])
            await happens(lambda: VIP in house.worker.manager.channels)
            house.api("publish", channel=VIP, data=how)
            assert (await events.next()).event == Published(channel=VIP, data=how)

    run(program)


def test_it_is_renewed_before_it_is_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    ended: list[object] = []
    monkeypatch.setattr(Subscriptions, "end", lambda *found: ended.append(found))

    def fetched(channel: str) -> str:
        told.append(channel)
        return signed(2, channel=channel)

    async def program() -> None:
        async with Client(house.url, signed()) as client:
            events = client.follow(VIP, token=fetched)
            await happens(lambda: VIP in house.worker.manager.channels)
            await happens(lambda: len(told) == 3)
            house.api("publish", channel=VIP, data="still here")
            assert (await events.next()).event == Published(channel=VIP, data="still here")
            assert ended == []

    run(program)
    assert set(told) == {VIP}


def test_more_than_a_recovery_gives_is_paged(house: House) -> None:
    async def program() -> None:
        async with Client(house.url, signed()) as client:
            events = client.follow(VIP, token=signed(channel=VIP))
            await happens(lambda: VIP in house.worker.manager.channels)
            house.api("publish", channel=VIP, data="first")
            await events.next()
            position = events.positions[VIP]
            events.close()
            for start in range(0, 400, 100):
                parts = [{"publish": {"channel": VIP, "data": index}} for index in range(start, start + 100)]
                house.api("batch", commands=parts)
            again = client.follow(VIP, since=position, token=signed(channel=VIP))
            heard = [(await again.next()).data for _ in range(400)]
            assert heard == list(range(400))

    run(program)


def test_a_token_of_another_channel_ends_the_following(house: House) -> None:
    async def program() -> None:
        async with Client(house.url, signed()) as client:
            events = client.follow(VIP, token=signed(channel="vip:other"))
            with pytest.raises(Refused) as refused:
                await events.next()
            assert refused.value.code == 103

    run(program)


def test_a_given_token_that_is_over_ends_the_following(house: House) -> None:
    async def program() -> None:
        async with Client(house.url, signed()) as client:
            events = client.follow(VIP, token=signed(-5, channel=VIP))
            with pytest.raises(Refused) as refused:
                await events.next()
            assert refused.value.code == 109

    run(program)


def test_a_source_that_refuses_ends_the_following(house: House) -> None:
    def refuses(channel: str) -> str:
        raise Refused(403, "forbidden", "not a customer")

    async def program() -> None:
        async with Client(house.url, signed()) as client:
            events = client.follow(VIP, token=refuses)
            with pytest.raises(Refused, match="not a customer"):
                await events.next()

    run(program)


def test_a_source_that_fails_is_asked_again(house: House) -> None:
    told: list[str] = []

    def moody(channel: str) -> str:
        told.append(channel)
        if len(told) == 1:
            raise OSError("the back end is away")
        return signed(channel=channel)

    async def program() -> None:
        async with Client(house.url, signed()) as client:
            client.follow(VIP, token=moody)
            await happens(lambda: VIP in house.worker.manager.channels)

    run(program)
    assert len(told) == 2


def test_the_clients_own_token_may_come_from_a_plain_function(house: House) -> None:
    source: Token = signed

    async def program() -> None:
        async with Client(house.url, source) as client:
            assert client.me.kind == "human"

    run(program)


def test_a_kept_token_is_used_again_after_a_cut() -> None:
    client, box, _ = following()
    client.closed(1006, "", 1.0)

    (subscribe,) = connected(client, 1.0)

    assert subscribe["subscribe"] == {"channel": VIP, "token": "first", "recover": True, "epoch": "e", "offset": 7}
    assert taken(box) == []


def test_one_that_was_fetched_while_the_line_was_cut_is_shown_once() -> None:
    client, _, permit = following(expires=True, ttl=100)
    (fetch,) = fetches(client.wake(80.0))
    client.closed(1006, "", 80.0)
    connected(client, 81.0)

    assert fetch.permit is permit
    assert sent(client.fetched(permit, "second", 81.0)) == []


def test_one_that_comes_while_there_is_no_line_is_the_one_to_subscribe_with() -> None:
    client, _, permit = following(expires=True, ttl=100)
    client.wake(80.0)
    client.closed(1006, "", 80.0)

    assert client.fetched(permit, "second", 80.5) == []
    (subscribe,) = connected(client, 81.0)

    assert subscribe["subscribe"]["token"] == "second"


@pytest.mark.parametrize(("ttl_s", "renewed_at"), [(100, 80.0), (600, 570.0)])
def test_it_is_renewed_so_long_before_its_end(ttl_s: int, renewed_at: float) -> None:
    client, _, permit = following(expires=True, ttl=ttl_s)

    assert fetches(client.wake(renewed_at - 0.1)) == []
    assert fetches(client.wake(renewed_at)) == [Fetch(permit)]
    (refresh,) = sent(client.fetched(permit, "second", renewed_at))
    client.receive(line(id=refresh["id"], sub_refresh={"expires": True, "ttl": 100}), renewed_at)

    assert refresh["sub_refresh"] == {"channel": VIP, "token": "second"}
    assert fetches(client.wake(renewed_at + 79.9)) == []
    assert fetches(client.wake(renewed_at + 80.0)) == [Fetch(permit)]


def test_one_that_is_over_is_replaced_and_the_channel_recovered() -> None:
    client, _, permit = following()
    over = {"channel": VIP, "unsubscribe": {"code": 2501, "reason": "subscription expired"}}

    effects = client.receive(line(push=over), 5.0)
    (subscribe,) = sent(client.fetched(permit, "second", 5.0))

    assert fetches(effects) == [Fetch(permit)]
    assert subscribe["subscribe"]["token"] == "second"
    assert subscribe["subscribe"]["recover"] is True


def test_one_that_is_over_as_it_is_shown_is_fetched_again_after_a_pause() -> None:
    client, box = protocol(), inbox()
    connected(client)
    (fetch,) = fetches(client.follow(VIP, box, None, 0.0, lambda channel: ""))
    (subscribe,) = sent(client.fetched(fetch.permit, "old", 0.0))

    at_once = client.receive(line(id=subscribe["id"], error={"code": 109, "message": "token expired"}), 0.0)

    assert fetches(at_once) == []
    assert fetches(client.wake(0.5)) == [fetch]
    assert box.end is None


def test_who_follows_no_longer_needs_no_token() -> None:
    client, box = protocol(), inbox()
    connected(client)
    (fetch,) = fetches(client.follow(VIP, box, None, 0.0, lambda channel: ""))
    client.unfollow(box, 0.0)

    assert client.fetched(fetch.permit, "late", 0.0) == []


def test_closing_does_not_wait_for_a_token(house: House, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(channel: str) -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    async def program() -> None:
        async with Client(house.url, signed()) as client:
            client.follow(VIP, token=never)
            await asked.wait()

    run(program)
