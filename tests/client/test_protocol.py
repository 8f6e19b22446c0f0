"""The client's protocol without a socket: letting in, answering, repeating, coming back, and staying away."""

import pytest

from chat_server.client.calls import WINDOW, Call, Fate
from chat_server.client.problems import Closed, Disconnected, Refused, Unanswered
from chat_server.client.protocol import CONNECT_S, SILENCE_S, STABLE_S, Renew
from chat_server.errors import CLOSE_CODES, CloseCode, TooLarge
from tests.client.talk import Asked, connected, is_dropped, line, protocol, sent


def test_the_token_goes_into_connect_and_commands_wait_until_it_is_answered() -> None:
    client = protocol()
    early = Asked(client)

    opened = sent(client.opened("secret", 0.0))
    after = sent(client.receive(line(id=1, connect={"ping": 25, "subs": {}}), 0.0))

    assert sent(early.effects) == []
    assert opened == [{"id": 1, "connect": {"token": "secret", "subs": {}}}]
    assert after == [{"id": 2, "rpc": {"method": "rooms.get", "data": {}}}]


def test_a_ping_is_answered() -> None:
    client = protocol()
    connected(client)

    assert sent(client.receive(b"{}", 1.0)) == [{}]


def test_several_objects_in_one_frame_are_all_taken() -> None:
    client = protocol()
    connected(client)
    first, second = Asked(client), Asked(client)

    client.receive(b'{"id":2,"rpc":{"data":1}}\n{}\n{"id":3,"rpc":{"data":"a\xe2\x80\xa8b"}}\n', 1.0)

    assert first.outcome == {"data": 1}
    assert second.outcome == {"data": "a\u2028b"}


def test_an_error_is_told_with_its_reason() -> None:
    client = protocol()
    connected(client)
    asked = Asked(client)

    error = {"code": 404, "reason": "room_not_found", "message": "none", "request_id": "r.2", "temporary": False}
    client.receive(line(id=2, error=error), 0.0)

    assert isinstance(asked.outcome, Refused)
    assert (asked.outcome.code, asked.outcome.reason, asked.outcome.request_id) == (404, "room_not_found", "r.2")


def test_at_most_a_window_of_commands_is_on_its_way() -> None:
    client = protocol()
    connected(client)

    effects = [effect for _ in range(WINDOW + 3) for effect in Asked(client).effects]
    next_ones = sent(client.receive(line(id=2, rpc={"data": {}}), 0.0))

    assert len(sent(effects)) == WINDOW
    assert len(next_ones) == 1


def test_a_repeatable_command_is_sent_again_on_the_next_connection_and_another_fails() -> None:
    client = protocol()
    connected(client)
    safe, unsafe = Asked(client, Fate.REPEAT), Asked(client, Fate.FAIL)
    waiting = [Asked(client, Fate.FAIL) for _ in range(WINDOW)]

    client.closed(1006, "", 1.0)
    again = connected(client, 2.0)

    assert isinstance(unsafe.outcome, Unanswered)
    assert safe.outcomes == []
    assert [asked.outcomes for asked in waiting[-2:]] == [[], []]  # never sent: nothing is unknown about them
    assert [command["rpc"]["method"] for command in again] == ["rooms.get"] * 3


@pytest.mark.parametrize(
    ("error", "fate", "is_repeated"),
    [
        ({"code": 503, "temporary": True}, Fate.REPEAT, True),
        ({"code": 503, "temporary": True}, Fate.FAIL, False),
        ({"code": 111, "temporary": True}, Fate.FAIL, True),
        ({"code": 409, "temporary": False}, Fate.REPEAT, False),
    ],
)
def test_a_temporary_error_is_repeated_where_that_is_safe(
    error: dict[str, object], fate: Fate, is_repeated: bool
) -> None:
    client = protocol()
    connected(client)
    asked = Asked(client, fate)

    client.receive(line(id=2, error={**error, "message": "no", "retry_after": 3}), 10.0)

    assert (asked.outcomes == []) is is_repeated
    if is_repeated:
        assert 13.0 <= client.wake_at <= 14.0
        assert sent(client.wake(12.9)) == []
        assert len(sent(client.wake(client.wake_at))) == 1


def test_a_cancelled_command_is_not_sent() -> None:
    client = protocol()
    asked = Asked(client)

    client.cancel(asked.call)

    assert connected(client) == []
    assert asked.outcomes == []


def test_a_command_that_the_server_would_not_take_is_refused_here() -> None:
    client = protocol()

    with pytest.raises(TooLarge):
        client.ask(Call("rpc", {"method": "messages.post", "data": "x" * 65536}, print), 0.0)


