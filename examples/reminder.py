"""A bot that reminds people: `/remind 10m stand up`. What it promised is kept in a file, so it may be restarted.

    export CHAT_TOKEN=$(chat-server bot add reminder)
    python examples/reminder.py

CHAT_URL says where the server is (http://127.0.0.1:8000), CHAT_REMINDERS which file to use (./reminders.db). Invite
`reminder` into a room.
"""

import asyncio
import contextlib
import logging
import os
import re
import sqlite3
from datetime import UTC, datetime, timedelta

from chat_server.client import Bot, Client, Context, Refused
from chat_server.events import MessagePosted
from chat_server.ids import UserId
from chat_server.shapes import Mentions

FILE = os.environ.get("CHAT_REMINDERS", "reminders.db")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
FORM = re.compile(r"(\d{1,4})\s*([smhd])\s+(.+)", re.DOTALL)

database = sqlite3.connect(FILE, isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS reminders (message_id PRIMARY KEY, room_id, user_id, due, text)")
changed = asyncio.Event()
bot = Bot(state=f"{FILE}.positions")


@bot.command("/remind")
async def remind(ctx: Context[MessagePosted]) -> None:
    form = FORM.fullmatch(ctx.args)
    if form is None:
        await ctx.reply("Say it like this: /remind 10m stand up (s, m, h or d)")
        return
    message = ctx.message
    due = message.created_at + timedelta(**{UNITS[form[2]]: int(form[1])})
    row = (message.id, ctx.room_id, message.sender_id, due.timestamp(), form[3])
    database.execute("INSERT OR IGNORE INTO reminders VALUES (?, ?, ?, ?, ?)", row)
    changed.set()
    await ctx.reply(f"I will, at {due:%H:%M:%S} UTC.")


@bot.background
async def ring(client: Client) -> None:
    """Say what is due; sleep until the next is, or until there is a new one."""
    while True:
        changed.clear()
        row = database.execute("SELECT * FROM reminders ORDER BY due LIMIT 1").fetchone()
        wait_s = None if row is None else row[3] - datetime.now(UTC).timestamp()
        if wait_s is not None and wait_s <= 0:
            await say(client, *row)
            continue
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), wait_s)


async def say(client: Client, message_id: str, room_id: str, user_id: str, due: float, text: str) -> None:
    """Once: the id is made of the message, so saying it again after a crash is the same."""
    whom = Mentions(user_ids=(UserId(user_id),))
    try:
        await client.post(
            room_id, f"Reminder: {text}", reply_to=message_id, mentions=whom, client_msg_id=f"remind-{message_id}"
        )
    except Refused as error:
        logging.warning("a reminder could not be said: %s", error)
    database.execute("DELETE FROM reminders WHERE message_id = ?", (message_id,))


if __name__ == "__main__":
    bot.run()
