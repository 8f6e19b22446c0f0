"""A bot that answers every message in its rooms with the same words.

Make it an account, and let it into a room:

    export CHAT_TOKEN=$(chat-server bot add echo)
    python examples/echo.py

CHAT_URL says where the server is (http://127.0.0.1:8000). With CHAT_BOT_STATE, a file, it also answers what was said
while it was not running. It hears the rooms that it is a member of: invite `echo` into one.
"""

import os

from chat_server.client import Bot, Context
from chat_server.events import MessagePosted

bot = Bot(state=os.environ.get("CHAT_BOT_STATE"))


@bot.on(MessagePosted)
async def echo(ctx: Context[MessagePosted]) -> None:
    await ctx.reply(ctx.text)


if __name__ == "__main__":
    bot.run()
