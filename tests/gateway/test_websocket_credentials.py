import json
import logging

import pytest

from chat_server.shapes import Role
from tests.gateway.credentials import closed_at_once, cookie_of, new_bot, refused, ticket_of, token_for
from tests.house import House, Person, Wire


def whoami(wire: Wire) -> str:
    return str(wire.rpc("users.me")["username"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_in_the_url_says_who_connects(ann: Person) -> None:
    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        assert whoami(wire) == ann.username


def test_a_header_says_who_connects(ann: Person) -> None:
    with Wire(ann.socket_url, additional_headers=bearer(ann.token)) as wire:
        assert whoami(wire) == ann.username


def test_the_token_of_a_connect_says_who_connects(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        answer = wire.connect(token=ann.token)

        assert answer["data"]["user"]["username"] == ann.username
        assert whoami(wire) == ann.username


def test_a_cookie_says_who_connects_from_a_page_of_the_server(ann: Person) -> None:
    with Wire(ann.socket_url, additional_headers={"Cookie": cookie_of(ann)}, origin=ann.url) as wire:
        wire.connect()

        assert whoami(wire) == ann.username


def test_an_api_key_is_taken_wherever_a_token_is(house: House) -> None:
    bot = new_bot(house)
    url = bot.owner.socket_url

    with (
        Wire(f"{url}?token={bot.key}") as by_url,
        Wire(url, additional_headers=bearer(bot.key)) as by_header,
        Wire(url) as by_connect,
    ):
        by_connect.connect(token=bot.key)

        assert {whoami(wire) for wire in (by_url, by_header, by_connect)} == {f"bot-{bot.owner.username}"}


def test_a_ticket_opens_one_socket(ann: Person) -> None:
    ticket = ticket_of(ann)

    with Wire(f"{ann.socket_url}?token={ticket}") as wire:
        assert whoami(wire) == ann.username
    assert closed_at_once(f"{ann.socket_url}?token={ticket}") == (3500, "ticket_used")


def test_a_ticket_is_taken_in_a_connect_once(ann: Person) -> None:
    ticket = ticket_of(ann)

    with Wire(ann.socket_url) as first, Wire(ann.socket_url) as second:
        first.connect(token=ticket)
        second.send(connect={"token": ticket})

        assert whoami(first) == ann.username
        assert second.closed() == (3500, "ticket_used")


def test_of_two_sockets_with_one_ticket_one_gets_in(ann: Person) -> None:
    ticket = ticket_of(ann)

    with Wire(f"{ann.socket_url}?token={ticket}") as one, Wire(f"{ann.socket_url}?token={ticket}") as other:
        assert whoami(one) == ann.username
        assert other.closed() == (3500, "ticket_used")


def test_the_url_counts_before_the_header_and_the_cookie(ann: Person, bob: Person) -> None:
    headers = {**bearer(bob.token), "Cookie": cookie_of(bob)}

    with Wire(f"{ann.socket_url}?token={ann.token}", additional_headers=headers, origin=ann.url) as wire:
        assert whoami(wire) == ann.username


def test_the_header_counts_before_the_cookie(ann: Person, bob: Person) -> None:
    headers = {**bearer(ann.token), "Cookie": cookie_of(bob)}

    with Wire(ann.socket_url, additional_headers=headers, origin=ann.url) as wire:
        assert whoami(wire) == ann.username


def test_the_token_of_a_connect_counts_before_the_cookie(ann: Person, bob: Person) -> None:
    with Wire(ann.socket_url, additional_headers={"Cookie": cookie_of(bob)}, origin=ann.url) as wire:
        wire.connect(token=ann.token)

        assert whoami(wire) == ann.username


def test_a_bad_token_in_the_url_is_not_made_good_by_a_good_header(ann: Person) -> None:
    code = closed_at_once(f"{ann.socket_url}?token=rubbish", additional_headers=bearer(ann.token))

    assert code == (3500, "token_invalid")


@pytest.mark.parametrize("query", ["?token=", "", "?other=1"])
def test_an_empty_token_in_the_url_counts_as_none(ann: Person, query: str) -> None:
    with Wire(f"{ann.socket_url}{query}", additional_headers=bearer(ann.token)) as wire:
        assert whoami(wire) == ann.username


def test_an_expired_token_in_the_url_opens_and_closes_with_the_reason(house: House, ann: Person) -> None:
    assert closed_at_once(f"{ann.socket_url}?token={token_for(house, ann, -5)}") == (3500, "token_expired")


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "ck_00000000_nothing", "%00", "x" * 5000])
def test_an_invalid_token_in_the_url_opens_and_closes_with_the_reason(ann: Person, token: str) -> None:
    assert closed_at_once(f"{ann.socket_url}?token={token}") == (3500, "token_invalid")


def test_an_unknown_ticket_in_the_url_opens_and_closes_with_the_reason(ann: Person) -> None:
    assert closed_at_once(f"{ann.socket_url}?token=tk_never_issued") == (3500, "ticket_used")


def test_a_token_of_an_ended_session_in_the_url_opens_and_closes_with_the_reason(house: House) -> None:
    ann = house.person("ann")
    ann.post("/api/v1/auth/logout", status=204)

    assert closed_at_once(f"{ann.socket_url}?token={ann.token}") == (3500, "session_revoked")


@pytest.mark.parametrize("header", ["Bearer rubbish", "Bearer a.b.c", "Basic YTpi", "Bearer", "Bearer tk_never_issued"])
def test_a_bad_header_is_refused_before_the_socket_opens(ann: Person, header: str) -> None:
    response = refused(ann.socket_url, additional_headers={"Authorization": header})

    assert response.status_code == 401
    assert json.loads(response.body)["status"] == 401
    assert "Bearer" in response.headers["WWW-Authenticate"]


def test_an_expired_header_is_refused_with_its_reason(house: House, ann: Person) -> None:
    response = refused(ann.socket_url, additional_headers=bearer(token_for(house, ann, -5)))

    assert response.status_code == 401
    assert json.loads(response.body)["code"] == "token_expired"


def test_an_expired_token_in_a_connect_is_an_error_and_a_new_one_connects(house: House, ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        expired = wire.ask(connect={"token": token_for(house, ann, -5)})
        renewed = wire.connect(token=ann.token)

        assert expired["error"]["code"] == 109
        assert renewed["data"]["user"]["id"] == ann.id


def test_an_invalid_token_in_a_connect_closes(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        wire.send(connect={"token": "rubbish"})

        assert wire.closed() == (3500, "token_invalid")


def test_a_connect_with_the_token_of_an_ended_session_closes(house: House) -> None:
    ann = house.person("ann")
    ann.post("/api/v1/auth/logout", status=204)

    with Wire(ann.socket_url) as wire:
        wire.send(connect={"token": ann.token})

        assert wire.closed() == (3500, "session_revoked")


def test_a_connect_without_any_credential_is_an_error_and_then_closed(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        answer = wire.ask(connect={})

        assert answer["error"]["code"] == 101
        assert wire.closed()[0] == 3500


def test_a_tampered_cookie_is_an_error_and_then_closed(ann: Person) -> None:
    headers = {"Cookie": cookie_of(ann)[:-3] + "AAA"}

    with Wire(ann.socket_url, additional_headers=headers, origin=ann.url) as wire:
        answer = wire.ask(connect={})

        assert answer["error"]["code"] == 101
        assert wire.closed()[0] == 3500


def test_the_cookie_of_an_ended_session_is_an_error_and_then_closed(house: House) -> None:
    ann = house.person("ann")
    headers = {"Cookie": cookie_of(ann)}
    ann.post("/api/v1/auth/logout", status=204)

    with Wire(ann.socket_url, additional_headers=headers, origin=ann.url) as wire:
        answer = wire.ask(connect={})

        assert answer["error"]["code"] == 101
        assert wire.closed() == (3500, "session_revoked")


def test_a_cookie_without_an_origin_counts_as_no_credential(ann: Person) -> None:
    with Wire(ann.socket_url, additional_headers={"Cookie": cookie_of(ann)}) as wire:
        assert wire.ask(connect={})["error"]["code"] == 101


def test_a_cookie_from_the_servers_own_page_needs_no_origin(ann: Person) -> None:
    headers = {"Cookie": cookie_of(ann), "Sec-Fetch-Site": "same-origin"}

    with Wire(ann.socket_url, additional_headers=headers) as wire:
        wire.connect()

        assert whoami(wire) == ann.username


def foreign_origins(port: int) -> list[str]:
    return [
        "http://evil.example",
        "null",
        f"http://127.0.0.1:{port}.evil.example",
        f"http://evil127.0.0.1:{port}",
        f"http://127.0.0.1:{port + 1}",
        f"https://127.0.0.1:{port}",
        f"HTTP://127.0.0.1:{port}",
        "http://127.0.0.1",
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_page_of_a_foreign_origin_is_refused_whatever_it_brings(house: House, ann: Person, number: int) -> None:
    origin = foreign_origins(house.port)[number]

    with_token = refused(f"{ann.socket_url}?token={ann.token}", origin=origin)
    with_cookie = refused(ann.socket_url, additional_headers={"Cookie": cookie_of(ann)}, origin=origin)

    for response in (with_token, with_cookie):
        assert response.status_code == 403
        assert json.loads(response.body)["code"] == "origin_not_allowed"


def test_a_refused_handshake_is_no_error_in_the_servers_log(ann: Person, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        refused(ann.socket_url, origin="http://evil.example")
        assert ann.get("/livez")

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_page_of_an_allowed_origin_may_connect(new_house) -> None:
    house = new_house(allowed_origins="https://app.example.org")
    ann = house.person("ann")

    with Wire(ann.socket_url, additional_headers={"Cookie": cookie_of(ann)}, origin="https://app.example.org") as wire:
        wire.connect()
        who = whoami(wire)
    response = refused(ann.socket_url, origin="https://app.example.org.evil.example")

    assert who == ann.username
    assert response.status_code == 403


def test_a_credential_that_allows_no_connection_is_closed(house: House) -> None:
    bot = new_bot(house, scopes=["notify:publish"])

    assert closed_at_once(f"{bot.owner.socket_url}?token={bot.key}")[0] == 3507


def test_a_key_of_the_scope_stream_follows_but_does_nothing_else(house: House) -> None:
    bot = new_bot(house, scopes=["stream"])
    room_id = bot.owner.room()
    bot.owner.put(f"/api/v1/rooms/{room_id}/members/{bot.id}", {})

    with Wire(f"{bot.owner.socket_url}?token={bot.key}") as wire:
        followed = wire.subscribe(f"room:{room_id}")
        post = wire.ask(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": "x"}})
        published = wire.ask(publish={"channel": "chat:lobby", "data": 1})

        assert followed["positioned"] is True
        assert post["error"]["reason"] == "insufficient_scope"
        assert published["error"]["code"] in {103, 403}


def test_a_key_with_a_list_of_channels_reaches_only_those(house: House) -> None:
    bot = new_bot(house, channels=["live:prices"])

    with Wire(f"{bot.owner.socket_url}?token={bot.key}") as wire:
        answer = wire.connect()
        inside = wire.ask(subscribe={"channel": "live:prices"})
        outside = [
            wire.ask(subscribe={"channel": channel})["error"]["code"]
            for channel in ("live:other", "topic:deploys", "user:me", "chat:lobby")
        ]

        assert answer["subs"] == {}
        assert "subscribe" in inside
        assert outside == [103, 103, 103, 103]


def test_the_role_of_a_person_does_not_leak_into_a_connect_answer_of_another(house: House) -> None:
    owner, bob = house.person("ann", Role.OWNER), house.person("bob")

    with owner.wire() as first, bob.wire() as second:
        assert first.connect()["data"]["user"]["role"] == "owner"
        assert second.connect()["data"]["user"]["role"] == "member"
