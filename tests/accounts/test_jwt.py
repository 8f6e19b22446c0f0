"""Forged, broken and expired tokens over HTTP: each is 401 with a problem, none is a crash.

The tokens are made by hand here, byte by byte: a library would refuse to make most of them.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from chat_server.accounts.identity import secret_of
from chat_server.accounts.tokens import Tokens
from chat_server.errors import TokenExpired
from tests.accounts.asking import ask, me, problem
from tests.house import House, Person

PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
SHA = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


class Forge:
    """Signs whatever is asked, as the server would, for one person's login."""

    def __init__(self, secret: str, user_id: str, session_id: str) -> None:
        now = int(time.time())
        self.secret = secret
        self.now = now
        self.header: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
        self.claims: dict[str, Any] = {
            "iss": "chat-server",
            "aud": "chat-server",
            "typ": "access",
            "sub": user_id,
            "sid": session_id,
            "jti": "made-by-hand",
            "iat": now,
            "exp": now + 600,
            "scope": "chat stream",
        }

    def signed(self, header: object, claims: object, secret: str | None = None, sha: str = "HS256") -> str:
        content = f"{part(header)}.{part(claims)}"
        key = (self.secret if secret is None else secret).encode()
        signature = hmac.new(key, content.encode(), SHA[sha]).digest()
        return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def token(self, **claims: Any) -> str:
        return self.signed(self.header, {**self.claims, **claims})

    def with_header(self, **header: Any) -> str:
        return self.signed({**self.header, **header}, self.claims)

    def without(self, claim: str) -> str:
        return self.signed(self.header, {name: value for name, value in self.claims.items() if name != claim})

    def with_raw(self, claim: str, value: str) -> str:
        """A claim whose JSON Python would not write."""
        return self.signed(self.header, json.dumps({**self.claims, claim: "RAW"}).replace('"RAW"', value))

    def malleated(self) -> str:
        """The same signature in another spelling: the last character's unused bits."""
        token, alphabet = self.token(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]

    def unsigned(self, algorithm: str, signature: str = "") -> str:
        return f"{part({**self.header, 'alg': algorithm})}.{part(self.claims)}.{signature}"


@pytest.fixture
def forge(house: House, ann: Person) -> Forge:
    return Forge(secret_of(house.settings), ann.id, ann.session_id)


def nested(depth: int) -> str:
    return '{"alg":"HS256","x":' + "[" * depth + "]" * depth + "}"


