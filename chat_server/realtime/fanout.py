"""From a commit or the broker to the subscribers, in order; and joining a channel without a gap.

A channel is joined before its history is read: what is published meanwhile collects, history is answered, the overlap
is dropped. A hole waits HOLE_S for the missing publication, then the log is read. Positions are compared with the log's
heads, never by ids: offsets follow commit order, ids do not.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from chat_server.broker import Broker, Envelope
from chat_server.errors import (
    UNSUBSCRIBED_INSUFFICIENT,
    BrokerUnavailable,
    ProtocolError,
    Unavailable,
    UnsubscribeCode,
)
from chat_server.metrics import REPAIRS
from chat_server.realtime.channel import Joining, LocalChannel
from chat_server.realtime.frames import Frame
from chat_server.realtime.manager import Connection, ConnectionManager
from chat_server.realtime.resume import RECOVER_PUBLICATIONS, Asked, Joined, is_within_reach, resumed
from chat_server.settings import Slow
from chat_server.store import event_log
from chat_server.store.store import Store
from chat_server.store.transaction import Publication, Transaction
from chat_server.store.writer import Commit

logger = logging.getLogger(__name__)

HOLE_S = 0.05  # two workers that publish at once overtake each other by less
RETRY_S = 1.0
PAGE = 300
SWEEP_CHANNELS = 500


class Fanout:
    """One worker's. `run` is its repairs' owner; everything else is called on the event loop.

    `on_lost` tells whoever was put out of a channel that must be read anew.
    """

    def __init__(self, manager: ConnectionManager, store: Store, broker: Broker) -> None:
        self._manager = manager
        self._store = store
        self._broker = broker
        self._to_level: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._watched: set[str] = set()
        self._gap = asyncio.Event()
        self.on_lost: Callable[[Connection, str, UnsubscribeCode], None] = lambda connection, name, code: (
            connection.lost(name, code)
        )

    def committed(self, commit: Commit) -> None:
        """First this worker's subscribers hear, then the other workers."""
        for publication in commit.publications:
            envelope = _durable(publication)
            self.heard(envelope)
            self._broker.publish(envelope)
        self._manager.deliver_due()

    def heard(self, envelope: Envelope) -> None:
        """A publication from here or another worker. Repeats and early ones are put right."""
        channel = self._manager.channels.get(envelope.channel)
        if channel is None or (channel.is_durable and 0 < envelope.offset <= channel.position):
            return  # nobody here, or the worker's own echo
        if not channel.is_durable and channel.is_known and envelope.offset and envelope.epoch != channel.epoch:
            self.end(channel.name, UNSUBSCRIBED_INSUFFICIENT)
            return
        self._pass_on(channel, channel.accept(Frame(envelope)))

    def gap(self) -> None:
        """Something may have been missed in any channel: compare all with where they stand, soon."""
        self._gap.set()

    def level_soon(self, name: str) -> None:
        """Something was missed in this channel."""
        if name in self._manager.channels and name not in self._queued:
            self._queued.add(name)
            self._to_level.put_nowait(name)

    async def join(self, connection: Connection, name: str, asked: Asked | None, floor: int) -> tuple[Joined, Joining]:
        """Join a durable channel. The caller answers, then calls `go_live` with the position it answered, without
        awaiting in between. A position below `floor` is not recovered. Unavailable when the store cannot be read.
        """
        joining = self._manager.join(connection, name, is_durable=True)
        channel = self._manager.channels[name]
        try:
            await self._follow_if_up(name)
            joined = await self._read(channel, asked, floor)
            while joined.top < channel.began_at:  # another join read later than this one, and set where it began
                joined = await self._read(channel, asked, floor)
            _require(channel, joining)
        except BaseException:
            self._undo(connection, channel, joining)
            raise
        return joined, joining

    async def join_stream(
        self, connection: Connection, name: str, asked: Asked | None, *, has_history: bool, slow: Slow = "close"
    ) -> tuple[Joined, Joining]:
        """The same for a channel that is not in the log: its history, if it has any, is the broker's. Unavailable."""
        joining = self._manager.join(connection, name, is_durable=False, slow=slow)
        channel = self._manager.channels[name]
        try:
            await self._broker.follow(name)
            joined = await self._read_stream(channel, asked) if has_history else Joined(epoch="", top=0)
            while joined.top < channel.began_at:
                joined = await self._read_stream(channel, asked)
            self._begin(channel, joined)
            _require(channel, joining)
        except BaseException:
            self._undo(connection, channel, joining)
            raise
        return joined, joining

    def leave(self, connection: Connection, name: str) -> bool:
        """Whether the connection was in the channel."""
        was_in = self._manager.leave(connection, name)
        if name not in self._manager.channels:
            self._broker.unfollow(name)
        return was_in

    def remove(self, connection: Connection) -> None:
        """The connection is gone."""
        names = tuple(connection.channels)
        self._manager.remove(connection)
        for name in names:
            self.leave(connection, name)

    def end(self, name: str, code: UnsubscribeCode) -> None:
        """Everyone out of the channel, and told why; a join that is under way fails."""
        channel = self._manager.channels.get(name)
        if channel is None:
            return
        live = channel.live
        for subscriber in (*live, *channel.joining):
            connection = self._manager.connection(subscriber.client_id)
            if connection is not None and self.leave(connection, name) and subscriber in live:
                self.on_lost(connection, name, code)

    async def run(self) -> None:
        """Level what is queued and compare what is asked for, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._level_queued())
            tasks.create_task(self._compare())

    async def _level_queued(self) -> None:
        while True:
            name = await self._to_level.get()
            self._queued.discard(name)
            try:
                await self.level(name)
            except Unavailable:
                logger.warning("fanout.level_put_off")
                await asyncio.sleep(RETRY_S)
                self.level_soon(name)

    async def _compare(self) -> None:
        while True:
            await self._gap.wait()
            self._gap.clear()
            try:
                await self.sweep()
                await self._sweep_streams()
            except Unavailable:
                logger.warning("fanout.sweep_put_off")
                self._gap.set()
                await asyncio.sleep(RETRY_S)

    async def sweep(self) -> None:
        """Compare every followed durable channel with the log's heads, and level those that are behind. Unavailable."""
        names = [name for name, channel in self._manager.channels.items() if channel.is_durable and channel.is_known]
        for start in range(0, len(names), SWEEP_CHANNELS):
            part = names[start : start + SWEEP_CHANNELS]
            heads = await self._store.read(partial(event_log.heads, names=part))
            for name in part:
                channel = self._manager.channels.get(name)
                if channel is not None and channel.position < heads.get(name, 0):
                    self.level_soon(name)

    async def _sweep_streams(self) -> None:
        """The same for the channels whose history the broker keeps: one that it forgot has another epoch."""
        channels = self._manager.channels.items()
        for name in [name for name, channel in channels if not channel.is_durable and channel.epoch]:
            stream = await self._broker.history(name, 0, 0)
            channel = self._manager.channels.get(name)
            if channel is None or not channel.is_known:
                continue
            if stream.epoch != channel.epoch:
                self.end(name, UNSUBSCRIBED_INSUFFICIENT)
            elif channel.position < stream.top:
                self.level_soon(name)

    async def level(self, name: str) -> None:
        """Read what the channel's subscribers have not heard yet, and deliver it; end the channel when it is gone.

        Unavailable.
        """
        while (channel := self._manager.channels.get(name)) is not None and channel.is_known:
            found = await self._read_on(channel)
            if channel is not self._manager.channels.get(name) or not found:
                return
            if found[0].offset > channel.position + 1:
                self.end(name, UNSUBSCRIBED_INSUFFICIENT)
                return
            before = channel.position
            for envelope in found:
                self.heard(envelope)
            REPAIRS.inc(max(0, channel.position - before))
            if len(found) < PAGE:
                return

    async def _read_on(self, channel: LocalChannel) -> list[Envelope]:
        since = channel.position
        if channel.is_durable:
            publications = await self._store.read(
                partial(event_log.since, channel=channel.name, offset=since, limit=PAGE)
            )
            return [_durable(publication) for publication in publications]
        stream = await self._broker.history(channel.name, since, PAGE)
        return [Envelope(channel.name, "pub", body, offset, stream.epoch) for offset, body in stream.items]

    def _undo(self, connection: Connection, channel: LocalChannel, joining: Joining) -> None:
        """A join failed. If it was put out and joins anew meanwhile, that other join is left alone."""
        if channel.is_joining(joining):
            self.leave(connection, channel.name)

    async def _follow_if_up(self, name: str) -> None:
        try:
            await self._broker.follow(name)
        except BrokerUnavailable:
            logger.info("fanout.joined_without_broker")  # the log answers; heads are polled until it is back

    async def _read(self, channel: LocalChannel, asked: Asked | None, floor: int) -> Joined:
        epoch = self._store.epoch
        if channel.is_known:
            top = channel.position
            if asked is None:
                return Joined(epoch=epoch, top=top)
            found = self._manager.tails.tail_of(channel.name).after(asked.offset, top)
            if found is not None and is_within_reach(asked, epoch, top, floor):
                return resumed(asked, epoch=epoch, top=top, found=found, source="memory")
        top, missed = await self._store.read(partial(_missed, name=channel.name, epoch=epoch, asked=asked, floor=floor))
        frames = None if missed is None else [Frame(_durable(publication)) for publication in missed]
        joined = resumed(asked, epoch=epoch, top=top, found=frames, source="log")
        self._begin(channel, joined)
        return joined

    async def _read_stream(self, channel: LocalChannel, asked: Asked | None) -> Joined:
        since, limit = (0, 0) if asked is None else (asked.offset, RECOVER_PUBLICATIONS + 1)
        stream = await self._broker.history(channel.name, since, limit)
        frames = None
        if asked is not None and is_within_reach(asked, stream.epoch, stream.top, floor=0):
            frames = [Frame(Envelope(channel.name, "pub", body, offset, stream.epoch)) for offset, body in stream.items]
        joined = resumed(asked, epoch=stream.epoch, top=stream.top, found=frames, source="broker")
        self._begin(channel, joined)
        return joined

    def _begin(self, channel: LocalChannel, joined: Joined) -> None:
        if not channel.is_known:
            self._pass_on(channel, channel.begin_at(joined.top, joined.epoch))

    def _pass_on(self, channel: LocalChannel, ready: list[Frame]) -> None:
        if ready:
            self._manager.deliver(channel, ready)
        if channel.has_hole and channel.name not in self._watched:
            self._watched.add(channel.name)
            asyncio.get_running_loop().call_later(HOLE_S, self._look_again, channel.name)

    def _look_again(self, name: str) -> None:
        self._watched.discard(name)
        channel = self._manager.channels.get(name)
        if channel is not None and channel.has_hole:
            self.level_soon(name)


def _require(channel: LocalChannel, joining: Joining) -> None:
    """A temporary error when the channel was ended, or the connection put out of it, while it joined."""
    if not channel.is_joining(joining):
        raise ProtocolError()


def _durable(publication: Publication) -> Envelope:
    return Envelope(publication.channel, "pub", publication.payload, publication.offset)


def _missed(
    transaction: Transaction, *, name: str, epoch: str, asked: Asked | None, floor: int
) -> tuple[int, list[Publication] | None]:
    """The channel's head, and what is after the asked offset if that is within reach; in one snapshot."""
    head = event_log.position(transaction, name).head
    if asked is None or not is_within_reach(asked, epoch, head, floor):
        return head, None
    return head, event_log.since(transaction, name, asked.offset, RECOVER_PUBLICATIONS + 1)
