"""Tickets: a stand-in for a credential that goes into one URL, once and soon."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from chat_server.accounts.logins import issue_ticket
from chat_server.actor import Actor
from chat_server.ids import SessionId, UserId
from chat_server.shapes import Scope
from chat_server.unit import Unit
from tests.accounts.asking import ask, me, problem
from tests.house import TLS, House, Person, Wire


def ticket_of(person: Person) -> str:
    return str(person.post("/api/v1/auth/tickets")["ticket"])


def open_stream(house: House, ticket: str, query: str = "") -> int:
    """The status with which a stream opens."""
    with httpx2.stream("GET", f"{house.url}/sse?token={ticket}{query}", verify=TLS) as answer:
        return answer.status_code


def ticket_that_expires_in(house: House, person: Person, ttl_ms: int) -> str:
    actor = Actor(user_id=UserId(person.id), session_id=SessionId(person.session_id), scopes=frozenset({Scope.STREAM}))

    def issued(unit: Unit) -> str:
        return issue_ticket(unit, ttl_ms)

    return str(house.awaited(house.worker.write(actor, issued)))


def test_a_ticket_says_how_long_it_is_good(ann: Person) -> None:
    found = ann.post("/api/v1/auth/tickets")

    assert set(found) == {"ticket", "expires_in"}
    assert found["ticket"].startswith("tk_")
    assert found["expires_in"] == 60


def test_a_ticket_opens_a_stream_once(house: House, ann: Person) -> None:
    ticket = ticket_of(ann)

    assert [open_stream(house, ticket) for _ in range(3)] == [200, 204, 204]


def test_a_ticket_opens_a_socket_once(ann: Person) -> None:
    ticket = ticket_of(ann)

    with Wire(f"{ann.socket_url}?token={ticket}") as first, Wire(f"{ann.socket_url}?token={ticket}") as second:
        assert first.connect()["data"]["user"]["id"] == ann.id
        assert second.closed() == (3500, "ticket_used")


def test_of_fifty_streams_with_one_ticket_one_opens(house: House, ann: Person) -> None:
    ticket = ticket_of(ann)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: open_stream(house, ticket), range(50)))

    assert sorted(answers) == [200] + [204] * 49


def test_of_fifty_sockets_with_one_ticket_one_opens(ann: Person) -> None:
    ticket = ticket_of(ann)

    def outcome(_: int) -> str:
        with Wire(f"{ann.socket_url}?token={ticket}") as wire:
            try:
                return "connected" if "connect" in wire.ask(connect={}) else "refused"
            except ConnectionClosed as closed:
                return "" if closed.rcvd is None else closed.rcvd.reason

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(outcome, range(50)))

    assert sorted(answers) == ["connected"] + ["ticket_used"] * 49


def test_a_ticket_is_gone_after_its_time(house: House, ann: Person) -> None:
    assert open_stream(house, ticket_that_expires_in(house, ann, ttl_ms=0)) == 204
    assert open_stream(house, ticket_that_expires_in(house, ann, ttl_ms=60_000)) == 200


def test_a_ticket_that_came_too_late_is_spent_all_the_same(house: House, ann: Person) -> None:
    ticket = ticket_that_expires_in(house, ann, ttl_ms=0)
    open_stream(house, ticket)

    assert open_stream(house, ticket) == 204


def test_a_ticket_is_no_credential_for_requests(house: House, ann: Person) -> None:
    ticket = ticket_of(ann)

    problem(me(house, ticket), 401, "token_invalid")
    assert open_stream(house, ticket) == 200  # it was not spent by that


@pytest.mark.sqlite
def test_a_ticket_is_stored_as_a_hash_only(house: House, ann: Person) -> None:
    ticket = ticket_of(ann)

    files = [path.read_bytes() for path in house.settings.data_dir.iterdir()]

    assert not any(ticket.encode() in content for content in files)
    assert any(ann.id.encode() in content for content in files)


def test_a_ticket_ends_with_the_login_that_made_it(house: House, ann: Person) -> None:
    ticket = ticket_of(ann)
    ann.post("/api/v1/auth/logout", status=204)

    assert open_stream(house, ticket) == 204


def test_a_ticket_grants_no_more_than_what_it_stands_for(house: House, owner: Person) -> None:
    bot = owner.post("/api/v1/bots", {"username": "narrow"})
    body = {"scopes": ["stream"], "channels": ["topic:deploys"]}
    key = owner.post(f"/api/v1/bots/{bot['id']}/keys", body)["key"]

    def ticket() -> str:
        headers = {"Authorization": f"Bearer {key}"}
        return str(ask(house, "POST", "/api/v1/auth/tickets", headers=headers).json()["ticket"])

    assert open_stream(house, ticket(), "&channels=topic:deploys") == 200
    assert open_stream(house, ticket(), "&channels=topic:other") == 403


def test_nobody_and_a_ticket_get_no_ticket(house: House, ann: Person) -> None:
    headers = {"Authorization": f"Bearer {ticket_of(ann)}"}

    problem(ask(house, "POST", "/api/v1/auth/tickets"), 401, "unauthorized")
    problem(ask(house, "POST", "/api/v1/auth/tickets", headers=headers), 401, "token_invalid")
