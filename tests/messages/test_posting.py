"""Posting through both doors: what is stored, that a retry never posts twice, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chat_server.ids import new_id
from tests.accounts.asking import fields_of, problem
from tests.house import Person
from tests.rooms.doors import Doors, refused, refused_fields

FIELDS = {
    "id",
    "room_id",
    "seq",
    "sender_id",
    "client_msg_id",
    "text",
    "mentions",
    "reply_to",
    "created_at",
    "edited_at",
    "deleted_at",
}


def texts_in(person: Person, room_id: str) -> list[str]:
    return [message["text"] for message in person.get(f"/api/v1/rooms/{room_id}/messages")["items"]]


def test_a_post_answers_the_stored_message(doors: Doors, ann: Person) -> None:
    room_id = ann.room()

    posted = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id="m1")

    assert posted | {"id": "", "created_at": ""} == {
        "id": "",
        "room_id": room_id,
        "seq": 1,
        "sender_id": ann.id,
        "client_msg_id": "m1",
        "text": "hello",
        "mentions": {"user_ids": [], "room": False},
        "reply_to": None,
        "created_at": "",
        "edited_at": None,
        "deleted_at": None,
    }
    assert doors(ann)("messages.get", room_id=room_id, message_id=posted["id"]) == posted


def test_a_room_counts_its_messages_from_one_without_holes(doors: Doors, ann: Person, bob: Person) -> None:
    room_id, other = ann.room(), ann.room()
    bob.join(room_id)

    seqs = []
    for person in (ann, bob, ann):
        seqs.append(doors(person)("messages.post", room_id=room_id, text="hello")["seq"])
        doors(ann)("messages.post", room_id=other, text="elsewhere")
        assert refused_fields(doors(person), "messages.post", room_id=room_id, text="") == {"text"}

    assert seqs == [1, 2, 3]
    assert doors(ann)("rooms.get", room_id=room_id)["last_message_seq"] == 3


@pytest.mark.parametrize(
    "text",
    ["x", "x" * 4000, " padded ", "two\nlines", "🔑" * 4000, "e\u0301", "\u202eback", "<b>bold</b>", "{}", "a\u2028b"],
)
def test_a_text_is_stored_as_it_is(doors: Doors, ann: Person, text: str) -> None:
    room_id = ann.room()

    assert doors(ann)("messages.post", room_id=room_id, text=text)["text"] == text
    assert texts_in(ann, room_id) == [text]


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "x" * 4001, "nul\x00", None, 7, ["x"], {"x": 1}])
def test_a_text_may_not_be(doors: Doors, ann: Person, text: Any) -> None:
    room_id = ann.room()

    assert refused_fields(doors(ann), "messages.post", room_id=room_id, text=text) == {"text"}
    assert doors(ann)("rooms.get", room_id=room_id)["last_message_seq"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_msg_id", ""),
        ("client_msg_id", "x" * 65),
        ("client_msg_id", "two\nlines"),
        ("client_msg_id", 7),
        ("reply_to", ""),
        ("reply_to", 7),
        ("mentions.user_ids", {"user_ids": "bob"}),
        ("mentions.room", {"room": 1}),
        ("mentions.all", {"all": True}),
        ("seq", 1),
        ("id", "mine"),
        ("sender_id", "olga"),
        ("created_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_a_post_cannot_say(doors: Doors, ann: Person, field: str, value: Any) -> None:
    body = {"text": "hello", field.partition(".")[0]: value}

    assert refused_fields(doors(ann), "messages.post", room_id=ann.room(), **body) == {field}


def test_a_repeat_answers_the_stored_message_whatever_its_text(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    first = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id="m1" + room_id[-9:])

    for text in ("hello", "something else", "x" * 4000):
        again = doors(ann)("messages.post", room_id=room_id, text=text, client_msg_id=first["client_msg_id"])
        assert again == {**first, "duplicate": True}

    assert texts_in(ann, room_id) == ["hello"]


def test_a_repeat_answers_though_the_room_was_archived_meanwhile(doors: Doors, ann: Person) -> None:
    room_id, key = ann.room(), new_id()
    first = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)
    doors(ann)("rooms.archive", room_id=room_id)

    again = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)

    assert again == {**first, "duplicate": True}
    assert refused(doors(ann), "messages.post", room_id=room_id, text="new", client_msg_id=new_id())[0] == 409


def test_a_repeat_of_an_edited_message_answers_it_as_it_is_now(doors: Doors, ann: Person) -> None:
    room_id, key = ann.room(), new_id()
    first = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)
    edited = doors(ann)("messages.edit", room_id=room_id, message_id=first["id"], text="edited")

    again = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)

    assert again == {**edited, "duplicate": True}


def test_a_repeat_of_a_deleted_message_answers_the_tombstone(doors: Doors, ann: Person) -> None:
    room_id, key = ann.room(), new_id()
    first = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)
    doors(ann)("messages.delete", room_id=room_id, message_id=first["id"])

    again = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)

    assert (again["id"], again["text"], again["duplicate"]) == (first["id"], "", True)
    assert again["deleted_at"] is not None


def test_a_repeat_in_another_room_is_refused(doors: Doors, ann: Person) -> None:
    key = new_id()
    doors(ann)("messages.post", room_id=ann.room(), text="hello", client_msg_id=key)
    other = ann.room()

    assert refused(doors(ann), "messages.post", room_id=other, text="hello", client_msg_id=key) == (
        409,
        "client_msg_id_reused",
    )
    assert texts_in(ann, other) == []


def test_two_senders_may_use_the_same_id(doors: Doors, ann: Person, bob: Person) -> None:
    room_id, key = ann.room(), new_id()
    bob.join(room_id)

    first = doors(ann)("messages.post", room_id=room_id, text="from ann", client_msg_id=key)
    second = doors(bob)("messages.post", room_id=room_id, text="from bob", client_msg_id=key)

    assert first["id"] != second["id"]
    assert texts_in(ann, room_id) == ["from ann", "from bob"]


def test_a_repeat_through_the_other_door_is_a_repeat(ann: Person) -> None:
    room_id, key = ann.room(), new_id()
    first = ann.say(room_id, "hello", client_msg_id=key)

    with ann.wire() as wire:
        again = wire.rpc("messages.post", room_id=room_id, text="hello", client_msg_id=key)

    assert again == {**first, "duplicate": True}


def test_twenty_copies_at_once_are_stored_once(ann: Person) -> None:
    room_id, body = ann.room(), {"text": "hello", "client_msg_id": new_id()}
    path = f"/api/v1/rooms/{room_id}/messages"

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ann.http.post(path, json=body), range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert texts_in(ann, room_id) == ["hello"]


def test_an_idempotency_key_is_the_client_msg_id(ann: Person) -> None:
    path, headers = f"/api/v1/rooms/{ann.room()}/messages", {"Idempotency-Key": new_id()}

    first = ann.http.post(path, json={"text": "hello"}, headers=headers)
    again = ann.http.post(path, json={"text": "hello"}, headers=headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["client_msg_id"] == headers["Idempotency-Key"]
    assert again.json() == first.json()


def test_a_long_idempotency_key_works_too(ann: Person) -> None:
    path = f"/api/v1/rooms/{ann.room()}/messages"
    keys = ["k" * 254 + "1", "k" * 254 + "2", "k" * 254 + "1"]

    answers = [ann.http.post(path, json={"text": "hello"}, headers={"Idempotency-Key": key}) for key in keys]

    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert answers[0].json() == answers[2].json()
    assert len(answers[0].json()["client_msg_id"]) == 64


def test_the_bodys_id_counts_more_than_the_header(ann: Person) -> None:
    path, headers = f"/api/v1/rooms/{ann.room()}/messages", {"Idempotency-Key": new_id()}

    posted = ann.http.post(path, json={"text": "hello", "client_msg_id": "mine" + new_id()[-9:]}, headers=headers)
    other = ann.http.post(path, json={"text": "another"}, headers=headers)

    assert posted.json()["client_msg_id"].startswith("mine")
    assert (other.status_code, other.json()["client_msg_id"]) == (201, headers["Idempotency-Key"])


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_1_to_255_characters(ann: Person, key: str) -> None:
    path = f"/api/v1/rooms/{ann.room()}/messages"

    answer = ann.http.post(path, json={"text": "hello"}, headers={"Idempotency-Key": key})

    assert fields_of(problem(answer, 422, "invalid")) == {"Idempotency-Key"}


def test_a_reply_names_a_message_of_the_room(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    first = ann.say(room_id, "question")

    reply = doors(ann)("messages.post", room_id=room_id, text="answer", reply_to=first["id"])

    assert reply["reply_to"] == first["id"]


def test_a_reply_to_nothing_here_is_refused(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    elsewhere = ann.say(ann.room(), "elsewhere")["id"]

    for target in (elsewhere, "nowhere"):
        found = refused_fields(doors(ann), "messages.post", room_id=room_id, text="answer", reply_to=target)
        assert found == {"reply_to"}
    assert texts_in(ann, room_id) == []


def test_a_refused_post_takes_no_number_and_keeps_no_id(doors: Doors, ann: Person) -> None:
    room_id, key = ann.room(), new_id()
    refused_fields(doors(ann), "messages.post", room_id=room_id, text="x", client_msg_id=key, reply_to="nowhere")

    posted = doors(ann)("messages.post", room_id=room_id, text="hello", client_msg_id=key)

    assert posted["seq"] == 1
    assert set(posted) == FIELDS


def test_posts_of_many_at_once_are_all_there_in_one_order(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    with ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(lambda n: (ann, bob)[n % 2].say(room_id, str(n)), range(60)))

    listed = ann.get(f"/api/v1/rooms/{room_id}/messages", params={"limit": 200})["items"]
    assert [message["seq"] for message in listed] == list(range(1, 61))
    assert sorted(posted, key=lambda message: message["seq"]) == listed
