import time
from collections.abc import Callable

import pytest

from tests.gateway.credentials import new_bot, refused, token_for
from tests.house import House, Person, Wire, until

Houses = Callable[..., House]


def test_the_answer_to_a_connect_says_what_the_client_must_know(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        answer = wire.connect(token=ann.token)

        assert set(answer) == {"client", "version", "ping", "pong", "expires", "ttl", "subs", "data"}
        assert (answer["ping"], answer["pong"], answer["expires"]) == (25, True, True)
        assert 0 < answer["ttl"] < 900
        assert set(answer["subs"]) == {f"user:{ann.id}"}
        assert answer["subs"][f"user:{ann.id}"] == {
            "recoverable": True,
            "positioned": True,
            "epoch": answer["subs"][f"user:{ann.id}"]["epoch"],
            "offset": 0,
            "recovered": False,
            "was_recovering": False,
        }


def test_a_key_without_an_end_makes_a_connection_without_an_end(house: House) -> None:
    bot = new_bot(house)

    with Wire(f"{bot.owner.socket_url}?token={bot.key}") as wire:
        answer = wire.connect()

        assert (answer["expires"], answer["ttl"]) == (False, 0)


def test_a_first_command_that_is_no_connect_is_answered_as_if_there_had_been_one(ann: Person) -> None:
    with ann.wire() as wire:
        answer = wire.ask(rpc={"method": "users.me", "data": {}})

        assert answer["rpc"]["data"]["id"] == ann.id
        assert wire.replies == {}
        assert wire.pushes == []


def test_a_listener_that_never_says_a_word_hears_its_own_channel(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        until(lambda: house.worker.manager.connections_of(ann.id), what="the implied connect")

        ann.room()

        assert wire.event(f"user:{ann.id}", "member.joined")["member"]["user_id"] == ann.id


def test_a_connect_after_an_implied_one_is_answered_and_a_second_one_closes(ann: Person) -> None:
    with ann.wire() as wire:
        wire.rpc("users.me")

        first = wire.connect()
        wire.send(connect={})

        assert f"user:{ann.id}" in first["subs"]
        assert wire.closed()[0] == 3501


def test_an_explicit_connect_recovers_what_the_implied_one_had_not_told(ann: Person) -> None:
    with ann.wire() as earlier:
        start = earlier.connect()["subs"][f"user:{ann.id}"]
    ann.room()

    with ann.wire() as wire:
        wire.rpc("users.me")
        position = {"recover": True, "epoch": start["epoch"], "offset": start["offset"]}
        answer = wire.connect(subs={"user:me": position})["subs"][f"user:{ann.id}"]

        assert answer["recovered"] is True
        assert [found["offset"] for found in answer["publications"]] == [start["offset"] + 1]


def test_a_token_in_a_connect_must_be_of_the_person_in_the_url(ann: Person, bob: Person) -> None:
    with ann.wire() as wire:
        wire.send(connect={"token": bob.token})

        assert wire.closed()[0] == 3500


def test_of_two_credentials_the_one_that_is_good_for_longer_counts(house: House, ann: Person) -> None:
    with (
        Wire(f"{ann.socket_url}?token={token_for(house, ann, 100)}") as longer_later,
        Wire(f"{ann.socket_url}?token={token_for(house, ann, 500)}") as longer_first,
    ):
        ttls = [
            longer_later.connect(token=token_for(house, ann, 500))["ttl"],
            longer_first.connect(token=token_for(house, ann, 100))["ttl"],
        ]

        assert all(400 < ttl <= 500 for ttl in ttls)


@pytest.mark.parametrize("path", ["/ws", "/connection/websocket"])
def test_both_paths_speak_the_protocol(ann: Person, path: str) -> None:
    with Wire(f"{ann.url.replace('http', 'ws', 1)}{path}?token={ann.token}") as wire:
        assert wire.connect()["client"]


def test_another_path_is_no_socket(ann: Person) -> None:
    assert refused(f"{ann.url.replace('http', 'ws', 1)}/elsewhere?token={ann.token}").status_code == 403


def test_an_empty_subprotocol_header_of_older_clients_is_tolerated(ann: Person) -> None:
    with ann.wire(additional_headers={"Sec-WebSocket-Protocol": ""}) as wire:
        assert wire.rpc("users.me")["id"] == ann.id


def test_whoever_does_not_connect_in_time_is_closed_as_stale(new_house: Houses) -> None:
    house = new_house(auth_timeout_s=0.3)

    with Wire(house.url.replace("http", "ws", 1) + "/ws") as wire:
        assert wire.closed() == (3502, "stale")


def test_pongs_do_not_make_up_for_a_missing_connect(new_house: Houses) -> None:
    house = new_house(auth_timeout_s=0.3)

    with Wire(house.url.replace("http", "ws", 1) + "/ws") as wire:
        wire.socket.send("{}")

        assert wire.closed() == (3502, "stale")


def test_a_connection_ends_when_its_token_does(new_house: Houses) -> None:
    house = new_house(access_ttl_s=2)
    ann = house.person("ann")

    with ann.wire() as implied, Wire(ann.socket_url) as explicit:
        answer = explicit.connect(token=ann.token)

        assert (answer["expires"], answer["ttl"]) == (True, 1)
        assert explicit.closed() == (3005, "connection expired")
        assert implied.closed() == (3005, "connection expired")


def test_a_refresh_keeps_a_connection_beyond_its_first_token(house: House, ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        wire.connect(token=token_for(house, ann, 1))
        ends = time.monotonic() + 1.5

        answer = wire.ask(refresh={"token": token_for(house, ann, 600)})["refresh"]
        until(lambda: time.monotonic() > ends, what="the end of the first token")

        assert answer["expires"] is True
        assert 500 < answer["ttl"] <= 600
        assert set(answer) == {"client", "version", "expires", "ttl"}
        assert wire.rpc("users.me")["id"] == ann.id


def test_a_refresh_with_an_expired_token_is_an_error_and_the_connection_goes_on(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        answer = wire.ask(refresh={"token": token_for(house, ann, -5)})

        assert answer["error"]["code"] == 109
        assert wire.rpc("users.me")["id"] == ann.id


@pytest.mark.parametrize("token", ["", "rubbish"])
def test_a_refresh_with_a_bad_token_closes(ann: Person, token: str) -> None:
    with ann.wire() as wire:
        wire.send(refresh={"token": token})

        assert wire.closed()[0] == 3500


def test_a_refresh_with_the_token_of_somebody_else_closes(ann: Person, bob: Person) -> None:
    with ann.wire() as wire:
        wire.send(refresh={"token": bob.token})

        assert wire.closed()[0] == 3500


def test_after_a_refresh_the_new_login_is_the_one_that_counts(house: House, ann: Person) -> None:
    again = house.login(ann.id, ann.username)
    with Wire(f"{ann.socket_url}?token={token_for(house, ann, 60)}") as wire:
        wire.ask(refresh={"token": token_for(house, again, 600)})

        again.post("/api/v1/auth/logout", status=204)

        assert wire.closed() == (3500, "session_revoked")


def test_a_client_that_answers_its_pings_stays(new_house: Houses) -> None:
    house = new_house(ping_s=0.3, pong_s=5.0)
    ann = house.person("ann")

    with Wire(ann.socket_url) as wire:
        wire.connect(token=ann.token)
        while wire.pings < 4:
            before = wire.pings
            wire.read()
            if wire.pings > before:
                wire.socket.send("{}")

        assert wire.rpc("users.me")["id"] == ann.id


def test_a_client_that_does_not_answer_its_ping_is_closed(new_house: Houses) -> None:
    house = new_house(ping_s=0.3, pong_s=0.2)
    ann = house.person("ann")

    with Wire(ann.socket_url) as wire:
        wire.connect(token=ann.token)

        assert wire.closed() == (3012, "no pong")
        assert wire.pings == 1


def test_an_implied_connection_gets_no_pings_in_words(new_house: Houses) -> None:
    house = new_house(ping_s=0.1, pong_s=0.1)
    ann = house.person("ann")

    with ann.wire() as wire:
        wire.rpc("users.me")
        found = wire.quiet(1.0)

        assert (found, wire.pings) == ([], 0)
        assert wire.rpc("users.me")["id"] == ann.id
