"""A client that reconnects gets exactly what it missed, or is told that it was not recovered; never a part."""

from pathlib import Path

import pytest

from tests.house import House, Person, Wire, house_with


def left_at(person: Person, channel: str) -> dict[str, object]:
    """Subscribe, go away, and answer the position to recover from."""
    with person.wire() as wire:
        found = wire.subscribe(channel)
    return {"recover": True, "epoch": found["epoch"], "offset": found["offset"]}


def many(person: Person, room_id: str, count: int, text: str = "m") -> None:
    with person.wire() as wire:
        ids = [
            wire.send(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": f"{text}{number}"}})
            for number in range(count)
        ]
        for command_id in ids:
            assert "rpc" in wire.reply(command_id)


def test_a_reconnecting_client_gets_exactly_what_it_missed(ann: Person) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")
    posted = [ann.say(room_id, str(number)) for number in range(5)]

    with ann.wire() as wire:
        found = wire.subscribe(f"room:{room_id}", **position)
        live = ann.say(room_id, "live")

        assert (found["recovered"], found["was_recovering"]) == (True, True)
        assert found["offset"] == position["offset"]
        assert [publication["data"]["message"] for publication in found["publications"]] == posted
        assert [publication["offset"] for publication in found["publications"]] == [3, 4, 5, 6, 7]
        event = wire.event(f"room:{room_id}", "message.posted")
        assert (event["message"], event["offset"]) == (live, 8)


def test_a_client_that_missed_nothing_is_recovered_with_nothing(ann: Person) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")

    with ann.wire() as wire:
        found = wire.subscribe(f"room:{room_id}", **position)

        assert (found["recovered"], found["was_recovering"]) == (True, True)
        assert found.get("publications", []) == []
        assert found["offset"] == position["offset"]


def test_a_client_may_recover_from_the_very_start(ann: Person) -> None:
    room_id = ann.room()
    ann.say(room_id, "first")

    with ann.wire() as wire:
        epoch = wire.ask(history={"channel": f"room:{room_id}"})["history"]["epoch"]
        found = wire.subscribe(f"room:{room_id}", recover=True, epoch=epoch, offset=2)

        assert found["recovered"] is True
        assert [publication["offset"] for publication in found["publications"]] == [3]


def test_a_position_beyond_the_top_is_not_recovered(ann: Person) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")

    with ann.wire() as wire:
        found = wire.subscribe(f"room:{room_id}", **{**position, "offset": 3})

        assert (found["recovered"], found["was_recovering"]) == (False, True)
        assert found["offset"] == 2
        assert "publications" not in found


@pytest.mark.parametrize("epoch", ["other", "0", " "])
def test_a_position_of_another_epoch_is_not_recovered(ann: Person, epoch: str) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")
    ann.say(room_id, "missed")

    with ann.wire() as wire:
        found = wire.subscribe(f"room:{room_id}", **{**position, "epoch": epoch})

        assert (found["recovered"], found["was_recovering"]) == (False, True)
        assert found["offset"] == 3
        assert "publications" not in found


@pytest.mark.parametrize("someone_is_there", [False, True])
def test_at_most_300_publications_are_recovered(ann: Person, someone_is_there: bool) -> None:
    """With a subscriber there the worker's memory answers, without one the log: they agree."""
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")
    with ann.wire() as other:
        if someone_is_there:
            other.subscribe(f"room:{room_id}")
        many(ann, room_id, 300)

        with ann.wire() as wire:
            exact = wire.subscribe(f"room:{room_id}", **position)
        ann.say(room_id, "one more")
        with ann.wire() as wire:
            beyond = wire.subscribe(f"room:{room_id}", **position)

        assert exact["recovered"] is True
        assert [found["offset"] for found in exact["publications"]] == list(range(3, 303))
        assert (beyond["recovered"], beyond["offset"]) == (False, 303)
        assert "publications" not in beyond


@pytest.mark.parametrize("someone_is_there", [False, True])
def test_at_most_512_kib_are_recovered(ann: Person, someone_is_there: bool) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")
    with ann.wire() as other:
        if someone_is_there:
            other.subscribe(f"room:{room_id}")
        many(ann, room_id, 100, "x" * 3950)
        with ann.wire() as wire:
            within = wire.subscribe(f"room:{room_id}", **position)
        many(ann, room_id, 50, "x" * 3950)
        with ann.wire() as wire:
            beyond = wire.subscribe(f"room:{room_id}", **position)

        assert within["recovered"] is True
        assert len(within["publications"]) == 100
        assert beyond["recovered"] is False
        assert "publications" not in beyond


def test_what_a_removed_member_heard_last_is_not_a_position_for_coming_back(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        epoch = wire.subscribe(f"room:{room_id}")["epoch"]
        ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")
        last = wire.event(f"room:{room_id}", "member.left")["offset"]
    bob.join(room_id)

    with bob.wire() as wire:
        found = wire.subscribe(f"room:{room_id}", recover=True, epoch=epoch, offset=last)

    assert (found["recovered"], found["offset"]) == (False, last + 1)


def test_a_position_from_before_leaving_and_coming_back_is_not_recovered(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    position = left_at(bob, f"room:{room_id}")
    bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)
    ann.say(room_id, "not for bob")
    bob.join(room_id)

    with bob.wire() as wire:
        before = wire.subscribe(f"room:{room_id}", **position)
    fresh = left_at(bob, f"room:{room_id}")
    ann.say(room_id, "for bob")
    with bob.wire() as wire:
        after = wire.subscribe(f"room:{room_id}", **fresh)

    assert before["recovered"] is False
    assert after["recovered"] is True
    assert [found["data"]["message"]["text"] for found in after["publications"]] == ["for bob"]


def test_memory_answers_what_the_log_answers(ann: Person) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")
    with ann.wire() as other:
        other.subscribe(f"room:{room_id}")
        many(ann, room_id, 20)
        with ann.wire() as wire:
            from_memory = wire.subscribe(f"room:{room_id}", **position)
    with ann.wire() as wire:
        from_log = wire.subscribe(f"room:{room_id}", **position)

    assert from_memory == from_log
    assert len(from_log["publications"]) == 20


def test_the_tail_in_memory_does_not_reach_before_its_first_subscriber(ann: Person) -> None:
    room_id = ann.room()
    position = left_at(ann, f"room:{room_id}")
    many(ann, room_id, 5)
    with ann.wire() as other:
        other.subscribe(f"room:{room_id}")
        many(ann, room_id, 5)

        with ann.wire() as wire:
            found = wire.subscribe(f"room:{room_id}", **position)

        assert [publication["offset"] for publication in found["publications"]] == list(range(3, 13))


def test_a_restart_of_the_server_loses_nothing_and_keeps_positions(tmp_path: Path) -> None:
    with house_with(tmp_path / "data") as house:
        ann = house.person("ann")
        room_id = ann.room()
        position = left_at(ann, f"room:{room_id}")
        posted = [ann.say(room_id, str(number)) for number in range(7)]

    with (
        house_with(tmp_path / "data") as house,
        Wire(f"{house.url.replace('http', 'ws', 1)}/ws?token={ann.token}") as wire,
    ):
        found = wire.subscribe(f"room:{room_id}", **position)

        assert found["recovered"] is True
        assert [publication["data"]["message"] for publication in found["publications"]] == posted


def test_the_own_channel_recovers_through_the_connect(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        start = wire.connect(token=ann.token)["subs"][f"user:{ann.id}"]
    rooms = [ann.room(str(number)) for number in range(3)]

    with Wire(ann.socket_url) as wire:
        position = {"recover": True, "epoch": start["epoch"], "offset": start["offset"]}
        found = wire.connect(token=ann.token, subs={f"user:{ann.id}": position})["subs"][f"user:{ann.id}"]

        assert (found["recovered"], found["was_recovering"]) == (True, True)
        assert [publication["data"]["room_id"] for publication in found["publications"]] == rooms


def test_a_position_of_the_own_channel_that_does_not_hold_is_told(ann: Person) -> None:
    with Wire(ann.socket_url) as wire:
        position = {"recover": True, "epoch": "other", "offset": 0}
        found = wire.connect(token=ann.token, subs={"user:me": position})["subs"][f"user:{ann.id}"]

        assert (found["recovered"], found["was_recovering"]) == (False, True)


def test_positions_of_channels_that_the_server_does_not_subscribe_are_ignored(ann: Person) -> None:
    room_id = ann.room()
    with Wire(ann.socket_url) as wire:
        found = wire.connect(token=ann.token, subs={f"room:{room_id}": {"recover": True, "epoch": "", "offset": 0}})

        assert set(found["subs"]) == {f"user:{ann.id}"}


def test_a_configured_channel_with_history_recovers(house: House, ann: Person) -> None:
    house.api("publish", channel="chat:past", data=0)
    position = left_at(ann, "chat:past")
    for number in range(1, 4):
        house.api("publish", channel="chat:past", data=number)

    with ann.wire() as wire:
        found = wire.subscribe("chat:past", **position)
        house.api("publish", channel="chat:past", data=4)

        assert found["recovered"] is True
        assert [(publication["offset"], publication["data"]) for publication in found["publications"]] == [
            (2, 1),
            (3, 2),
            (4, 3),
        ]
        assert wire.push("chat:past") == {"data": 4, "offset": 5}


def test_a_configured_channel_recovers_no_further_than_its_history(new_house) -> None:
    house = new_house(namespaces={"short": {"history_size": 3}})
    ann = house.person("ann")
    position = left_at(ann, "short:x")
    for number in range(4):
        house.api("publish", channel="short:x", data=number)

    with ann.wire() as wire:
        found = wire.subscribe("short:x", **position)

        assert (found["recovered"], found["offset"]) == (False, 4)
        assert "publications" not in found


def test_a_channel_without_history_is_never_recovered_wrongly(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        house.api("publish", channel="live:prices", data=1)
        found = wire.subscribe("live:prices", recover=True, epoch="", offset=0)

        assert (found["recoverable"], found["recovered"]) == (False, False)
