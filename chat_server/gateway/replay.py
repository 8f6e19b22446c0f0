"""Opening a stream's channels: live ones at once, those with a cursor from the log, in pages at the reader's pace.

A page is read while the channel is not joined; when nothing is left to read it is joined with the position that the
stream has by then, which recovers what came in between. So nothing is missed or doubled, and little waits in memory.
"""

from functools import partial

from chat_server.broker import Envelope
from chat_server.errors import UNSUBSCRIBED_BY_SERVER, PermissionDenied
from chat_server.gateway.admission import Admission
from chat_server.gateway.stream import Stream
from chat_server.gateway.subscriptions import Subscriptions, Wish
from chat_server.metrics import RECOVERIES
from chat_server.realtime.batch import Batch
from chat_server.realtime.channel import Joining
from chat_server.realtime.frames import Frame
from chat_server.realtime.resume import Asked, Joined
from chat_server.store import event_log
from chat_server.store.transaction import Publication
from chat_server.worker import Worker

PAGE = 100
AHEAD_BYTES = 64 * 1024  # what may wait for the reader while a page is handed over; less where less may wait at all


async def open_channels(
    worker: Worker,
    subscriptions: Subscriptions,
    stream: Stream,
    admissions: list[Admission],
    asked: dict[str, Asked],
) -> None:
    """Join every channel, and say in `stream.open` where each of them starts. Unavailable."""
    starts: dict[str, object] = {}
    to_replay: list[Admission] = []
    live: list[tuple[Admission, Joined, Joining]] = []
    for admission in admissions:
        channel, want = admission.channel, asked.get(admission.channel)
        if want is not None and admission.is_durable and await _is_within_reach(worker, admission, want):
            to_replay.append(admission)
            stream.moved_to(channel, worker.store.epoch, want.offset)
            starts[channel] = _start(worker.store.epoch, want.offset, was_recovering=True, recovered=True)
            continue
        try:
            wish = Wish(channel=channel, asked=None if admission.is_durable else want)
            found = await subscriptions.join(stream, wish)
        except PermissionDenied:
            continue
        live.append(found)
        starts[channel] = _started(stream, found[0], found[1], want)
    stream.tell("stream.open", {"channels": starts}, with_id=True)
    for admission, joined, joining in live:
        _go_live(stream, admission, joined, joining)
    for admission in to_replay:
        await _replay(worker, subscriptions, stream, admission)


async def _replay(worker: Worker, subscriptions: Subscriptions, stream: Stream, admission: Admission) -> None:
    channel = admission.channel
    while stream.closing is None:
        offset = stream.positions[channel].offset
        try:
            await subscriptions.judge(stream.actor, channel)
            page = await worker.store.read(partial(event_log.since, channel=channel, offset=offset, limit=PAGE))
            if not page:
                wish = Wish(channel=channel, asked=stream.positions[channel])
                found, joined, joining = await subscriptions.join(stream, wish)
                if joined.recovered:
                    _go_live(stream, found, joined, joining)
                    return
                worker.fanout.leave(stream, channel)  # more came meanwhile than a join recovers: read on
        except PermissionDenied:
            stream.lost(channel, UNSUBSCRIBED_BY_SERVER)
            return
        await _hand_over(stream, page, worker.store.epoch)


async def _hand_over(stream: Stream, page: list[Publication], epoch: str) -> None:
    mailbox = stream.mailbox
    ahead_bytes = min(AHEAD_BYTES, mailbox.capacity_bytes // 2)
    for publication in page:
        if mailbox.size_bytes + len(publication.payload) > ahead_bytes:
            await mailbox.drained()
        if stream.closing is not None:
            return
        frame = Frame(Envelope(publication.channel, "pub", publication.payload, publication.offset))
        stream.deliver(Batch(publication.channel, [frame], "close", epoch))


async def _is_within_reach(worker: Worker, admission: Admission, asked: Asked) -> bool:
    """Whether all that is missing is still in the log, and not more than a stream replays."""
    position = await worker.store.read(partial(event_log.position, channel=admission.channel))
    found = (
        asked.epoch == worker.store.epoch
        and max(admission.floor, position.tail) <= asked.offset <= position.head
        and position.head - asked.offset <= worker.settings.stream_replay
    )
    RECOVERIES.labels("recovered" if found else "not_recovered", "replay").inc()
    return found


def _started(stream: Stream, admission: Admission, joined: Joined, want: Asked | None) -> dict[str, object]:
    offset = want.offset if joined.recovered and want is not None else joined.top
    if admission.has_history:
        stream.moved_to(admission.channel, joined.epoch, offset)
    return _start(joined.epoch, offset, was_recovering=want is not None, recovered=joined.recovered)


def _start(epoch: str, offset: int, *, was_recovering: bool, recovered: bool) -> dict[str, object]:
    return {"epoch": epoch, "offset": offset, "was_recovering": was_recovering, "recovered": recovered}


def _go_live(stream: Stream, admission: Admission, joined: Joined, joining: Joining) -> None:
    if admission.channel not in stream.channels:
        return  # put out of it while other channels were joined
    stream.rules[admission.channel] = admission.rules
    if joined.frames:
        stream.deliver(Batch(admission.channel, list(joined.frames), admission.rules.slow, joined.epoch))
    joining.go_live(joined.top)
