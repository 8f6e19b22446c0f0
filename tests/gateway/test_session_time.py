import pytest

from chat_server.gateway.session import PING, Answer, Send, Timing
from tests.gateway.talk import DONE, asked, closed, connected, line, session

BRISK = Timing(ping_s=20.0, pong_s=5.0, auth_timeout_s=10.0)


def test_the_first_ping_comes_within_one_interval_of_the_connect() -> None:
    firsts = [connected(timing=BRISK).wake_at for _ in range(200)]

    assert min(firsts) >= 0.0
    assert max(firsts) <= 20.0
    assert max(firsts) - min(firsts) > 5.0  # so that not all clients ping at once


def test_a_ping_that_nothing_answers_closes() -> None:
    found = connected(timing=BRISK)
    pinged_at = found.wake_at

    ping = found.wake(pinged_at)
    early = found.wake(pinged_at + 4.9)
    late = found.wake(pinged_at + 5.0)

    assert ping == [Send(PING)]
    assert early == []
    assert closed(late) == 3012


@pytest.mark.parametrize("frame", ["{}", "", line(2, rpc={})])
def test_any_frame_is_a_sign_of_life(frame: str) -> None:
    found = connected(timing=BRISK)
    pinged_at = found.wake_at
    found.wake(pinged_at)

    found.receive(frame, pinged_at + 4.0)

    assert closed(found.wake(pinged_at + 5.0)) == 0


def test_a_pong_has_no_answer() -> None:
    found = connected()

    assert found.receive("{}", 1.0) == []


def test_pings_come_one_interval_apart() -> None:
    found = connected(timing=BRISK)
    first_at = found.wake_at
    found.wake(first_at)
    found.receive("{}", first_at + 1.0)

    assert found.wake(first_at + 19.9) == []
    assert found.wake(first_at + 20.0) == [Send(PING)]


def test_a_client_that_never_answers_is_closed_however_often_it_is_pinged() -> None:
    found = connected(timing=Timing(ping_s=1.0, pong_s=3.0))

    codes = []
    while found.wake_at < 60.0:
        codes.append(closed(found.wake(found.wake_at)))

    assert 3012 in codes


def test_an_implied_connection_is_not_pinged() -> None:
    found = session(is_known=True)
    found.wake(1.0)
    found.answered(DONE, 1.0)

    assert found.wake(1e6) == []


def test_an_explicit_connect_begins_the_pings_of_an_implied_connection() -> None:
    found = session(is_known=True, timing=BRISK)
    found.wake(1.0)
    found.answered(DONE, 1.0)
    found.receive(line(1, connect={}), 2.0)
    found.answered(DONE, 2.0)

    assert found.wake(22.0) == [Send(PING)]


def test_the_connection_ends_when_its_credential_does() -> None:
    found = connected(expires_in_s=3.0)

    assert closed(found.wake(2.9)) == 0
    assert closed(found.wake(3.0)) == 3005


def test_a_refresh_moves_the_end() -> None:
    found = connected(expires_in_s=3.0)
    found.receive(line(2, refresh={"token": "new"}), 2.0)
    found.answered(Answer(result={}, expires_in_s=10.0), 2.0)
    found.receive("{}", 2.5)

    assert closed(found.wake(4.0)) == 0
    assert closed(found.wake(12.0)) == 3005


def test_another_command_does_not_move_the_end() -> None:
    found = connected(expires_in_s=3.0)
    found.receive(line(2, rpc={}), 2.0)
    found.answered(DONE, 2.0)

    assert closed(found.wake(3.0)) == 3005


def test_a_back_end_may_move_the_end_either_way() -> None:
    found = connected(expires_in_s=100.0)

    found.expire_at(5.0)

    assert closed(found.wake(5.0)) == 3005


def test_a_connection_without_an_end_does_not_expire() -> None:
    found = session(is_known=True)
    found.wake(1.0)
    found.answered(Answer(result={}, expires_in_s=None), 1.0)

    assert found.wake_at == float("inf")


def test_nobody_is_stale_while_the_connect_is_carried_out() -> None:
    found = session()
    found.receive(line(1, connect={}), 0.0)

    assert found.wake(60.0) == []
    assert asked(found.receive(line(2, rpc={}), 60.0)) == []


def test_a_closed_session_needs_no_waking() -> None:
    found = connected(expires_in_s=3.0)

    found.closed()

    assert found.wake_at == float("inf")
