"""python-socketio, as its documentation shows it."""

from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", transports=["websocket"])
app = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    """Join the one room, unless it is the publisher."""
    if "pub=1" not in environ.get("QUERY_STRING", ""):
        await server.enter_room(sid, "bench")


@server.on("pub")
async def publish(sid: str, data: Any) -> None:
    """Everything that is sent here goes to all of them."""
    await server.emit("msg", data, room="bench")
