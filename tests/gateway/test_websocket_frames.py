"""Bad input gets a clear error and changes nothing; the connection lives unless the protocol says close."""

import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.house import DIRECT, Person, Wire


def raw(wire: Wire, frame: str | bytes, **options: Any) -> None:
    wire.socket.send(frame, **options)


def is_alive(wire: Wire) -> bool:
    return "rpc" in wire.ask(rpc={"method": "users.me", "data": {}})


def texts_in(person: Person, room_id: str) -> list[str]:
    return [message["text"] for message in person.get(f"/api/v1/rooms/{room_id}/messages")["items"]]


def test_several_commands_in_one_frame_are_answered_in_their_order(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        commands = [
            {"id": 10 + number, "rpc": {"method": "messages.post", "data": {"room_id": room_id, "text": str(number)}}}
            for number in range(5)
        ]

        raw(wire, "\n".join(json.dumps(command) for command in commands))
        seqs = [wire.reply(10 + number)["rpc"]["data"]["seq"] for number in range(5)]

        assert seqs == [1, 2, 3, 4, 5]
        assert texts_in(ann, room_id) == ["0", "1", "2", "3", "4"]


def test_several_answers_may_share_a_frame(ann: Person, carried_by: str) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, "\n".join(json.dumps({"id": number, "rpc": {"method": "no.such"}}) for number in range(100, 116)))

        found: list[dict[str, Any]] = []
        frames = 0
        while len(found) < 16:
            frames += 1
            found += [json.loads(line) for line in str(wire.socket.recv(timeout=5)).split("\n")]

        assert [reply["id"] for reply in found] == list(range(100, 116))
        assert frames < 16 or carried_by == DIRECT  # which sends several frames in one packet instead


def test_more_commands_than_may_wait_are_all_answered_in_order(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        for number in range(100, 300):
            raw(wire, json.dumps({"id": number, "rpc": {"method": "users.me"}}))

        order = []
        while len(order) < 200:
            order += [json.loads(line)["id"] for line in str(wire.socket.recv(timeout=5)).split("\n")]

        assert order == list(range(100, 300))


def test_a_binary_frame_closes(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, b'{"id": 2, "rpc": {}}')

        assert wire.closed()[0] == 3501


def test_text_that_is_not_utf_8_closes(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, b'{"id": 2, "rpc": {"method": "\xff\xfe"}}', text=True)

        assert wire.closed()[0] == 1007


def test_a_frame_over_64_kib_closes(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, "x" * (64 * 1024 + 1))

        assert wire.closed()[0] == 1009


def test_fragments_over_64_kib_in_all_close(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()

        with suppress(ConnectionClosed):  # the server need not read to the end
            wire.socket.send("x" * 8192 for _ in range(12))

        assert wire.closed()[0] == 1009


def test_a_frame_of_64_kib_is_read(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        command = json.dumps({"id": 2, "rpc": {"method": "users.me", "data": {}}})
        raw(wire, command + " " * (64 * 1024 - len(command)))

        assert wire.reply(2)["rpc"]["data"]["id"] == ann.id


def test_a_command_in_fragments_is_read(ann: Person) -> None:
    with ann.wire() as wire:
        wire.socket.send(part for part in ['{"id": 1, "rpc": {"met', 'hod": "users.me", ', '"data": {}}}'])

        assert wire.reply(1)["rpc"]["data"]["id"] == ann.id


@pytest.mark.parametrize(
    "frame",
    [
        "rubbish",
        '{"id": 5, "rpc": {"method": "users.me"}',
        '{"id": 5, "rpc": {}} {"id": 6, "rpc": {}}',
        "[]",
        "null",
        '"text"',
        '{"rpc": {"method": "users.me"}}',
        '{"id": 0, "rpc": {"method": "users.me"}}',
        '{"id": -1, "rpc": {"method": "users.me"}}',
        '{"id": 99999999999999999999999999, "rpc": {"method": "users.me"}}',
        '{"id": "5", "rpc": {"method": "users.me"}}',
        "[" * 3000,
    ],
)
def test_what_has_no_usable_id_closes_as_a_bad_request(ann: Person, frame: str) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, frame)

        assert wire.closed()[0] == 3501


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"id": 5}', 107),
        ('{"id": 5, "leap": {}}', 107),
        ('{"id": 5, "rpc": {}, "publish": {}}', 107),
        ('{"id": 5, "rpc": {"method": "users.me"}, "presence": {"channel": "chat:x"}}', 107),
        ('{"id": 5, "rpc": null}', 107),
        ('{"id": 5, "rpc": "users.me"}', 107),
        ('{"id": 5, "subscribe": {"channel": 7}}', 107),
        ('{"id": 5, "subscribe": {"channel": "%s"}}' % ("x" * 256), 107),
        ('{"id": 5, "history": {"channel": "chat:x", "limit": 1e3}}', 107),
        ('{"id": 5, "rpc": {"method": "no.such", "data": {}}}', 104),
        ('{"id": 5, "rpc": {}}', 104),
        ('{"id": 5, "rpc": {"method": "users.me", "data": NaN}}', 400),
        ('{"id": 5, "rpc": {"method": "users.me", "data": Infinity}}', 400),
        ('{"id": 5, "rpc": {"method": "messages.post", "data": {"text": "\\ud800"}}}', 400),
        ('{"id": 5, "rpc": {"method": "users.me", "data": {"extra": 1}}}', 422),
        ('{"id": 5, "rpc": {"method": "users.me", "data": []}}', 422),
        ('{"id": 5, "rpc": {"method": "users.me", "data": "text"}}', 422),
        ('{"id": 5, "rpc": {"method": "messages.read", "data": {"room_id": "x", "seq": %s}}}' % ("9" * 30), 422),
        ('{"id": 5, "rpc": {"method": "messages.read", "data": {"room_id": "x", "seq": -1}}}', 422),
        ('{"id": 5, "rpc": {"method": "messages.read", "data": {"room_id": "x", "seq": true}}}', 422),
        ('{"id": 5, "rpc": {"method": "messages.read", "data": {"room_id": "x", "seq": 1.0}}}', 422),
        ('{"id": 5, "rpc": {"method": "users.me", "data": %s}}' % ("[" * 900 + "]" * 900), 400),
    ],
)
def test_a_bad_command_is_an_error_and_the_connection_lives(ann: Person, frame: str, code: int) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, frame)
        error = wire.reply(5)["error"]

        assert error["code"] == code
        assert error["message"]
        assert error["request_id"]
        assert error["temporary"] is False
        assert is_alive(wire)


