"""PyPI's `cent`, unchanged: the client of the server API that back ends use."""

from collections.abc import Iterator

import pytest
from cent import (
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentUnauthorizedError,
    ChannelsRequest,
    Client,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)

from tests.house import API_KEY, House, Person


@pytest.fixture(scope="module")
def cent(house: House) -> Iterator[Client]:
    client = Client(f"{house.url}/api", API_KEY)
    yield client
    client.close()


def test_a_back_end_publishes_to_whoever_follows(cent: Client, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:cent")

        first = cent.publish(PublishRequest(channel="chat:cent", data={"n": 1}))
        again = cent.publish(PublishRequest(channel="chat:cent", data={"n": 2}, idempotency_key="2"))
        repeated = cent.publish(PublishRequest(channel="chat:cent", data={"n": 2}, idempotency_key="2"))

        assert (first.offset, again.offset, repeated.offset) == (1, 2, 2)
        assert again.epoch == repeated.epoch
        assert [wire.push("chat:cent")["data"] for _ in range(2)] == [{"n": 1}, {"n": 2}]


def test_a_broadcast_reaches_every_channel(cent: Client) -> None:
    answer = cent.broadcast(BroadcastRequest(channels=["chat:b1", "live:b2", "nowhere:b3"], data="hello"))

    assert [response.error is None for response in answer.responses] == [True, True, False]
    assert answer.responses[2].error.code == 102


def test_history_is_paged_and_removed(cent: Client) -> None:
    for number in range(5):
        cent.publish(PublishRequest(channel="chat:past", data=number))

    page = cent.history(HistoryRequest(channel="chat:past", limit=2))
    rest = cent.history(HistoryRequest(channel="chat:past", limit=10, since=StreamPosition(offset=2, epoch=page.epoch)))
    newest = cent.history(HistoryRequest(channel="chat:past", limit=1, reverse=True))
    cent.history_remove(HistoryRemoveRequest(channel="chat:past"))
    after = cent.history(HistoryRequest(channel="chat:past", limit=10))

    assert [(pub.offset, pub.data) for pub in page.publications] == [(1, 0), (2, 1)]
    assert [pub.data for pub in rest.publications] == [2, 3, 4]
    assert [pub.data for pub in newest.publications] == [4]
    assert page.offset == 5
    assert after.publications == []
    assert after.epoch != page.epoch


def test_presence_and_channels_show_who_is_where(cent: Client, ann: Person) -> None:
    with ann.wire() as wire:
        client = wire.connect()["client"]
        wire.subscribe("chat:seen")

        presence = cent.presence(PresenceRequest(channel="chat:seen")).presence
        stats = cent.presence_stats(PresenceStatsRequest(channel="chat:seen"))
        channels = cent.channels(ChannelsRequest(pattern="chat:se*")).channels

        assert presence[client].user == ann.id
        assert presence[client].client == client
        assert (stats.num_clients, stats.num_users) == (1, 1)
        assert {name: info.num_clients for name, info in channels.items()} == {"chat:seen": 1}


def test_a_back_end_subscribes_and_unsubscribes_a_person(cent: Client, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()

        cent.subscribe(SubscribeRequest(user=ann.id, channel="live:forced"))
        started = wire.push("live:forced", "subscribe")
        cent.unsubscribe(UnsubscribeRequest(user=ann.id, channel="live:forced"))
        ended = wire.push("live:forced", "unsubscribe")

        assert started["recoverable"] is False
        assert ended["code"] == 2000


def test_a_back_end_disconnects_a_person(cent: Client, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()

        cent.disconnect(DisconnectRequest(user=ann.id))

        assert wire.closed()[0] == 3503


def test_a_back_end_ends_a_connection_by_time(cent: Client, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()

        cent.refresh(RefreshRequest(user=ann.id, expired=True))

        assert wire.closed()[0] == 3005


def test_a_batch_is_carried_out_in_order(cent: Client) -> None:
    answer = cent.batch(
        BatchRequest(
            requests=[
                PublishRequest(channel="chat:batch", data=1),
                PublishRequest(channel="chat:batch", data=2),
            ]
        )
    )

    history = cent.history(HistoryRequest(channel="chat:batch", limit=10))
    assert [reply.offset for reply in answer.replies] == [1, 2]
    assert [pub.data for pub in history.publications] == [1, 2]


def test_info_tells_the_nodes(cent: Client) -> None:
    nodes = cent.info(InfoRequest()).nodes

    assert len(nodes) == 1
    assert nodes[0].version


def test_a_refusal_is_an_error_of_the_api(cent: Client) -> None:
    with pytest.raises(CentApiResponseError) as refusal:
        cent.publish(PublishRequest(channel="room:x", data=1))

    assert refusal.value.code == 103


def test_a_wrong_key_is_unauthorized(house: House) -> None:
    client = Client(f"{house.url}/api", "another key")

    with pytest.raises(CentUnauthorizedError):
        client.info(InfoRequest())
    client.close()
