"""`?subscribe=rooms` and `data.subscribe`: all rooms of the user, now and as memberships change."""

from tests.gateway.credentials import new_bot
from tests.house import House, Person, Wire, until


def test_the_query_subscribes_to_all_rooms_of_the_user(ann: Person, bob: Person) -> None:
    rooms = [ann.room(f"room {number}") for number in range(3)]
    for room_id in rooms:
        bob.join(room_id)

    with bob.wire("&subscribe=rooms") as wire:
        answer = wire.connect()
        for room_id in rooms:
            ann.say(room_id, f"to {room_id}")

        assert set(answer["subs"]) == {f"user:{bob.id}", *(f"room:{room_id}" for room_id in rooms)}
        assert [wire.event(f"room:{room_id}", "message.posted")["message"]["text"] for room_id in rooms] == [
            f"to {room_id}" for room_id in rooms
        ]


def test_the_data_of_a_connect_subscribes_to_all_rooms_of_the_user(ann: Person) -> None:
    room_id = ann.room()

    with Wire(ann.socket_url) as wire:
        answer = wire.connect(token=ann.token, data={"subscribe": "rooms"})

        assert f"room:{room_id}" in answer["subs"]


def test_a_bot_that_only_listens_hears_its_rooms(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    with bob.wire("&subscribe=rooms") as wire:
        until(lambda: house.worker.manager.channels.get(f"room:{room_id}"), what="the implied connect")
        ann.say(room_id, "hello")

        assert wire.event(f"room:{room_id}", "message.posted")["message"]["text"] == "hello"


def test_without_asking_for_rooms_none_are_subscribed(ann: Person) -> None:
    ann.room()

    with ann.wire() as wire:
        assert set(wire.connect()["subs"]) == {f"user:{ann.id}"}


def test_a_room_that_is_joined_later_is_subscribed_with_a_push(ann: Person, bob: Person) -> None:
    room_id = ann.room()

    with bob.wire("&subscribe=rooms") as wire:
        wire.connect()
        bob.join(room_id)
        pushed = wire.push(f"room:{room_id}", "subscribe")
        posted = ann.say(room_id, "welcome")

        assert set(pushed) >= {"recoverable", "positioned", "epoch", "offset", "recovered", "was_recovering"}
        event = wire.event(f"room:{room_id}", "message.posted")
        assert event["message"] == posted
        assert event["offset"] == pushed["offset"] + 1


def test_a_room_that_one_is_added_to_is_subscribed_with_a_push(ann: Person, bob: Person) -> None:
    room_id = ann.room(kind="private")

    with bob.wire("&subscribe=rooms") as wire:
        wire.connect()
        ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}", {})

        assert wire.push(f"room:{room_id}", "subscribe")["positioned"] is True


def test_a_direct_room_is_subscribed_when_the_other_one_opens_it(ann: Person, bob: Person) -> None:
    with bob.wire("&subscribe=rooms") as wire:
        wire.connect()
        room_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]
        wire.push(f"room:{room_id}", "subscribe")
        ann.say(room_id, "psst")

        assert wire.event(f"room:{room_id}", "message.posted")["message"]["text"] == "psst"


def test_a_room_that_is_left_is_unsubscribed_with_a_push(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    with bob.wire("&subscribe=rooms") as wire:
        wire.connect()
        bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)

        assert wire.push(f"room:{room_id}", "unsubscribe") == {"code": 2000, "reason": "server unsubscribe"}


def test_a_room_that_is_left_and_joined_again_is_heard_again(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    with bob.wire("&subscribe=rooms") as wire:
        wire.connect()
        bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)
        bob.join(room_id)
        wire.push(f"room:{room_id}", "unsubscribe")
        pushed = wire.push(f"room:{room_id}", "subscribe")
        posted = ann.say(room_id, "again")

        assert wire.event(f"room:{room_id}", "message.posted") == {
            "type": "message.posted",
            "room_id": room_id,
            "at": posted["created_at"],
            "message": posted,
            "offset": pushed["offset"] + 1,
        }


def test_positions_of_rooms_recover_by_the_connect(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire("&subscribe=rooms") as wire:
        start = wire.connect()["subs"][f"room:{room_id}"]
    posted = [ann.say(room_id, str(number)) for number in range(3)]

    with bob.wire("&subscribe=rooms") as wire:
        position = {"recover": True, "epoch": start["epoch"], "offset": start["offset"]}
        answer = wire.connect(subs={f"room:{room_id}": position})["subs"][f"room:{room_id}"]

        assert answer["recovered"] is True
        assert [found["data"]["message"] for found in answer["publications"]] == posted


def test_a_position_of_a_room_that_one_is_not_in_gives_nothing(ann: Person, bob: Person) -> None:
    room_id = ann.room(kind="private")

    with bob.wire("&subscribe=rooms") as wire:
        answer = wire.connect(subs={f"room:{room_id}": {"recover": True, "epoch": "", "offset": 0}})

        assert set(answer["subs"]) == {f"user:{bob.id}"}


def test_a_key_with_a_list_of_channels_hears_only_those_rooms(house: House) -> None:
    ann = house.person("ann")
    inside, outside = ann.room("inside"), ann.room("outside")
    bot = new_bot(house, channels=[f"room:{inside}"])
    for room_id in (inside, outside):
        ann.put(f"/api/v1/rooms/{room_id}/members/{bot.id}", {})

    with Wire(f"{ann.socket_url}?token={bot.key}&subscribe=rooms") as wire:
        answer = wire.connect()

        assert set(answer["subs"]) == {f"room:{inside}"}


def test_recovering_several_rooms_at_once_fits_into_frames_that_clients_take(ann: Person, bob: Person) -> None:
    """Client libraries refuse a frame over 1 MiB: they would reconnect from the same positions for ever."""
    rooms = [ann.room(f"room {number}") for number in range(4)]
    for room_id in rooms:
        bob.join(room_id)
    with bob.wire("&subscribe=rooms") as wire:
        subs = wire.connect()["subs"]
    for room_id in rooms:
        for _ in range(110):
            ann.say(room_id, "x" * 3900)

    with bob.wire("&subscribe=rooms") as wire:
        positions = {
            channel: {"recover": True, "epoch": sub["epoch"], "offset": sub["offset"]} for channel, sub in subs.items()
        }
        answer = wire.connect(subs=positions)["subs"]

        assert set(answer) == set(subs)


def test_what_arrives_before_and_during_a_connect_is_heard_exactly_once(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire("&subscribe=rooms") as wire:
        ids = [wire.send(connect={})]
        posted = [ann.say(room_id, str(number)) for number in range(20)]
        start = wire.reply(ids[0])["connect"]["subs"][f"room:{room_id}"]["offset"]
        last = ann.say(room_id, "last")

        heard = [wire.event(f"room:{room_id}", "message.posted")]
        while heard[-1]["message"]["id"] != last["id"]:
            heard.append(wire.event(f"room:{room_id}", "message.posted"))

        assert [event["offset"] for event in heard] == list(range(start + 1, start + 1 + len(heard)))
        assert len(heard) <= len(posted) + 1
