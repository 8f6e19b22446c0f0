"""A transport as a bounded queue: what a broken one does to those who still write to it."""

import asyncio
from contextlib import closing
from operator import attrgetter

from chat_server.gateway.pipe import Pipe
from chat_server.gateway.ring import Ring
from chat_server.gateway.turn import Turn
from chat_server.realtime.batch import Batch
from tests.realtime.people import frame
from tests.store.rig import awaited


class Owner:
    def overrun(self) -> None:
        raise AssertionError("nothing waits for a broken connection")


class BrokenTransport(asyncio.Transport):
    """As uvloop's after a failed write, before connection_lost: every write raises."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


def broken() -> Pipe:
    pipe = Pipe(Owner(), Turn(), attrgetter("websocket"), limit_bytes=1000, hold_bytes=100)
    pipe.begin(BrokenTransport())
    return pipe


class BusyTransport(BrokenTransport):
    """One whose head has not left yet."""

    def __init__(self) -> None:
        self.written: list[object] = []

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 100

    def write(self, data: object) -> None:
        self.written.append(data)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "socket" else None

    def fileno(self) -> int:
        return 10_000  # nobody's


@awaited
async def test_what_is_delivered_comes_behind_the_head_that_has_not_left_yet() -> None:
    with closing(Ring()) as ring:
        pipe = Pipe(Owner(), Turn(ring), attrgetter("websocket"), limit_bytes=1000, hold_bytes=100)
        transport = BusyTransport()
        pipe.begin(transport)
        batch = Batch("room:a", [frame(1)], "close", "e1")

        pipe.deliver(batch)
        pipe.flush()

        assert transport.written == [batch.websocket]


@awaited
async def test_what_is_put_into_a_broken_connection_is_dropped() -> None:
    pipe = broken()
    pipe.put(b"a message")

    pipe.flush()
    pipe.put(b"another")

    assert not pipe.is_open
    assert pipe.waiting_bytes == 0


@awaited
async def test_what_a_channel_delivers_to_a_broken_connection_is_dropped() -> None:
    pipe = broken()

    pipe.deliver(Batch("room:a", [frame(1)], "close", "e1"))
    pipe.put(b"another")

    assert not pipe.is_open
    assert pipe.waiting_bytes == 0


@awaited
async def test_a_broken_connection_can_be_ended() -> None:
    pipe = broken()
    pipe.put(b"a message")

    pipe.end(b"good-bye")

    assert not pipe.is_open


@awaited
async def test_what_was_held_back_is_not_let_go_into_a_broken_connection() -> None:
    pipe = broken()
    pipe.paused()
    pipe.put_under("latest", "live:prices", b"7")

    pipe.resumed()

    assert pipe.sent == 0
