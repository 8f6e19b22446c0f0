"""What a chat written after a FastAPI tutorial does: a list of connections and `await send_text` in a loop.

`/ws` verifies the same JWT as we do, so that connecting can be compared.
"""

import os

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from jose import JWTError, jwt

app = FastAPI()
subscribers: list[WebSocket] = []


@app.websocket("/ws")
async def follow(socket: WebSocket, token: str = "") -> None:
    """Join the one channel."""
    try:
        jwt.decode(token, os.environ["CHAT_SECRET"], ["HS256"], audience="chat-server", issuer="chat-server")
    except JWTError:
        await socket.close(3500)
        return
    await socket.accept()
    await socket.receive_text()
    subscribers.append(socket)
    await socket.send_text('{"id":1,"subscribe":{}}')
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        subscribers.remove(socket)


@app.websocket("/pub")
async def publish(socket: WebSocket) -> None:
    """Everything that is sent here goes to all of them."""
    await socket.accept()
    try:
        while True:
            message = await socket.receive_text()
            for subscriber in tuple(subscribers):
                await subscriber.send_text(message)
    except WebSocketDisconnect:
        return
