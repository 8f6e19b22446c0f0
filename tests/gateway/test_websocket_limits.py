import json
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.gateway.credentials import refused
from tests.house import House, Wire, until

pytestmark = pytest.mark.long

Houses = Callable[..., House]


def test_one_connection_too_many_of_a_user_is_closed(new_house: Houses) -> None:
    house = new_house(max_connections_per_user=2)
    ann, bob = house.person("ann"), house.person("bob")

    with ann.wire() as one, ann.wire() as two, ann.wire() as three, bob.wire() as other:
        one.connect()
        two.connect()
        three.send(connect={})

        assert three.closed() == (3504, "connection limit")
        assert other.connect()["client"]
        assert one.rpc("users.me")["id"] == two.rpc("users.me")["id"] == ann.id


def test_a_place_is_free_again_after_a_connection_went(new_house: Houses) -> None:
    house = new_house(max_connections_per_user=1)
    ann = house.person("ann")
    with ann.wire() as one:
        one.connect()

    until(lambda: not house.worker.manager.connections_of(ann.id), what="the end of the first")

    with ann.wire() as two:
        assert two.connect()["client"]


def test_one_socket_too_many_of_an_address_is_refused(new_house: Houses) -> None:
    house = new_house(max_connections_per_address=2)
    ann = house.person("ann")

    with ann.wire() as one, ann.wire() as two:
        one.connect()
        two.connect()
        response = refused(f"{ann.socket_url}?token={ann.token}")

        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        assert json.loads(response.body)["code"] == "unavailable"


def test_one_stranger_too_many_is_refused(new_house: Houses) -> None:
    house = new_house(max_unauthenticated=2)
    ann = house.person("ann")

    with Wire(ann.socket_url), Wire(ann.socket_url):
        until(lambda: len(house.app.state.gateway.strangers) == 2, what="two strangers")
        response = refused(ann.socket_url)

        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1


def test_strangers_who_fill_the_house_keep_nobody_out_who_has_a_credential(new_house: Houses) -> None:
    house = new_house(max_unauthenticated=2)
    ann = house.person("ann")

    with Wire(ann.socket_url), Wire(ann.socket_url):
        until(lambda: len(house.app.state.gateway.strangers) == 2, what="two strangers")

        with ann.wire() as wire:
            assert wire.rpc("users.me")["id"] == ann.id


def test_whoever_has_connected_is_no_stranger_any_more(new_house: Houses) -> None:
    house = new_house(max_unauthenticated=1)
    ann = house.person("ann")

    with Wire(ann.socket_url) as one:
        one.connect(token=ann.token)
        with Wire(ann.socket_url) as two:
            assert two.connect(token=ann.token)["client"]


def test_too_many_commands_a_second_are_refused_for_a_while(new_house: Houses) -> None:
    house = new_house(rate_commands="5/s")
    ann = house.person("ann")

    with ann.wire() as wire:
        answers = [wire.ask(rpc={"method": "users.me", "data": {}}) for _ in range(8)]
        refusals = [answer["error"] for answer in answers if "error" in answer]
        until(lambda: "rpc" in wire.ask(rpc={"method": "users.me", "data": {}}), what="a free second")

        assert refusals
        assert {error["code"] for error in refusals} == {111}
        assert all(error["temporary"] is True and error["retry_after"] > 0 for error in refusals)


def test_an_implied_connect_does_not_count_as_a_command(new_house: Houses) -> None:
    house = new_house(rate_commands="1/min")
    ann = house.person("ann")

    with ann.wire() as wire:
        assert wire.rpc("users.me")["id"] == ann.id
        assert wire.ask(rpc={"method": "users.me", "data": {}})["error"]["code"] == 111


def test_the_commands_of_one_user_do_not_count_against_another(new_house: Houses) -> None:
    house = new_house(rate_commands="3/min")
    ann, bob = house.person("ann"), house.person("bob")

    with ann.wire() as first, bob.wire() as second:
        for _ in range(5):
            first.ask(rpc={"method": "users.me", "data": {}})

        assert second.rpc("users.me")["id"] == bob.id


def test_the_connects_of_many_people_do_not_count_against_each_other(new_house: Houses) -> None:
    house = new_house(rate_commands="3/min")
    people = [house.person("ann") for _ in range(6)]

    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(person.socket_url)) for person in people]
        answers = [wire.ask(connect={"token": who.token}) for wire, who in zip(wires, people, strict=True)]

        assert ["connect" in answer for answer in answers] == [True] * 6


def test_the_connections_of_one_user_share_one_rate(new_house: Houses) -> None:
    house = new_house(rate_commands="4/min")
    ann = house.person("ann")

    with ann.wire() as one, ann.wire() as two:
        answers = [wire.ask(rpc={"method": "users.me", "data": {}}) for wire in (one, two, one, two, one, two)]

        assert ["error" in answer for answer in answers] == [False] * 4 + [True] * 2


def test_one_connection_follows_at_most_two_thousand_channels(new_house: Houses) -> None:
    house = new_house(rate_commands="0")
    ann = house.person("ann")

    with ann.wire() as wire:
        wire.connect()
        for number in range(1999):
            wire.subscribe(f"live:{number}")
        answer = wire.ask(subscribe={"channel": "live:more"})

        assert answer["error"]["code"] == 106
        assert wire.ask(unsubscribe={"channel": "live:1"}) == {"unsubscribe": {}}
        assert "subscribe" in wire.ask(subscribe={"channel": "live:more"})


def test_a_draining_server_takes_no_new_sockets(new_house: Houses) -> None:
    house = new_house()
    ann = house.person("ann")
    house.worker.is_draining = True

    response = refused(f"{ann.socket_url}?token={ann.token}")

    assert response.status_code == 503
    assert json.loads(response.body)["code"] == "draining"
    assert int(response.headers["Retry-After"]) >= 1
