from tests.house import House, Person, Wire, until


def info(person: Person, client: str) -> dict[str, object]:
    display_name = person.username.partition("-")[0]
    return {
        "user": person.id,
        "client": client,
        "conn_info": {"username": person.username, "display_name": display_name, "kind": "human"},
    }


def test_presence_names_everyone_in_the_room(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as one, ann.wire() as two, bob.wire() as three:
        clients = [wire.connect()["client"] for wire in (one, two, three)]
        for wire in (one, two, three):
            wire.subscribe(f"room:{room_id}")

        found = one.ask(presence={"channel": f"room:{room_id}"})
        stats = one.ask(presence_stats={"channel": f"room:{room_id}"})

        people = zip((ann, ann, bob), clients, strict=True)
        assert found == {"presence": {"presence": {client: info(person, client) for person, client in people}}}
        assert stats == {"presence_stats": {"num_clients": 3, "num_users": 2}}


def test_presence_of_an_empty_channel_is_empty(ann: Person) -> None:
    with ann.wire() as wire:
        assert wire.ask(presence={"channel": "chat:empty"}) == {"presence": {"presence": {}}}
        assert wire.ask(presence_stats={"channel": "chat:empty"}) == {
            "presence_stats": {"num_clients": 0, "num_users": 0}
        }


def test_whoever_unsubscribes_is_not_present(ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:lobby")
        wire.ask(unsubscribe={"channel": "chat:lobby"})

        assert wire.ask(presence={"channel": "chat:lobby"})["presence"] == {"presence": {}}


def test_whoever_disconnects_is_not_present(ann: Person, bob: Person) -> None:
    with bob.wire() as watcher:
        with ann.wire() as wire:
            wire.subscribe("chat:hall")
            present = watcher.ask(presence_stats={"channel": "chat:hall"})["presence_stats"]

        until(
            lambda: watcher.ask(presence={"channel": "chat:hall"})["presence"] == {"presence": {}},
            what="the leaving of a socket that is gone",
        )
        assert present == {"num_clients": 1, "num_users": 1}


def test_whoever_was_put_out_of_the_room_is_not_present(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as watcher, bob.wire() as wire:
        wire.subscribe(f"room:{room_id}")
        ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

        until(
            lambda: watcher.ask(presence={"channel": f"room:{room_id}"})["presence"] == {"presence": {}},
            what="bob's absence",
        )


def test_whoever_must_read_a_channel_anew_is_not_present_meanwhile(house: House, ann: Person) -> None:
    """A channel whose history was removed begins a new epoch: its subscribers are out until they subscribe again."""
    with ann.wire() as wire:
        wire.subscribe("chat:reborn")
        house.api("publish", channel="chat:reborn", data=1)
        house.api("history_remove", channel="chat:reborn")
        house.api("publish", channel="chat:reborn", data=2)

        assert wire.push("chat:reborn", "unsubscribe") == {"code": 2500, "reason": "insufficient state"}
        assert wire.ask(presence={"channel": "chat:reborn"})["presence"] == {"presence": {}}
        assert wire.ask(sub_refresh={"channel": "chat:reborn", "token": ""})["error"]["code"] == 103
        assert wire.subscribe("chat:reborn")["offset"] == 1


def test_presence_is_for_those_who_may_subscribe(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    with bob.wire() as wire:
        assert wire.ask(presence={"channel": f"room:{room_id}"})["error"]["code"] == 103
        assert wire.ask(presence_stats={"channel": f"room:{room_id}"})["error"]["code"] == 103
        assert wire.ask(presence={"channel": "nowhere:x"})["error"]["code"] == 102


def test_a_namespace_without_presence_has_none(ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("live:prices")

        assert wire.ask(presence={"channel": "live:prices"})["error"]["code"] == 108
        assert wire.ask(presence_stats={"channel": "topic:deploys"})["error"]["code"] == 108


def test_joins_and_leaves_are_pushed_where_the_namespace_says_so(ann: Person, bob: Person) -> None:
    with ann.wire() as watcher:
        watcher.subscribe("chat:door")
        with bob.wire() as wire:
            client = wire.connect()["client"]
            wire.subscribe("chat:door")
            joined = watcher.push("chat:door", "join")
            if joined["info"]["user"] == ann.id:
                joined = watcher.push("chat:door", "join")
            wire.ask(unsubscribe={"channel": "chat:door"})
            left = watcher.push("chat:door", "leave")

        assert joined == {"info": info(bob, client)}
        assert left == {"info": info(bob, client)}


def test_a_leave_is_pushed_when_a_socket_is_gone(ann: Person, bob: Person) -> None:
    with ann.wire() as watcher:
        watcher.subscribe("chat:gate")
        with bob.wire() as wire:
            wire.subscribe("chat:gate")

        assert watcher.push("chat:gate", "leave")["info"]["user"] == bob.id


def test_rooms_push_no_joins_of_connections(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as watcher, bob.wire() as wire:
        watcher.subscribe(f"room:{room_id}")
        wire.subscribe(f"room:{room_id}")

        assert watcher.quiet() == []


def test_a_socket_that_is_closed_while_it_subscribes_leaves_nobody_behind(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        wire.send(subscribe={"channel": "chat:ghosts"})
        house.api("disconnect", user=ann.id)
        wire.closed()

    until(lambda: not house.worker.manager.connections_of(ann.id), what="the end of the socket")
    assert house.api("presence", channel="chat:ghosts")["result"]["presence"] == {}


def test_a_second_socket_keeps_its_person_present(house: House, ann: Person) -> None:
    with ann.wire() as stays:
        client = stays.connect()["client"]
        stays.subscribe("chat:two")
        with ann.wire() as goes:
            goes.subscribe("chat:two")
            assert house.api("presence_stats", channel="chat:two")["result"] == {"num_clients": 2, "num_users": 1}

        until(
            lambda: list(house.api("presence", channel="chat:two")["result"]["presence"]) == [client],
            what="one socket less",
        )


def test_the_socket_of_an_implied_connect_is_present_with_its_info(house: House, ann: Person) -> None:
    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.subscribe("chat:implied")
        (found,) = house.api("presence", channel="chat:implied")["result"]["presence"].values()

        assert found == info(ann, found["client"])
