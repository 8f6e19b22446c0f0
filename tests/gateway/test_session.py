import pytest

from chat_server.errors import INVALID_TOKEN, SHUTDOWN, RoomNotFound, TokenHasExpired, Unauthenticated
from chat_server.gateway.session import REFUSALS, REPLY_BYTES, Answer, Disconnected, Send, State, Then
from tests.gateway.talk import DONE, asked, closed, connected, line, sent, session


def test_a_connect_is_carried_out_and_answered_under_its_id() -> None:
    found = session()

    effects = found.receive(line(7, connect={"token": "x"}), 0.0)
    answered = found.answered(Answer(result={"client": "c"}), 0.0)

    assert asked(effects) == [("connect", 7)]
    assert sent(answered) == [{"id": 7, "connect": {"client": "c"}}]
    assert found.state is State.CONNECTED


def test_a_stranger_must_connect_before_anything_else() -> None:
    found = session()

    effects = found.receive(line(1, rpc={"method": "rooms.list"}), 0.0)

    assert closed(effects) == 3501
    assert found.state is State.CLOSED


def test_a_first_command_with_a_good_credential_is_preceded_by_a_silent_connect() -> None:
    found = session(is_known=True)

    first = found.receive(line(5, rpc={"method": "rooms.list"}), 0.0)
    second = found.answered(DONE, 0.0)

    assert asked(first) == [("connect", 0)]
    assert asked(second) == [("rpc", 5)]
    assert sent(first) + sent(second) == []


def test_a_second_of_silence_with_a_good_credential_connects_without_a_frame() -> None:
    found = session(is_known=True, now=100.0)

    early = found.wake(100.9)
    due = found.wake(101.0)
    answered = found.answered(DONE, 101.0)

    assert early == []
    assert asked(due) == [("connect", 0)]
    assert answered == []
    assert found.state is State.CONNECTED


def test_a_stranger_who_says_nothing_is_closed_as_stale() -> None:
    found = session(now=5.0)

    assert found.wake(14.9) == []
    assert closed(found.wake(15.0)) == 3502


def test_an_explicit_connect_after_an_implied_one_is_answered_once() -> None:
    found = session(is_known=True)
    found.wake(1.0)
    found.answered(DONE, 1.0)

    first = found.receive(line(1, connect={}), 2.0)
    answered = found.answered(Answer(result={"client": "c"}), 2.0)
    second = found.receive(line(2, connect={}), 3.0)

    assert asked(first) == [("connect", 1)]
    assert sent(answered) == [{"id": 1, "connect": {"client": "c"}}]
    assert closed(second) == 3501


def test_a_second_explicit_connect_closes() -> None:
    found = connected()

    effects = found.receive(line(2, connect={}), 1.0)

    assert closed(effects) == 3501


def test_a_connect_that_failed_for_a_while_may_be_sent_again() -> None:
    found = session()
    found.receive(line(1, connect={"token": "old"}), 0.0)

    failed = found.answered(TokenHasExpired(), 0.0)
    again = found.receive(line(2, connect={"token": "new"}), 1.0)

    assert sent(failed)[0]["error"]["code"] == 109
    assert asked(again) == [("connect", 2)]


def test_after_a_failed_connect_the_time_to_connect_begins_anew() -> None:
    found = session()
    found.receive(line(1, connect={"token": "old"}), 5.0)
    found.answered(TokenHasExpired(), 5.0)

    assert found.wake(14.9) == []
    assert closed(found.wake(15.0)) == 3502


def test_a_connect_that_must_end_the_connection_is_answered_and_then_closed() -> None:
    found = session()
    found.receive(line(1, connect={}), 0.0)

    effects = found.answered(Disconnected(INVALID_TOKEN, Unauthenticated()), 0.0)

    assert [type(effect).__name__ for effect in effects] == ["Send", "Close"]
    assert sent(effects)[0]["error"]["code"] == 101
    assert closed(effects) == 3500


def test_an_implied_connect_that_fails_closes_without_a_frame() -> None:
    found = session(is_known=True)
    found.wake(1.0)

    effects = found.answered(RuntimeError("the store is away"), 1.0)

    assert sent(effects) == []
    assert closed(effects) == 3004


def test_an_implied_connect_that_is_refused_closes_without_a_frame() -> None:
    found = session(is_known=True)
    found.receive(line(1, rpc={}), 0.0)

    effects = found.answered(Disconnected(INVALID_TOKEN, Unauthenticated()), 1.0)

    assert sent(effects) == []
    assert closed(effects) == 3500


