"""Access tokens that were found good once are believed faster the next time, never longer."""

from dataclasses import dataclass

import pytest

from chat_server.accounts import tokens as tokens_module
from chat_server.accounts.tokens import Tokens
from chat_server.errors import TokenExpired, TokenInvalid
from chat_server.ids import SessionId, UserId

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@dataclass
class Hand:
    """A clock that stands still unless it is turned."""

    now_ms: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def tokens(hand: Hand) -> Tokens:
    return Tokens(SECRET, clock_ms=hand)


def access(tokens: Tokens, ttl_s: int = 60) -> str:
    return tokens.access(UserId("ann"), SessionId("s1"), ["chat"], ttl_s)


def test_a_token_says_the_same_each_time(tokens: Tokens) -> None:
    token = access(tokens)

    assert tokens.read(token, "access") == tokens.read(token, "access")


def test_a_remembered_token_expires_as_any_other(tokens: Tokens, hand: Hand) -> None:
    token = access(tokens, ttl_s=60)
    tokens.read(token, "access")
    hand.now_ms += 60_000

    with pytest.raises(TokenExpired):
        tokens.read(token, "access")


def test_a_remembered_access_token_is_no_refresh_token(tokens: Tokens) -> None:
    token = access(tokens)
    tokens.read(token, "access")

    with pytest.raises(TokenInvalid):
        tokens.read(token, "refresh")


def test_a_refused_token_is_refused_again(tokens: Tokens) -> None:
    forged = access(Tokens("another-secret-of-at-least-thirty-two-bytes"))

    for _ in range(2):
        with pytest.raises(TokenInvalid):
            tokens.read(forged, "access")


def test_no_more_tokens_are_remembered_than_the_bound(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "KEPT_TOKENS", 3)
    for _ in range(5):
        tokens.read(access(tokens), "access")

    assert len(tokens._found_good) == 3
