"""Bots and their API keys: what a key opens, what it does not, and when it ends."""

from typing import Any

import pytest

from chat_server.accounts.bots import create_key
from chat_server.accounts.model import MintedKey, NewKey
from chat_server.actor import SYSTEM
from chat_server.commands import REACTIONS
from chat_server.ids import UserId, new_id
from chat_server.shapes import Role
from chat_server.unit import Unit
from tests.accounts.asking import fields_of, log_in, me, problem
from tests.house import House, Person, until


def add_bot(owner: Person) -> dict[str, Any]:
    found: dict[str, Any] = owner.post("/api/v1/bots", {"username": f"robot-{new_id()[-8:]}"})
    return found


def add_key(owner: Person, bot_id: str, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = owner.post(f"/api/v1/bots/{bot_id}/keys", body)
    return found


def with_key(owner: Person, **body: Any) -> Person:
    """A new bot with one key."""
    bot = add_bot(owner)
    return Person(owner.url, bot["id"], bot["username"], add_key(owner, bot["id"], **body)["key"])


def keys_of(owner: Person, bot_id: str) -> list[dict[str, Any]]:
    (found,) = [bot for bot in owner.get("/api/v1/bots")["items"] if bot["user"]["id"] == bot_id]
    keys: list[dict[str, Any]] = found["keys"]
    return keys


def test_a_bot_is_an_account_of_its_own_kind(owner: Person) -> None:
    made = owner.post("/api/v1/bots", {"username": "Robot-One", "display_name": "Robbie"})

    assert made | {"id": "", "created_at": ""} == {
        "id": "",
        "username": "robot-one",
        "display_name": "Robbie",
        "kind": "bot",
        "role": "member",
        "created_at": "",
        "disabled": False,
    }
    problem(owner.http.post("/api/v1/bots", json={"username": "robot-one"}), 409, "username_taken")


def test_a_bot_has_no_password(house: House, owner: Person) -> None:
    bot = add_bot(owner)

    problem(log_in(house, bot["username"], "any-password"), 401, "bad_credentials")


def test_a_key_is_told_once(house: House, owner: Person) -> None:
    bot = add_bot(owner)

    made = add_key(owner, bot["id"], label="ci", scopes=["chat"])

    assert set(made) == {"id", "user_id", "label", "prefix", "scopes", "channels", "created_at", "expires_at", "key"}
    assert made["key"].startswith(f"ck_{made['prefix']}_")
    assert (made["user_id"], made["label"], made["scopes"], made["channels"], made["expires_at"]) == (
        bot["id"],
        "ci",
        ["chat"],
        None,
        None,
    )
    secret = made["key"].split("_", 2)[2]
    assert secret not in owner.http.get("/api/v1/bots").text
    assert not any(secret.encode() in path.read_bytes() for path in house.settings.data_dir.iterdir())


def test_a_key_is_accepted_wherever_a_token_is(owner: Person) -> None:
    bot = with_key(owner)

    assert bot.get("/api/v1/users/me")["id"] == bot.id
    room_id = bot.room("from a bot")
    assert bot.say(room_id, "beep")["sender_id"] == bot.id
    with bot.wire() as wire:
        assert wire.connect()["data"]["user"]["kind"] == "bot"


def test_what_a_key_was_used_for_last_is_stamped(owner: Person) -> None:
    bot = with_key(owner)
    assert keys_of(owner, bot.id)[0]["last_used_at"] is None

    bot.get("/api/v1/users/me")

    stamped = until(lambda: keys_of(owner, bot.id)[0]["last_used_at"], what="the stamp")
    assert stamped >= keys_of(owner, bot.id)[0]["created_at"]


def test_a_revoked_key_is_refused_at_once(owner: Person) -> None:
    bot = with_key(owner)
    (key,) = keys_of(owner, bot.id)

    owner.delete(f"/api/v1/bots/{bot.id}/keys/{key['id']}")

    assert bot.http.get("/api/v1/users/me").status_code == 401
    assert keys_of(owner, bot.id) == []
    problem(owner.http.delete(f"/api/v1/bots/{bot.id}/keys/{key['id']}"), 404, "key_not_found")


def test_a_bots_other_key_goes_on(owner: Person) -> None:
    bot = with_key(owner)
    (first,) = keys_of(owner, bot.id)
    second = Person(owner.url, bot.id, bot.username, add_key(owner, bot.id)["key"])

    owner.delete(f"/api/v1/bots/{bot.id}/keys/{first['id']}")

    assert second.get("/api/v1/users/me")["id"] == bot.id


def test_a_key_of_another_bot_is_404(owner: Person) -> None:
    one, other = with_key(owner), with_key(owner)
    (key,) = keys_of(owner, one.id)

    problem(owner.http.delete(f"/api/v1/bots/{other.id}/keys/{key['id']}"), 404, "key_not_found")
    problem(owner.http.delete(f"/api/v1/bots/{one.id}/keys/nowhere"), 404, "key_not_found")
    assert one.get("/api/v1/users/me")["id"] == one.id


def test_a_person_gets_no_key(owner: Person, ann: Person) -> None:
    problem(owner.http.post(f"/api/v1/bots/{ann.id}/keys", json={}), 404, "user_not_found")
    problem(owner.http.post("/api/v1/bots/nobody/keys", json={}), 404, "user_not_found")


def test_an_expired_key_is_refused(house: House, owner: Person) -> None:
    bot = add_bot(owner)

    def made_yesterday(unit: Unit) -> MintedKey:
        earlier = Unit(unit.transaction, SYSTEM, unit.at_ms - 86_400_000, REACTIONS)
        return create_key(UserId(bot["id"]), NewKey(expires_in_s=3600), earlier)

    old = house.write(made_yesterday)

    assert me(house, str(old.key)).status_code == 401
    assert me(house, add_key(owner, bot["id"], expires_in_s=3600)["key"]).status_code == 200


@pytest.mark.parametrize("wrong", ["ck_", "ck_00000000_", "ck_00000000_guessed", "CK_{key}", "{key}x", "{prefix}"])
def test_a_guessed_key_is_refused(house: House, owner: Person, wrong: str) -> None:
    key = with_key(owner).token

    answer = me(house, wrong.format(key=key, prefix=key.rpartition("_")[0]))

    problem(answer, 401, "token_invalid")


def test_a_disabled_bots_key_is_refused_and_comes_back_with_it(owner: Person) -> None:
    bot = with_key(owner)

    owner.patch(f"/api/v1/users/{bot.id}", {"disabled": True})
    while_disabled = bot.http.get("/api/v1/users/me")
    owner.patch(f"/api/v1/users/{bot.id}", {"disabled": False})

    assert while_disabled.status_code == 401
    assert bot.get("/api/v1/users/me")["id"] == bot.id


def test_a_key_has_the_scopes_it_was_given(owner: Person) -> None:
    reader = with_key(owner, scopes=["stream"])
    publisher = with_key(owner, scopes=["notify:publish"])

    problem(reader.http.post("/api/v1/rooms", json={"name": "x"}), 403, "insufficient_scope")
    problem(reader.http.post("/api/v1/notifications", json={"topic": "t", "text": "x"}), 403, "insufficient_scope")
    assert publisher.post("/api/v1/notifications", {"topic": "t", "text": "x"})["text"] == "x"
    problem(publisher.http.get("/api/v1/rooms"), 403, "insufficient_scope")


def test_a_key_with_the_scope_admin_does_not_make_its_bot_one(owner: Person) -> None:
    bot = with_key(owner, scopes=["admin", "chat"])

    problem(bot.http.post("/api/v1/bots", json={"username": "spawn"}), 403, "role_too_low")


def test_a_key_limited_to_channels_reaches_those_rooms_only(owner: Person, ann: Person) -> None:
    inside, outside = ann.room("inside", "private"), ann.room("outside", "private")
    bot = with_key(owner, channels=[f"room:{inside}"])
    for room_id in (inside, outside):
        ann.put(f"/api/v1/rooms/{room_id}/members/{bot.id}")

    assert bot.say(inside, "beep")["room_id"] == inside
    assert [room["id"] for room in bot.get("/api/v1/rooms")["items"]] == [inside]
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("POST", "/join", None),
        ("POST", "/leave", None),
        ("GET", "/members", None),
        ("PUT", f"/members/{owner.id}", {}),
        ("DELETE", f"/members/{ann.id}", None),
        ("POST", "/messages", {"text": "beep"}),
        ("GET", "/messages", None),
        ("POST", "/read", {"seq": 0}),
    ]:
        answer = bot.http.request(method, f"/api/v1/rooms/{outside}{path}", json=body)
        problem(answer, 403, "channel_not_allowed")
    assert len(ann.get(f"/api/v1/rooms/{outside}/members")["items"]) == 2


