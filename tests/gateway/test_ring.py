"""One call for many sockets: what it wrote is there when it answers, and whoever took less than all of it is named."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from chat_server.gateway.ring import WRITES, Ring, entry_for, sends_of


@pytest.fixture
def ring() -> Iterator[Ring]:
    with closing(Ring()) as found:
        yield found


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """More than one call writes to: one end that is written to, and one that is read."""
    with ExitStack() as stack:
        found = [socket.socketpair() for _ in range(WRITES + 50)]
        for pair in found:
            for end in pair:
                end.setblocking(False)
                stack.enter_context(end)
        yield found


Pairs = list[tuple[socket.socket, socket.socket]]


def entries(pairs: Pairs) -> list[bytes]:
    return [entry_for(near.fileno()) for near, _ in pairs]


def test_everybody_gets_what_is_sent_however_many_they_are_and_wherever_the_ring_stands(
    ring: Ring, pairs: Pairs
) -> None:
    for number, size in enumerate((1, 2, 300, len(pairs), WRITES, WRITES - 1, len(pairs))):
        data = b"%d:" % number * 50

        assert ring.submit(sends_of(entries(pairs[:size]), data)) == {}

        assert [far.recv(1000) for _, far in pairs[:size]] == [data] * size


def test_what_is_sent_in_one_call_to_one_socket_comes_in_order(ring: Ring, pairs: Pairs) -> None:
    said = [b"%d," % number for number in range(100)]

    ring.submit(bytearray().join(sends_of(entries(pairs[:1]), data) for data in said))

    assert pairs[0][1].recv(1000) == b"".join(said)


def test_whoever_takes_only_a_part_is_named_with_its_size(ring: Ring, pairs: Pairs) -> None:
    (slow, reader), (brisk, other) = pairs[:2]
    much = b"x" * 4_000_000

    failed = ring.submit(sends_of(entries([(slow, reader)]), much))
    taken = failed[slow.fileno()]
    again = ring.submit(sends_of(entries([(slow, reader), (brisk, other)]), b"more"))

    assert 0 < taken < len(much)
    assert again == {slow.fileno(): 0}
    assert other.recv(100) == b"more"
    assert sum(len(reader.recv(taken)) for _ in range(1)) <= taken


def test_whoever_is_gone_is_named_and_the_others_get_theirs(ring: Ring, pairs: Pairs) -> None:
    gone, here = pairs[:2]
    gone[1].close()
    nobody = socket.socket()
    closed = entry_for(nobody.fileno())
    descriptor = nobody.fileno()
    nobody.close()

    failed = ring.submit(sends_of([*entries([gone]), closed, *entries([here])], b"hello"))

    assert failed == {gone[0].fileno(): 0, descriptor: 0}
    assert here[1].recv(100) == b"hello"


def test_a_kernel_that_forgets_what_a_socket_took_before_it_was_full_has_no_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it forgets would be written twice."""
    submit = Ring.submit
    monkeypatch.setattr(Ring, "submit", lambda ring, block: dict.fromkeys(submit(ring, block), 0))

    with pytest.raises(OSError, match="forgets"):
        Ring()


def test_nobody_is_nothing(ring: Ring) -> None:
    assert ring.submit(sends_of([], b"hello")) == {}
    assert ring.submit(sends_of([b"", b""], b"hello")) == {}


def test_what_the_kernel_did_not_take_from_the_ring_is_named_and_never_sent(
    ring: Ring, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def syscall(self, *arguments: object) -> int:
            return -1

    with monkeypatch.context() as patched:
        patched.setattr("chat_server.gateway.ring._libc", Refusing())
        failed = ring.submit(sends_of(entries(pairs[:3]), b"lost"))

    assert failed == {near.fileno(): 0 for near, _ in pairs[:3]}
    assert ring.submit(sends_of(entries(pairs[:3]), b"next")) == {}
    assert [far.recv(100) for _, far in pairs[:3]] == [b"next"] * 3
