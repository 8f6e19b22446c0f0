import pytest

from tests.gateway.credentials import new_bot
from tests.house import House, Person, Wire, until

SIX = {"recoverable", "positioned", "epoch", "offset", "recovered", "was_recovering"}


def test_a_durable_subscription_is_positioned_and_recoverable_whatever_the_flags_say(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        answer = wire.subscribe(f"room:{room_id}", recoverable=False, positioned=False, flag=1)

        assert set(answer) == SIX
        assert (answer["recoverable"], answer["positioned"]) == (True, True)
        assert (answer["recovered"], answer["was_recovering"]) == (False, False)
        assert answer["epoch"]
        assert answer["offset"] == 2  # room.created, member.joined


def test_a_durable_channel_without_events_stands_at_zero(ann: Person) -> None:
    with ann.wire() as wire:
        answer = wire.subscribe("topic:untouched")

        assert set(answer) == SIX
        assert answer["offset"] == 0
        assert answer["positioned"] is True


def test_a_channel_without_history_is_neither_positioned_nor_recoverable(ann: Person) -> None:
    with ann.wire() as wire:
        answer = wire.subscribe("live:prices")

        assert set(answer) == SIX
        assert (answer["recoverable"], answer["positioned"], answer["epoch"], answer["offset"]) == (False, False, "", 0)


def test_a_configured_channel_with_history_is_positioned_and_recoverable(house: House, ann: Person) -> None:
    house.api("publish", channel="chat:counted", data=1)
    with ann.wire() as wire:
        answer = wire.subscribe("chat:counted")

        assert (answer["recoverable"], answer["positioned"], answer["offset"]) == (True, True, 1)
        assert answer["epoch"]


def test_the_own_channel_is_subscribed_already(ann: Person) -> None:
    with ann.wire() as wire:
        assert wire.ask(subscribe={"channel": f"user:{ann.id}"})["error"]["code"] == 105


def test_the_own_channel_may_be_asked_for_by_its_short_name_and_is_answered_with_its_real_one(ann: Person) -> None:
    with ann.wire() as wire:
        answer = wire.subscribe("user:me")
        ann.room()

        assert answer["channel"] == f"user:{ann.id}"
        assert wire.event(f"user:{ann.id}", "member.joined")["offset"] == answer["offset"] + 1
        assert wire.ask(subscribe={"channel": "user:me"})["error"]["code"] == 105


def test_whoever_asks_for_the_own_channel_from_a_position_gets_what_it_missed(ann: Person) -> None:
    with ann.wire() as wire:
        start = wire.subscribe("user:me")
    ann.room()

    with ann.wire() as wire:
        found = wire.subscribe("user:me", recover=True, epoch=start["epoch"], offset=start["offset"])

    assert found["recovered"] is True
    assert [missed["data"]["type"] for missed in found["publications"]] == ["member.joined"]


def test_subscribing_twice_is_an_error_and_the_first_goes_on(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        wire.subscribe(f"room:{room_id}")
        again = wire.ask(subscribe={"channel": f"room:{room_id}"})
        ann.say(room_id, "hello")

        assert again["error"]["code"] == 105
        assert wire.event(f"room:{room_id}", "message.posted")
        assert wire.quiet() == []


def test_channels_that_are_not_for_one_are_refused_alike(ann: Person, bob: Person) -> None:
    private, public = bob.room(kind="private"), bob.room()
    closed = [
        f"room:{private}",
        f"room:{public}",
        "room:nowhere",
        f"user:{bob.id}",
        "user:nobody",
        f"presence:{private}",
    ]

    with ann.wire() as wire:
        answers = [wire.ask(subscribe={"channel": channel})["error"] for channel in closed]

        assert [answer["code"] for answer in answers] == [103] * len(closed)
        assert len({answer["message"] for answer in answers}) == 1


@pytest.mark.parametrize("channel", ["nowhere:x", "plain", ":", ":x", "rooms:1"])
def test_a_channel_of_an_unknown_namespace_is_unknown(ann: Person, channel: str) -> None:
    with ann.wire() as wire:
        assert wire.ask(subscribe={"channel": channel})["error"]["code"] == 102
        assert wire.rpc("users.me")["id"] == ann.id


def test_a_restricted_topic_is_for_its_readers_only(house: House, ann: Person, bob: Person) -> None:
    bot = new_bot(house, scopes=["notify:publish"])
    bot.owner.put(f"/api/v1/topics/board-{bot.id}", {"access": "named", "readers": [ann.id]})

    with ann.wire() as reader, bob.wire() as other:
        assert reader.subscribe(f"topic:board-{bot.id}")["positioned"] is True
        assert other.ask(subscribe={"channel": f"topic:board-{bot.id}"})["error"]["code"] == 103


def test_what_cannot_be_recovered_is_an_error_where_the_client_asks_for_it(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        bad = {"channel": f"room:{room_id}", "recover": True, "epoch": "other", "offset": 1}

        refused = wire.ask(subscribe={**bad, "flag": 2})
        accepted = wire.ask(subscribe=bad)

        assert refused["error"]["code"] == 112
        assert accepted["subscribe"]["recovered"] is False
        assert accepted["subscribe"]["was_recovering"] is True


def test_unsubscribing_ends_what_is_heard(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        wire.subscribe(f"room:{room_id}")

        answer = wire.ask(unsubscribe={"channel": f"room:{room_id}"})
        ann.say(room_id, "unheard")

        assert answer == {"unsubscribe": {}}
        assert [push for push in wire.quiet() if push["channel"] == f"room:{room_id}"] == []
        assert wire.subscribe(f"room:{room_id}")["offset"] == 3


def test_unsubscribing_from_what_one_does_not_follow_is_fine(ann: Person) -> None:
    with ann.wire() as wire:
        assert wire.ask(unsubscribe={"channel": "live:nothing"}) == {"unsubscribe": {}}


def test_a_publication_reaches_subscribers_with_its_author(ann: Person, bob: Person) -> None:
    with ann.wire() as author, bob.wire() as reader:
        client = author.connect()["client"]
        reader.subscribe("chat:corner")

        answer = author.ask(publish={"channel": "chat:corner", "data": {"text": "hi"}})
        heard = reader.push("chat:corner")

        assert answer == {"publish": {}}
        assert heard == {
            "data": {"text": "hi"},
            "offset": 1,
            "info": {
                "user": ann.id,
                "client": client,
                "conn_info": {"username": ann.username, "display_name": "ann", "kind": "human"},
            },
        }


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("room:{room}", 103),
        ("user:me", 103),
        ("topic:deploys", 103),
        ("presence:{room}", 103),
        ("live:prices", 103),
        ("nowhere:x", 102),
        ("plain", 102),
    ],
)
def test_publishing_where_clients_may_not_is_refused(house: House, ann: Person, channel: str, code: int) -> None:
    room_id = ann.room()
    name = channel.format(room=room_id)
    with ann.wire() as wire:
        if name != "user:me":
            wire.ask(subscribe={"channel": name})

        answer = wire.ask(publish={"channel": name, "data": {"type": "message.posted"}})

        assert answer["error"]["code"] == code
        heard = [push["pub"]["data"]["type"] for push in wire.quiet() if "pub" in push]
        assert "message.posted" not in heard


def test_only_subscribers_publish_where_the_namespace_says_so(new_house) -> None:
    house = new_house(namespaces={"club": {"publish": "subscribers"}})
    ann = house.person("ann")
    with ann.wire() as wire:
        before = wire.ask(publish={"channel": "club:x", "data": 1})
        wire.subscribe("club:x")
        after = wire.ask(publish={"channel": "club:x", "data": 2})

        assert before["error"]["code"] == 103
        assert after == {"publish": {}}
        assert wire.push("club:x")["data"] == 2


def test_a_publication_without_data_is_refused(ann: Person) -> None:
    with ann.wire() as wire:
        assert wire.ask(publish={"channel": "chat:corner"})["error"]["code"] == 107


def test_a_send_is_taken_without_an_answer(ann: Person) -> None:
    with ann.wire() as wire:
        wire.socket.send('{"send": {"data": {"any": "thing"}}}')

        assert wire.rpc("users.me")["id"] == ann.id
        assert wire.replies == {}


def test_an_rpc_answers_what_rest_answers(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        posted = wire.rpc("messages.post", room_id=room_id, text="hi", client_msg_id="m1")
        repeated = wire.rpc("messages.post", room_id=room_id, text="other", client_msg_id="m1")

        assert posted == ann.get(f"/api/v1/rooms/{room_id}/messages/{posted['id']}")
        assert repeated == {**posted, "duplicate": True}
        assert wire.rpc("rooms.list") == ann.get("/api/v1/rooms")
        assert wire.rpc("notifications.list") == ann.get("/api/v1/notifications")
        assert wire.rpc("rooms.members", room_id=room_id) == ann.get(f"/api/v1/rooms/{room_id}/members")


def test_an_rpc_without_an_answer_of_its_own_answers_an_empty_object(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        assert wire.rpc("rooms.leave", room_id=room_id) == {}


def test_a_failed_rpc_says_what_rest_would(ann: Person) -> None:
    with ann.wire() as wire:
        error = wire.ask(rpc={"method": "rooms.get", "data": {"room_id": "nowhere"}})["error"]
        problem = ann.get("/api/v1/rooms/nowhere", status=404)

        assert (error["code"], error["reason"], error["message"]) == (404, problem["code"], problem["detail"])
        assert error["temporary"] is False
        assert error["request_id"]


def test_an_rpc_may_leave_out_empty_data(ann: Person) -> None:
    with ann.wire() as wire:
        assert wire.ask(rpc={"method": "users.me"})["rpc"]["data"]["id"] == ann.id
        assert wire.ask(rpc={"method": "users.me", "data": None})["rpc"]["data"]["id"] == ann.id


def test_a_subscription_is_refreshed_only_where_there_is_one(ann: Person) -> None:
    with ann.wire() as wire:
        without = wire.ask(sub_refresh={"channel": "live:prices", "token": "x"})
        wire.subscribe("live:prices")
        having = wire.ask(sub_refresh={"channel": "live:prices", "token": "x"})

        assert without["error"]["code"] == 103
        assert having["sub_refresh"] == {"expires": False, "ttl": 0}


def test_answers_come_in_the_order_of_the_commands_however_long_they_take(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        order = [
            wire.send(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": "slow"}}),
            wire.send(rpc={"method": "no.such"}),
            wire.send(subscribe={"channel": f"room:{room_id}"}),
            wire.send(history={"channel": f"room:{room_id}", "limit": 1}),
            wire.send(presence={"channel": f"room:{room_id}"}),
        ]
        while len(wire.replies) < 5:
            wire.read()

        assert list(wire.replies) == order


def test_ones_own_post_is_in_the_history_that_is_asked_for_right_behind_it(ann: Person) -> None:
    room_id = ann.room()
    with ann.wire() as wire:
        post = wire.send(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": "now"}})
        history = wire.send(history={"channel": f"room:{room_id}", "limit": -1})

        posted = wire.reply(post)["rpc"]["data"]
        assert wire.reply(history)["history"]["publications"][-1]["data"]["message"] == posted


def test_every_socket_of_a_person_hears_an_event_of_the_person(ann: Person) -> None:
    with ann.wire() as one, ann.wire() as two:
        for wire in (one, two):
            wire.connect()
        ann.room()

        heard = [wire.event(f"user:{ann.id}", "member.joined") for wire in (one, two)]

        assert heard[0] == heard[1]


def test_a_socket_that_is_gone_is_out_of_everything(house: House, ann: Person) -> None:
    room_id = ann.room()
    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.subscribe(f"room:{room_id}")
        assert len(house.worker.manager.channels[f"room:{room_id}"]) == 1

    until(lambda: f"room:{room_id}" not in house.worker.manager.channels, what="the end of the channel")
    assert house.worker.manager.connections_of(ann.id) == []