def test_commands_are_carried_out_one_at_a_time_in_their_order() -> None:
    found = connected()

    first = found.receive("\n".join(line(number, rpc={"method": "m"}) for number in (2, 3, 4)), 0.0)
    second = found.answered(Answer(result={"data": 1}), 0.0)
    third = found.answered(Answer(result={"data": 2}), 0.0)
    last = found.answered(Answer(result={"data": 3}), 0.0)

    assert [asked(effects) for effects in (first, second, third, last)] == [
        [("rpc", 2)],
        [("rpc", 3)],
        [("rpc", 4)],
        [],
    ]
    assert [reply["id"] for effects in (second, third, last) for reply in sent(effects)] == [2, 3, 4]


def test_a_refused_command_waits_for_its_turn_too() -> None:
    found = connected()

    first = found.receive("\n".join([line(2, rpc={}), line(3, nonsense={}), line(4, rpc={})]), 0.0)
    second = found.answered(DONE, 0.0)

    assert asked(first) == [("rpc", 2)]
    assert [reply["id"] for reply in sent(second)] == [2, 3]
    assert sent(second)[1]["error"]["code"] == 107
    assert asked(second) == [("rpc", 4)]


def test_empty_lines_between_commands_mean_nothing() -> None:
    found = connected()

    effects = found.receive("\n\n" + line(2, rpc={}) + "\n \n", 0.0)

    assert asked(effects) == [("rpc", 2)]
    assert asked(found.answered(DONE, 0.0)) == []


def test_bytes_are_read_like_text() -> None:
    found = connected()

    effects = found.receive((line(2, rpc={}) + "\n" + line(3, rpc={})).encode(), 0.0)

    assert asked(effects) == [("rpc", 2)]


def test_reading_pauses_at_sixteen_waiting_commands_and_goes_on_below() -> None:
    found = connected()
    found.receive(line(2, rpc={}), 0.0)

    found.receive("\n".join(line(number, rpc={}) for number in range(3, 18)), 0.0)
    at_fifteen = found.wants_input
    found.receive(line(18, rpc={}), 0.0)
    at_sixteen = found.wants_input
    found.answered(DONE, 0.0)

    assert (at_fifteen, at_sixteen, found.wants_input) == (True, False, True)


def test_what_must_follow_an_answer_comes_right_behind_it() -> None:
    found = connected()
    found.receive(line(2, subscribe={"channel": "room:x"}), 0.0)
    live = []

    effects = found.answered(Answer(result={}, then=lambda: live.append("live")), 0.0)

    assert [type(effect) for effect in effects] == [Send, Then]
    assert isinstance(effects[1], Then)
    effects[1].run()
    assert live == ["live"]


def test_an_error_is_a_reply_and_the_connection_goes_on() -> None:
    found = connected()
    found.receive(line(2, rpc={}), 0.0)

    effects = found.answered(RoomNotFound(room_id="x"), 0.0)
    after = found.receive(line(3, rpc={}), 0.0)

    assert sent(effects)[0]["id"] == 2
    assert sent(effects)[0]["error"]["code"] == 404
    assert sent(effects)[0]["error"]["reason"] == "room_not_found"
    assert sent(effects)[0]["error"]["request_id"]
    assert asked(after) == [("rpc", 3)]


def test_what_nobody_expected_is_answered_as_a_temporary_error_without_its_words() -> None:
    found = connected()
    found.receive(line(2, rpc={}), 0.0)

    effects = found.answered(ValueError("secret detail"), 0.0)

    error = sent(effects)[0]["error"]
    assert (error["code"], error["temporary"], error["reason"]) == (100, True, "internal_error")
    assert b"secret detail" not in effects[0].data  # type: ignore[union-attr]


def test_a_send_needs_no_id_and_has_no_reply() -> None:
    found = connected()

    effects = found.receive(line(None, send={"data": 1}), 0.0)
    answered = found.answered(DONE, 0.0)

    assert asked(effects) == [("send", 0)]
    assert answered == []


