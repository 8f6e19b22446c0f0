"""`presence:<room_id>`: who came and went, who is typing. Ephemeral, for members."""

from tests.gateway.streams import Stream
from tests.house import Person, Wire


def changes(wire: Wire, room_id: str, person: Person) -> dict[str, object]:
    """The next presence.changed of that person."""
    while True:
        found = wire.event(f"presence:{room_id}", "presence.changed")
        if found["presence"]["user_id"] == person.id:
            return found


def test_typing_is_told_to_those_who_follow_the_room(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as watcher, bob.wire() as typist:
        start = watcher.subscribe(f"presence:{room_id}")
        assert typist.rpc("typing.start", room_id=room_id) == {}
        started = watcher.event(f"presence:{room_id}", "typing.started")
        typist.rpc("typing.stop", room_id=room_id)
        stopped = watcher.event(f"presence:{room_id}", "typing.stopped")

        assert (start["positioned"], start["recoverable"]) == (False, False)
        assert started["typing"] == {"user_id": bob.id, "expires_in": 6}
        assert started["offset"] == 0
        assert stopped["typing"]["user_id"] == bob.id


def test_typing_is_for_members_and_leaves_no_trace(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    with ann.wire() as watcher, bob.wire() as stranger:
        before = watcher.subscribe(f"room:{room_id}")["offset"]
        refused = stranger.ask(rpc={"method": "typing.start", "data": {"room_id": room_id}})
        watcher.rpc("typing.start", room_id=room_id)

        assert refused["error"]["reason"] == "not_a_member"
        assert watcher.ask(history={"channel": f"room:{room_id}"})["history"]["offset"] == before


def test_the_first_socket_brings_a_person_online_and_the_last_takes_them_off(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as watcher:
        watcher.subscribe(f"presence:{room_id}")
        with bob.wire() as one:
            one.connect()
            came = changes(watcher, room_id, bob)
            with bob.wire() as two:
                two.connect()
        went = changes(watcher, room_id, bob)

        assert came["presence"]["status"] == "online"
        assert went["presence"]["status"] == "offline"
        assert went["presence"]["last_seen_at"]


def test_a_reload_is_no_coming_and_going(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as watcher:
        watcher.subscribe(f"presence:{room_id}")
        with bob.wire() as one:
            one.connect()
            changes(watcher, room_id, bob)
        with bob.wire() as two:
            two.connect()

            assert watcher.quiet(2.5) == []


def test_streams_bring_nobody_online(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with ann.wire() as watcher:
        watcher.subscribe(f"presence:{room_id}")
        with Stream(f"{bob.url}/sse?token={bob.token}") as stream:
            stream.opened()

            people = {push["pub"]["data"]["presence"]["user_id"] for push in watcher.quiet()}
            assert bob.id not in people


def test_whoever_is_removed_from_a_room_no_longer_hears_who_is_there(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire, ann.wire() as other:
        wire.subscribe(f"presence:{room_id}")
        ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")
        pushed = wire.push(f"presence:{room_id}", "unsubscribe")
        wire.pushes.clear()
        other.rpc("typing.start", room_id=room_id)

        assert pushed["code"] == 2000
        assert [push for push in wire.quiet() if push["channel"] == f"presence:{room_id}"] == []
