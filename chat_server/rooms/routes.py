"""Rooms and members over HTTP."""

from types import NoneType
from typing import Annotated

from fastapi import APIRouter, Query, status

from chat_server.rest import ChatUnit, StrictRoute, add_links
from chat_server.rooms import commands, queries
from chat_server.rooms.model import (
    AddMember,
    CreateRoom,
    ListMembers,
    ListRooms,
    MemberChange,
    MemberPage,
    MemberPath,
    OpenDirect,
    RoomChanges,
    RoomPath,
    UpdateRoom,
)
from chat_server.shapes import Member, Page, Room, RoomIdField, UserIdField

router = APIRouter(prefix="/api/v1", tags=["rooms"], route_class=StrictRoute)


@router.post("/rooms", status_code=status.HTTP_201_CREATED, response_model_exclude_unset=True)
async def create_room(command: CreateRoom, unit: ChatUnit) -> Room:
    return await unit.write_once(commands.create_room, command, Room)


@router.get("/rooms", response_model_exclude_unset=True)
async def list_rooms(query: Annotated[ListRooms, Query()], unit: ChatUnit) -> Page[Room]:
    return add_links(unit, await unit.read(queries.list_rooms, query))


@router.get("/rooms/{room_id}", response_model_exclude_unset=True)
async def get_room(room_id: RoomIdField, unit: ChatUnit) -> Room:
    return await unit.read(queries.get_room, RoomPath(room_id=room_id))


@router.patch("/rooms/{room_id}", response_model_exclude_unset=True)
async def update_room(room_id: RoomIdField, changes: RoomChanges, unit: ChatUnit) -> Room:
    command = UpdateRoom(room_id=room_id, **changes.model_dump(exclude_unset=True))
    return await unit.write(commands.update_room, command)


@router.delete("/rooms/{room_id}", status_code=status.HTTP_204_NO_CONTENT)
async def archive_room(room_id: RoomIdField, unit: ChatUnit) -> None:
    await unit.write(commands.archive_room, RoomPath(room_id=room_id))


@router.post("/rooms/{room_id}/join", response_model_exclude_unset=True)
async def join_room(room_id: RoomIdField, unit: ChatUnit) -> Room:
    return await unit.write_once(commands.join_room, RoomPath(room_id=room_id), Room)


@router.post("/rooms/{room_id}/leave", status_code=status.HTTP_204_NO_CONTENT)
async def leave_room(room_id: RoomIdField, unit: ChatUnit) -> None:
    await unit.write_once(commands.leave_room, RoomPath(room_id=room_id), NoneType)


@router.get("/rooms/{room_id}/members")
async def list_members(room_id: RoomIdField, page: Annotated[MemberPage, Query()], unit: ChatUnit) -> Page[Member]:
    return add_links(unit, await unit.read(queries.list_members, ListMembers(room_id=room_id, **dict(page))))


@router.get("/rooms/{room_id}/members/{user_id}")
async def get_member(room_id: RoomIdField, user_id: UserIdField, unit: ChatUnit) -> Member:
    return await unit.read(queries.get_member, MemberPath(room_id=room_id, user_id=user_id))


@router.put("/rooms/{room_id}/members/{user_id}")
async def add_member(
    room_id: RoomIdField, user_id: UserIdField, unit: ChatUnit, change: MemberChange | None = None
) -> Member:
    role = (change or MemberChange()).role
    return await unit.write(commands.add_member, AddMember(room_id=room_id, user_id=user_id, role=role))


@router.delete("/rooms/{room_id}/members/{user_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_member(room_id: RoomIdField, user_id: UserIdField, unit: ChatUnit) -> None:
    await unit.write(commands.remove_member, MemberPath(room_id=room_id, user_id=user_id))


@router.post("/direct", response_model_exclude_unset=True)
async def open_direct(command: OpenDirect, unit: ChatUnit) -> Room:
    return await unit.write_once(commands.open_direct, command, Room)
