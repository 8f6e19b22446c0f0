import pytest

from tests.house import House, Person, Wire


@pytest.fixture
def ten(ann: Person) -> str:
    """A room of ann's with ten messages: offsets 3 to 12."""
    room_id = ann.room()
    for number in range(10):
        ann.say(room_id, str(number))
    return f"room:{room_id}"


def offsets(wire: Wire, channel: str, **request: object) -> list[int]:
    found = wire.ask(history={"channel": channel, **request})
    assert "history" in found, found
    return [publication["offset"] for publication in found["history"]["publications"]]


def test_a_limit_of_zero_is_the_position_only(ann: Person, ten: str) -> None:
    with ann.wire() as wire:
        answer = wire.ask(history={"channel": ten})["history"]

        assert answer["publications"] == []
        assert answer["offset"] == 12
        assert answer["epoch"] == wire.subscribe(ten)["epoch"]


def test_history_pages_forward_from_a_position(ann: Person, ten: str) -> None:
    with ann.wire() as wire:
        assert offsets(wire, ten, limit=3) == [1, 2, 3]
        assert offsets(wire, ten, limit=3, since={"offset": 3, "epoch": ""}) == [4, 5, 6]
        assert offsets(wire, ten, limit=3, since={"offset": 11}) == [12]
        assert offsets(wire, ten, limit=3, since={"offset": 12}) == []


def test_history_pages_backward_from_a_position(ann: Person, ten: str) -> None:
    with ann.wire() as wire:
        assert offsets(wire, ten, limit=3, reverse=True) == [12, 11, 10]
        assert offsets(wire, ten, limit=3, reverse=True, since={"offset": 10}) == [9, 8, 7]
        assert offsets(wire, ten, limit=3, reverse=True, since={"offset": 1}) == []


def test_a_limit_of_minus_one_is_all_that_one_answer_may_hold(ann: Person, ten: str) -> None:
    with ann.wire() as wire:
        assert offsets(wire, ten, limit=-1) == list(range(1, 13))


def test_one_answer_holds_at_most_300_publications(house: House, ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        for number in range(310):
            wire.rpc("messages.post", room_id=room_id, text=str(number))

        assert offsets(wire, f"room:{room_id}", limit=-1) == list(range(1, 301))
        assert offsets(wire, f"room:{room_id}", limit=1_000_000) == list(range(1, 301))
        assert offsets(wire, f"room:{room_id}", limit=-1, since={"offset": 300}) == list(range(301, 313))


def test_one_answer_holds_at_most_512_kib(ann: Person) -> None:
    room_id = ann.room()
    for _ in range(50):
        ann.say(room_id, "\N{SNOWMAN}" * 4000)
    with ann.wire() as wire:
        first = wire.ask(history={"channel": f"room:{room_id}", "limit": -1})["history"]
        found = [publication["offset"] for publication in first["publications"]]
        while found[-1] < first["offset"]:
            found += offsets(wire, f"room:{room_id}", limit=-1, since={"offset": found[-1]})

        assert len(first["publications"]) < 52
        assert found == list(range(1, 53))


@pytest.mark.parametrize("limit", [0, 5])
def test_another_epoch_is_no_position_here(ann: Person, ten: str, limit: int) -> None:
    with ann.wire() as wire:
        answer = wire.ask(history={"channel": ten, "limit": limit, "since": {"offset": 1, "epoch": "other"}})

        assert answer["error"]["code"] == 112


@pytest.mark.parametrize(
    "request_",
    [
        {"limit": -2},
        {"limit": "5"},
        {"limit": 1.5},
        {"since": {"offset": -1}},
        {"since": 5},
        {"since": {"offset": 2**64}},
    ],
)
def test_bounds_that_are_none_are_refused(ann: Person, ten: str, request_: dict[str, object]) -> None:
    with ann.wire() as wire:
        assert wire.ask(history={"channel": ten, **request_})["error"]["code"] == 107


def test_history_is_for_those_who_may_subscribe(ann: Person, bob: Person, ten: str) -> None:
    with bob.wire() as wire:
        assert wire.ask(history={"channel": ten, "limit": 1})["error"]["code"] == 103
        assert wire.ask(history={"channel": f"user:{ann.id}", "limit": 1})["error"]["code"] == 103
        assert wire.ask(history={"channel": "nowhere:x", "limit": 1})["error"]["code"] == 102


def test_history_needs_no_subscription_and_makes_none(ann: Person, ten: str) -> None:
    with ann.wire() as wire:
        offsets(wire, ten, limit=1)
        ann.say(ten.removeprefix("room:"), "unheard")

        assert [push for push in wire.quiet() if push["channel"] == ten] == []


def test_the_own_channel_has_a_history_by_its_short_name(ann: Person, ten: str) -> None:
    with ann.wire() as wire:
        answer = wire.ask(history={"channel": "user:me", "limit": -1})["history"]

        assert [found["data"]["type"] for found in answer["publications"]] == ["member.joined"]


def test_a_channel_without_history_has_none_to_offer(ann: Person) -> None:
    with ann.wire() as wire:
        assert wire.ask(history={"channel": "live:prices", "limit": 1})["error"]["code"] == 108


def test_a_configured_history_keeps_its_size_and_says_what_is_gone(new_house) -> None:
    house = new_house(namespaces={"short": {"history_size": 3}})
    ann = house.person("ann")
    for number in range(5):
        house.api("publish", channel="short:x", data=number)

    with ann.wire() as wire:
        whole = wire.ask(history={"channel": "short:x", "limit": -1})["history"]
        gone = wire.ask(history={"channel": "short:x", "limit": -1, "since": {"offset": 1, "epoch": whole["epoch"]}})

        assert [(found["offset"], found["data"]) for found in whole["publications"]] == [(3, 2), (4, 3), (5, 4)]
        assert whole["offset"] == 5
        assert gone["error"]["code"] == 112


def test_a_member_who_came_late_sees_the_rooms_history_from_its_start(ann: Person, bob: Person, ten: str) -> None:
    bob.join(ten.removeprefix("room:"))

    with bob.wire() as wire:
        assert offsets(wire, ten, limit=-1) == list(range(1, 14))