GOOD: dict[str, Callable[[Forge], str]] = {
    "as the server makes it": lambda forge: forge.token(),
    "the longest": lambda forge: forge.token(exp=forge.now + 900),
    "from a clock that is 20 s ahead": lambda forge: forge.token(iat=forge.now + 20, nbf=forge.now + 20),
    "with nbf in the past": lambda forge: forge.token(nbf=forge.now - 5),
    "with the current kid": lambda forge: forge.with_header(kid=hashlib.sha256(forge.secret.encode()).hexdigest()[:8]),
    "with a claim that nobody knows": lambda forge: forge.token(nonce="x"),
}
BAD: dict[str, Callable[[Forge], str]] = {
    "none": lambda forge: forge.unsigned("none"),
    "none with some signature": lambda forge: forge.unsigned("none", "AAAA"),
    "None": lambda forge: forge.unsigned("None", "AAAA"),
    "NONE": lambda forge: forge.unsigned("NONE", "AAAA"),
    "nOnE with a good signature": lambda forge: forge.with_header(alg="nOnE"),
    "HS384": lambda forge: forge.signed({"alg": "HS384"}, forge.claims, sha="HS384"),
    "HS512": lambda forge: forge.signed({"alg": "HS512"}, forge.claims, sha="HS512"),
    "HS512 named, HS256 signed": lambda forge: forge.with_header(alg="HS512"),
    "hs256": lambda forge: forge.with_header(alg="hs256"),
    "RS256 with the secret": lambda forge: forge.with_header(alg="RS256"),
    "dir": lambda forge: forge.with_header(alg="dir", enc="A128CBC-HS256"),
    "a list of algorithms": lambda forge: forge.with_header(alg=["HS256", "none"]),
    "no algorithm": lambda forge: forge.signed({"typ": "JWT"}, forge.claims),
    "another secret": lambda forge: forge.signed(forge.header, forge.claims, secret="x" * 48),
    "an empty secret": lambda forge: forge.signed(forge.header, forge.claims, secret=""),
    "a public key as the secret": lambda forge: forge.signed(forge.header, forge.claims, secret=PEM),
    "an OpenSSH key as the secret": lambda forge: forge.signed(forge.header, forge.claims, secret="ssh-rsa AAAAB3Nz"),
    "changed claims": lambda forge: ".".join(
        [forge.token().split(".")[0], part({**forge.claims, "scope": "admin"}), forge.token().split(".")[2]]
    ),
    "no signature": lambda forge: forge.token().rpartition(".")[0] + ".",
    "half a signature": lambda forge: forge.token()[:-20],
    "a longer signature": lambda forge: forge.token() + "AAAA",
    "the same signature spelt otherwise": lambda forge: forge.malleated(),
    "no exp": lambda forge: forge.without("exp"),
    "no iat": lambda forge: forge.without("iat"),
    "no sub": lambda forge: forge.without("sub"),
    "no sid": lambda forge: forge.without("sid"),
    "no jti": lambda forge: forge.without("jti"),
    "no typ": lambda forge: forge.without("typ"),
    "no scope": lambda forge: forge.without("scope"),
    "no iss": lambda forge: forge.without("iss"),
    "no aud": lambda forge: forge.without("aud"),
    "exp as a string": lambda forge: forge.token(exp=str(forge.now + 600)),
    "exp as a float": lambda forge: forge.token(exp=forge.now + 600.5),
    "exp as a whole float": lambda forge: forge.token(exp=float(forge.now + 600)),
    "exp true": lambda forge: forge.token(exp=True),
    "exp null": lambda forge: forge.token(exp=None),
    "exp of 2,000 digits": lambda forge: forge.with_raw("exp", "9" * 2000),
    "exp 1e400": lambda forge: forge.with_raw("exp", "1e400"),
    "exp Infinity": lambda forge: forge.with_raw("exp", "Infinity"),
    "exp NaN": lambda forge: forge.with_raw("exp", "NaN"),
    "exp too far from iat": lambda forge: forge.token(exp=forge.now + 901),
    "exp too far, iat long ago": lambda forge: forge.token(iat=forge.now - 10_000),
    "iat ahead": lambda forge: forge.token(iat=forge.now + 60, exp=forge.now + 660),
    "iat as a string": lambda forge: forge.token(iat=str(forge.now)),
    "nbf ahead": lambda forge: forge.token(nbf=forge.now + 60),
    "nbf as a string": lambda forge: forge.token(nbf="0"),
    "another issuer": lambda forge: forge.token(iss="evil"),
    "a list of issuers": lambda forge: forge.token(iss=["chat-server"]),
    "another audience": lambda forge: forge.token(aud="evil"),
    "a list of audiences": lambda forge: forge.token(aud=["chat-server", "evil"]),
    "typ refresh": lambda forge: forge.token(typ="refresh"),
    "typ cookie": lambda forge: forge.token(typ="cookie"),
    "sub as a number": lambda forge: forge.token(sub=7),
    "an empty sub": lambda forge: forge.token(sub=""),
    "sid as a list": lambda forge: forge.token(sid=["x"]),
    "scope as a list": lambda forge: forge.token(scope=["admin"]),
    "crit": lambda forge: forge.with_header(crit=["b64"], b64=False),
    "an empty crit": lambda forge: forge.with_header(crit=[]),
    "an unknown kid": lambda forge: forge.with_header(kid="deadbeef"),
    "a path as kid": lambda forge: forge.with_header(kid="../../../dev/null"),
    "SQL as kid": lambda forge: forge.with_header(kid="' UNION SELECT 'x"),
    "an empty kid": lambda forge: forge.with_header(kid=""),
    "a kid that is null": lambda forge: forge.with_header(kid=None),
    "a kid that is a number": lambda forge: forge.with_header(kid=0),
    "a kid that is a list": lambda forge: forge.with_header(kid=["x"]),
    "a kid that is an object": lambda forge: forge.with_header(kid={"x": 1}),
    "alg twice": lambda forge: forge.signed('{"alg":"none","alg":"HS256"}', forge.claims),
    "sub twice": lambda forge: forge.signed(forge.header, json.dumps(forge.claims)[:-1] + ', "sub": "other"}'),
    "a nested header": lambda forge: forge.signed(nested(1000), forge.claims),
    "nested claims": lambda forge: forge.signed(forge.header, nested(1200)),
    "a header nested beyond all reason": lambda forge: forge.signed(nested(20_000), forge.claims),
    "a header that is a list": lambda forge: forge.signed(["HS256"], forge.claims),
    "a header that is null": lambda forge: forge.signed("null", forge.claims),
    "claims that are a list": lambda forge: forge.signed(forge.header, [forge.claims]),
    "claims that are a string": lambda forge: forge.signed(forge.header, '"ann"'),
    "claims that are no JSON": lambda forge: forge.signed(forge.header, "{"),
    "over 4 KiB": lambda forge: forge.token(padding="x" * 4096),
    "over 4 KiB of signature": lambda forge: forge.token() + "A" * 4096,
    "five parts, as JWE has": lambda forge: forge.token() + ".AAAA.AAAA",
    "two parts": lambda forge: forge.token().rpartition(".")[0],
    "only dots": lambda forge: "..",
    "padded": lambda forge: forge.token() + "=",
    "padded inside": lambda forge: forge.token().replace(".", "=.", 1),
    "plus and slash": lambda forge: forge.token()[:-2] + "+/",
    "a blank inside": lambda forge: forge.token().replace(".", ". ", 1),
    "a sign beyond ASCII": lambda forge: forge.token().replace(".", ".\xe9", 1),
}
HTTP_CANNOT_SEND = {"a sign beyond ASCII"}


