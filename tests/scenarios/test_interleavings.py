"""Whatever people do in whatever order, and whatever the network does: everybody hears 1 to n, each once, in order."""

from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tests.house import House, Person, Wire
from tests.scenarios.cutter import Cutter

READERS = 3
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["post", "post", "burst", "join", "cut", "come back", "leave"]), st.integers(0, READERS - 1)
    ),
    max_size=25,
)


class Reader:
    """Somebody who follows the room, and knows where they stand while they are away."""

    def __init__(self, person: Person, url: str, channel: str) -> None:
        self._url = f"{url.replace('http', 'ws', 1)}/ws?token={person.token}"
        self._channel = channel
        self._wire: Wire | None = None
        self._epoch = ""
        self.start = -1
        self.offsets: list[int] = []

    @property
    def position(self) -> int:
        return self.offsets[-1] if self.offsets else self.start

    def come(self) -> None:
        """For the first time, or back from wherever they were."""
        if self._wire is not None:
            return
        self._wire = Wire(self._url)
        asked = {} if self.start < 0 else {"recover": True, "epoch": self._epoch, "offset": self.position}
        answer = self._wire.subscribe(self._channel, **asked)
        if self.start < 0:
            self.start, self._epoch = answer["offset"], answer["epoch"]
        else:
            assert answer["recovered"] is True
        self._note(answer.get("publications", []))

    def leave(self) -> None:
        """In good order: all that came before the answer is heard."""
        if self._wire is not None:
            self._wire.ask(unsubscribe={"channel": self._channel})
            self.take()
            self._drop()

    def lose(self) -> None:
        """The network is gone: what was under way may have come or not."""
        if self._wire is not None:
            with suppress(ConnectionClosed):
                while True:
                    self._wire.read()
            self.take()
            self._drop()

    def take(self) -> None:
        assert self._wire is not None
        self._note([push["pub"] for push in self._wire.pushes if push["channel"] == self._channel])
        self._wire.pushes.clear()

    def catch_up(self, head: int) -> None:
        self.come()
        assert self._wire is not None
        while self.position < head:
            self._note([self._wire.push(self._channel)])
        self._drop()

    def _drop(self) -> None:
        assert self._wire is not None
        self._wire.close()
        self._wire = None

    def _note(self, publications: list[dict[str, Any]]) -> None:
        self.offsets += [publication["offset"] for publication in publications]


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_everybody_hears_everything_once_in_order_whatever_happens(house: House, acts: list[tuple[str, int]]) -> None:
    ann, bob = house.person("ann"), house.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    with Cutter(house.port) as network:
        readers = [Reader(bob, network.url, f"room:{room_id}") for _ in range(READERS)]
        for act, index in acts:
            _carry_out(act, readers[index], ann, room_id)
            if act == "cut":
                network.cut()
                for reader in readers:
                    reader.lose()
        ann.say(room_id, "the last word")
        with ann.wire() as wire:
            head = wire.ask(history={"channel": f"room:{room_id}"})["history"]["offset"]
        for reader in readers:
            reader.catch_up(head)

    for reader in readers:
        assert all(later == earlier + 1 for earlier, later in pairwise([reader.start, *reader.offsets]))
        assert reader.position >= head


def _carry_out(act: str, reader: Reader, ann: Person, room_id: str) -> None:
    if act == "post":
        ann.say(room_id, "x")
    elif act == "burst":
        with ann.wire() as wire:
            for _ in range(10):
                wire.send(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": "x"}})
    elif act in {"join", "come back"}:
        reader.come()
    elif act == "leave":
        reader.leave()
