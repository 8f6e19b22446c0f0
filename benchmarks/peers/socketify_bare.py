"""socketify (uWebSockets): its own publish, without anything around it. python socketify_bare.py PORT"""

import sys
from collections.abc import Callable
from typing import Any

from socketify import App, OpCode

MOST_WAITING_BYTES = 16 * 1024 * 1024
app = App()


def upgraded(is_publisher: bool) -> Callable[..., None]:
    def upgrade(response: Any, request: Any, context: Any) -> None:
        asked = [request.get_header(f"sec-websocket-{name}") for name in ("key", "protocol", "extensions")]
        response.upgrade(*asked, context, {"is_publisher": is_publisher})

    return upgrade


def followed(socket: Any) -> None:
    socket.subscribe("bench")


def published(socket: Any, message: Any, kind: Any) -> None:
    app.publish("bench", message, OpCode.TEXT)


subscriber = {"upgrade": upgraded(False), "open": followed, "idle_timeout": 0, "max_backpressure": MOST_WAITING_BYTES}
app.ws("/ws", subscriber)
app.ws("/pub", {"upgrade": upgraded(True), "message": published, "idle_timeout": 0})
app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"}, lambda _: None)
app.run()
