"""Bots that share a room: they do not answer each other, unless one is made to."""

import asyncio

from chat_server.client import Bot, Client, Context, TestBot
from chat_server.events import MessagePosted
from chat_server.shapes import Role
from tests.client.program import happens, run
from tests.house import House, Person


def echo_bot(*, hears_bots: bool = False) -> Bot:
    bot = Bot(hears_bots=hears_bots)

    @bot.on(MessagePosted)
    async def echo(ctx: Context[MessagePosted]) -> None:
        await ctx.reply(f"you said {ctx.text}")

    return bot


def bot_account(house: House, room_id: str, name: str) -> str:
    """A bot's key; it is a member of the room."""
    owner = house.person("olga", Role.OWNER)
    bot_id = owner.post("/api/v1/bots", {"username": f"{name}-{owner.username}"})["id"]
    owner.join(room_id)
    owner.put(f"/api/v1/rooms/{room_id}/members/{bot_id}", {"role": "member"})
    return str(owner.post(f"/api/v1/bots/{bot_id}/keys", {"scopes": ["chat"]})["key"])


def said(person: Person, room_id: str) -> list[str]:
    return [message["text"] for message in person.get(f"/api/v1/rooms/{room_id}/messages")["items"]]


def test_two_echo_bots_in_one_room_do_not_answer_each_other(house: House, ann: Person) -> None:
    room_id = ann.room()
    bots = {bot_account(house, room_id, name): echo_bot() for name in ("first", "second")}

    def have_heard(offset: int) -> bool:
        channel = f"room:{room_id}"
        found = [bot.progress.positions.get(channel) for bot in bots.values()]
        return all(position is not None and position.offset >= offset for position in found)

    async def program() -> None:
        async with asyncio.TaskGroup() as group:
            for key, bot in bots.items():
                group.create_task(bot.live(Client(house.url, key)))
                await bot.ready.wait()
            ann.say(room_id, "hello")
            await happens(lambda: len(said(ann, room_id)) == 3)
            head = ann.get(f"/api/v1/rooms/{room_id}")["last_message_seq"] + len(bots) + 1  # and who came in
            await happens(lambda: have_heard(head))
            for bot in bots.values():
                bot.stop()

    run(program)
    assert sorted(said(ann, room_id)) == ["hello", "you said hello", "you said hello"]


def test_a_bot_that_is_made_to_hears_other_bots() -> None:
    with TestBot(echo_bot()) as test:
        assert test.say("hello", sender="other", is_bot=True) == []
        assert test.say("hello") == ["you said hello"]
    with TestBot(echo_bot(hears_bots=True)) as test:
        assert test.say("hello", sender="other", is_bot=True) == ["you said hello"]


def test_who_said_it_is_asked_once() -> None:
    asked: list[str] = []

    def card(data: dict[str, str]) -> dict[str, object]:
        asked.append(data["user_id"])
        names = {"id": "ann", "username": "ann", "display_name": "Ann", "role": "member"}
        return {**names, "kind": "human", "created_at": "2026-11-22T00:00:00Z", "disabled": False}

    with TestBot(echo_bot(), answers={"users.get": card}) as test:
        test.say("one")
        test.say("two")

    assert asked == ["ann"]
