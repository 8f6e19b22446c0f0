"""What a back end orders for people's connections: subscribe, unsubscribe, disconnect, refresh."""

import time

import pytest

from tests.gateway.streams import Stream
from tests.house import House, Person, Wire, until


def test_a_back_end_subscribes_all_connections_of_a_user(house: House, ann: Person) -> None:
    with ann.wire() as one, ann.wire() as two:
        for wire in (one, two):
            wire.connect()
        house.api("subscribe", user=ann.id, channel="live:given")
        pushes = [wire.push("live:given", "subscribe") for wire in (one, two)]
        house.api("publish", channel="live:given", data=1)

        assert pushes[0] == {
            "recoverable": False,
            "positioned": False,
            "epoch": "",
            "offset": 0,
            "recovered": False,
            "was_recovering": False,
        }
        assert [wire.push("live:given")["data"] for wire in (one, two)] == [1, 1]


def test_a_back_end_subscribes_one_client(house: House, ann: Person) -> None:
    with ann.wire() as one, ann.wire() as two:
        client = one.connect()["client"]
        two.connect()
        house.api("subscribe", user=ann.id, client=client, channel="live:one")

        assert one.push("live:one", "subscribe")
        assert two.quiet() == []


def test_a_back_end_vouches_for_a_channel_that_clients_may_not_choose(new_house) -> None:
    house = new_house(namespaces={"pushed": {"subscribe": "server"}})
    ann = house.person("ann")
    with ann.wire() as wire:
        assert wire.ask(subscribe={"channel": "pushed:x"})["error"]["code"] == 103
        house.api("subscribe", user=ann.id, channel="pushed:x")
        wire.push("pushed:x", "subscribe")
        house.api("publish", channel="pushed:x", data="for you")

        assert wire.push("pushed:x")["data"] == "for you"


def test_a_back_end_does_not_let_anybody_into_a_room(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room(kind="private")
    with bob.wire() as wire:
        wire.connect()
        house.api("subscribe", user=bob.id, channel=f"room:{room_id}")
        ann.say(room_id, "not for bob")

        assert wire.quiet() == []


def test_a_back_end_subscribes_from_a_position(house: House, ann: Person) -> None:
    epoch = house.api("publish", channel="chat:since", data=1)["result"]["epoch"]
    house.api("publish", channel="chat:since", data=2)
    with ann.wire() as wire:
        wire.connect()
        house.api("subscribe", user=ann.id, channel="chat:since", recover_since={"offset": 1, "epoch": epoch})

        pushed = wire.push("chat:since", "subscribe")
        assert pushed["recovered"] is True
        assert [found["data"] for found in pushed["publications"]] == [2]


def test_subscribing_what_is_subscribed_changes_nothing(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("live:mine")
        house.api("subscribe", user=ann.id, channel="live:mine")
        house.api("publish", channel="live:mine", data=1)

        assert [list(push)[1] for push in wire.quiet()] == ["pub"]


def test_a_back_end_unsubscribes_from_one_channel(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("live:taken")
        wire.subscribe("live:kept")
        answer = house.api("unsubscribe", user=ann.id, channel="live:taken")
        pushed = wire.push("live:taken", "unsubscribe")
        house.api("publish", channel="live:taken", data=1)
        house.api("publish", channel="live:kept", data=2)

        assert answer == {"result": {}}
        assert pushed == {"code": 2000, "reason": "server unsubscribe"}
        assert [push["channel"] for push in wire.quiet()] == ["live:kept"]


def test_whom_a_back_end_unsubscribed_may_subscribe_again(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:again")
        house.api("unsubscribe", user=ann.id, channel="chat:again")
        wire.push("chat:again", "unsubscribe")

        assert wire.subscribe("chat:again")["positioned"] is True
        assert house.api("presence_stats", channel="chat:again")["result"]["num_clients"] == 1


def test_a_back_end_disconnects_a_user(house: House, ann: Person, bob: Person) -> None:
    with ann.wire() as one, ann.wire() as two, bob.wire() as other:
        for wire in (one, two, other):
            wire.connect()
        answer = house.api("disconnect", user=ann.id)

        assert answer == {"result": {}}
        assert one.closed() == two.closed() == (3503, "force disconnect")
        assert other.rpc("users.me")["id"] == bob.id


def test_a_back_end_disconnects_with_a_code_of_its_own(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        house.api("disconnect", user=ann.id, disconnect={"code": 4321, "reason": "maintenance"})

        assert wire.closed() == (4321, "maintenance")


def test_a_back_end_disconnects_one_client_or_spares_some(house: House, ann: Person) -> None:
    with ann.wire() as one, ann.wire() as two, ann.wire() as three:
        clients = [wire.connect()["client"] for wire in (one, two, three)]
        house.api("disconnect", user=ann.id, client=clients[0])
        first = one.closed()
        house.api("disconnect", user=ann.id, whitelist=[clients[2]])

        assert first == two.closed() == (3503, "force disconnect")
        assert three.rpc("users.me")["id"] == ann.id


def test_a_disconnect_ends_streams_too(house: House, ann: Person) -> None:
    with Stream(f"{ann.url}/sse?token={ann.token}") as stream:
        stream.opened()
        house.api("disconnect", user=ann.id)

        assert isinstance(stream.rest(), list)


def test_a_refresh_sets_when_connections_end(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        house.api("refresh", user=ann.id, expire_at=int(time.time()) + 1)
        pushed = wire.push("", "refresh")

        assert pushed["expires"] is True
        assert pushed["ttl"] in {0, 1}
        assert wire.closed() == (3005, "connection expired")


def test_a_refresh_that_says_expired_ends_connections_now(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        house.api("refresh", user=ann.id, expired=True)

        assert wire.closed() == (3005, "connection expired")


def test_a_refresh_ends_streams_too(house: House, ann: Person) -> None:
    with Stream(f"{ann.url}/sse?token={ann.token}") as stream:
        stream.opened()
        house.api("refresh", user=ann.id, expired=True)

        assert stream.rest()[-1].type == "stream.expired"


@pytest.mark.parametrize("method", ["subscribe", "unsubscribe", "disconnect", "refresh"])
def test_an_order_for_nobody_is_carried_out_on_nobody(house: House, ann: Person, method: str) -> None:
    with ann.wire() as wire:
        wire.connect()

        assert house.api(method, user="nobody", channel="live:x") == {"result": {}}
        assert house.api(method, user=ann.id, client="another", channel="live:x") == {"result": {}}
        assert wire.rpc("users.me")["id"] == ann.id
        assert wire.pushes == []


def test_a_client_that_goes_while_it_is_subscribed_leaves_nothing_behind(house: House, ann: Person) -> None:
    """The look-up of its rights is under way when the socket goes."""
    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.connect()
        readers = [house.worker.store.read(lambda _: time.sleep(0.3)) for _ in range(6)]
        house.on_loop(lambda: [house.worker.spawn(_quietly(reader)) for reader in readers])
        house.api("subscribe", user=ann.id, channel=f"topic:{ann.id}")

    until(lambda: not house.worker.manager.connections_of(ann.id), what="the end of the socket")
    until(lambda: not house.worker.spawned, what="the end of what was under way")
    assert f"topic:{ann.id}" not in house.worker.manager.channels


async def _quietly(reader) -> None:
    await reader