def test_a_key_limited_to_channels_opens_no_new_ones(owner: Person, ann: Person) -> None:
    bot = with_key(owner, channels=["topic:deploys"])

    problem(bot.http.post("/api/v1/rooms", json={"name": "own"}), 403, "channel_not_allowed")
    problem(bot.http.post("/api/v1/direct", json={"user_id": ann.id}), 403, "channel_not_allowed")
    assert [room for room in ann.get("/api/v1/rooms")["items"] if room["kind"] == "direct"] == []


def test_a_key_limited_to_a_channel_publishes_to_no_other(owner: Person, ann: Person) -> None:
    bot = with_key(owner, scopes=["notify:publish"], channels=["topic:deploys"])

    assert bot.post("/api/v1/notifications", {"topic": "deploys", "text": "x"})["topic"] == "deploys"
    for addressee in ({"topic": "other"}, {"user_ids": [ann.id]}):
        answer = bot.http.post("/api/v1/notifications", json={**addressee, "text": "x"})
        problem(answer, 403, "channel_not_allowed")
    problem(bot.http.put("/api/v1/topics/other", json={}), 403, "channel_not_allowed")


def test_a_key_limited_to_a_room_does_not_read_the_inbox(owner: Person, ann: Person) -> None:
    """The inbox is what the bot's own channel holds, and quotes rooms that the key does not cover."""
    inside, outside = ann.room("inside", "private"), ann.room("outside", "private")
    bot = with_key(owner, channels=[f"room:{inside}"])
    ann.put(f"/api/v1/rooms/{outside}/members/{bot.id}")
    ann.say(outside, f"between us, @{bot.username}")

    answer = bot.http.get("/api/v1/notifications")

    problem(answer, 403, "channel_not_allowed")


