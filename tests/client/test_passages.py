"""Who comes to and leaves a channel that tells it, as its followers hear it."""

from typing import Any

from chat_server.client import Client, Follower, Joined, Left, Missed, Published
from chat_server.client.delivery import Position
from tests.client.program import run, settled
from tests.client.talk import connected, inbox, line, protocol, standing
from tests.house import House, Person

CHANNEL = "chat:lobby"
BOB = {"user": "bob", "client": "c1", "conn_info": {"username": "bob", "display_name": "Bob", "kind": "human"}}
FOLLOWER = Follower(client_id="c1", user_id="bob", username="bob", display_name="Bob", kind="human")


def passage(kind: str) -> bytes:
    return line(push={"channel": CHANNEL, kind: {"info": BOB}})


def test_a_follower_hears_who_comes_and_goes_between_publications(house: House, ann: Person, bob: Person) -> None:
    async def program() -> None:
        async with Client(house.url, ann.token) as ours:
            events = ours.follow(CHANNEL)
            await settled(ours)
            assert isinstance((await events.next()).event, Joined)  # oneself
            async with Client(house.url, bob.token) as theirs:
                lobby = theirs.follow(CHANNEL)
                await settled(theirs)
                came = (await events.next()).event
                await theirs.publish(CHANNEL, "hello")
                said = (await events.next()).event
                present = {one.username for one in await ours.presence(CHANNEL)}
                lobby.close()
                went = (await events.next()).event

        assert isinstance(came, Joined)
        assert (came.channel, came.follower.user_id, came.follower.username) == (CHANNEL, bob.id, bob.username)
        assert isinstance(said, Published)
        assert present == {ann.username, bob.username}
        assert isinstance(went, Left)
        assert went.follower == came.follower

    run(program)


def heard(box: Any) -> list[Any]:
    found = []
    while (item := box.take()) is not None:
        found.append(item.event)
    return found


def test_somebody_without_a_login_has_no_name() -> None:
    client, box = protocol(), inbox()
    client.follow(CHANNEL, box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(0)), 0.0)

    client.receive(line(push={"channel": CHANNEL, "join": {"info": {}}}), 0.0)

    nobody = Follower(client_id="", user_id="", username="", display_name="", kind="")
    assert heard(box) == [Joined(channel=CHANNEL, follower=nobody)]


def test_what_a_full_inbox_has_no_room_for_is_told_as_missed_and_moves_no_position() -> None:
    client, box = protocol(), inbox(2)
    client.follow(CHANNEL, box, None, 0.0)
    connected(client)
    client.receive(line(id=2, subscribe=standing(7)), 0.0)
    for kind in ("join", "leave", "join"):
        client.receive(passage(kind), 0.0)
    whole = heard(box)
    client.receive(passage("leave"), 0.0)

    at = Position("e", 7)
    joined = Joined(channel=CHANNEL, follower=FOLLOWER)
    left = Left(channel=CHANNEL, follower=FOLLOWER)
    assert whole == [joined, left]
    assert heard(box) == [Missed(channel=CHANNEL, after=at, position=at), left]
