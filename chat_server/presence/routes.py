"""Presence over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from chat_server.presence.model import MemberPresence, RoomPresence
from chat_server.presence.queries import members_seen
from chat_server.presence.tracker import PresenceTracker
from chat_server.rest import ChatUnit, SettingsOf, StrictRoute
from chat_server.shapes import RoomIdField

router = APIRouter(prefix="/api/v1", tags=["presence"], route_class=StrictRoute)


def tracker_of(request: Request) -> PresenceTracker:
    tracker: PresenceTracker = request.app.state.presence
    return tracker


@router.get("/rooms/{room_id}/presence")
async def room_presence(
    room_id: RoomIdField, unit: ChatUnit, settings: SettingsOf, tracker: Annotated[PresenceTracker, Depends(tracker_of)]
) -> RoomPresence:
    """Who of the room's members is online, over all workers; in large rooms only how many."""
    most = settings.presence_max_members
    members = await unit.look(lambda found: members_seen(found, room_id, most + 1))
    if len(members) > most:
        return RoomPresence(items=[], online=await tracker.count_online(room_id))
    online = await tracker.online_among([member.user_id for member in members])
    items = [
        MemberPresence(
            user_id=member.user_id,
            status="online" if member.user_id in online else "offline",
            last_seen_at=member.last_seen_at,
        )
        for member in members
    ]
    return RoomPresence(items=items, online=len(online))
