from tests.house import Person
from tests.process import Process


def test_a_message_reaches_a_member_of_the_room(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        wire.connect()
        start = wire.subscribe(f"room:{room_id}")

        posted = ann.say(room_id, "hello")

        event = wire.event(f"room:{room_id}", "message.posted")
        assert event["message"] == posted
        assert event["offset"] == start["offset"] + 1


def test_the_process_starts(process: Process) -> None:
    ann = process.person("ann")
    assert ann.get("/readyz")["status"] == "ok"
    assert process.stop() == 0
