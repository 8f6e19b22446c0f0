"""Another app's users: its back end signs, this server believes it, and nobody else."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jwt

from chat_server.accounts.jwks import AGAIN_S, FRESH_S, KeySet
from chat_server.errors import TokenInvalid, Unavailable
from chat_server.shapes import Role
from tests.accounts.asking import log_in, me, problem, register
from tests.house import House, Person, house_with

SECRET = "the-secret-that-the-shop-shares-with-us"
SHOP, US = "https://shop.example", "chat"
Signed = Callable[..., str]


def claims(subject: str = "ann", **more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": SHOP, "aud": US, "sub": subject, "iat": now, "exp": now + 600, "name": "Ann of the shop", **more}


def signed(subject: str = "ann", secret: str = SECRET, **more: Any) -> str:
    return str(jwt.encode(claims(subject, **more), secret, "HS256"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that believes a shop's back end by a shared secret."""
    given = {"foreign_secret": SECRET, "foreign_issuer": SHOP, "foreign_audience": US}
    with house_with(tmp_path_factory.mktemp("shop") / "data", **given) as found:
        yield found


def test_whom_the_app_names_is_made_on_first_sight_and_stays(shop: House) -> None:
    first, again = me(shop, signed("ann")).json(), me(shop, signed("ann", name="Another name")).json()

    assert first["id"] == again["id"]
    assert (first["display_name"], first["kind"], first["role"]) == ("Ann of the shop", "human", "member")
    assert first["username"].startswith("x-")


def test_a_name_never_leads_to_somebody_who_is_here(shop: House) -> None:
    local = register(shop, "ann-of-here").json()

    found = me(shop, signed("ann-of-here", name="ann-of-here")).json()

    assert found["id"] != local["id"]
    assert found["username"] != "ann-of-here"
    problem(log_in(shop, found["username"]), 401, "bad_credentials")


def test_their_users_chat_with_ours(shop: House) -> None:
    bob = shop.person("bob")
    room_id = bob.room()
    ann = Person(shop.url, me(shop, signed("ann")).json()["id"], "ann", signed("ann"))

    ann.join(room_id)

    assert ann.say(room_id, "hello from the shop")["sender_id"] == ann.id
    problem(ann.http.post("/api/v1/bots", json={"username": "x"}), 403, "insufficient_scope")


@pytest.mark.parametrize(
    "token",
    [
        lambda: signed(secret="x" * 40),
        lambda: signed(aud="somebody else"),
        lambda: signed(aud=["somebody", "else"]),
        lambda: signed(iss="https://evil.example"),
        lambda: signed(exp=None),
        lambda: signed(nbf=int(time.time()) + 600),
        lambda: signed(iat=int(time.time()) + 600),
        lambda: signed(""),
        lambda: signed("x" * 256),
        lambda: signed("nul\x00"),
        lambda: signed("two\nlines"),
        lambda: signed("\ud800"),
        lambda: signed(sub=7),
        lambda: signed(channel=7),
        lambda: unsigned(claims()),
        lambda: str(jwt.encode(claims(), SECRET, "HS512")),
    ],
)
def test_what_the_app_did_not_say_is_refused(shop: House, token: Callable[[], str]) -> None:
    problem(me(shop, token()), 401, "token_invalid")


def test_what_the_app_said_too_long_ago_is_expired(shop: House) -> None:
    problem(me(shop, signed(exp=int(time.time()) - 1)), 401, "token_expired")


@pytest.mark.parametrize("audience", [US, [US], ["other", US]])
def test_one_of_several_audiences_is_enough(shop: House, audience: Any) -> None:
    assert me(shop, signed(aud=audience)).status_code == 200


def test_a_token_for_a_channel_is_no_login(shop: House) -> None:
    """It is meant for `subscribe.token`, and made to be handed to a page for one channel."""
    problem(me(shop, signed(channel="game:1")), 401, "token_invalid")


def test_where_no_app_is_believed_its_tokens_are_nothing(house: House) -> None:
    problem(me(house, signed()), 401, "token_invalid")


def test_back_ends_address_people_by_what_they_call_them(shop: House) -> None:
    owner = shop.person("olga", Role.OWNER)
    body = {"external_ids": ["never-seen-before", "ann"], "text": "your parcel is here"}

    owner.post("/api/v1/notifications", body)

    token = signed("never-seen-before")
    inbox = Person(shop.url, "", "", token).get("/api/v1/notifications")["items"]
    assert [each["text"] for each in inbox] == ["your parcel is here"]


def test_without_an_app_there_are_no_external_ids(house: House) -> None:
    owner = house.person("olga", Role.OWNER)

    answer = owner.http.post("/api/v1/notifications", json={"external_ids": ["ann"], "text": "x"})

    problem(answer, 404, "user_not_found")


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unsigned(said: dict[str, Any]) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(said)}."