@pytest.mark.parametrize("name", GOOD)
def test_a_token_is_good(house: House, ann: Person, forge: Forge, name: str) -> None:
    answer = me(house, GOOD[name](forge))

    assert (answer.status_code, answer.json()["id"]) == (200, ann.id)


@pytest.mark.parametrize("name", [name for name in BAD if name not in HTTP_CANNOT_SEND])
def test_a_token_is_refused(house: House, forge: Forge, name: str) -> None:
    answer = me(house, BAD[name](forge))

    problem(answer, 401, "token_invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_with_a_sign_beyond_ascii_is_refused(house: House, forge: Forge) -> None:
    credential = BAD["a sign beyond ASCII"](forge).encode("latin-1")

    answer = ask(house, "GET", "/api/v1/users/me", headers=[(b"Authorization", b"Bearer " + credential)])

    problem(answer, 401, "token_invalid")


@pytest.mark.parametrize("age_s", [1, 29, 31, 3600])
def test_an_expired_token_says_so(house: House, forge: Forge, age_s: int) -> None:
    token = forge.token(iat=forge.now - 600 - age_s, exp=forge.now - age_s)

    problem(me(house, token), 401, "token_expired")


def test_a_token_that_is_expired_and_forged_says_only_that_it_is_bad(house: House, forge: Forge) -> None:
    expired = {**forge.claims, "iat": forge.now - 700, "exp": forge.now - 100}

    problem(me(house, forge.signed(forge.header, expired, secret="x" * 48)), 401, "token_invalid")


@pytest.mark.parametrize("header", ["Basic YW5uOmh1bnRlcjI=", "Bearer", "bearer", "Token x", "x", "Bearer  "])
def test_a_header_of_another_kind_is_no_credential(house: House, header: str) -> None:
    answer = ask(house, "GET", "/api/v1/users/me", headers={"Authorization": header.strip()})

    problem(answer, 401, "unauthorized")


def test_the_previous_secret_is_good_while_it_is_named(new_house: Callable[..., House]) -> None:
    old, new = "o" * 48, "n" * 48
    house = new_house(secret=new, secret_previous=old)
    ann = house.person("ann")

    for kid in ({}, {"kid": hashlib.sha256(old.encode()).hexdigest()[:8]}):
        forge = Forge(old, ann.id, ann.session_id)
        assert me(house, forge.with_header(**kid)).status_code == 200
    assert me(house, Forge("x" * 48, ann.id, ann.session_id).token()).status_code == 401
    wrong_kid = Forge(old, ann.id, ann.session_id).with_header(kid=hashlib.sha256(new.encode()).hexdigest()[:8])
    assert me(house, wrong_kid).status_code == 401


def test_the_previous_secret_is_refused_once_it_is_not_named_any_more(new_house: Callable[..., House]) -> None:
    house = new_house(secret="n" * 48)
    ann = house.person("ann")

    problem(me(house, Forge("o" * 48, ann.id, ann.session_id).token()), 401, "token_invalid")


def test_new_tokens_are_signed_with_the_new_secret(new_house: Callable[..., House]) -> None:
    house = new_house(secret="n" * 48, secret_previous="o" * 48)

    token = house.person("ann").token

    header, claims, signature = token.split(".")
    wanted = hmac.new(b"n" * 48, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64encode(wanted).rstrip(b"=").decode() == signature


def test_a_token_is_good_up_to_its_last_second() -> None:
    now_ms = [1_800_000_000_000]
    tokens = Tokens("s" * 48, clock_ms=lambda: now_ms[0])
    token = tokens.access("ann", "session", ["chat"], 900)  # type: ignore[arg-type]

    now_ms[0] += 899_999
    assert tokens.read(token, "access").user_id == "ann"
    now_ms[0] += 1
    with pytest.raises(TokenExpired):
        tokens.read(token, "access")
