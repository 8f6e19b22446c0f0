"""Whatever is put, delivered and written late: each peer gets all of it, in order, whichever way it is written."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from operator import attrgetter

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_server.gateway.pipe import Pipe
from chat_server.gateway.ring import Ring
from chat_server.gateway.turn import Turn
from chat_server.realtime.batch import Batch
from tests.realtime.people import frame

PIPES = 3
PATIENCE_S = 30.0
PUT, DELIVER, READ, FLUSH, TURN = range(5)
WHICH = st.integers(0, PIPES - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(PUT), WHICH, st.sampled_from((1, 100, 5_000, 90_000))),
        st.tuples(st.just(DELIVER), st.integers(1, 3), st.sampled_from((20, 3_000, 30_000))),
        st.tuples(st.just(READ), WHICH, st.sampled_from((100, 20_000, 500_000))),
        st.tuples(st.just(FLUSH), WHICH, st.just(0)),
        st.tuples(st.just(TURN), st.just(0), st.just(0)),
    ),
    max_size=40,
)
Step = tuple[int, int, int]


class End(asyncio.Protocol):
    """The writing end, as a carrier is: it owns a pipe."""

    def __init__(self, turn: Turn) -> None:
        self.pipe = Pipe(self, turn, attrgetter("websocket"), limit_bytes=10**9, hold_bytes=10**9)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.pipe.begin(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipe.drop()

    def pause_writing(self) -> None:
        self.pipe.paused()

    def resume_writing(self) -> None:
        self.pipe.resumed()

    def overrun(self) -> None:
        raise AssertionError("nothing here is too much")


class Peer:
    """The reading end, which reads when it is told to."""

    def __init__(self, stack: ExitStack) -> None:
        self.near, self.far = (stack.enter_context(end) for end in socket.socketpair())
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.far.setblocking(False)
        self.heard = b""
        self.told = b""

    def read(self, size: int) -> None:
        try:
            self.heard += self.far.recv(size)
        except BlockingIOError:
            return


async def carried_out(steps: list[Step], ring: Ring | None) -> None:
    turn, loop = Turn(ring), asyncio.get_running_loop()
    with ExitStack() as stack:
        peers = [Peer(stack) for _ in range(PIPES)]
        pipes = []
        for peer in peers:
            transport, end = await loop.create_connection(lambda: End(turn), sock=peer.near)
            stack.callback(transport.abort)
            pipes.append(end.pipe)
        for number, (kind, which, size) in enumerate(steps):
            match kind:
                case 0:
                    data = (b"%d." % number * size)[:size]
                    peers[which].told += data
                    pipes[which].put(data)
                case 1:
                    payload = b'{"n":"%s"}' % (b"%d." % number * size)[:size]
                    batch = Batch("live:a", [frame(at, "live:a", payload) for at in range(1, which + 1)], "close", "e")
                    for peer, pipe in zip(peers, pipes, strict=True):
                        peer.told += batch.websocket
                        pipe.deliver(batch)
                case 2:
                    peers[which].read(size)
                case 3:
                    pipes[which].flush()
                case _:
                    await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_S):
            for peer in peers:
                while len(peer.heard) < len(peer.told):
                    peer.read(1_000_000)
                    await asyncio.sleep(0)
        assert [peer.heard for peer in peers] == [peer.told for peer in peers]
        assert all(pipe.is_clear and pipe.waiting_bytes == 0 for pipe in pipes)


async def _gone_and_replaced(ring: Ring) -> None:
    turn, loop = Turn(ring), asyncio.get_running_loop()
    gone, far = socket.socketpair()
    descriptor = gone.fileno()
    transport, end = await loop.create_connection(lambda: End(turn), sock=gone)
    end.pipe.deliver(Batch("room:a", [frame(1)], "close", "e"))

    end.pipe.drop()
    transport.abort()
    gone.close()
    far.close()
    near, heir = socket.socketpair()
    with near, heir:
        assert descriptor in {near.fileno(), heir.fileno()}
        turn.submit()
        for one in (near, heir):
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)


def test_what_was_on_its_way_to_a_connection_that_ended_reaches_nobody_who_has_its_number_now() -> None:
    with closing(Ring()) as ring, asyncio.Runner() as runner:
        runner.run(_gone_and_replaced(ring))


@pytest.fixture(params=["together", "one by one"])
def ring(request: pytest.FixtureRequest) -> Iterator[Ring | None]:
    if request.param == "one by one":
        yield None
        return
    with closing(Ring()) as found:
        yield found


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_peer_gets_everything_in_order(
    loop: Callable[[], asyncio.AbstractEventLoop], ring: Ring | None, steps: list[Step]
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(carried_out(steps, ring))
