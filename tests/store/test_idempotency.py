"""An answer is kept with the command that gave it, and given again to the same request only."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chat_server.errors import IdempotencyKeyReused, RoomNotFound
from chat_server.store.idempotency import Once, keep_answer, kept_answer
from chat_server.store.transaction import Transaction
from tests.store.rig import add, awaited, database, engine_at, opened, rows, together

ONCE = Once(actor_id="ann", endpoint="POST /api/v1/rooms", key="k1", fingerprint="f1")


def once_only(once: Once, row: str) -> Callable[[Transaction], bytes]:
    """A command that adds a row the first time, and answers the same ever after."""

    def run(transaction: Transaction) -> bytes:
        found = kept_answer(transaction, once)
        if found is None:
            found = add(row)(transaction).encode()
            keep_answer(transaction, once, found, 1)
        return found

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@awaited
async def test_a_request_under_a_new_key_has_no_answer_yet(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        assert await store.read(lambda transaction: kept_answer(transaction, ONCE)) is None


@awaited
async def test_a_repeated_request_gets_the_first_answer_also_within_one_batch(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        answers = await together(store, *(once_only(ONCE, f"row {number}") for number in range(5)))

        assert answers == [b"row 0"] * 5
        assert list(await store.read(rows)) == ["row 0"]


@awaited
async def test_the_same_key_with_another_body_is_refused(path: Path) -> None:
    other = Once(actor_id="ann", endpoint="POST /api/v1/rooms", key="k1", fingerprint="f2")
    async with opened(engine_at(path)) as store:
        await store.write(once_only(ONCE, "first"))

        with pytest.raises(IdempotencyKeyReused):
            await store.write(once_only(other, "second"))

        assert list(await store.read(rows)) == ["first"]


@pytest.mark.parametrize(
    "other",
    [
        Once(actor_id="bob", endpoint="POST /api/v1/rooms", key="k1", fingerprint="f2"),
        Once(actor_id="ann", endpoint="POST /api/v1/direct", key="k1", fingerprint="f2"),
        Once(actor_id="ann", endpoint="POST /api/v1/rooms", key="k2", fingerprint="f2"),
    ],
    ids=["another person", "another endpoint", "another key"],
)
@awaited
async def test_keys_of_others_do_not_matter(path: Path, other: Once) -> None:
    async with opened(engine_at(path)) as store:
        await store.write(once_only(ONCE, "first"))

        assert await store.write(once_only(other, "second")) == b"second"


@awaited
async def test_the_answer_of_a_command_that_fails_is_not_kept(path: Path) -> None:
    def refused(transaction: Transaction) -> None:
        keep_answer(transaction, ONCE, b"never", 1)
        raise RoomNotFound(room_id="a")

    async with opened(engine_at(path)) as store:
        with pytest.raises(RoomNotFound):
            await store.write(refused)

        assert await store.write(once_only(ONCE, "again")) == b"again"


@awaited
async def test_an_answer_is_kept_byte_by_byte(path: Path) -> None:
    answer = bytes(range(256)) * 40
    async with opened(engine_at(path)) as store:
        await store.write(lambda transaction: keep_answer(transaction, ONCE, answer, 1))

        assert await store.read(lambda transaction: kept_answer(transaction, ONCE)) == answer
