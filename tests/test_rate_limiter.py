"""The limit of requests by address, when several workers count it together through Redis."""

from collections.abc import Callable, Iterator

import pytest

from tests.accounts.asking import ask
from tests.cluster.engines import Engine, valkey
from tests.house import House, until

NewHouse = Callable[..., House]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with valkey() as found:
        yield found


def asked(house: House, address: str) -> int:
    return ask(house, "GET", "/api/v1/users/me", headers={"X-Forwarded-For": address}).status_code


def test_an_address_is_counted_over_all_workers(engine: Engine, new_house: NewHouse) -> None:
    one, other = (new_house(redis_url=engine.url, rate_http="4/h") for _ in range(2))

    answers = [asked(house, "198.51.100.1") for house in (one, other, one, other, one, other)]

    assert answers == [401] * 4 + [429] * 2
    assert asked(other, "198.51.100.2") == 401


def test_failed_logins_are_counted_over_all_workers(engine: Engine, new_house: NewHouse) -> None:
    one, other = (new_house(redis_url=engine.url, rate_login="3/h") for _ in range(2))
    form = {"username": "ann", "password": "wrong-horse"}

    answers = [ask(house, "POST", "/token", data=form).status_code for house in (one, other, one, other)]

    assert answers == [401] * 3 + [429]


def test_while_redis_is_away_each_worker_counts_alone(engine: Engine, new_house: NewHouse) -> None:
    house = new_house(redis_url=engine.url, rate_http="2/h")
    engine.kill()
    until(lambda: ask(house, "GET", "/healthz").json()["broker"] == "away", what="the loss to be noticed")

    answers = [asked(house, "198.51.100.3") for _ in range(3)]

    assert answers == [401, 401, 429]
