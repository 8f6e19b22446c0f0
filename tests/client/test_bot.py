"""The bot kit: on a stage without a server, and on a real one."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chat_server.client import Bot, Client, Context, Disconnected, Position, Refused, TestBot
from chat_server.client import bot as bot_module
from chat_server.client.bookmarks import Bookmarks
from chat_server.client.progress import Progress
from chat_server.events import EndedSession, MemberJoined, MessagePosted, SessionEnded
from chat_server.ids import RoomId, SessionId, UserId
from chat_server.shapes import Kind, Member, MemberRole
from chat_server.store import event_log
from tests.client.program import happens, run
from tests.house import House, Person, until

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def echo_bot(**options: Any) -> Bot:
    bot = Bot(**options)

    @bot.on(MessagePosted)
    async def echo(ctx: Context[MessagePosted]) -> None:
        await ctx.reply(f"you said {ctx.text}")

    return bot


def test_a_bot_answers_without_a_server() -> None:
    with TestBot(echo_bot()) as test:
        assert test.say("hello") == ["you said hello"]
        assert test.say("and here", room="other") == ["you said and here"]
        assert test.posted[0].reply_to is not None


def test_a_command_is_the_first_word_and_has_arguments() -> None:
    bot = Bot()

    @bot.command("/weather")
    async def weather(ctx: Context[MessagePosted]) -> None:
        await ctx.reply(f"sunny in {ctx.args or 'general'}")

    with TestBot(bot) as test:
        assert test.say("/weather  Rome and Paris ") == ["sunny in Rome and Paris"]
        assert test.say("/Weather") == ["sunny in general"]
        assert test.say("/weathers") == test.say("no /weather") == []


def test_own_messages_are_not_heard() -> None:
    with TestBot(echo_bot(), username="echo") as test:
        assert test.say("hello", sender="echo") == []


def test_every_handler_that_fits_is_called_in_order() -> None:
    bot = echo_bot()

    @bot.command("/hi")
    async def hi(ctx: Context[MessagePosted]) -> None:
        await ctx.say("hi")
        await ctx.say("again")

    with TestBot(bot) as test:
        assert test.say("/hi") == ["you said /hi", "hi", "again"]


def test_other_events_are_heard_too_and_own_memberships_once() -> None:
    bot, heard = Bot(), []

    @bot.on(SessionEnded)
    async def ended(ctx: Context[SessionEnded]) -> None:
        heard.append("ended")
        with pytest.raises(LookupError):
            ctx.room_id  # noqa: B018
        with pytest.raises(LookupError):
            ctx.message  # noqa: B018

    @bot.on(MemberJoined)
    async def joined(ctx: Context[MemberJoined]) -> None:
        heard.append(ctx.event.member.username)
        await ctx.say(f"welcome {ctx.event.member.username}")

    def member(name: str) -> MemberJoined:
        who = Member(
            user_id=UserId(name), username=name, display_name=name, kind=Kind.BOT, role=MemberRole.MEMBER, joined_at=NOW
        )
        return MemberJoined(room_id=RoomId("r"), at=NOW, by=UserId("ann"), member=who)

    with TestBot(bot, username="helper") as test:
        test.tell(SessionEnded(user_id=UserId("helper"), at=NOW, session=EndedSession(id=SessionId("s"))))
        assert test.tell(member("bob")) == ["welcome bob"]
        assert test.tell(member("helper")) == []

    assert heard == ["ended", "bob"]


def test_what_a_handler_raises_is_raised_by_the_harness() -> None:
    bot = Bot()

    @bot.on(MessagePosted)
    async def broken(ctx: Context[MessagePosted]) -> None:
        raise ZeroDivisionError

    with TestBot(bot) as test:
        with pytest.raises(ZeroDivisionError):
            test.say("hello")
        with pytest.raises(ZeroDivisionError):
            test.say("the bot goes on")


def test_rpc_answers_can_be_staged_and_their_lack_is_told() -> None:
    def who_bot() -> Bot:
        bot = Bot()

        @bot.command("/who")
        async def who(ctx: Context[MessagePosted]) -> None:
            found = await ctx.client.rpc("rooms.members", {"room_id": ctx.room_id})
            await ctx.reply(", ".join(member["username"] for member in found["items"]))

        return bot

    members = {"rooms.members": lambda data: {"items": [{"username": "ann"}, {"username": data["room_id"]}]}}
    with TestBot(who_bot(), answers=members) as test:
        assert test.say("/who") == ["ann, general"]
    with TestBot(who_bot()) as test, pytest.raises(Refused, match=r"rooms\.members"):
        test.say("/who")


def test_what_a_bot_does_by_itself_can_be_waited_for() -> None:
    bot = Bot()

    @bot.background
    async def greet(client: Client) -> None:
        await client.post("general", "here I am")

    with TestBot(bot) as test:
        assert test.wait_for(1) == ["here I am"]


def test_a_handler_must_be_asynchronous() -> None:
    bot = Bot()

    with pytest.raises(TypeError, match="async def"):

        @bot.on(MessagePosted)  # type: ignore[arg-type]
        def forgotten(ctx: Context[MessagePosted]) -> None:
            pass


def test_the_same_answer_has_the_same_id_and_another_one_another() -> None:
    ids = []
    for _ in range(2):
        with TestBot(echo_bot()) as test:
            test.say("one")
            test.say("two")
            ids.append([message.client_msg_id for message in test.posted])

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_a_position_is_that_before_the_oldest_unfinished_event() -> None:
    progress = Progress({"room:r": Position("e", 4)})
    at = [Position("e", offset) for offset in range(10)]
    for offset in (5, 6, 7):
        progress.began("room:r", at[offset])

    seen = []
    for offset in (6, 5, 7):
        progress.finished("room:r", at[offset])
        seen.append(progress.positions["room:r"].offset)

    assert seen == [4, 6, 7]


def test_positions_of_before_a_restore_hold_nothing_up() -> None:
    progress = Progress({})
    old, new = Position("old", 9), Position("new", 2)
    progress.began("room:r", old)
    progress.began("room:r", new)

    progress.finished("room:r", new)
    progress.finished("room:r", old)

    assert progress.positions == {"room:r": new}


def test_bookmarks_are_kept_whole_and_a_broken_file_is_told(tmp_path: Path) -> None:
    bookmarks, positions = Bookmarks(tmp_path / "bot"), {"room:r": Position("e", 7)}

    assert bookmarks.load() == {}
    bookmarks.save(positions)
    assert bookmarks.load() == positions
    assert [path.name for path in tmp_path.iterdir()] == ["bot"]
    (tmp_path / "bot").write_text("{")
    with pytest.raises(ValueError, match="delete it to start from now"):
        bookmarks.load()


async def replies(house: House, room_id: str, person: Person, count: int) -> list[str]:
    """The texts of the first so many answers in a room."""

    def found() -> list[str]:
        items = person.get(f"/api/v1/rooms/{room_id}/messages", params={"limit": 200})["items"]
        texts = [message["text"] for message in items if message["sender_id"] != person.id]
        return texts if len(texts) >= count else []

    return await asyncio.to_thread(until, found)


def test_handlers_run_at_the_same_time_but_not_too_many(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    bot, running, most = Bot(concurrency=3), 0, 0
    together = asyncio.Event()

    @bot.on(MessagePosted)
    async def slow(ctx: Context[MessagePosted]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            together.set()
        await together.wait()
        await ctx.reply("done")
        running -= 1

    async def program() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(bot.live(Client(house.url, bob.token)))
            await happens(lambda: f"room:{room_id}" in house.worker.manager.channels)
            for index in range(9):
                ann.say(room_id, str(index))
            await replies(house, room_id, ann, 9)
            bot.stop()
        assert most == 3

    run(program)


def test_a_handler_that_fails_or_hangs_is_logged_and_the_bot_goes_on(
    house: House, ann: Person, bob: Person, caplog: pytest.LogCaptureFixture
) -> None:
    room_id = ann.room()
    bob.join(room_id)
    bot = Bot(handler_timeout_s=0.1)

    @bot.on(MessagePosted)
    async def moody(ctx: Context[MessagePosted]) -> None:
        if ctx.text == "fail":
            raise ZeroDivisionError
        if ctx.text == "hang":
            await asyncio.Event().wait()
        await ctx.reply("fine")

    async def program() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(bot.live(Client(house.url, bob.token)))
            await happens(lambda: f"room:{room_id}" in house.worker.manager.channels)
            for text in ("fail", "hang", "go on"):
                ann.say(room_id, text)
            assert await replies(house, room_id, ann, 1) == ["fine"]
            await happens(lambda: len(caplog.records) >= 2)
            bot.stop()

    with caplog.at_level(logging.ERROR, "chat_server.client"):
        run(program)
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert kinds == [ZeroDivisionError, TimeoutError]


def test_a_bot_with_a_file_goes_on_where_it_was(house: House, ann: Person, bob: Person, tmp_path: Path) -> None:
    room_id, quiet = ann.room(), ann.room()
    bob.join(room_id)
    bob.join(quiet)

    async def life(until_answered: dict[str, int], *, first: bool = False) -> None:
        bot = echo_bot(state=tmp_path / "positions")
        async with asyncio.TaskGroup() as group:
            group.create_task(bot.live(Client(house.url, bob.token)))
            if first:
                await happens(lambda: f"room:{quiet}" in house.worker.manager.channels)
                ann.say(room_id, "one")
            for where, count in until_answered.items():
                await replies(house, where, ann, count)
            bot.stop()

    async def program() -> None:
        await life({room_id: 1}, first=True)
        ann.say(room_id, "two")
        ann.say(quiet, "nothing was said here before")
        await life({room_id: 2, quiet: 1})
        assert await replies(house, room_id, ann, 2) == ["you said one", "you said two"]
        assert await replies(house, quiet, ann, 1) == ["you said nothing was said here before"]

    run(program)


def test_a_bot_that_is_stopped_keeps_where_it_was(
    house: House, ann: Person, bob: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot_module, "SAVE_S", 3600.0)
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        bot = echo_bot(state=tmp_path / "positions")
        async with asyncio.TaskGroup() as group:
            group.create_task(bot.live(Client(house.url, bob.token)))
            await happens(lambda: f"room:{room_id}" in house.worker.manager.channels)
            ann.say(room_id, "one")
            await replies(house, room_id, ann, 1)
            bot.stop()

        head = house.write(lambda unit: event_log.position(unit.transaction, f"room:{room_id}").head)
        assert Bookmarks(tmp_path / "positions").load()[f"room:{room_id}"].offset >= head - 1  # its own answer is last

    run(program)


def test_a_bot_that_lost_its_memory_says_nothing_twice(house: House, ann: Person, bob: Person, tmp_path: Path) -> None:
    """As after a crash between answering and remembering: the same events again, from an older file."""
    room_id, file = ann.room(), tmp_path / "positions"
    bob.join(room_id)

    async def life(count: int) -> None:
        bot = echo_bot(state=file)
        async with asyncio.TaskGroup() as group:
            group.create_task(bot.live(Client(house.url, bob.token)))
            await happens(file.exists)
            if count == 1:
                await happens(lambda: f"room:{room_id}" in house.worker.manager.channels)
            ann.say(room_id, str(count))
            await replies(house, room_id, ann, count)
            bot.stop()

    async def program() -> None:
        await life(1)
        kept = Bookmarks(file).load()
        channel = f"room:{room_id}"
        Bookmarks(file).save({**kept, channel: Position(kept[channel].epoch, kept[channel].offset - 2)})
        await life(2)
        assert await replies(house, room_id, ann, 2) == ["you said 1", "you said 2"]

    run(program)


def test_a_bot_whose_key_is_revoked_ends_and_says_why(house: House, ann: Person) -> None:
    async def program() -> None:
        bot = Bot()
        living = asyncio.ensure_future(bot.live(Client(house.url, ann.token)))
        await happens(lambda: f"user:{ann.id}" in house.worker.manager.channels)
        ann.post("/api/v1/auth/logout", status=204)
        with pytest.raises(Disconnected):
            await living

    run(program)


def test_a_bot_can_be_stopped_while_it_waits_for_the_server() -> None:
    async def program() -> None:
        bot = Bot()
        living = asyncio.ensure_future(bot.live(Client("http://127.0.0.1:1", "t", open_timeout_s=None)))
        await asyncio.sleep(0)
        bot.stop()
        await living

    run(program)


PROGRAM = "from chat_server.client import Bot; Bot().run()"


def test_a_bot_without_a_token_says_what_to_do() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CHAT_TOKEN"}

    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=30
    )

    assert found.returncode == 1
    assert found.stderr == "bot: set CHAT_TOKEN to the bot's API key: chat-server bot add NAME\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_bot_runs_by_its_environment_until_it_is_told_to_stop(house: House, ann: Person, how: signal.Signals) -> None:
    environment = {**os.environ, "CHAT_URL": house.url, "CHAT_TOKEN": ann.token}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.DEVNULL) as process:
        until(lambda: f"user:{ann.id}" in house.worker.manager.channels)
        process.send_signal(how)
        assert process.wait(10) == 0
