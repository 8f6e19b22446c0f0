"""Statements on the driver's cursor: what they are given, what they answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, delete, insert, select, update

from chat_server.store.schema import channels, idempotency, jobs, meta, users
from chat_server.store.transaction import Told, Transaction, compiled
from tests.store.rig import ADD, database, engine_at, transaction_on

_FIND = select(meta.c.key, meta.c.value).where(meta.c.key == bindparam("wanted"))
_RENAME = update(meta).where(meta.c.value == bindparam("old")).values(value=bindparam("new"))


@pytest.fixture
def transaction(tmp_path: Path) -> Iterator[Transaction]:
    with transaction_on(engine_at(database(tmp_path))) as begin, begin() as found:
        yield found


def test_run_answers_how_many_rows_it_changed(transaction: Transaction) -> None:
    transaction.many(ADD, [{"key": key, "value": "old"} for key in "abc"])

    assert transaction.run(_RENAME, old="old", new="new") == 3
    assert transaction.run(_RENAME, old="old", new="new") == 0


def test_one_answers_a_tuple_in_the_order_of_the_columns_or_none(transaction: Transaction) -> None:
    transaction.run(ADD, key="ann", value="here")

    assert transaction.one(_FIND, wanted="ann") == ("ann", "here")
    assert transaction.one(_FIND, wanted="bob") is None


def test_values_written_into_a_statement_are_used_and_can_be_given_anew(transaction: Transaction) -> None:
    transaction.many(ADD, [{"key": "ann", "value": "1"}, {"key": "bob", "value": "2"}])

    constant = select(meta.c.value).where(meta.c.key == "ann")
    assert transaction.one(constant) == ("1",)
    assert transaction.run(delete(meta).where(meta.c.key == "bob", meta.c.value == bindparam("is")), **{"is": "2"}) == 1


def test_a_list_in_a_statement_may_be_of_any_length(transaction: Transaction) -> None:
    transaction.many(ADD, [{"key": f"{number:04}", "value": ""} for number in range(1200)])

    for length in (0, 1, 2, 1200):
        wanted = [f"{number:04}" for number in range(length)]
        found = transaction.all(select(meta.c.key).where(meta.c.key.in_(wanted)).order_by(meta.c.key))
        assert [key for (key,) in found] == wanted


def test_null_is_stored_and_found(transaction: Transaction) -> None:
    transaction.run(
        insert(users),
        id="u1",
        username="ann",
        display_name="Ann",
        email=None,
        kind="human",
        role="member",
        password_hash=None,
        issuer=None,
        subject=None,
        created_at=1,
        disabled_at=None,
        last_seen_at=None,
        last_delivery_seq=0,
    )

    assert transaction.one(select(users.c.id, users.c.email).where(users.c.disabled_at.is_(None))) == ("u1", None)


def test_a_returning_statement_answers_its_row(transaction: Transaction) -> None:
    transaction.run(insert(channels), name="room:a", head=4, tail=0)
    advance = (
        update(channels)
        .where(channels.c.name == bindparam("channel"))
        .values(head=channels.c.head + 1)
        .returning(channels.c.head)
    )

    assert transaction.one(advance, channel="room:a") == (5,)
    assert transaction.one(advance, channel="room:b") is None


def test_told_to_counts_the_events_of_one_channel(transaction: Transaction) -> None:
    transaction.told += [Told("room:a", b"1"), Told("room:b", b"2"), Told("room:a", b"3")]

    assert [transaction.told_to(channel) for channel in ("room:a", "room:b", "room:c")] == [2, 1, 0]


def test_a_statement_is_compiled_once_for_a_dialect(tmp_path: Path) -> None:
    dialect = engine_at(tmp_path / "chat.db").dialect
    statement = select(jobs.c.id).where(jobs.c.kind == bindparam("wanted"))

    assert compiled(statement, dialect) is compiled(statement, dialect)


@settings(deadline=None, max_examples=50)
@given(
    key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50),
    value=st.binary(max_size=200),
    at=st.integers(-(2**63), 2**63 - 1),
)
def test_what_is_stored_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: bytes, at: int
) -> None:
    given_row = {"actor_id": "ann", "endpoint": "x", "key": key, "fingerprint": "f", "answer": value, "at": at}
    with transaction_on(engine_at(_shared(tmp_path_factory))) as begin, begin() as transaction:
        transaction.run(delete(idempotency))
        transaction.run(insert(idempotency), **given_row)

        found = transaction.one(select(idempotency.c.key, idempotency.c.answer, idempotency.c.at))

    assert found == (key, value, at)


def _shared(factory: pytest.TempPathFactory) -> Path:
    path = factory.getbasetemp() / "shared" / "chat.db"
    if not path.exists():
        path.parent.mkdir()
        database(path.parent)
    return path