@pytest.mark.parametrize("code", [*CLOSE_CODES, CloseCode(1006, ""), CloseCode(1001, "away"), CloseCode(4001, "own")])
def test_every_close_code_is_honoured(code: CloseCode) -> None:
    client = protocol()
    connected(client)
    asked = Asked(client, Fate.REPEAT)

    client.closed(code.code, code.reason, 1.0)

    if code.reconnect:
        assert client.end is None
        assert asked.outcomes == []
    else:
        assert isinstance(client.end, Disconnected)
        assert (client.end.code, client.end.reason) == (code.code, code.reason)
        assert asked.outcome is client.end


def test_a_disconnect_that_was_told_early_counts_when_the_close_frame_is_lost() -> None:
    client = protocol()
    connected(client)

    client.receive(line(push={"disconnect": {"code": 3503, "reason": "force disconnect"}}), 1.0)
    client.closed(1006, "", 1.0)

    assert isinstance(client.end, Disconnected)


def test_tries_are_further_and_further_apart_until_a_connection_was_stable() -> None:
    client = protocol()

    pauses = [client.failed() for _ in range(8)]
    connected(client, 100.0)
    unstable = client.closed(1006, "", 100.0 + STABLE_S / 2)
    connected(client, 200.0)
    stable = client.closed(1006, "", 200.0 + STABLE_S)

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert unstable == 20.0
    assert stable == 0.5


def test_what_the_server_asks_to_wait_comes_on_top_of_the_jitter() -> None:
    client = protocol()

    assert client.failed(7.0) == 7.5


def test_too_many_requests_wait_a_while_at_least() -> None:
    client = protocol()
    connected(client)

    assert client.closed(3013, "too many requests", 60.0) >= 1.0


@pytest.mark.parametrize("is_renewable", [True, False])
def test_an_expired_token_is_renewed_if_it_can_be(is_renewable: bool) -> None:
    client = protocol(is_renewable=is_renewable)
    client.opened("old", 0.0)

    effects = client.receive(line(id=1, error={"code": 109, "message": "token expired"}), 0.0)
    client.closed(1006, "", 0.0)

    assert is_dropped(effects)
    assert client.needs_token is is_renewable
    assert (client.end is None) is is_renewable


def test_a_token_is_renewed_before_the_connection_ends() -> None:
    client = protocol(is_renewable=True)
    connected(client, 100.0, expires=True, ttl=20, ping=0)

    early, due = client.wake(119.0), client.wake(120.0)
    refresh = sent(client.renewed("new", 121.0))
    client.receive(line(id=2, refresh={"expires": True, "ttl": 900}), 121.0)

    assert early == []
    assert due == [Renew()]
    assert refresh == [{"id": 2, "refresh": {"token": "new"}}]
    assert client.wake_at == 1021.0


def test_a_token_that_cannot_be_had_now_is_asked_for_again() -> None:
    client = protocol(is_renewable=True)
    connected(client, 0.0, expires=True, ttl=20, ping=0)
    client.wake(20.0)

    assert client.renewed(None, 21.0) == []
    assert client.wake(client.wake_at) == [Renew()]


@pytest.mark.parametrize("reason", ["token_expired", "ticket_used"])
def test_a_spent_credential_is_replaced_after_a_final_close(reason: str) -> None:
    client = protocol(is_renewable=True)
    client.opened("spent", 0.0)

    client.closed(3500, reason, 0.0)

    assert client.end is None
    assert client.needs_token


def test_a_server_that_says_nothing_is_left() -> None:
    client = protocol()
    client.opened("t", 0.0)

    assert client.wake(CONNECT_S - 0.1) == []
    assert is_dropped(client.wake(CONNECT_S))


def test_a_line_without_pings_is_dead() -> None:
    client = protocol()
    connected(client)
    client.receive(b"{}", 20.0)

    assert not is_dropped(client.wake(20.0 + 25 + SILENCE_S - 0.1))
    assert is_dropped(client.wake(20.0 + 25 + SILENCE_S))


def test_a_command_that_is_never_answered_means_a_dead_peer_though_it_pings() -> None:
    client = protocol()
    connected(client)
    Asked(client)

    for now in range(0, 30, 5):
        client.receive(b"{}", float(now))

    assert is_dropped(client.wake(30.0))


@pytest.mark.parametrize("frame", [b"{", b"[]", b"7"])
def test_what_is_not_the_protocol_ends_the_connection(frame: bytes) -> None:
    client = protocol()
    connected(client)

    assert is_dropped(client.receive(frame, 0.0))


def test_after_the_end_everyone_is_told_why() -> None:
    client = protocol()
    connected(client)
    asked = Asked(client, Fate.REPEAT)

    client.finish(Closed())

    assert isinstance(asked.outcome, Closed)
    with pytest.raises(Closed):
        Asked(client)
