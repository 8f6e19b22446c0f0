"""Subscription tokens, which another app's back end signs; and sockets of that app's users."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from jose import jwt

from tests.gateway.credentials import closed_at_once
from tests.house import House, Person, Wire

pytestmark = pytest.mark.long

SECRET = "the-secret-that-another-apps-back-end-knows"
ISSUER, AUDIENCE = "https://shop.example", "chat"
NAMESPACES = {"vip": {"subscribe": "token", "history_size": 10, "presence": True}, "live": {}}
Houses = Callable[..., House]


def signed(secret: str = SECRET, ttl_s: int = 60, **claims: Any) -> str:
    found: str = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + ttl_s, **claims}, secret, "HS256"
    )
    return found


@pytest.fixture
def house(new_house: Houses) -> House:
    return new_house(namespaces=NAMESPACES, foreign_secret=SECRET, foreign_issuer=ISSUER, foreign_audience=AUDIENCE)


@pytest.fixture
def shopper(house: House) -> Wire:
    with Wire(f"{house.url.replace('http', 'ws', 1)}/ws?token={signed(sub='customer-7', name='Ann')}") as wire:
        yield wire


def test_another_apps_user_connects_with_that_apps_token(shopper: Wire) -> None:
    me = shopper.rpc("users.me")

    assert me["display_name"] == "Ann"
    assert me["kind"] == "human"


def test_another_apps_user_is_the_same_one_every_time(house: House, shopper: Wire) -> None:
    with Wire(f"{house.url.replace('http', 'ws', 1)}/ws") as again:
        answer = again.connect(token=signed(sub="customer-7"))

        assert answer["data"]["user"]["id"] == shopper.rpc("users.me")["id"]


@pytest.mark.parametrize(
    "claims",
    [
        {"secret": "another-secret-of-at-least-thirty-two-bytes"},
        {"aud": "elsewhere"},
        {"iss": "https://evil.example"},
        {"sub": ""},
    ],
)
def test_a_token_that_is_not_quite_that_apps_is_refused(house: House, claims: dict[str, str]) -> None:
    token = signed(**{"sub": "customer-7", **claims})

    assert closed_at_once(f"{house.url.replace('http', 'ws', 1)}/ws?token={token}") == (3500, "token_invalid")


def test_a_subscription_token_lets_its_person_into_its_channel(house: House, shopper: Wire) -> None:
    answer = shopper.subscribe("vip:sale", token=signed(sub="customer-7", channel="vip:sale"))
    house.api("publish", channel="vip:sale", data=1)

    assert answer["expires"] is True
    assert 0 < answer["ttl"] <= 60
    assert answer["positioned"] is True
    assert shopper.push("vip:sale")["data"] == 1


@pytest.mark.parametrize("token", ["", "rubbish"])
def test_without_a_token_nobody_gets_in(shopper: Wire, token: str) -> None:
    assert shopper.ask(subscribe={"channel": "vip:sale", "token": token})["error"]["code"] == 103


@pytest.mark.parametrize(
    "claims",
    [
        {"channel": "vip:other"},
        {"sub": "customer-8"},
        {"channel": ""},
        {"secret": "another-secret-of-at-least-thirty-two-bytes"},
    ],
)
def test_another_token_does_not(shopper: Wire, claims: dict[str, str]) -> None:
    token = signed(**{"sub": "customer-7", "channel": "vip:sale", **claims})

    answer = shopper.ask(subscribe={"channel": "vip:sale", "token": token})

    assert answer["error"]["code"] == 103


def test_an_expired_subscription_token_is_to_be_renewed(shopper: Wire) -> None:
    token = signed(ttl_s=-5, sub="customer-7", channel="vip:sale")

    assert shopper.ask(subscribe={"channel": "vip:sale", "token": token})["error"]["code"] == 109


def test_a_subscription_ends_with_its_token(house: House, shopper: Wire) -> None:
    shopper.subscribe("vip:sale", token=signed(ttl_s=2, sub="customer-7", channel="vip:sale"))
    pushed = shopper.push("vip:sale", "unsubscribe")
    house.api("publish", channel="vip:sale", data="too late")

    assert pushed == {"code": 2501, "reason": "subscription expired"}
    assert shopper.quiet() == []


def test_a_subscription_refresh_keeps_it_beyond_its_first_token(house: House, shopper: Wire) -> None:
    shopper.subscribe("vip:sale", token=signed(ttl_s=2, sub="customer-7", channel="vip:sale"))

    answer = shopper.ask(sub_refresh={"channel": "vip:sale", "token": signed(sub="customer-7", channel="vip:sale")})
    pushes = shopper.quiet(2.5)
    house.api("publish", channel="vip:sale", data="in time")

    assert answer["sub_refresh"]["expires"] is True
    assert 2 < answer["sub_refresh"]["ttl"] <= 60
    assert pushes == []
    assert shopper.push("vip:sale")["data"] == "in time"


def test_whoever_showed_the_token_may_look_back_and_around(house: House, shopper: Wire) -> None:
    for index in range(3):
        house.api("publish", channel="vip:sale", data=index)
    before = [
        shopper.ask(history={"channel": "vip:sale", "limit": 10}),
        shopper.ask(presence={"channel": "vip:sale"}),
    ]
    shopper.subscribe("vip:sale", token=signed(sub="customer-7", channel="vip:sale"))

    found = shopper.ask(history={"channel": "vip:sale", "limit": 10})["history"]
    present = shopper.ask(presence={"channel": "vip:sale"})["presence"]["presence"]

    assert [answer["error"]["code"] for answer in before] == [103, 103]
    assert [publication["data"] for publication in found["publications"]] == [0, 1, 2]
    assert len(present) == 1


def test_a_subscription_refresh_needs_a_good_token(shopper: Wire) -> None:
    shopper.subscribe("vip:sale", token=signed(sub="customer-7", channel="vip:sale"))

    bad = shopper.ask(sub_refresh={"channel": "vip:sale", "token": "rubbish"})
    old = shopper.ask(
        sub_refresh={"channel": "vip:sale", "token": signed(ttl_s=-5, sub="customer-7", channel="vip:sale")}
    )

    assert (bad["error"]["code"], old["error"]["code"]) == (103, 109)


def test_where_no_other_app_is_believed_a_forged_subscription_token_opens_nothing(new_house: Houses) -> None:
    """There is no secret to sign with: an empty one must not do."""
    house = new_house(namespaces=NAMESPACES)
    ann: Person = house.person("ann")
    claims = {"iss": "", "aud": "", "sub": ann.id, "channel": "vip:sale", "exp": int(time.time()) + 60}

    with ann.wire() as wire:
        answer = wire.ask(subscribe={"channel": "vip:sale", "token": jwt.encode(claims, "", "HS256")})

        assert answer.get("error", {}).get("code") == 103, answer