def test_a_key_limited_to_a_topic_lists_no_room_of_that_name(owner: Person, ann: Person) -> None:
    room_id = ann.room("outside", "private")
    bot = with_key(owner, channels=[f"topic:{room_id}"])
    ann.put(f"/api/v1/rooms/{room_id}/members/{bot.id}")

    assert bot.get("/api/v1/rooms")["items"] == []


@pytest.mark.parametrize("path", ["/api/v1/auth/logout", "/api/v1/auth/cookie"])
def test_a_key_has_no_login_to_end_or_to_keep(owner: Person, path: str) -> None:
    problem(with_key(owner).http.post(path), 403, "forbidden")


def test_an_admin_gets_no_key_of_a_bot_that_is_an_owner(owner: Person, admin: Person) -> None:
    bot = add_bot(owner)
    owner.patch(f"/api/v1/users/{bot['id']}", {"role": "owner"})

    answer = admin.http.post(f"/api/v1/bots/{bot['id']}/keys", json={"scopes": ["admin"]})

    problem(answer, 403, "role_too_low")


def test_members_have_nothing_to_do_with_bots(house: House, owner: Person) -> None:
    bob = house.person("bob")
    former = house.login(bob.id, bob.username, Role.ADMIN)  # a token from when bob was an admin
    bot = add_bot(owner)

    for person, code in ((bob, "insufficient_scope"), (former, "role_too_low")):
        problem(person.http.get("/api/v1/bots"), 403, code)
        problem(person.http.post("/api/v1/bots", json={"username": "spawn"}), 403, code)
        problem(person.http.post(f"/api/v1/bots/{bot['id']}/keys", json={}), 403, code)
        problem(person.http.delete(f"/api/v1/bots/{bot['id']}/keys/x"), 403, code)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", []),
        ("scopes", ["chat", "chat"]),
        ("scopes.0", ["root"]),
        ("channels", []),
        ("channels.0", ["deploys"]),
        ("channels.0", ["topic:a\nroom:b"]),
        ("channels.0", ["topic:" + "x" * 255]),
        ("expires_in_s", 59),
        ("expires_in_s", 1.5),
        ("label", "x" * 65),
        ("label", "two\nlines"),
        ("key", "ck_mine"),
        ("user_id", "other"),
    ],
)
def test_a_key_cannot_say(owner: Person, field: str, value: Any) -> None:
    bot = add_bot(owner)

    answer = owner.http.post(f"/api/v1/bots/{bot['id']}/keys", json={field.partition(".")[0]: value})

    assert fields_of(problem(answer, 422, "invalid")) == {field}
    assert keys_of(owner, bot["id"]) == []


def test_a_repeated_key_request_makes_one_key_and_tells_it_once(owner: Person) -> None:
    bot = add_bot(owner)
    headers = {"Idempotency-Key": new_id()}

    first, again = (owner.http.post(f"/api/v1/bots/{bot['id']}/keys", json={}, headers=headers) for _ in range(2))

    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {**first.json(), "key": None}
    assert len(keys_of(owner, bot["id"])) == 1
