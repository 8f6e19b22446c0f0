"""Who is online, by connection here and by worker everywhere; and who is told when that changes.

A person comes with their first socket on any worker and goes when the last one has been closed for GRACE_S, so that a
reload or a reconnect is no coming and going. A worker that dies takes its people along when its lease is over.
"""

import asyncio
import logging
from collections.abc import Iterable

from chat_server.actor import SYSTEM
from chat_server.clock import moment
from chat_server.errors import BrokerUnavailable, Unavailable
from chat_server.events import Presence, PresenceChanged
from chat_server.ids import RoomId, UserId, presence_channel
from chat_server.presence.queries import is_large
from chat_server.rooms.queries import member_ids, room_ids_of
from chat_server.wire import encode
from chat_server.worker import Worker

logger = logging.getLogger(__name__)

GRACE_S = 2.0
COUNTS_S = 5.0
ROOMS = 500  # of one person, who are told
PAGE = 1000


class PresenceTracker:
    """One worker's. `came` and `went` are called on the event loop for every socket, and never wait."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._sockets: dict[UserId, int] = {}
        self._leaving: dict[UserId, asyncio.TimerHandle] = {}
        self._large: set[RoomId] = set()

    @property
    def users(self) -> frozenset[UserId]:
        """Who has a socket here, or had one a moment ago."""
        return frozenset(self._sockets) | frozenset(self._leaving)

    def came(self, user_id: UserId) -> None:
        self._sockets[user_id] = self._sockets.get(user_id, 0) + 1
        leaving = self._leaving.pop(user_id, None)
        if leaving is not None:
            leaving.cancel()
        elif self._sockets[user_id] == 1:
            self._worker.spawn(self._arrive(user_id))

    def went(self, user_id: UserId) -> None:
        left = self._sockets[user_id] - 1
        if left:
            self._sockets[user_id] = left
            return
        del self._sockets[user_id]
        loop = asyncio.get_running_loop()
        self._leaving[user_id] = loop.call_later(GRACE_S, self._grace_is_over, user_id)

    def lost(self, user_ids: Iterable[UserId]) -> None:
        """Their worker is gone: they may be online elsewhere, or come back within the grace."""
        asyncio.get_running_loop().call_later(GRACE_S, self._look_after, tuple(user_ids))

    def returned(self) -> None:
        """This worker was taken for gone, and its people for offline: tell that they are not."""
        self._worker.spawn(self._tell_all_online())

    async def run(self) -> None:
        """Tell large rooms their counts now and then, until cancelled; then nobody's grace runs on."""
        try:
            while True:
                await asyncio.sleep(COUNTS_S)
                await self._tell_counts()
        finally:
            for leaving in self._leaving.values():
                leaving.cancel()

    async def online_among(self, user_ids: list[UserId]) -> set[UserId]:
        """Those who are online anywhere; while the broker is away those who are online here."""
        try:
            return await self._worker.broker.online(user_ids)
        except BrokerUnavailable:
            return {user_id for user_id in user_ids if user_id in self._sockets}

    async def count_online(self, room_id: RoomId) -> int:
        count, after = 0, ""
        while True:
            page = await self._worker.read(SYSTEM, lambda unit, after=after: member_ids(unit, room_id, after, PAGE))  # type: ignore[misc]
            count += len(await self.online_among(page))
            if len(page) < PAGE:
                return count
            after = page[-1]

    def _grace_is_over(self, user_id: UserId) -> None:
        if self._leaving.pop(user_id, None) is not None:
            self._worker.spawn(self._leave(user_id))

    def _look_after(self, user_ids: tuple[UserId, ...]) -> None:
        for user_id in user_ids:
            if user_id not in self._sockets:
                self._worker.spawn(self._tell_if_offline(user_id))

    async def _arrive(self, user_id: UserId) -> None:
        try:
            is_new = await self._worker.broker.arrive(user_id)
        except BrokerUnavailable:
            is_new = True
        if is_new:
            await self._tell(user_id, is_online=True)

    async def _leave(self, user_id: UserId) -> None:
        if user_id in self._sockets:
            return
        try:
            is_gone = await self._worker.broker.go(user_id)
        except BrokerUnavailable:
            is_gone = True
        if is_gone and user_id not in self._sockets:
            await self._tell(user_id, is_online=False)

    async def _tell_all_online(self) -> None:
        for user_id in tuple(self._sockets):
            if user_id in self._sockets:
                await self._tell(user_id, is_online=True)

    async def _tell_if_offline(self, user_id: UserId) -> None:
        if not await self.online_among([user_id]):
            await self._tell(user_id, is_online=False)

    async def _tell(self, user_id: UserId, *, is_online: bool) -> None:
        """To the rooms of that person: a presence channel that nobody follows costs a publication to nobody."""
        now = self._worker.store.clock_ms()
        if not is_online:
            await self._worker.stamp_user(user_id)
        most = self._worker.settings.presence_max_members
        rooms = await self._worker.read(
            SYSTEM, lambda unit: [(room, is_large(unit, room, most)) for room in room_ids_of(unit, user_id, ROOMS)]
        )
        presence = Presence(
            user_id=user_id,
            status="online" if is_online else "offline",
            last_seen_at=None if is_online else moment(now),
        )
        for room_id, is_large_room in rooms:
            if is_large_room:
                self._large.add(room_id)
            else:
                await self._publish(PresenceChanged(room_id=room_id, at=moment(now), presence=presence))

    async def _tell_counts(self) -> None:
        rooms, self._large = self._large, set()
        for room_id in rooms:
            try:
                await self._tell_count(room_id)
            except Unavailable:
                self._large.add(room_id)

    async def _tell_count(self, room_id: RoomId) -> None:
        presence = Presence(user_id=None, status=None, last_seen_at=None, online=await self.count_online(room_id))
        now = moment(self._worker.store.clock_ms())
        await self._publish(PresenceChanged(room_id=room_id, at=now, presence=presence))

    async def _publish(self, event: PresenceChanged) -> None:
        try:
            await self._worker.broker.append(presence_channel(event.room_id), encode(event), None)
        except BrokerUnavailable:
            logger.info("presence.not_told")
