"""From a commit to those who follow its channels here."""

from typing import cast

from chat_server.broker.memory import MemoryBroker
from chat_server.realtime.fanout import Fanout
from chat_server.realtime.manager import ConnectionManager
from chat_server.store.store import Store
from chat_server.store.transaction import Publication
from chat_server.store.writer import Commit
from tests.realtime.people import Reader
from tests.store.rig import awaited


@awaited
async def test_what_a_commit_brings_is_heard_before_the_loop_takes_up_anything_else() -> None:
    manager = ConnectionManager()
    fanout = Fanout(manager, cast("Store", None), MemoryBroker())
    ann, bob = Reader("ann"), Reader("bob")
    for reader, name in ((ann, "room:a"), (bob, "room:b")):
        manager.add(reader)
        joining = manager.join(reader, name, is_durable=True)
        manager.channels[name].begin_at(0, "e1")
        joining.go_live(0)

    fanout.committed(Commit([Publication(name, 1, b"{}") for name in ("room:a", "room:b")]))

    assert ann.offsets() == bob.offsets() == [1]