@pytest.mark.parametrize(
    ("text", "close", "error"),
    [
        ("not json", 3501, None),
        ('{"id": 2, "rpc": {"data": NaN}}', 0, 400),
        ('{"id": 2, "rpc": {"data": "\\ud800"}}', 0, 400),
        ('{"id": 2, "rpc": {"data": 1e999}}', 0, 400),
        ('{"rpc": {}}', 3501, None),
        ('{"id": 0, "rpc": {}}', 3501, None),
        ('{"id": -1, "rpc": {}}', 3501, None),
        ('{"id": 4294967296, "rpc": {}}', 3501, None),
        ('{"id": 1.5, "rpc": {}}', 3501, None),
        ('{"id": true, "rpc": {}}', 3501, None),
        ('{"id": "2", "rpc": {}}', 3501, None),
        ("[]", 3501, None),
        ("1", 3501, None),
        ("null", 3501, None),
        ('{"id": 2}', 0, 107),
        ('{"id": 2, "jump": {}}', 0, 107),
        ('{"id": 2, "rpc": null}', 0, 107),
        ('{"id": 2, "rpc": {}, "send": {}}', 0, 107),
        ('{"id": 2, "rpc": []}', 0, 107),
        ('{"id": 2, "subscribe": {}}', 0, 107),
        ('{"id": 2, "subscribe": {"channel": ""}}', 0, 107),
        ('{"id": 2, "subscribe": {"channel": "x", "offset": -1}}', 0, 107),
        ('{"id": 2, "history": {"channel": "x", "limit": -2}}', 0, 107),
        ("[" * 2000 + "]" * 2000, 3501, None),
    ],
)
def test_what_is_no_command_is_refused_by_its_id_or_closes(text: str, close: int, error: int | None) -> None:
    found = connected()

    effects = found.receive(text, 0.0)

    assert closed(effects) == close
    assert [reply["error"]["code"] for reply in sent(effects)] == ([] if error is None else [error])
    assert all(reply["id"] == 2 for reply in sent(effects))
    assert asked(effects) == []


def test_after_a_close_nothing_is_carried_out() -> None:
    found = connected()

    effects = found.receive("rubbish\n" + line(2, rpc={}), 0.0)

    assert closed(effects) == 3501
    assert asked(effects) == []
    assert found.receive(line(3, rpc={}), 0.0) == []
    assert found.wake(1e9) == []


def test_an_answer_that_comes_after_the_close_is_dropped() -> None:
    found = connected()
    found.receive(line(2, rpc={}), 0.0)
    found.closed()

    assert found.answered(DONE, 0.0) == []


def test_unknown_fields_of_the_protocol_are_ignored() -> None:
    found = connected()

    effects = found.receive(line(2, rpc={"method": "m", "later": 1}, future=True), 0.0)

    assert asked(effects) == [("rpc", 2)]


def test_whoever_leaves_is_answered_what_they_asked_until_then() -> None:
    found = connected()
    found.receive(line(2, rpc={}) + "\n" + line(3, rpc={}), 1.0)

    first = found.leave(SHUTDOWN)
    second = found.answered(DONE, 1.0)
    last = found.answered(DONE, 1.0)

    assert (first, closed(second), closed(last)) == ([], 0, 3001)
    assert [answer["id"] for answer in sent(second) + sent(last)] == [2, 3]


def test_whoever_leaves_and_asked_nothing_is_closed_at_once() -> None:
    assert closed(connected().leave(SHUTDOWN)) == 3001


def test_nothing_more_is_taken_from_whoever_leaves() -> None:
    found = connected()
    found.receive(line(2, rpc={}), 1.0)
    found.leave(SHUTDOWN)

    assert found.receive(line(3, rpc={}), 1.0) == []
    assert closed(found.answered(DONE, 1.0)) == 3001


def test_a_client_that_sends_nothing_but_rubbish_is_closed_before_it_costs_much() -> None:
    found = connected()

    effects = found.receive("\n".join(line(number, jump={}) for number in range(1, 5000)), 1.0)

    assert [answer["error"]["code"] for answer in sent(effects)] == [107] * REFUSALS
    assert closed(effects) == 3501


def test_a_bad_command_now_and_then_is_forgiven() -> None:
    found = connected()

    for number in range(2, 4 * REFUSALS, 2):
        assert closed(found.receive(line(number, jump={}) + "\n" + line(number + 1, rpc={}), 1.0)) == 0
        found.answered(DONE, 1.0)


def test_an_answer_that_clients_would_refuse_is_an_error() -> None:
    found = connected()
    found.receive(line(2, rpc={}), 1.0)

    (answer,) = sent(found.answered(Answer(result={"data": "x" * REPLY_BYTES}), 1.0))

    assert (answer["id"], answer["error"]["code"], answer["error"]["reason"]) == (2, 413, "answer_too_large")
    assert found.state is State.CONNECTED