class Keys:
    """An app's signing keys, one of each kind, and the document that tells their public halves."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.ed = ed25519.Ed25519PrivateKey.generate()

    def sign(self, kind: str, subject: str = "ann", kid: str | None = None) -> str:
        if kind == "EdDSA":
            content = f"{part({'alg': kind, 'kid': kid or kind})}.{part(claims(subject))}"
            return f"{content}.{part(self.ed.sign(content.encode()))}"
        key = {"RS256": self.rsa, "ES256": self.ec}[kind]
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return str(jwt.encode(claims(subject), pem, kind, headers={"kid": kid or kind}))

    def public_pem(self) -> str:
        return self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def document(self) -> dict[str, Any]:
        of_rsa, of_ec = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        of_ed = self.ed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

        def number(value: int, size: int) -> str:
            return part(value.to_bytes(size, "big"))

        return {
            "keys": [
                {"kid": "RS256", "kty": "RSA", "n": number(of_rsa.n, 256), "e": number(of_rsa.e, 3), "use": "sig"},
                {"kid": "ES256", "kty": "EC", "crv": "P-256", "x": number(of_ec.x, 32), "y": number(of_ec.y, 32)},
                {"kid": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": part(of_ed), "alg": "EdDSA"},
                {"kid": "symmetric", "kty": "oct", "k": part(SECRET.encode())},
                {"kid": "for encryption", "kty": "RSA", "n": number(of_rsa.n, 256), "e": "AQAB", "use": "enc"},
                {"kty": "RSA", "n": "no-kid", "e": "AQAB"},
            ]
        }


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="module")
def published(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that believes an app by the keys it publishes."""
    document = json.dumps(keys.document()).encode()

    class Publisher(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Publisher) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
        given = {"jwks_url": url, "foreign_issuer": SHOP, "foreign_audience": US}
        with house_with(tmp_path_factory.mktemp("published") / "data", **given) as found:
            yield found
        server.shutdown()


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
def test_a_token_of_a_published_key_is_good(published: House, keys: Keys, kind: str) -> None:
    assert me(published, keys.sign(kind, f"by-{kind}")).status_code == 200


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
def test_a_token_of_an_unpublished_key_is_not(published: House, kind: str) -> None:
    problem(me(published, Keys().sign(kind)), 401, "token_invalid")


@pytest.mark.parametrize(
    "forged",
    [
        lambda keys: unsigned(claims()),
        lambda keys: keys.sign("RS256", kid="unknown"),
        lambda keys: keys.sign("RS256", kid="ES256"),
        lambda keys: keys.sign("RS256", kid="for encryption"),
        lambda keys: hmac_by(SECRET.encode(), "symmetric"),
        lambda keys: hmac_by(keys.public_pem().encode(), "RS256"),
        lambda keys: hmac_by(json.dumps(keys.document()["keys"][0]).encode(), "RS256"),
    ],
)
def test_a_key_of_one_kind_is_not_taken_for_another(
    published: House, keys: Keys, forged: Callable[[Keys], str]
) -> None:
    """A public key as a shared secret is the classic: whoever can read it could sign."""
    problem(me(published, forged(keys)), 401, "token_invalid")


def hmac_by(secret: bytes, kid: str) -> str:

    content = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims())}"
    return f"{content}.{part(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """What the URL answers, and how often it was asked."""

    def __init__(self, *kids: str) -> None:
        self.kids: tuple[str, ...] | None = kids
        self.asked = 0

    async def __call__(self, url: str) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if self.kids is None:
            raise Unavailable()
        return json.dumps({"keys": [{"kid": kid, "kty": "RSA", "n": "x", "e": "AQAB"} for kid in self.kids]}).encode()


def test_a_rotated_key_is_found_and_the_old_one_forgotten() -> None:
    async def run() -> None:
        clock, source = Clock(), Source("old")
        found = KeySet("https://shop.example/jwks", source, clock)
        await found.key_for("old")
        source.kids = ("new",)
        clock.now += AGAIN_S + 1

        assert (await found.key_for("new"))[1] == "RS256"
        with pytest.raises(TokenInvalid):
            await found.key_for("old")

    asyncio.run(run())


def test_strangers_with_unknown_keys_do_not_make_it_ask_each_time() -> None:
    async def run() -> int:
        source = Source("known")
        found = KeySet("https://shop.example/jwks", source, Clock())
        for number in range(50):
            with pytest.raises(TokenInvalid):
                await found.key_for(f"guess-{number}")
        return source.asked

    assert asyncio.run(run()) == 1


def test_many_who_come_at_once_ask_once() -> None:
    async def run() -> int:
        source = Source("known")
        found = KeySet("https://shop.example/jwks", source, Clock())
        await asyncio.gather(*(found.key_for("known") for _ in range(50)))
        return source.asked

    assert asyncio.run(run()) == 1


def test_the_last_good_keys_stay_while_the_url_is_away() -> None:
    async def run() -> None:
        clock, source = Clock(), Source("known")
        found = KeySet("https://shop.example/jwks", source, clock)
        await found.key_for("known")
        source.kids, clock.now = None, clock.now + FRESH_S + 1

        assert (await found.key_for("known"))[1] == "RS256"
        assert source.asked == 2

    asyncio.run(run())


def test_without_any_key_yet_it_is_not_the_clients_fault(new_house: Callable[..., House], keys: Keys) -> None:
    house = new_house(jwks_url="http://127.0.0.1:1/jwks", foreign_issuer=SHOP, foreign_audience=US)

    answer = me(house, keys.sign("RS256"))

    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
