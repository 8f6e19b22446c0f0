"""Messages over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from chat_server.messages import commands, queries
from chat_server.messages.model import (
    EditMessage,
    ListMessages,
    MarkRead,
    MessageChange,
    MessagePage,
    MessagePath,
    NewMessage,
    PostMessage,
    ReadMark,
    as_client_msg_id,
)
from chat_server.rest import ChatUnit, StrictRoute, add_links
from chat_server.shapes import Message, MessageIdField, Page, Room, RoomIdField

router = APIRouter(prefix="/api/v1/rooms/{room_id}", tags=["messages"], route_class=StrictRoute)


@router.post(
    "/messages",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"model": Message, "description": "A repeated client_msg_id: the message that is stored"}},
)
async def post_message(room_id: RoomIdField, body: NewMessage, unit: ChatUnit, response: Response) -> Message:
    """Post a message. An Idempotency-Key stands in for a client_msg_id that the body does not have."""
    command = PostMessage(room_id=room_id, **dict(body))
    if body.client_msg_id is None and unit.idempotency_key:
        command = command.model_copy(update={"client_msg_id": as_client_msg_id(unit.idempotency_key)})
    posted = await unit.write(commands.post_message, command)
    if posted.is_repeat:
        response.status_code = status.HTTP_200_OK
    return posted.message


@router.get("/messages")
async def list_messages(room_id: RoomIdField, page: Annotated[MessagePage, Query()], unit: ChatUnit) -> Page[Message]:
    """Ascending by `seq`; the newest page by default."""
    return add_links(unit, await unit.read(queries.list_messages, ListMessages(room_id=room_id, **dict(page))))


@router.get("/messages/{message_id}")
async def get_message(room_id: RoomIdField, message_id: MessageIdField, unit: ChatUnit) -> Message:
    return await unit.read(queries.get_message, MessagePath(room_id=room_id, message_id=message_id))


@router.patch("/messages/{message_id}")
async def edit_message(
    room_id: RoomIdField, message_id: MessageIdField, change: MessageChange, unit: ChatUnit
) -> Message:
    command = EditMessage(room_id=room_id, message_id=message_id, text=change.text)
    return await unit.write(commands.edit_message, command)


@router.delete("/messages/{message_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_message(room_id: RoomIdField, message_id: MessageIdField, unit: ChatUnit) -> None:
    """A tombstone stays in its place."""
    await unit.write(commands.delete_message, MessagePath(room_id=room_id, message_id=message_id))


@router.post("/read", response_model_exclude_unset=True)
async def mark_read(room_id: RoomIdField, mark: ReadMark, unit: ChatUnit) -> Room:
    """Everything up to `seq` is read; answers the room with what is still unread."""
    return await unit.write(commands.mark_read, MarkRead(room_id=room_id, seq=mark.seq))