def test_refused_fields_are_listed(ann: Person) -> None:
    with ann.wire() as wire:
        error = wire.ask(rpc={"method": "messages.post", "data": {"room_id": "x", "text": "", "colour": "red"}})[
            "error"
        ]

        assert (error["code"], error["reason"]) == (422, "invalid")
        assert {found["field"]: found["code"] for found in error["errors"]} == {
            "text": "string_too_short",
            "colour": "extra_forbidden",
        }


def test_a_bad_command_among_good_ones_changes_nothing_and_stops_nothing(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        wire.connect()
        post = {"method": "messages.post", "data": {"room_id": room_id, "text": "good"}}
        bad = {"method": "messages.post", "data": {"room_id": room_id, "text": "bad", "colour": "red"}}

        raw(wire, "\n".join(json.dumps({"id": 20 + n, "rpc": body}) for n, body in enumerate([post, bad, post])))
        found = [wire.reply(20 + number) for number in range(3)]

        assert ["rpc" in reply for reply in found] == [True, False, True]
        assert texts_in(ann, room_id) == ["good", "good"]


def test_two_methods_in_one_command_do_neither(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        post = {"method": "messages.post", "data": {"room_id": room_id, "text": "bad"}}

        answer = wire.ask(rpc=post, subscribe={"channel": f"room:{room_id}"})
        subscribed = wire.ask(subscribe={"channel": f"room:{room_id}"})

        assert answer["error"]["code"] == 107
        assert "subscribe" in subscribed
        assert texts_in(ann, room_id) == []


def test_a_repeated_id_is_answered_again(ann: Person) -> None:
    """Ids are the client's business: the server only hands them back."""
    with ann.wire() as wire:
        raw(wire, '{"id": 5, "rpc": {"method": "users.me", "data": {}}}\n{"id": 5, "rpc": {"method": "no.such"}}')
        lines: list[str] = []
        while len(lines) < 2:
            lines += str(wire.socket.recv(timeout=5)).split("\n")

        assert [list(json.loads(line)) for line in lines] == [["id", "rpc"], ["id", "error"]]
        assert is_alive(wire)


def test_unknown_fields_in_protocol_objects_are_ignored(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        raw(
            wire, json.dumps({"id": 5, "from": "the future", "subscribe": {"channel": f"room:{room_id}", "delta": "x"}})
        )

        assert wire.reply(5)["subscribe"]["positioned"] is True


def test_unknown_fields_in_rpc_data_are_refused(ann: Person) -> None:
    with ann.wire() as wire:
        error = wire.ask(rpc={"method": "rooms.create", "data": {"name": "x", "kind": "public", "color": 1}})["error"]

        assert (error["code"], error["reason"]) == (422, "invalid")
        assert ann.get("/api/v1/rooms")["items"] == []


def test_a_command_before_the_connect_of_a_stranger_closes(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        wire.send(rpc={"method": "users.me"})

        assert wire.closed()[0] == 3501


def test_deeply_nested_data_is_the_clients_fault_or_fine_but_never_the_servers(ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        raw(wire, '{"id": 5, "publish": {"channel": "chat:deep", "data": %s}}' % ("[" * 400 + "]" * 400))
        answer = wire.reply(5)

        assert answer.get("error", {}).get("code") not in {100, 500}, answer
        assert is_alive(wire)


def test_a_body_of_many_unknown_fields_gets_an_answer_that_clients_take(ann: Person) -> None:
    """Client libraries refuse a frame over 1 MiB."""
    with ann.wire() as wire:
        wire.connect()
        data = {f"{number:x}": 0 for number in range(6900)}
        raw(wire, json.dumps({"id": 5, "rpc": {"method": "users.me", "data": data}}, separators=(",", ":")))

        assert wire.reply(5)["error"]["code"] == 422
        assert is_alive(wire)
