"""Rows that are locked so that commands wait for each other where PostgreSQL would let them pass: room, house.

The writer locks the room of a command before it runs; what changes or judges a room without being its command does so
here. On SQLite there is one writer at a time, and locking is only reading. The order of locks: room, people by id,
channels by name.
"""

from sqlalchemy import bindparam, select

from chat_server.store.event_log import EPOCH
from chat_server.store.schema import meta, rooms
from chat_server.store.transaction import Transaction

_ROOM = select(rooms.c.id).where(rooms.c.id == bindparam("room_id")).with_for_update(key_share=True)
_HOUSE = select(meta.c.key).where(meta.c.key == EPOCH).with_for_update()


def hold_room(transaction: Transaction, room_id: str) -> None:
    """Until the end of the transaction no command of the room runs. Nothing when there is no such room."""
    transaction.one(_ROOM, room_id=room_id)


def hold_house(transaction: Transaction) -> None:
    """Until the end of the transaction nobody else changes who owns the house."""
    transaction.one(_HOUSE)
